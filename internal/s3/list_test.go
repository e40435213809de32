package s3_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// model lists keys as S3 documents it, from the sorted list of all of them.
func model(keys []string, prefix, delimiter, after string) (entries []string) {
	seen := map[string]bool{}
	for _, k := range keys {
		if !strings.HasPrefix(k, prefix) {
			continue
		}
		entry := k
		if delimiter != "" {
			if i := strings.Index(k[len(prefix):], delimiter); i >= 0 {
				entry = k[:len(prefix)+i+len(delimiter)]
			}
		}
		// A common prefix at or before the marker was on an earlier page.
		if k <= after || entry != k && entry <= after && strings.HasPrefix(after, entry) && entry == after || seen[entry] {
			continue
		}
		seen[entry] = true
		entries = append(entries, entry)
	}
	return entries
}

func TestListingAgainstAModel(t *testing.T) {
	s, ctx := shared(t), t.Context()
	bucket := s.bucket(t)
	rng := rand.New(rand.NewPCG(1, 2))
	set := map[string]bool{}
	for len(set) < 80 {
		var b strings.Builder
		for range 1 + rng.IntN(6) {
			b.WriteString([]string{"a", "b", "/", "//", "비", "+", " ", "0"}[rng.IntN(8)])
		}
		set[b.String()] = true
	}
	var all []string
	for k := range set {
		all = append(all, k)
		s.put(t, bucket, k, []byte(k))
	}
	slices.Sort(all)
	c := s.client()
	for range 60 {
		prefix := []string{"", "a", "a/", "/", "b/b", "비", "zz"}[rng.IntN(7)]
		delimiter := []string{"", "/", "//", "비", "a"}[rng.IntN(5)]
		after := ""
		if delimiter == "" && rng.IntN(2) == 0 {
			after = all[rng.IntN(len(all))]
		}
		size := int32(1 + rng.IntN(9))
		encoding := []types.EncodingType{"", types.EncodingTypeUrl}[rng.IntN(2)]
		want := model(all, prefix, delimiter, after)
		name := fmt.Sprintf("prefix %q, delimiter %q, after %q, %d a page, encoding %q", prefix, delimiter, after, size, encoding)
		if got := v2(t, c, &awss3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix, Delimiter: &delimiter, StartAfter: &after, MaxKeys: &size, EncodingType: encoding}); !slices.Equal(got, want) {
			t.Errorf("version 2, %s:\n got %q\nwant %q", name, got, want)
		}
		if got := v1(t, c, &awss3.ListObjectsInput{Bucket: &bucket, Prefix: &prefix, Delimiter: &delimiter, Marker: &after, MaxKeys: &size, EncodingType: encoding}); !slices.Equal(got, want) {
			t.Errorf("version 1, %s:\n got %q\nwant %q", name, got, want)
		}
	}
	_ = ctx
}

// entriesOf is what one page shows, in the order of the keys.
func entriesOf(contents []types.Object, prefixes []types.CommonPrefix, encoding types.EncodingType) (entries []string) {
	for _, o := range contents {
		entries = append(entries, decoded(*o.Key, encoding))
	}
	for _, p := range prefixes {
		entries = append(entries, decoded(*p.Prefix, encoding))
	}
	slices.Sort(entries)
	return entries
}

// decoded undoes encoding-type=url, which the Go SDK leaves to its user.
func decoded(s string, encoding types.EncodingType) string {
	if encoding == "" {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			b.WriteByte(' ')
		case '%':
			var c byte
			_, _ = fmt.Sscanf(s[i+1:i+3], "%02X", &c)
			b.WriteByte(c)
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func v2(t *testing.T, c *awss3.Client, in *awss3.ListObjectsV2Input) (entries []string) {
	t.Helper()
	for {
		out, err := c.ListObjectsV2(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		page := entriesOf(out.Contents, out.CommonPrefixes, out.EncodingType)
		if int(*out.KeyCount) != len(page) || *out.MaxKeys != *in.MaxKeys || len(page) > int(*in.MaxKeys) || out.EncodingType != in.EncodingType {
			t.Fatalf("a page of %d entries says %d of %d", len(page), *out.KeyCount, *out.MaxKeys)
		}
		if decoded(aws.ToString(out.Prefix), in.EncodingType) != *in.Prefix || decoded(aws.ToString(out.Delimiter), in.EncodingType) != *in.Delimiter {
			t.Fatalf("the answer is for prefix %q and delimiter %q", aws.ToString(out.Prefix), aws.ToString(out.Delimiter))
		}
		entries = append(entries, page...)
		if !*out.IsTruncated {
			return entries
		}
		if out.NextContinuationToken == nil || len(page) == 0 {
			t.Fatal("a truncated page that leads nowhere")
		}
		in.ContinuationToken = out.NextContinuationToken
	}
}

func v1(t *testing.T, c *awss3.Client, in *awss3.ListObjectsInput) (entries []string) {
	t.Helper()
	for {
		out, err := c.ListObjects(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		page := entriesOf(out.Contents, out.CommonPrefixes, out.EncodingType)
		entries = append(entries, page...)
		if !*out.IsTruncated {
			return entries
		}
		// NextMarker comes with a delimiter only; else the last key is the marker, as every client knows.
		if (out.NextMarker != nil) != (*in.Delimiter != "") || len(page) == 0 {
			t.Fatalf("NextMarker is %q with the delimiter %q", aws.ToString(out.NextMarker), *in.Delimiter)
		}
		next := page[len(page)-1]
		if out.NextMarker != nil {
			next = decoded(*out.NextMarker, in.EncodingType)
		}
		in.Marker = &next
	}
}

func TestListingDocument(t *testing.T) {
	s := shared(t)
	bucket := s.bucket(t)
	s.put(t, bucket, "a b+c/비.txt", []byte("hello"))
	s.put(t, bucket, "z", nil)
	a := s.mustStatus(t, http.StatusOK, call{method: "GET", path: "/" + bucket + "?list-type=2&encoding-type=url&fetch-owner=true&start-after=a%20a"})
	for _, want := range []string{
		`<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`, "<Name>" + bucket + "</Name>", "<Prefix></Prefix>", "<StartAfter>a+a</StartAfter>",
		"<KeyCount>2</KeyCount>", "<MaxKeys>1000</MaxKeys>", "<EncodingType>url</EncodingType>", "<IsTruncated>false</IsTruncated>",
		"<Key>a+b%2Bc/%EB%B9%84.txt</Key>", "<ETag>&#34;5d41402abc4b2a76b9719d911017c592&#34;</ETag>", "<Size>5</Size>", "<Size>0</Size>",
		"<StorageClass>STANDARD</StorageClass>", "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>", "<ChecksumType>FULL_OBJECT</ChecksumType>", "<Owner><ID>",
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("there is no %s in %s", want, a.body)
		}
	}
	if a := s.mustStatus(t, http.StatusOK, call{method: "GET", path: "/" + bucket + "?list-type=2"}); strings.Contains(a.body, "Owner") {
		t.Errorf("an owner nobody asked for: %s", a.body)
	}
	if a := s.mustStatus(t, http.StatusOK, call{method: "GET", path: "/" + bucket}); !strings.Contains(a.body, "<Owner><ID>") || !strings.Contains(a.body, "<Marker></Marker>") {
		t.Errorf("version 1: %s", a.body)
	}
	for query, want := range map[string]string{"max-keys=0": "<MaxKeys>0</MaxKeys>", "max-keys=5000": "<MaxKeys>1000</MaxKeys>"} {
		a := s.mustStatus(t, http.StatusOK, call{method: "GET", path: "/" + bucket + "?list-type=2&" + query})
		if !strings.Contains(a.body, want) || !strings.Contains(a.body, "<IsTruncated>false</IsTruncated>") {
			t.Errorf("%s: %s", query, a.body)
		}
	}
	// A token is good for its own bucket only.
	other := s.bucket(t)
	first := s.mustStatus(t, http.StatusOK, call{method: "GET", path: "/" + bucket + "?list-type=2&max-keys=1"})
	_, rest, _ := strings.Cut(first.body, "<NextContinuationToken>")
	token, _, _ := strings.Cut(rest, "<")
	s.mustStatus(t, http.StatusOK, call{method: "GET", path: "/" + bucket + "?list-type=2&continuation-token=" + token})
	s.mustStatus(t, http.StatusBadRequest, call{method: "GET", path: "/" + other + "?list-type=2&continuation-token=" + token})
}
