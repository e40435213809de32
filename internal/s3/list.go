package s3

import (
	"context"
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"postern/internal/policy"
	"postern/internal/s3/objects"
)

// maxPage is the most entries that one page of any listing of a bucket shows.
const maxPage = 1000

// ListObjectsV2Input is S3's request of the same name.
type ListObjectsV2Input struct {
	Bucket            string `aws:"uri,Bucket"`
	Prefix            string `aws:"query,prefix"`
	Delimiter         string `aws:"query,delimiter"`
	MaxKeys           string `aws:"query,max-keys"`
	EncodingType      string `aws:"query,encoding-type"`
	ContinuationToken string `aws:"query,continuation-token"`
	StartAfter        string `aws:"query,start-after"`
	FetchOwner        string `aws:"query,fetch-owner"`
	// OptionalObjectAttributes may ask for RestoreStatus, which no object here has.
	OptionalObjectAttributes string `aws:"header,x-amz-optional-object-attributes"`
	Expect
}

// ListObjectsV2Output is S3's answer of the same name.
type ListObjectsV2Output struct {
	Result ListBucketResultV2 `aws:"xml,ListBucketResult"`
}

// ListBucketResultV2 is the document of ListObjectsV2.
type ListBucketResultV2 struct {
	XMLName               xml.Name       `xml:"ListBucketResult"`
	Name                  string         `xml:"Name"`
	Prefix                string         `xml:"Prefix"`
	Delimiter             string         `xml:"Delimiter,omitempty"`
	StartAfter            string         `xml:"StartAfter,omitempty"`
	ContinuationToken     string         `xml:"ContinuationToken,omitempty"`
	NextContinuationToken string         `xml:"NextContinuationToken,omitempty"`
	KeyCount              int            `xml:"KeyCount"`
	MaxKeys               int            `xml:"MaxKeys"`
	EncodingType          string         `xml:"EncodingType,omitempty"`
	IsTruncated           bool           `xml:"IsTruncated"`
	Contents              []Object       `xml:"Contents"`
	CommonPrefixes        []CommonPrefix `xml:"CommonPrefixes"`
}

// Object is one object in a listing.
type Object struct {
	Key               string `xml:"Key"`
	LastModified      string `xml:"LastModified"`
	ETag              string `xml:"ETag"`
	ChecksumAlgorithm string `xml:"ChecksumAlgorithm,omitempty"`
	ChecksumType      string `xml:"ChecksumType,omitempty"`
	Size              int64  `xml:"Size"`
	Owner             *Owner `xml:"Owner"`
	StorageClass      string `xml:"StorageClass"`
}

// CommonPrefix stands for all keys that begin with it.
type CommonPrefix struct {
	Prefix string `xml:"Prefix"`
}

// listing is what both versions of the listing ask for.
type listing struct {
	prefix, delimiter, after string
	encoding                 string
	max                      int
	owner                    bool
}

// ListObjectsV2 lists keys in the order of their UTF-8 bytes. A continuation token is opaque, and good for
// this bucket and server only.
func (s *Service) ListObjectsV2(ctx context.Context, who policy.Caller, in ListObjectsV2Input) (out ListObjectsV2Output, err error) {
	op, b, err := s.begin(ctx, who, listAccess("ListObjectsV2", in.Bucket, in.Prefix, in.Delimiter, in.MaxKeys, in.ExpectedBucketOwner))
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	l := listing{prefix: in.Prefix, delimiter: in.Delimiter, after: in.StartAfter, encoding: in.EncodingType, owner: strings.EqualFold(in.FetchOwner, "true")}
	if l.max, err = parseMax("max-keys", "maxKeys", in.MaxKeys); err != nil {
		return out, err
	}
	if in.ContinuationToken != "" {
		if l.after, err = decodeToken(b.ID, in.ContinuationToken); err != nil {
			return out, invalidArgument("continuation-token", in.ContinuationToken, "The continuation token provided is incorrect")
		}
	}
	if err := checkListing(in.EncodingType, "prefix", in.Prefix, "delimiter", in.Delimiter, "start-after", in.StartAfter); err != nil {
		return out, err
	}
	found, err := s.list(ctx, b, l)
	if err != nil {
		return out, err
	}
	out.Result = ListBucketResultV2{
		Name: b.Name, Prefix: l.text(in.Prefix), Delimiter: l.text(in.Delimiter), StartAfter: l.text(in.StartAfter),
		ContinuationToken: in.ContinuationToken, KeyCount: len(found.Objects) + len(found.Prefixes), MaxKeys: l.max,
		EncodingType: in.EncodingType, IsTruncated: found.Truncated,
		Contents: s.contents(b, l, found), CommonPrefixes: l.commonPrefixes(found.Prefixes),
	}
	if found.Truncated {
		out.Result.NextContinuationToken = encodeToken(b.ID, found.Next)
	}
	return out, nil
}

// ListObjectsInput is S3's request of the same name.
type ListObjectsInput struct {
	Bucket                   string `aws:"uri,Bucket"`
	Prefix                   string `aws:"query,prefix"`
	Delimiter                string `aws:"query,delimiter"`
	MaxKeys                  string `aws:"query,max-keys"`
	EncodingType             string `aws:"query,encoding-type"`
	Marker                   string `aws:"query,marker"`
	OptionalObjectAttributes string `aws:"header,x-amz-optional-object-attributes"`
	Expect
}

// ListObjectsOutput is S3's answer of the same name.
type ListObjectsOutput struct {
	Result ListBucketResult `aws:"xml,ListBucketResult"`
}

// ListBucketResult is the document of ListObjects.
type ListBucketResult struct {
	XMLName        xml.Name       `xml:"ListBucketResult"`
	Name           string         `xml:"Name"`
	Prefix         string         `xml:"Prefix"`
	Marker         string         `xml:"Marker"`
	NextMarker     string         `xml:"NextMarker,omitempty"`
	Delimiter      string         `xml:"Delimiter,omitempty"`
	MaxKeys        int            `xml:"MaxKeys"`
	EncodingType   string         `xml:"EncodingType,omitempty"`
	IsTruncated    bool           `xml:"IsTruncated"`
	Contents       []Object       `xml:"Contents"`
	CommonPrefixes []CommonPrefix `xml:"CommonPrefixes"`
}

// ListObjects is the first version of the listing, which clients still use. NextMarker is answered only
// with a delimiter, as S3 does; without one the last key is the next marker.
func (s *Service) ListObjects(ctx context.Context, who policy.Caller, in ListObjectsInput) (out ListObjectsOutput, err error) {
	op, b, err := s.begin(ctx, who, listAccess("ListObjects", in.Bucket, in.Prefix, in.Delimiter, in.MaxKeys, in.ExpectedBucketOwner))
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	l := listing{prefix: in.Prefix, delimiter: in.Delimiter, after: in.Marker, encoding: in.EncodingType, owner: true}
	if l.max, err = parseMax("max-keys", "maxKeys", in.MaxKeys); err != nil {
		return out, err
	}
	if err := checkListing(in.EncodingType, "prefix", in.Prefix, "delimiter", in.Delimiter, "marker", in.Marker); err != nil {
		return out, err
	}
	found, err := s.list(ctx, b, l)
	if err != nil {
		return out, err
	}
	out.Result = ListBucketResult{
		Name: b.Name, Prefix: l.text(in.Prefix), Marker: l.text(in.Marker), Delimiter: l.text(in.Delimiter),
		MaxKeys: l.max, EncodingType: in.EncodingType, IsTruncated: found.Truncated,
		Contents: s.contents(b, l, found), CommonPrefixes: l.commonPrefixes(found.Prefixes),
	}
	if found.Truncated && in.Delimiter != "" {
		out.Result.NextMarker = l.text(found.Next)
	}
	return out, nil
}

// listAccess is the permission to list, with the condition keys that policies use
// (docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html).
func listAccess(operation, bucket, prefix, delimiter, maxKeys, owner string) access {
	a := access{operation: operation, action: "s3:ListBucket", bucket: bucket, owner: owner, context: make(map[string][]string)}
	for key, value := range map[string]string{"s3:prefix": prefix, "s3:delimiter": delimiter, "s3:max-keys": maxKeys} {
		if value != "" {
			a.context[key] = []string{value}
		}
	}
	if prefix != "" {
		a.params = map[string]any{"prefix": prefix}
	}
	return a
}

func (s *Service) list(ctx context.Context, b bucketRecord, l listing) (objects.ListResult, error) {
	found, err := s.objects.List(ctx, b.ID, objects.ListRequest{
		Prefix: l.prefix, Delimiter: l.delimiter, After: l.after, Max: l.max,
	})
	if err != nil {
		return objects.ListResult{}, fmt.Errorf("listing the bucket: %w", err)
	}
	return found, nil
}

func (s *Service) contents(b bucketRecord, l listing, found objects.ListResult) []Object {
	contents := make([]Object, len(found.Objects))
	for i, o := range found.Objects {
		contents[i] = Object{
			Key: l.text(o.Key), LastModified: xmlDate(o.Modified), ETag: quoteETag(o.ETag), Size: o.Size,
			ChecksumAlgorithm: o.Checksum.Algorithm.String(), ChecksumType: checksumType(o.Checksum), StorageClass: "STANDARD",
		}
		if l.owner {
			contents[i].Owner = &Owner{ID: canonicalID(b.Owner)}
		}
	}
	return contents
}

func (l listing) commonPrefixes(prefixes []string) []CommonPrefix {
	list := make([]CommonPrefix, len(prefixes))
	for i, p := range prefixes {
		list[i] = CommonPrefix{Prefix: l.text(p)}
	}
	return list
}

// text is a key, prefix or marker in the encoding that was asked for.
func (l listing) text(s string) string {
	if l.encoding == "url" {
		return encodeListed(s)
	}
	return s
}

// checkListing refuses an unknown encoding, and texts that are not UTF-8, in pairs of name and value.
func checkListing(encoding string, texts ...string) error {
	if encoding != "" && encoding != "url" {
		return invalidArgument("encoding-type", encoding, "Invalid Encoding Method specified in Request")
	}
	for i := 0; i+1 < len(texts); i += 2 {
		if !utf8.ValidString(texts[i+1]) {
			return invalidArgument(texts[i], strings.ToValidUTF8(texts[i+1], "\uFFFD"), "The "+texts[i]+" is not UTF-8")
		}
	}
	return nil
}

// parseMax reads the size of a page: 0 to 2147483647, of which at most 1,000 are shown. Absent is 1,000.
// name is the parameter's, argument the name that S3's error gives it.
func parseMax(name, argument, text string) (int, error) {
	if text == "" {
		return maxPage, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || n > math.MaxInt32:
		return 0, invalidArgument(name, text, "Provided "+name+" not an integer or within integer range")
	case n < 0:
		return 0, invalidArgument(name, text, "Argument "+argument+" must be an integer between 0 and 2147483647")
	default:
		return int(min(n, maxPage)), nil
	}
}
