package awsapi

import (
	"bytes"
	"encoding"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// maxDepth bounds the nesting of a document.
const maxDepth = 32

// document is an XML document of one type. encoding/xml does the reading and writing, by its own tags; in
// front of the reading stands a check of what encoding/xml is lax about: every element must be one the
// type knows, once unless it is a list, without document type, processing instruction or stray text. The
// order of elements does not matter, as no two clients agree on it.
type document struct {
	typ      reflect.Type // the struct
	pointer  bool         // the field is a pointer: the document is optional
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

func newDocument(t reflect.Type, root string) (*document, error) {
	d := &document{typ: t, root: root}
	if t.Kind() == reflect.Pointer {
		d.typ, d.pointer = t.Elem(), true
	}
	if d.typ.Kind() != reflect.Struct {
		return nil, fmt.Errorf("an xml document must be a struct or a pointer to one, not %s", t)
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
			at = at.children[part]
		}
		at.children[path[len(path)-1]] = child
	}
	return nil
}

// malformedXML is S3's refusal, with the place where the document went wrong.
func malformedXML(detail string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "MalformedXML",
		Message: "The XML you provided was not well-formed or did not validate against our published schema: " + detail}
}

// decode reads body into v, a struct of the document's type. Errors are *[Error].
func (d *document) decode(body []byte, v any, namespace string) error {
	source := xml.NewDecoder(bytes.NewReader(body))
	checked := &checker{source: source, document: d, namespace: namespace}
	if err := xml.NewTokenDecoder(checked).Decode(v); err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			return e
		}
		if errors.Is(err, io.EOF) {
			return malformedXML("it has no root element")
		}
		return malformedXML(err.Error())
	}
	// Nothing may follow the root.
	for {
		_, err := checked.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			if e, ok := errors.AsType[*Error](err); ok {
				return e
			}
			return malformedXML(err.Error())
		}
	}
}

// checker hands on the tokens of a document that the type knows, and refuses the others.
type checker struct {
	source    *xml.Decoder
	document  *document
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
			return malformedXML("there is text in the element " + cut(c.open[len(c.open)-1].name))
		case len(bytes.TrimSpace(t)) > 0:
			return malformedXML("there is text outside the root element")
		}
	case xml.Comment:
	case xml.ProcInst:
		if t.Target != "xml" || c.rooted {
			return malformedXML("processing instructions are not taken")
		}
	default: // a directive: document types and entities have no place here
		return malformedXML("document types are not taken")
	}
	return nil
}

func (c *checker) start(t xml.StartElement) error {
	if len(c.open) >= maxDepth {
		return malformedXML("it is nested too deeply")
	}
	if t.Name.Space != "" && t.Name.Space != c.namespace {
		return malformedXML("the element " + cut(t.Name.Local) + " is in another namespace")
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
			return malformedXML("the element " + cut(t.Name.Local) + " is not known in " + cut(parent.name))
		}
		if parent.seen[t.Name.Local] && !e.list {
			return malformedXML("the element " + cut(t.Name.Local) + " stands twice")
		}
		parent.seen[t.Name.Local] = true
	case c.rooted || t.Name.Local != c.document.root:
		return malformedXML("the root element must be one " + c.document.root)
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
			return malformedXML("the element " + cut(t.Name.Local) + " must hold one value")
		}
	}
}

// encode writes v, a struct of the document's type or a pointer to one, with its declaration.
func (d *document) encode(v any, namespace string) ([]byte, error) {
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

// smallest is a document with nothing in it that may be left out.
func (d *document) smallest(namespace string) []byte {
	b, err := d.encode(reflect.New(d.typ).Interface(), namespace)
	if err != nil {
		return nil
	}
	return b
}
