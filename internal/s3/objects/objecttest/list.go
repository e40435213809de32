package objecttest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"postern/internal/s3/objects"
)

// Model lists keys the slow and obvious way: the answer that [objects.Backend.List] has to give.
func Model(keys []string, in objects.ListRequest) (out objects.ListResult) {
	keys = slices.Clone(keys)
	slices.Sort(keys)
	var items []string // objects and common prefixes, in order
	common := make(map[string]bool)
	for _, k := range keys {
		rest, ok := strings.CutPrefix(k, in.Prefix)
		if !ok || k <= in.After && in.After != "" {
			continue
		}
		if in.Delimiter != "" {
			if i := strings.Index(rest, in.Delimiter); i >= 0 {
				k = in.Prefix + rest[:i+len(in.Delimiter)]
				if common[k] || k == in.After {
					continue
				}
				common[k] = true
			}
		}
		items = append(items, k)
	}
	if in.Max <= 0 {
		return out
	}
	for i, k := range items {
		if i == in.Max {
			out.Truncated, out.Next = true, items[i-1]
			break
		}
		if common[k] {
			out.Prefixes = append(out.Prefixes, k)
		} else {
			out.Objects = append(out.Objects, objects.Info{Key: k})
		}
	}
	return out
}

// Same compares a listing with the model's, keys only; it returns "" or what differs.
func Same(got, want objects.ListResult) string {
	names := func(r objects.ListResult) (n []string) {
		for _, o := range r.Objects {
			n = append(n, o.Key)
		}
		return n
	}
	switch {
	case !slices.Equal(names(got), names(want)):
		return fmt.Sprintf("objects %q, want %q", names(got), names(want))
	case !slices.Equal(got.Prefixes, want.Prefixes):
		return fmt.Sprintf("prefixes %q, want %q", got.Prefixes, want.Prefixes)
	case got.Truncated != want.Truncated || got.Next != want.Next:
		return fmt.Sprintf("truncated %v next %q, want %v %q", got.Truncated, got.Next, want.Truncated, want.Next)
	}
	return ""
}

func (s *suite) list() {
	for _, k := range []string{"a", "b/", "b/1", "b/2/x", "b/2/y", "b/3", "b!", "b0", "c/d/e", "c/d/f", "z"} {
		s.put(k, []byte(k))
	}
	for _, c := range []struct {
		name    string
		in      objects.ListRequest
		objects string // separated by spaces
		folded  string
		next    string
	}{
		{"all", objects.ListRequest{Max: 100}, "a b! b/ b/1 b/2/x b/2/y b/3 b0 c/d/e c/d/f z", "", ""},
		{"all exactly", objects.ListRequest{Max: 11}, "a b! b/ b/1 b/2/x b/2/y b/3 b0 c/d/e c/d/f z", "", ""},
		{"page", objects.ListRequest{Max: 2}, "a b!", "", "b!"},
		{"none", objects.ListRequest{Max: 0}, "", "", ""},
		{"top", objects.ListRequest{Delimiter: "/", Max: 100}, "a b! b0 z", "b/ c/", ""},
		{"top page ends at a prefix", objects.ListRequest{Delimiter: "/", Max: 3}, "a b!", "b/", "b/"},
		{"top page after a prefix", objects.ListRequest{Delimiter: "/", After: "b/", Max: 2}, "b0", "c/", "c/"},
		{"top last page", objects.ListRequest{Delimiter: "/", After: "c/", Max: 2}, "z", "", ""},
		{"after a key inside a prefix", objects.ListRequest{Delimiter: "/", After: "b/2/x", Max: 2}, "b0", "b/", "b0"},
		{"after the last key inside a prefix", objects.ListRequest{Delimiter: "/", After: "b/3", Max: 2}, "b0", "c/", "c/"},
		{"after a key that is not there", objects.ListRequest{After: "b/2", Max: 2}, "b/2/x b/2/y", "", "b/2/y"},
		{"after everything", objects.ListRequest{After: "zz", Max: 2}, "", "", ""},
		{"below a folder", objects.ListRequest{Prefix: "b/", Delimiter: "/", Max: 100}, "b/ b/1 b/3", "b/2/", ""},
		{"below a folder, deep", objects.ListRequest{Prefix: "b/", Max: 100}, "b/ b/1 b/2/x b/2/y b/3", "", ""},
		{"a prefix that is no folder", objects.ListRequest{Prefix: "b", Delimiter: "/", Max: 100}, "b! b0", "b/", ""},
		{"after before the prefix", objects.ListRequest{Prefix: "c/", After: "a", Max: 1}, "c/d/e", "", "c/d/e"},
		{"after beyond the prefix", objects.ListRequest{Prefix: "b/", After: "c", Max: 1}, "", "", ""},
		{"no such prefix", objects.ListRequest{Prefix: "nothing", Max: 100}, "", "", ""},
		{"long delimiter", objects.ListRequest{Delimiter: "/2/", Max: 100}, "a b! b/ b/1 b/3 b0 c/d/e c/d/f z", "b/2/", ""},
		{"delimiter in the prefix only", objects.ListRequest{Prefix: "c/d/", Delimiter: "/", Max: 100}, "c/d/e c/d/f", "", ""},
	} {
		got, err := s.Backend.List(s.ctx(), bucket, c.in)
		s.ok(err)
		want := objects.ListResult{Prefixes: strings.Fields(c.folded), Next: c.next, Truncated: c.next != ""}
		for _, k := range strings.Fields(c.objects) {
			want.Objects = append(want.Objects, objects.Info{Key: k})
		}
		if diff := Same(got, want); diff != "" {
			s.Errorf("%s: %s", c.name, diff)
		}
		for _, o := range got.Objects {
			if o.Size != int64(len(o.Key)) || o.ETag != etag([]byte(o.Key)) || o.Modified.IsZero() || o.VersionID != objects.NullVersion {
				s.Errorf("%s: %+v", c.name, o)
			}
		}
	}
}

// listModel compares listings of odd keys, under all prefixes and page sizes, with the model's.
func (s *suite) listModel() {
	r := rand.New(rand.NewPCG(1, 2))
	letters := []string{"a", "b", "/", "//", "\x00", "\x01", "\xff", "가"}
	word := func(n int) (w string) {
		for range n {
			w += letters[r.IntN(len(letters))]
		}
		return w
	}
	var keys []string
	for range 150 {
		keys = append(keys, word(1+r.IntN(4)))
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	for _, k := range keys {
		s.put(k, nil)
	}
	for range 3000 {
		in := objects.ListRequest{Prefix: word(r.IntN(3)), Delimiter: word(r.IntN(2)), After: word(r.IntN(4)), Max: r.IntN(8)}
		got, err := s.Backend.List(s.ctx(), bucket, in)
		s.ok(err)
		if diff := Same(got, Model(keys, in)); diff != "" {
			s.Fatalf("%+v: %s", in, diff)
		}
	}
	// Pages put together are the whole.
	for _, delimiter := range []string{"", "/", "\x00", "\xff"} {
		for size := 1; size < 5; size++ {
			var got objects.ListResult
			in := objects.ListRequest{Delimiter: delimiter, Max: size}
			for more := true; more; {
				page, err := s.Backend.List(s.ctx(), bucket, in)
				s.ok(err)
				got.Objects = append(got.Objects, page.Objects...)
				got.Prefixes = append(got.Prefixes, page.Prefixes...)
				in.After, more = page.Next, page.Truncated
			}
			if diff := Same(got, Model(keys, objects.ListRequest{Delimiter: delimiter, Max: len(keys) + 1})); diff != "" {
				s.Fatalf("delimiter %q by %d: %s", delimiter, size, diff)
			}
		}
	}
}
