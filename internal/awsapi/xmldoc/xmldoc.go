// Package xmldoc reads and writes the XML documents of AWS's REST-XML services. encoding/xml does the
// work, by its own tags; in front of the reading stands a check of what encoding/xml is lax about: every
// element must be one the type knows, once unless it is a list, without document type, processing
// instruction, foreign namespace or stray text, and not nested too deeply. The order of elements does not
// matter, as no two clients agree on it.
package xmldoc

import (
	"bytes"
	"encoding"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// maxDepth bounds the nesting of a document.
const maxDepth = 32

// Document is the documents of one type.
type Document struct {
	typ      reflect.Type // the struct
	root     string
	elements *element
}

// element is what one element may hold.
type element struct {
	children map[string]*element
	list     bool // may stand more than once
	kind     elementKind
}

type elementKind uint8

const (
	group  elementKind = iota
	text               // a string: an empty element is an empty string
	value              // a number, boolean or time: an empty element is none
	opaque             // reads itself
)

// New describes the documents of t, a struct. root is the name of the root element; if it is empty, the
// tag of t's XMLName says it, or else it is t's own name.
func New(t reflect.Type, root string) (*Document, error) {
	d := &Document{typ: t, root: root}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("an xml document must be a struct, not %s", t)
	}
	if f, ok := d.typ.FieldByName("XMLName"); ok && d.root == "" {
		name, _, _ := strings.Cut(f.Tag.Get("xml"), ",")
		d.root = name[strings.LastIndexByte(name, ' ')+1:]
	}
	if d.root == "" {
		d.root = d.typ.Name()
	}
	if d.root == "" {
		return nil, errors.New("the document has no root name")
	}
	var err error
	d.elements, err = elementOf(d.typ, map[reflect.Type]*element{})
	return d, err
}

var (
	xmlUnmarshaler  = reflect.TypeFor[xml.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// elementOf describes the element that encoding/xml reads into t; known ends the recursion of types that
// hold themselves.
func elementOf(t reflect.Type, known map[reflect.Type]*element) (*element, error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch pointer := reflect.PointerTo(t); {
	case pointer.Implements(xmlUnmarshaler):
		return &element{kind: opaque}, nil
	case pointer.Implements(textUnmarshaler):
		return &element{kind: value}, nil
	}
	switch t.Kind() {
	case reflect.String:
		return &element{kind: text}, nil
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return &element{kind: value}, nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return &element{kind: text}, nil
		}
		e, err := elementOf(t.Elem(), known)
		if err != nil {
			return nil, err
		}
		list := *e
		list.list = true
		return &list, nil
	case reflect.Struct:
		if e, ok := known[t]; ok {
			return e, nil
		}
		e := &element{children: map[string]*element{}}
		known[t] = e
		return e, e.addFields(t, known)
	}
	return nil, fmt.Errorf("the type %s cannot stand in an xml document", t)
}

func (e *element) addFields(t reflect.Type, known map[reflect.Type]*element) error {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("xml")
		name, options, _ := strings.Cut(tag, ",")
		name = name[strings.LastIndexByte(name, ' ')+1:]
		flags := strings.Split(options, ",")
		switch {
		case tag == "-", f.Name == "XMLName", slices.Contains(flags, "attr"), slices.Contains(flags, "comment"):
			continue
		case slices.Contains(flags, "chardata"), slices.Contains(flags, "cdata"):
			e.kind = text
			continue
		case slices.Contains(flags, "any"), slices.Contains(flags, "innerxml"):
			e.kind = opaque
			continue
		case f.Anonymous && name == "":
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			if embedded.Kind() == reflect.Struct {
				if err := e.addFields(embedded, known); err != nil {
					return err
				}
				continue
			}
		case !f.IsExported():
			continue
		}
		if name == "" {
			name = f.Name
		}
		child, err := elementOf(f.Type, known)
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		at := e
		path := strings.Split(name, ">")
		for _, part := range path[:len(path)-1] {
			if at.children[part] == nil {
				at.children[part] = &element{children: map[string]*element{}}
			}
			if at = at.children[part]; at.children == nil {
				return fmt.Errorf("field %s: the element %s has a value and elements in it", f.Name, part)
			}
		}
		at.children[path[len(path)-1]] = child
	}
	return nil
}

// Malformed says where a document went wrong. It shows at most 80 bytes of it.
type Malformed struct{ Detail string }

// Error implements error.
func (m *Malformed) Error() string { return "malformed document: " + m.Detail }

func malformed(format string, args ...any) error {
	return &Malformed{fmt.Sprintf(format, args...)}
}

// cut bounds a piece of the document that goes into an error.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), 80)], "\uFFFD") }

// Decode reads body into v, a pointer to a struct of the document's type. Elements may be in namespace or
// in none. Errors are *[Malformed].
func (d *Document) Decode(body []byte, v any, namespace string) error {
	checked := &checker{source: xml.NewDecoder(bytes.NewReader(body)), document: d, namespace: namespace}
	err := xml.NewTokenDecoder(checked).Decode(v)
	if err == io.EOF {
		return malformed("it has no root element")
	}
	for err == nil { // nothing may follow the root
		_, err = checked.Token()
	}
	if err == io.EOF {
		return nil
	}
	if m, ok := errors.AsType[*Malformed](err); ok {
		return m
	}
	return malformed("%s", cut(err.Error()))
}

// checker hands on the tokens of a document that the type knows, and refuses the others.
type checker struct {
	source    *xml.Decoder
	document  *Document
	namespace string
	open      []opened
	queue     []xml.Token
	rooted    bool
}

type opened struct {
	*element
	name string
	seen map[string]bool
}

// Token implements xml.TokenReader.
func (c *checker) Token() (xml.Token, error) {
	for len(c.queue) == 0 {
		t, err := c.source.Token()
		if err != nil {
			return nil, err
		}
		if err := c.take(t); err != nil {
			return nil, err
		}
	}
	t := c.queue[0]
	c.queue = c.queue[1:]
	return t, nil
}

func (c *checker) take(t xml.Token) error {
	inside := len(c.open) > 0
	switch t := t.(type) {
	case xml.StartElement:
		return c.start(t)
	case xml.EndElement:
		c.open = c.open[:len(c.open)-1]
		c.queue = append(c.queue, t)
	case xml.CharData:
		switch {
		case inside && c.open[len(c.open)-1].kind != group:
			c.queue = append(c.queue, t.Copy())
		case len(bytes.TrimSpace(t)) > 0 && inside:
			return malformed("there is text in the element %s", cut(c.open[len(c.open)-1].name))
		case len(bytes.TrimSpace(t)) > 0:
			return malformed("there is text outside the root element")
		}
	case xml.Comment:
	case xml.ProcInst:
		if t.Target != "xml" || c.rooted {
			return malformed("processing instructions are not taken")
		}
	default: // a directive: document types and entities have no place here
		return malformed("document types are not taken")
	}
	return nil
}

func (c *checker) start(t xml.StartElement) error {
	if len(c.open) >= maxDepth {
		return malformed("it is nested too deeply")
	}
	if t.Name.Space != "" && t.Name.Space != c.namespace {
		return malformed("the element %s is in another namespace", cut(t.Name.Local))
	}
	var e *element
	switch {
	case len(c.open) > 0:
		parent := c.open[len(c.open)-1]
		if parent.kind == opaque {
			e = parent.element
			break
		}
		e = parent.children[t.Name.Local]
		if e == nil {
			return malformed("the element %s is not known in %s", cut(t.Name.Local), cut(parent.name))
		}
		if parent.seen[t.Name.Local] && !e.list {
			return malformed("the element %s stands twice", cut(t.Name.Local))
		}
		parent.seen[t.Name.Local] = true
	case c.rooted || t.Name.Local != c.document.root:
		return malformed("the root element must be one %s", c.document.root)
	default:
		e = c.document.elements
	}
	c.rooted = true
	t = t.Copy()
	t.Attr = slices.DeleteFunc(t.Attr, func(a xml.Attr) bool { return a.Name.Space == "xmlns" || a.Name.Local == "xmlns" })
	if e.kind == value {
		return c.value(t)
	}
	c.open = append(c.open, opened{e, t.Name.Local, map[string]bool{}})
	c.queue = append(c.queue, t)
	return nil
}

// value hands a number, boolean or time on whole, and an empty one not at all: clients send empty
// elements for what is not set.
func (c *checker) value(t xml.StartElement) error {
	var content []byte
	for {
		next, err := c.source.Token()
		if err != nil {
			return err
		}
		switch next := next.(type) {
		case xml.CharData:
			content = append(content, next...)
		case xml.Comment:
		case xml.EndElement:
			if content = bytes.TrimSpace(content); len(content) > 0 {
				c.queue = append(c.queue, t, xml.CharData(content), next)
			}
			return nil
		default:
			return malformed("the element %s must hold one value", cut(t.Name.Local))
		}
	}
}

// Encode writes v, a struct of the document's type or a pointer to one, with its declaration.
func (d *Document) Encode(v any, namespace string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	start := xml.StartElement{Name: xml.Name{Local: d.root}}
	if namespace != "" {
		start.Attr = []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: namespace}}
	}
	e := xml.NewEncoder(&b)
	if err := e.EncodeElement(v, start); err != nil {
		return nil, fmt.Errorf("encoding the document %s: %w", d.root, err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("encoding the document %s: %w", d.root, err)
	}
	return b.Bytes(), nil
}

// Smallest is a document with nothing in it that may be left out.
func (d *Document) Smallest(namespace string) []byte {
	b, err := d.Encode(reflect.New(d.typ).Interface(), namespace)
	if err != nil {
		return nil
	}
	return b
}
