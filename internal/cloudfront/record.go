package cloudfront

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/cloudfront/document"
	"postern/internal/store"
)

// Keys are prefix, kind, slash, id. The one record that is no document is the generation.
const (
	prefix           = "/postern/v1/cloudfront/"
	kindDistribution = "distribution"
	kindPublicKey    = "public-key"
	kindKeyGroup     = "key-group"
	kindControl      = "origin-access-control"
	generationKey    = prefix + "generation/writes"
)

// generationValue says nothing: the record's revision is what is compared.
var generationValue = []byte(`{"version":1}`)

// version of the envelope and of what is in it.
const version = 1

// envelope is how a document is stored: JSON, UTF-8, under the document's key.
//
//	version     1; a record of another version, or with a field this program does not know, is not read
//	etag        E and 13 of A-Z0-9, new at every write
//	created     RFC 3339, UTC, whole milliseconds
//	modified    likewise
//	domainName  of a distribution: d and 13 of a-z0-9, then .cloudfront.net
//	sealed      of a distribution with custom origin headers: the JSON list of their values, in the
//	            order of the document, sealed under the record's key; the document's are empty
//	document    DistributionConfig, PublicKeyConfig, KeyGroupConfig or OriginAccessControlConfig, by the
//	            API's element names
type envelope struct {
	Version    int             `json:"version"`
	ETag       string          `json:"etag"`
	Created    time.Time       `json:"created"`
	Modified   time.Time       `json:"modified"`
	DomainName string          `json:"domainName,omitempty"`
	Sealed     []byte          `json:"sealed,omitempty"`
	Document   json.RawMessage `json:"document"`
}

// entry is a record in memory. Entries in a view are shared and never change.
type entry[T any] struct {
	kind       string
	id         string
	revision   int64
	etag       string
	created    time.Time
	modified   time.Time
	domainName string
	doc        T
}

type generation struct{ revision int64 }

// create is a new entry; its id is the caller's.
func create[T any](s *Service, kind, id string, doc T) *entry[T] {
	now := s.now().UTC().Truncate(time.Millisecond)
	return &entry[T]{kind: kind, id: id, etag: "E" + random(upper, 13), created: now, modified: now, doc: doc}
}

// change is the entry with another document, a new ETag, and the revision it was.
func change[T any](s *Service, e *entry[T], doc T) *entry[T] {
	next := *e
	next.etag = "E" + random(upper, 13)
	next.modified = s.now().UTC().Truncate(time.Millisecond)
	next.doc = doc
	return &next
}

func (e *entry[T]) key() string { return prefix + e.kind + "/" + e.id }

// put is the transaction that writes an entry over what it was made from.
func put[T any](s *Service, e *entry[T]) (store.Txn, error) {
	value, err := encode(s, e)
	if err != nil {
		return store.Txn{}, fmt.Errorf("encoding the record of %s %s: %w", e.kind, e.id, err)
	}
	return store.Txn{
		If:  []store.Compare{{Key: e.key(), Revision: e.revision}},
		Put: []store.Put{{Key: e.key(), Value: value}},
	}, nil
}

func remove[T any](e *entry[T]) store.Txn {
	return store.Txn{
		If:     []store.Compare{{Key: e.key(), Revision: e.revision}},
		Delete: []string{e.key()},
	}
}

// headers yields the custom headers of a configuration, in order.
func headers(c *document.DistributionConfig) []*document.OriginCustomHeader {
	var all []*document.OriginCustomHeader
	for i := range c.Origins.Items {
		for j := range c.Origins.Items[i].CustomHeaders.Items {
			all = append(all, &c.Origins.Items[i].CustomHeaders.Items[j])
		}
	}
	return all
}

// withoutHeaderValues returns the configuration with empty header values, and the values.
func withoutHeaderValues(c document.DistributionConfig) (document.DistributionConfig, []string) {
	c.Origins.Items = slices.Clone(c.Origins.Items)
	for i := range c.Origins.Items {
		h := &c.Origins.Items[i].CustomHeaders
		h.Items = slices.Clone(h.Items)
	}
	var values []string
	for _, h := range headers(&c) {
		values = append(values, h.HeaderValue)
		h.HeaderValue = ""
	}
	return c, values
}

func encode[T any](s *Service, e *entry[T]) ([]byte, error) {
	out := envelope{Version: version, ETag: e.etag, Created: e.created, Modified: e.modified, DomainName: e.domainName}
	doc := any(e.doc)
	if c, ok := doc.(document.DistributionConfig); ok {
		bare, values := withoutHeaderValues(c)
		doc = bare
		if len(values) > 0 {
			plain, err := json.Marshal(values)
			if err != nil {
				return nil, err
			}
			if out.Sealed, err = s.keeper.Seal(e.key(), plain); err != nil {
				return nil, err
			}
		}
	}
	var err error
	if out.Document, err = json.Marshal(doc); err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

// decode is the view's: it reads a record into an *entry or a generation.
func (s *Service) decode(r store.Record) (any, error) {
	if r.Key == generationKey {
		return generation{r.Revision}, nil
	}
	kind, id, ok := strings.Cut(strings.TrimPrefix(r.Key, prefix), "/")
	if !ok || id == "" {
		return nil, fmt.Errorf("the CloudFront record %s has a key of no kind", r.Key)
	}
	var (
		e   any
		err error
	)
	switch kind {
	case kindDistribution:
		e, err = open[document.DistributionConfig](s, r, kind, id)
	case kindPublicKey:
		e, err = open[document.PublicKeyConfig](s, r, kind, id)
	case kindKeyGroup:
		e, err = open[document.KeyGroupConfig](s, r, kind, id)
	case kindControl:
		e, err = open[document.OriginAccessControlConfig](s, r, kind, id)
	default:
		err = errors.New("unknown kind: written by a newer version?")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the CloudFront record %s: %w", r.Key, err)
	}
	return e, nil
}

func open[T any](s *Service, r store.Record, kind, id string) (*entry[T], error) {
	var in envelope
	if err := strict(r.Value, &in); err != nil {
		return nil, err
	}
	if in.Version != version {
		return nil, fmt.Errorf("version %d: written by a newer version?", in.Version)
	}
	e := &entry[T]{kind: kind, id: id, revision: r.Revision, etag: in.ETag, created: in.Created, modified: in.Modified, domainName: in.DomainName}
	if err := strict(in.Document, &e.doc); err != nil {
		return nil, err
	}
	if c, ok := any(&e.doc).(*document.DistributionConfig); ok {
		var values []string
		if len(in.Sealed) > 0 {
			plain, err := s.keeper.Open(r.Key, in.Sealed)
			if err != nil {
				return nil, fmt.Errorf("opening the custom headers: %w", err)
			}
			if err := strict(plain, &values); err != nil {
				// The error of a JSON reader may quote what it read.
				return nil, errors.New("the custom headers are no list of texts")
			}
		}
		all := headers(c)
		if len(all) != len(values) {
			return nil, fmt.Errorf("%d custom headers and %d sealed values", len(all), len(values))
		}
		for i, h := range all {
			h.HeaderValue = values[i]
		}
	} else if len(in.Sealed) > 0 {
		return nil, errors.New("sealed values in a record that has none")
	}
	return e, nil
}

// strict reads one JSON value and refuses fields that are not known: dropping one silently could drop a
// restriction.
func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("data after the record")
	}
	return nil
}

// state is the view's content at one revision, by kind and id.
type state struct {
	// generation is the revision of the last write, 0 before the first.
	generation    int64
	distributions map[string]*entry[document.DistributionConfig]
	publicKeys    map[string]*entry[document.PublicKeyConfig]
	keyGroups     map[string]*entry[document.KeyGroupConfig]
	controls      map[string]*entry[document.OriginAccessControlConfig]
}

func (s *Service) state() *state {
	records, _ := s.view.Snapshot()
	st := &state{
		distributions: map[string]*entry[document.DistributionConfig]{},
		publicKeys:    map[string]*entry[document.PublicKeyConfig]{},
		keyGroups:     map[string]*entry[document.KeyGroupConfig]{},
		controls:      map[string]*entry[document.OriginAccessControlConfig]{},
	}
	for _, r := range records {
		switch e := r.(type) {
		case generation:
			st.generation = e.revision
		case *entry[document.DistributionConfig]:
			st.distributions[e.id] = e
		case *entry[document.PublicKeyConfig]:
			st.publicKeys[e.id] = e
		case *entry[document.KeyGroupConfig]:
			st.keyGroups[e.id] = e
		case *entry[document.OriginAccessControlConfig]:
			st.controls[e.id] = e
		}
	}
	return st
}

// sorted is the entries by id.
func sorted[T any](m map[string]*entry[T]) []*entry[T] {
	out := make([]*entry[T], 0, len(m))
	for _, id := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[id])
	}
	return out
}

// maxPage is how many items a page of a list holds at most, and unless the request says less.
const maxPage = 100

// page is the entries by id after marker, the number asked for, and the marker of the next page or "".
func page[T any](m map[string]*entry[T], marker, maxItems string) (items []*entry[T], limit int, next string, err error) {
	limit = maxPage
	if maxItems != "" {
		limit, err = strconv.Atoi(maxItems)
		if err != nil || limit < 1 {
			return nil, 0, "", refuse("InvalidArgument", "MaxItems is %q: it must be a number from 1 to %d", maxItems, maxPage)
		}
		limit = min(limit, maxPage)
	}
	for _, e := range sorted(m) {
		if e.id <= marker {
			continue
		}
		if len(items) == limit {
			return items, limit, items[limit-1].id, nil
		}
		items = append(items, e)
	}
	return items, limit, "", nil
}

const (
	lower = "abcdefghijklmnopqrstuvwxyz0123456789"
	upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)

// random is n of an alphabet's 36 characters, 5.17 bits each; 13 of them are 67 bits.
func random(alphabet string, n int) string {
	out := make([]byte, 0, n)
	var b [32]byte
	for len(out) < n {
		rand.Read(b[:]) // never fails (crypto/rand)
		for _, c := range b {
			// 252 is the largest multiple of 36 in a byte: above it, characters would not be equally likely.
			if c < 252 && len(out) < n {
				out = append(out, alphabet[c%36])
			}
		}
	}
	return string(out)
}

// uuid is a random one (RFC 9562 section 5.4).
func uuid() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
