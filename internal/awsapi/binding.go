package awsapi

import (
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/awsapi/xmldoc"
)

// binding is where the fields of an input or output travel in a REST protocol. It is computed once, when
// the table is made.
type binding struct {
	uri, query, header []field
	prefixes           []field // headers,prefix-
	document           *xmldoc.Document
	documentType       reflect.Type
	optional           bool // the document's field is a pointer
	documentAt         []int
	body, bodylen      []int // index of the field; nil if there is none
	checksums, status  []int
	rawquery           []int
}

// field is one value outside the body.
type field struct {
	name  string
	index []int
}

var (
	readerType     = reflect.TypeFor[io.Reader]()
	readCloserType = reflect.TypeFor[io.ReadCloser]()
	timeType       = reflect.TypeFor[time.Time]()
)

// bind reads the tags of an input or output type.
func bind(t reflect.Type, out bool) (*binding, error) {
	b := &binding{}
	if t.Kind() != reflect.Struct {
		return b, fmt.Errorf("%s is not a struct", t)
	}
	if err := b.add(t, nil, out); err != nil {
		return b, fmt.Errorf("%s: %w", t, err)
	}
	if b.document != nil && b.body != nil {
		return b, fmt.Errorf("%s: there is an xml and a body field", t)
	}
	return b, nil
}

func (b *binding) add(t reflect.Type, at []int, out bool) error {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(slices.Clone(at), i)
		tag, tagged := f.Tag.Lookup("aws")
		if !tagged {
			if f.Anonymous && f.Type.Kind() == reflect.Struct {
				if err := b.add(f.Type, index, out); err != nil {
					return err
				}
			}
			continue
		}
		if err := b.addField(f, tag, index, out); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	return nil
}

func (b *binding) addField(f reflect.StructField, tag string, index []int, out bool) error {
	kind, name, _ := strings.Cut(tag, ",")
	if !f.IsExported() {
		return fmt.Errorf("it has the tag aws:%q but is not exported", tag)
	}
	wantName := kind == "uri" || kind == "query" || kind == "header" || kind == "headers"
	if wantName == (name == "") && kind != "xml" {
		return fmt.Errorf("the tag aws:%q is malformed", tag)
	}
	place := func(slot *[]int, want reflect.Type) error {
		if *slot != nil {
			return fmt.Errorf("a second field is tagged aws:%q", tag)
		}
		if f.Type != want {
			return fmt.Errorf("the tag aws:%q needs the type %s", tag, want)
		}
		*slot = index
		return nil
	}
	inOnly := kind == "uri" || kind == "query" || kind == "checksums" || kind == "rawquery"
	if inOnly && out || kind == "status" && !out {
		return fmt.Errorf("the tag aws:%q is on the wrong side", tag)
	}
	switch kind {
	case "uri", "query", "header":
		if err := scalar(f.Type); err != nil {
			return err
		}
		list := map[string]*[]field{"uri": &b.uri, "query": &b.query, "header": &b.header}[kind]
		if slices.ContainsFunc(*list, func(other field) bool {
			return strings.EqualFold(other.name, name) && (kind != "uri" || other.name == name)
		}) {
			return fmt.Errorf("a second field is tagged aws:%q", tag)
		}
		*list = append(*list, field{name, index})
	case "headers":
		if f.Type != reflect.TypeFor[map[string]string]() || name != strings.ToLower(name) {
			return fmt.Errorf("the tag aws:%q needs the type map[string]string and a lower-case prefix", tag)
		}
		b.prefixes = append(b.prefixes, field{name, index})
	case "xml":
		if b.document != nil {
			return fmt.Errorf("a second field is tagged aws:%q", tag)
		}
		b.documentType, b.documentAt = f.Type, index
		if f.Type.Kind() == reflect.Pointer {
			b.documentType, b.optional = f.Type.Elem(), true
		}
		var err error
		b.document, err = xmldoc.New(b.documentType, name)
		return err
	case "body":
		want := readerType
		if out {
			want = readCloserType
		}
		return place(&b.body, want)
	case "bodylen":
		return place(&b.bodylen, reflect.TypeFor[int64]())
	case "checksums":
		return place(&b.checksums, reflect.TypeFor[*Checksums]())
	case "status":
		return place(&b.status, reflect.TypeFor[int]())
	case "rawquery":
		return place(&b.rawquery, reflect.TypeFor[string]())
	default:
		return fmt.Errorf("the tag aws:%q has an unknown kind", tag)
	}
	return nil
}

func (b *binding) knowsQuery(key string) bool {
	return b.rawquery != nil || slices.ContainsFunc(b.query, func(f field) bool { return f.name == key })
}

// knowsHeader takes the name in lower case.
func (b *binding) knowsHeader(lower string) bool {
	return slices.ContainsFunc(b.header, func(f field) bool { return strings.EqualFold(f.name, lower) }) ||
		slices.ContainsFunc(b.prefixes, func(f field) bool {
			// A catch-all prefix does not make a checksum of an algorithm we lack known.
			return strings.HasPrefix(lower, f.name) && !(f.name == "x-amz-" && isChecksum(lower))
		})
}

// ownChecksums tells that x-amz-checksum-* headers are the operation's own, not the document's.
func (b *binding) ownChecksums() bool {
	return b.document != nil && slices.ContainsFunc(b.header, func(f field) bool {
		return isChecksum(strings.ToLower(f.name))
	})
}

// closeBody closes the body in an output that is not going to be answered.
func (b *binding) closeBody(out any) {
	if b.body == nil {
		return
	}
	if body, ok := reflect.ValueOf(out).Elem().FieldByIndex(b.body).Interface().(io.ReadCloser); ok {
		_ = body.Close() // nothing is lost: it was only read
	}
}

func (b *binding) accepts() []string {
	var names []string
	for _, f := range b.query {
		names = append(names, f.name)
	}
	for _, f := range b.header {
		names = append(names, f.name)
	}
	for _, f := range b.prefixes {
		names = append(names, f.name+"*")
	}
	slices.Sort(names)
	return names
}

// scalar holds that a type can travel in a path, a query or a header.
func scalar(t reflect.Type) error {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64:
		return nil
	}
	if t == timeType {
		return nil
	}
	return fmt.Errorf("the type %s cannot stand in a path, a query or a header", t)
}

// setScalar parses text into v, whose type scalar has held.
func setScalar(v reflect.Value, text string) error {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch {
	case v.Type() == timeType:
		at, err := http.ParseTime(text)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(at.UTC()))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		on := strings.EqualFold(text, "true")
		if !on && !strings.EqualFold(text, "false") {
			return strconv.ErrSyntax
		}
		v.SetBool(on)
	default:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return err
		}
		v.SetInt(n)
	}
	return nil
}

// scalarText is v as a header has it; ok is false when v is absent.
func scalarText(v reflect.Value) (text string, ok bool) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "", false
		}
		v = v.Elem()
	} else if v.IsZero() {
		return "", false
	}
	switch {
	case v.Type() == timeType:
		return v.Interface().(time.Time).UTC().Format(http.TimeFormat), true
	case v.Kind() == reflect.String:
		return v.String(), true
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	}
	return strconv.FormatInt(v.Int(), 10), true
}
