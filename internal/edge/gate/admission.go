package gate

import (
	"errors"
	"strings"

	"postern/signed"
)

type kind uint8

const (
	admittedPublic kind = iota + 1
	admittedSigned
	admittedPage
)

// Admission is the gate's yes to one request. Only this package makes one that is valid; the zero
// Admission opens nothing. It carries the only path and query that an origin may ask for and that a cache
// may store under, so that the authorised path is the cache key's path is the origin's path.
type Admission struct {
	kind   kind
	target Target
	path   string
	grant  signed.Grant
}

// Valid reports whether the gate said yes. Origins refuse an admission that is not valid.
func (a Admission) Valid() bool { return a.kind != 0 }

// Target is what the viewer asked for.
func (a Admission) Target() Target { return a.target }

// Path is the raw path to fetch: the target's own, or what the operator's configuration put in its place
// (the default root object, a custom error page).
func (a Admission) Path() string { return a.path }

// Query is the query an origin may see: the viewer's without CloudFront's five parameters. A custom error
// page has none.
func (a Admission) Query() string {
	if a.kind == admittedPage {
		return ""
	}
	return a.target.OriginQuery()
}

// Public reports whether no signature was asked for.
func (a Admission) Public() bool { return a.kind == admittedPublic }

// Grant is what the signature permits; ok is false when none was asked for.
func (a Admission) Grant() (g signed.Grant, ok bool) { return a.grant, a.kind == admittedSigned }

// RootObject is a distribution's default root object.
type RootObject struct{ path string }

// ParseRootObject checks a DefaultRootObject: a relative URL path without a leading slash, such as
// index.html, percent-encoded as it is to be asked for.
func ParseRootObject(s string) (RootObject, error) {
	if strings.HasPrefix(s, "/") {
		return RootObject{}, errors.New("default root object begins with a slash: name it without, such as index.html")
	}
	if err := CheckPath("/" + s); err != nil || s == "" {
		return RootObject{}, errors.New("default root object is not a percent-encoded path such as index.html")
	}
	return RootObject{path: "/" + s}, nil
}

// Path is the raw path of the object.
func (o RootObject) Path() string { return o.path }

// WithRoot returns the admission for the default root object when a is for "/", and a itself otherwise.
//
// What was signed, and matched against the behaviours, is the URL as it travelled, "/" and not the
// object's: a link to https://host/ opens the root page, a link to https://host/index.html does not, nor
// the other way round. (AWS does not document which of the two CloudFront compares.) The edge refuses
// the request when "/" and the object belong to different behaviours.
func (a Admission) WithRoot(o RootObject) Admission {
	if a.Valid() && a.path == "/" && o.path != "" {
		a.path = o.path
	}
	return a
}

// Page is the path of a custom error page.
type Page struct{ path string }

// ParsePage checks a ResponsePagePath: a URL path with its leading slash, percent-encoded as it is to be
// asked for.
func ParsePage(path string) (Page, error) {
	if err := CheckPath(path); err != nil {
		return Page{}, errors.New("error page path is not a percent-encoded path such as /errors/403.html")
	}
	return Page{path: path}, nil
}

// Path is the raw path of the page.
func (p Page) Path() string { return p.path }

// Admit is the admission for the operator's own error page in place of what the viewer asked for.
// No signature is asked for: the operator decided that whoever is refused sees this page. Nothing of the
// viewer's path or query is left in it.
func (p Page) Admit(viewer Target) Admission {
	if p.path == "" {
		return Admission{}
	}
	return Admission{kind: admittedPage, target: viewer, path: p.path}
}

// CheckPath holds a configured path to the rules of a viewer's: a leading slash, no query, and everything
// that is not printable ASCII percent-encoded.
func CheckPath(p string) error {
	for i := range len(p) {
		if c := p[i]; c <= ' ' || c >= 0x7F || c == '#' || c == '?' {
			return errors.New("a byte must be percent-encoded")
		}
	}
	if reason := checkPath(p); reason != "" {
		return errors.New(reason)
	}
	return nil
}
