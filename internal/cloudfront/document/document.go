// Package document holds CloudFront's own document forms (API version 2020-05-31): the
// configuration of distributions, public keys, key groups and origin access controls, and the
// answers that carry them.
//
// Field names are the API's element names; the order of fields is the order of the API's model.
// The same struct is read from and written to XML (the wire) and JSON (the record store, and the
// form the AWS CLI takes in --distribution-config file://…). Groups that CloudFront answers even
// when nobody sent them are values, so that they are written with Quantity 0: clients dereference
// them unasked. What is really optional is a pointer. An empty element means the same as an absent
// one. The package knows nothing of stores or policies: [Error] is what a document says about itself.
//
// Source of names, required members and enumerations: the API model of CloudFront 2020-05-31 and
// docs.aws.amazon.com/cloudfront/latest/APIReference.
package document

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// Namespace is the XML namespace of every CloudFront document.
const Namespace = "http://cloudfront.amazonaws.com/doc/2020-05-31/"

// Error is a document's fault under the code that CloudFront gives it, such as InvalidArgument or
// InconsistentQuantities. Message says what is wrong and what to do, and holds no secret.
type Error struct {
	Code    string
	Message string
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

func refuse(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *Error { return refuse("InvalidArgument", format, args...) }

// Error codes come from the API model's list of errors for each operation; where the model has no
// better one, InvalidArgument.

// quantities walks a document and refuses the first list whose Quantity is not its length.
func quantities(v reflect.Value, path string) *Error {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return quantities(v.Elem(), path)
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := quantities(v.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		if q, items := v.FieldByName("Quantity"), v.FieldByName("Items"); q.IsValid() && items.IsValid() {
			if q.Int() != int64(items.Len()) {
				return refuse("InconsistentQuantities",
					"%s says Quantity %d and lists %d items: make them equal", path, q.Int(), items.Len())
			}
		}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			under := path + "." + f.Name
			if f.Anonymous {
				under = path
			}
			if err := quantities(v.Field(i), under); err != nil {
				return err
			}
		}
	}
	return nil
}

// Counted returns the document with every Quantity set to the length of its Items, for those who
// build documents in Go. Pointers and slices are shared with the argument.
func Counted[T any](doc T) T {
	count(reflect.ValueOf(&doc))
	return doc
}

func count(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			count(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			count(v.Index(i))
		}
	case reflect.Struct:
		if q, items := v.FieldByName("Quantity"), v.FieldByName("Items"); q.IsValid() && items.IsValid() {
			q.SetInt(int64(items.Len()))
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				count(v.Field(i))
			}
		}
	}
}

func oneOf(where, got string, want ...string) *Error {
	if slices.Contains(want, got) {
		return nil
	}
	return invalid("%s is %q: it must be one of %s", where, got, strings.Join(want, ", "))
}

// set sets a default.
func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// first is the first thing that is wrong, as an error that is nil when nothing is. (A nil *Error in an
// error would not be nil.)
func first(found ...*Error) error {
	for _, f := range found {
		if f != nil {
			return f
		}
	}
	return nil
}

func within(where string, got, least, most int) *Error {
	if got < least || got > most {
		return invalid("%s is %d: it must be from %d to %d", where, got, least, most)
	}
	return nil
}

func required(where, got string, most int) *Error {
	if got == "" {
		return invalid("%s is missing", where)
	}
	return atMost(where, got, most)
}

func atMost(where, got string, most int) *Error {
	if n := utf8.RuneCountInString(got); n > most {
		return invalid("%s has %d characters: %d at most", where, n, most)
	}
	return nil
}

func twice[T comparable](where string, items []T) *Error {
	for i, item := range items {
		if slices.Contains(items[:i], item) {
			return invalid("%s lists %v twice", where, item)
		}
	}
	return nil
}
