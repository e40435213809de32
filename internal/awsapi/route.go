package awsapi

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"postern/internal/sigv4"
)

// maxKey is the longest object key, in bytes of UTF-8
// (docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
const maxKey = 1024

// route is a Route taken apart.
type route struct {
	op       *Operation
	segments []segment
	query    [][2]string // key and value; an empty value means any
	rank     int
}

// segment is a literal, or a label.
type segment struct {
	text   string
	label  bool
	greedy bool
}

func newRoute(o *Operation) (*route, error) {
	r := &route{op: o}
	if o.route.Method == "" || !strings.HasPrefix(o.route.Path, "/") {
		return nil, errors.New("the route needs a method and a path that begins with a slash")
	}
	if path := strings.TrimSuffix(o.route.Path[1:], "/"); path != "" {
		for _, text := range strings.Split(path, "/") {
			s := segment{text: text}
			if name, ok := strings.CutPrefix(text, "{"); ok {
				name, ok = strings.CutSuffix(name, "}")
				s.text, s.greedy = strings.CutSuffix(name, "+")
				s.label = true
				if !ok || !slices.ContainsFunc(o.in.uri, func(f field) bool { return f.name == s.text }) {
					return nil, fmt.Errorf("no field of the input is tagged uri,%s", s.text)
				}
			}
			if len(r.segments) > 0 && r.segments[len(r.segments)-1].greedy {
				return nil, errors.New("only the last label may have a +")
			}
			r.segments = append(r.segments, s)
		}
	}
	for _, f := range o.in.uri {
		if !slices.ContainsFunc(r.segments, func(s segment) bool { return s.label && s.text == f.name }) {
			return nil, fmt.Errorf("the path has no label {%s}", f.name)
		}
	}
	for _, q := range o.route.Query {
		key, value, _ := strings.Cut(q, "=")
		r.query = append(r.query, [2]string{key, value})
		r.rank += 1000
		if value != "" {
			r.rank += 100
		}
	}
	r.rank += 1000 * len(o.route.Header)
	for _, s := range r.segments {
		if !s.label {
			r.rank++
		}
	}
	return r, nil
}

// same tells that two routes take the same requests.
func (r *route) same(other *route) bool {
	a, b := r.op.route, other.op.route
	return a.Method == b.Method && sameSet(a.Query, b.Query) && sameSet(a.Header, b.Header) &&
		slices.EqualFunc(r.segments, other.segments, func(x, y segment) bool {
			return x.label == y.label && x.greedy == y.greedy && (x.label || x.text == y.text)
		})
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// path matches a raw path; labels are raw.
func (r *route) path(raw string) (labels map[string]string, ok bool) {
	rest := strings.TrimPrefix(raw, "/")
	labels = map[string]string{}
	for _, s := range r.segments {
		if s.greedy {
			labels[s.text] = rest
			return labels, rest != ""
		}
		part, after, _ := strings.Cut(rest, "/")
		if part == "" || !s.label && part != s.text {
			return nil, false
		}
		if s.label {
			labels[s.text] = part
		}
		rest = after
	}
	return labels, rest == ""
}

// present holds the query keys and headers that must be there.
func (r *route) present(x *exchange) bool {
	for _, q := range r.query {
		value, count := x.queryValue(q[0])
		if count == 0 || q[1] != "" && value != q[1] {
			return false
		}
	}
	for _, name := range r.op.route.Header {
		if len(x.header[http.CanonicalHeaderKey(name)]) == 0 {
			return false
		}
	}
	return true
}

// find picks the operation of a request: by path, then method, then what must be present.
func (s *service) find(x *exchange) (*Operation, map[string]string, error) {
	var methods []string
	var best *route
	var bestLabels map[string]string
	onPath := false
	for _, r := range s.routes {
		labels, ok := r.path(x.path)
		if !ok {
			continue
		}
		onPath = true
		methods = append(methods, r.op.route.Method)
		if r.op.route.Method == x.r.Method && r.present(x) && (best == nil || r.rank > best.rank) {
			best, bestLabels = r, labels
		}
	}
	switch {
	case best != nil:
	case !onPath:
		return nil, nil, notImplemented("There is no such operation here: %s on this path is not implemented for %s.", x.r.Method, s.Name)
	case !slices.Contains(methods, x.r.Method):
		slices.Sort(methods)
		return nil, nil, &Error{Status: http.StatusMethodNotAllowed, Code: "MethodNotAllowed",
			Message: "The specified method is not allowed against this resource.",
			Fields:  map[string]string{"Method": x.r.Method},
			Headers: http.Header{"Allow": {strings.Join(slices.Compact(methods), ", ")}}}
	default:
		return nil, nil, notImplemented("There is no such operation here: %s on this path needs a query parameter or header that this request has not.", x.r.Method)
	}
	for name, raw := range bestLabels {
		value, err := sigv4.UnescapePath(raw)
		if err != nil {
			return nil, nil, err
		}
		if !utf8.ValidString(value) {
			return nil, nil, &sigv4.Error{Status: http.StatusBadRequest, Code: "InvalidURI", Message: "Couldn't parse the specified URI."}
		}
		bestLabels[name] = value
	}
	if last := len(best.segments) - 1; last >= 0 && best.segments[last].greedy && len(bestLabels[best.segments[last].text]) > maxKey {
		return nil, nil, &Error{Status: http.StatusBadRequest, Code: "KeyTooLongError", Message: "Your key is too long",
			Fields: map[string]string{"MaxSizeAllowed": fmt.Sprint(maxKey), "Size": fmt.Sprint(len(bestLabels[best.segments[last].text]))}}
	}
	return best.op, bestLabels, nil
}

// transport are the x-amz- headers that belong to signing and framing, in lower case.
var transport = []string{"x-amz-content-sha256", "x-amz-date", "x-amz-decoded-content-length", "x-amz-sdk-checksum-algorithm",
	"x-amz-security-token", "x-amz-trailer", "x-amz-user-agent"}

// undeclared refuses what the operation does not know of: a request that asks for more than we do must
// fail, not be half done.
func (o *Operation) undeclared(x *exchange) error {
	for _, p := range x.query {
		if p.Key != "x-id" && !o.in.knowsQuery(p.Key) && !slices.ContainsFunc(o.route.Query, func(q string) bool {
			key, _, _ := strings.Cut(q, "=")
			return key == p.Key
		}) {
			return notImplemented("The operation %s does not take the query parameter %q here.", o.name, cut(p.Key))
		}
	}
	for name := range x.header {
		lower := strings.ToLower(name)
		if !strings.HasPrefix(lower, "x-amz-") || slices.Contains(transport, lower) || o.in.knowsHeader(lower) ||
			slices.ContainsFunc(o.route.Header, func(h string) bool { return strings.EqualFold(h, lower) }) {
			continue
		}
		if algorithm, ok := strings.CutPrefix(lower, "x-amz-checksum-"); ok {
			if _, known := sigv4.NewChecksum(strings.ToUpper(algorithm)); known {
				continue
			}
		}
		e := notImplemented("A header you provided implies functionality that is not implemented: the operation %s does not take %s.", o.name, cut(lower))
		e.Fields = map[string]string{"Header": cut(lower)}
		return e
	}
	return nil
}

// cut bounds a piece of the request that goes into an answer.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), 80)], "\uFFFD") }

// bucketOf finds the bucket in a Host: b.localhost, b.s3.amazonaws.com, b.s3.<region>.amazonaws.com (with
// a dash or dualstack, too), b.<one of bases>. An address, a bare base and any other name have none:
// their requests name the bucket in the path.
func bucketOf(host string, bases []string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	best := ""
	for _, base := range append([]string{"localhost"}, bases...) {
		if strings.EqualFold(host, base) {
			return ""
		}
		if bucket, ok := strings.CutSuffix(host, "."+strings.ToLower(base)); ok && (best == "" || len(bucket) < len(best)) {
			best = bucket
		}
	}
	if best != "" {
		return best
	}
	rest, ok := strings.CutSuffix(host, ".amazonaws.com")
	if !ok {
		return ""
	}
	labels := strings.Split(rest, ".")
	for i := len(labels) - 1; i >= 0 && i >= len(labels)-3; i-- {
		if labels[i] == "s3" || strings.HasPrefix(labels[i], "s3-") {
			return strings.Join(labels[:i], ".")
		}
	}
	return ""
}
