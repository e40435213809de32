package awsapi

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"postern/internal/awsapi/xmldoc"
)

// codec is one wire protocol. The pipeline calls it in the order of its methods.
type codec interface {
	// claims tells that an unsigned request looks like the service's.
	claims(x *exchange, s *service) bool
	// find names the operation and what the target says about its input.
	find(x *exchange, s *service) (*Operation, map[string]string, error)
	// decode fills in from the request; the body is at x.body, verified while it is read.
	decode(x *exchange, in any) error
	// encode writes the answer.
	encode(x *exchange, out any) error
	// refuse writes an error.
	refuse(x *exchange, e *Error)
}

// restXML is the protocol of S3, CloudFront and Route 53
// (smithy.io/2.0/aws/protocols/aws-restxml-protocol.html).
type restXML struct{}

func (restXML) claims(x *exchange, s *service) bool {
	return s.PathPrefix != "" && strings.HasPrefix(x.path, s.PathPrefix)
}

func (restXML) find(x *exchange, s *service) (*Operation, map[string]string, error) { return s.find(x) }

func (restXML) decode(x *exchange, in any) error {
	b, v := x.op.in, reflect.ValueOf(in).Elem()
	for _, f := range b.uri {
		if err := setScalar(v.FieldByIndex(f.index), x.labels[f.name]); err != nil {
			return invalidArgument(f.name, x.labels[f.name])
		}
	}
	for _, f := range b.query {
		value, count := x.queryValue(f.name)
		if count > 1 {
			return invalidArgument(f.name, value)
		}
		if count == 1 {
			if err := setScalar(v.FieldByIndex(f.index), value); err != nil {
				return invalidArgument(f.name, value)
			}
		}
	}
	for _, f := range b.header {
		if values := x.header[http.CanonicalHeaderKey(f.name)]; len(values) > 0 {
			value := strings.Join(values, ",")
			if err := setScalar(v.FieldByIndex(f.index), value); err != nil {
				return invalidArgument(f.name, value)
			}
		}
	}
	for _, f := range b.prefixes {
		found := map[string]string{}
		for name, values := range x.header {
			if rest, ok := strings.CutPrefix(strings.ToLower(name), f.name); ok {
				found[rest] = strings.Join(values, ",")
			}
		}
		if len(found) > 0 {
			v.FieldByIndex(f.index).Set(reflect.ValueOf(found))
		}
	}
	if b.rawquery != nil {
		v.FieldByIndex(b.rawquery).SetString(x.rawQuery)
	}
	if b.bodylen != nil {
		v.FieldByIndex(b.bodylen).SetInt(x.body.Length())
	}
	if b.checksums != nil {
		v.FieldByIndex(b.checksums).Set(reflect.ValueOf(x.checksums()))
	}
	if b.body != nil {
		v.FieldByIndex(b.body).Set(reflect.ValueOf(io.Reader(x.body)))
		return nil
	}
	body, err := x.readBody() // also where there is no document: what came must be what was signed
	if err != nil || b.document == nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		if b.optional {
			return nil
		}
		return &Error{Status: http.StatusBadRequest, Code: "MissingRequestBodyError", Message: "Request Body is empty"}
	}
	at := v.FieldByIndex(b.documentAt)
	if b.optional {
		at.Set(reflect.New(b.documentType))
		at = at.Elem()
	}
	err = b.document.Decode(body, at.Addr().Interface(), x.service.Namespace)
	if m, ok := errors.AsType[*xmldoc.Malformed](err); ok {
		return &Error{Status: http.StatusBadRequest, Code: "MalformedXML",
			Message: "The XML you provided was not well-formed or did not validate against our published schema: " + m.Detail}
	}
	return err
}

func invalidArgument(name, value string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "InvalidArgument", Message: "The value of " + name + " is not valid.",
		Fields: map[string]string{"ArgumentName": name, "ArgumentValue": cut(value)}}
}

func (restXML) encode(x *exchange, out any) error {
	b, v := x.op.out, reflect.ValueOf(out).Elem()
	var body io.ReadCloser
	if b.body != nil {
		body, _ = v.FieldByIndex(b.body).Interface().(io.ReadCloser)
	}
	status := x.op.status
	if b.status != nil {
		if n := v.FieldByIndex(b.status).Int(); n != 0 {
			status = int(n)
		}
	}
	length := int64(-1)
	if b.bodylen != nil {
		length = v.FieldByIndex(b.bodylen).Int()
	} else if body == nil {
		length = 0
	}
	header := x.w.Header()
	for _, f := range b.header {
		if text, ok := scalarText(v.FieldByIndex(f.index)); ok {
			if strings.EqualFold(f.name, "Content-Length") {
				if n, err := strconv.ParseInt(text, 10, 64); err == nil {
					length = n
				}
				continue
			}
			setHeader(header, f.name, text)
		}
	}
	for _, f := range b.prefixes {
		for name, text := range v.FieldByIndex(f.index).Interface().(map[string]string) {
			setHeader(header, f.name+strings.ToLower(name), text)
		}
	}
	if b.document != nil {
		at := v.FieldByIndex(b.documentAt)
		if b.optional && at.IsNil() {
			x.answer(status, 0, nil)
			return nil
		}
		text, err := b.document.Encode(at.Interface(), x.service.Namespace)
		if err != nil {
			return err
		}
		header.Set("Content-Type", x.service.contentType())
		x.answer(status, int64(len(text)), io.NopCloser(bytes.NewReader(text)))
		return nil
	}
	x.answer(status, length, body)
	return nil
}

// setHeader writes a header's name as its service does: x-amz- names in lower case, for botocore keeps
// the case it sees in the keys of a user's metadata; others as the tag has them.
func setHeader(h http.Header, name, value string) {
	if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz") {
		h[lower] = []string{value}
		return
	}
	if http.CanonicalHeaderKey(name) == "Content-Type" {
		name = "Content-Type" // net/http must find it
	}
	h[name] = []string{value}
}

func (s *service) contentType() string {
	if s.s3 {
		return "application/xml"
	}
	return "text/xml"
}

func (restXML) refuse(x *exchange, e *Error) {
	type element struct {
		XMLName xml.Name
		Text    string `xml:",chardata"`
	}
	list := func(fields ...string) (elements []element) {
		for i := 0; i < len(fields); i += 2 {
			elements = append(elements, element{xml.Name{Local: fields[i]}, fields[i+1]})
		}
		return elements
	}
	var doc any
	if x.service.s3 {
		fields := list("Code", e.Code, "Message", e.Message)
		for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
			fields = append(fields, list(name, e.Fields[name])...)
		}
		if _, given := e.Fields["Resource"]; !given {
			fields = append(fields, list("Resource", x.path)...)
		}
		fields = append(fields, list("RequestId", x.id, "HostId", x.hostID)...)
		doc = struct {
			XMLName xml.Name `xml:"Error"`
			Fields  []element
		}{Fields: fields}
	} else {
		blame := "Sender"
		if e.Status >= 500 {
			blame = "Receiver"
		}
		type inner struct{ Fields []element }
		doc = struct {
			XMLName   xml.Name `xml:"ErrorResponse"`
			Namespace string   `xml:"xmlns,attr,omitempty"`
			Error     inner
			RequestId string
		}{Namespace: x.service.Namespace, Error: inner{list("Type", blame, "Code", e.Code, "Message", e.Message)}, RequestId: x.id}
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	if err := xml.NewEncoder(&b).Encode(doc); err != nil {
		b.Reset() // strings always encode; an answer without a body is still an answer
	}
	x.w.Header().Set("Content-Type", x.service.contentType())
	x.answer(e.Status, int64(b.Len()), io.NopCloser(&b))
}
