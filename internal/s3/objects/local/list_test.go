package local_test

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"postern/internal/s3/objects"
	"postern/internal/s3/objects/objecttest"
)

// FuzzList compares a listing of any keys with the obvious way to list them.
func FuzzList(f *testing.F) {
	f.Add("a\nb/1\nb/2\nc", "", "/", "", 10)
	f.Add("a/\na/b\na/b/c\na!", "a", "/", "a/", 1)
	f.Add("\x00\n\x00\x01\n\x01\n\xff\xff\n\xff", "\x00", "\x01", "\x00", 2)
	f.Add("x\nx/y\nx//y\nx/", "x/", "/", "x/", 3)
	f.Add("\xff/a\n\xff/b\n\xff\xff\xff/", "", "\xff", "", 2)
	l := openLocal(f, f.TempDir())
	var bucket atomic.Int64
	f.Fuzz(func(t *testing.T, keys, prefix, delimiter, after string, max int) {
		name := fmt.Sprint("bucket", bucket.Add(1))
		var model []string
		seen := make(map[string]bool)
		for _, k := range bytes.Split([]byte(keys), []byte("\n")) {
			if len(k) == 0 || len(k) > objects.MaxKey || seen[string(k)] || len(model) == 30 {
				continue
			}
			seen[string(k)] = true
			model = append(model, string(k))
			if _, err := l.Put(t.Context(), objects.PutRequest{Bucket: name, Key: string(k)}); err != nil {
				t.Fatal(err)
			}
		}
		in := objects.ListRequest{Prefix: prefix, Delimiter: delimiter, After: after, Max: max % 40}
		got, err := l.List(t.Context(), name, in)
		if err != nil {
			t.Fatal(err)
		}
		if diff := objecttest.Same(got, objecttest.Model(model, in)); diff != "" {
			t.Errorf("keys %q, %+v: %s", model, in, diff)
		}
	})
}

// A folder that hides many keys costs a listing no more than one that hides few.
func TestListSkipsWhatItFolds(t *testing.T) {
	l := openLocal(t, t.TempDir())
	var group sync.WaitGroup
	for w := range 50 { // together, so that they share transactions
		group.Go(func() {
			for i := range 60 {
				if _, err := l.Put(t.Context(), objects.PutRequest{Bucket: "b", Key: fmt.Sprintf("folder/%d/%d", w, i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	cost := func(prefix string) float64 {
		return testing.AllocsPerRun(20, func() {
			r, err := l.List(t.Context(), "b", objects.ListRequest{Prefix: prefix, Delimiter: "/", Max: 1000})
			if err != nil || len(r.Prefixes) != 1 {
				t.Fatal(r, err)
			}
		})
	}
	if n := cost(""); n > 60 {
		t.Errorf("listing one common prefix of 3,000 keys took %v allocations", n)
	}
}
