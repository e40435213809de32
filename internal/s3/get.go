package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"postern/internal/policy"
	"postern/internal/s3/objects"
)

// GetObjectInput is S3's request of the same name.
type GetObjectInput struct {
	Bucket    string `aws:"uri,Bucket"`
	Key       string `aws:"uri,Key"`
	VersionId string `aws:"query,versionId"`
	// Range asks for one part of the object's bytes (RFC 9110 section 14); several at once, or a header
	// that cannot be read, get the whole object.
	Range   string `aws:"header,Range"`
	IfRange string `aws:"header,If-Range"`
	// PartNumber asks for one part as it was uploaded, 1 to 10,000.
	PartNumber string `aws:"query,partNumber"`
	// ChecksumMode of ENABLED asks for the additional checksum.
	ChecksumMode string `aws:"header,x-amz-checksum-mode"`
	ReadConditions
	ResponseHeaders
	CustomerKey
	Expect
}

// HeadObjectInput is S3's request of the same name.
type HeadObjectInput GetObjectInput

// ReadConditions make a read conditional.
type ReadConditions struct {
	IfMatch           string `aws:"header,If-Match"`
	IfNoneMatch       string `aws:"header,If-None-Match"`
	IfModifiedSince   string `aws:"header,If-Modified-Since"`
	IfUnmodifiedSince string `aws:"header,If-Unmodified-Since"`
}

// ResponseHeaders are the headers of the answer that the request may set; a signed request only, so that a
// stranger cannot make a public object look like something else.
type ResponseHeaders struct {
	ResponseCacheControl       string `aws:"query,response-cache-control"`
	ResponseContentDisposition string `aws:"query,response-content-disposition"`
	ResponseContentEncoding    string `aws:"query,response-content-encoding"`
	ResponseContentLanguage    string `aws:"query,response-content-language"`
	ResponseContentType        string `aws:"query,response-content-type"`
	ResponseExpires            string `aws:"query,response-expires"`
}

// GetObjectOutput is S3's answer of the same name.
type GetObjectOutput struct {
	// Status is 200, 206 for a part of the object, 304 for one that was not modified.
	Status int `aws:"status"`
	// Body is the bytes; nil for 304. The caller closes it.
	Body io.ReadCloser `aws:"body"`
	// ContentLength is the Body's, in bytes; -1 for 304.
	ContentLength int64 `aws:"bodylen"`
	ObjectDescription
}

// HeadObjectOutput is S3's answer of the same name.
type HeadObjectOutput struct {
	Status        int   `aws:"status"`
	ContentLength int64 `aws:"bodylen"`
	ObjectDescription
}

// ObjectDescription is what the headers of an answer say of an object.
type ObjectDescription struct {
	AcceptRanges            string            `aws:"header,Accept-Ranges"`
	ContentRange            string            `aws:"header,Content-Range"`
	ETag                    string            `aws:"header,ETag"`
	LastModified            string            `aws:"header,Last-Modified"`
	ContentType             string            `aws:"header,Content-Type"`
	ContentEncoding         string            `aws:"header,Content-Encoding"`
	ContentDisposition      string            `aws:"header,Content-Disposition"`
	ContentLanguage         string            `aws:"header,Content-Language"`
	CacheControl            string            `aws:"header,Cache-Control"`
	Expires                 string            `aws:"header,Expires"`
	WebsiteRedirectLocation string            `aws:"header,x-amz-website-redirect-location"`
	Metadata                map[string]string `aws:"headers,x-amz-meta-"`
	ObjectCounts
	ChecksumType string `aws:"header,x-amz-checksum-type"`
	ChecksumValues
}

// ObjectCounts are numbers of an object; nil sends no header.
type ObjectCounts struct {
	PartsCount *int64 `aws:"header,x-amz-mp-parts-count"`
	TagCount   *int64 `aws:"header,x-amz-tagging-count"`
}

// GetObject reads an object, or one range or part of it. Conditions are S3's, in its order: If-Match, else
// If-Unmodified-Since (412); If-None-Match, else If-Modified-Since (304).
func (s *Service) GetObject(ctx context.Context, who policy.Caller, in GetObjectInput) (out GetObjectOutput, err error) {
	op, b, err := s.begin(ctx, who, access{
		action: "s3:GetObject", bucket: in.Bucket, key: in.Key, owner: in.ExpectedBucketOwner,
	})
	defer func() {
		if err != nil && out.Body != nil { // the audit line could not be written
			_ = out.Body.Close()
			out = GetObjectOutput{}
		}
	}()
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	if err := checkRead(who, in); err != nil {
		return out, err
	}
	info, body, err := s.objects.Get(ctx, b.ID, in.Key)
	if err != nil {
		return out, s.readError(ctx, who, b, in.Key, err)
	}
	a, err := answerRead(in, info)
	if err != nil || a.status == http.StatusNotModified {
		_ = body.Close()
		return GetObjectOutput{Status: a.status, ContentLength: -1, ObjectDescription: a.description}, err
	}
	out = GetObjectOutput{Status: a.status, Body: body, ContentLength: a.bytes.length(), ObjectDescription: a.description}
	if out.ContentLength != info.Size {
		if _, err := body.Seek(a.bytes.first, io.SeekStart); err != nil {
			_ = body.Close()
			return GetObjectOutput{}, fmt.Errorf("reading the object: %w", err)
		}
		out.Body = &section{body: body, left: out.ContentLength}
	}
	return out, nil
}

// HeadObject describes an object as GetObject would, without its bytes.
func (s *Service) HeadObject(ctx context.Context, who policy.Caller, in HeadObjectInput) (out HeadObjectOutput, err error) {
	op, b, err := s.begin(ctx, who, access{
		operation: "HeadObject", action: "s3:GetObject", bucket: in.Bucket, key: in.Key, owner: in.ExpectedBucketOwner,
	})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	if err := checkRead(who, GetObjectInput(in)); err != nil {
		return out, err
	}
	info, err := s.objects.Head(ctx, b.ID, in.Key)
	if err != nil {
		return out, s.readError(ctx, who, b, in.Key, err)
	}
	a, err := answerRead(GetObjectInput(in), info)
	if err != nil || a.status == http.StatusNotModified {
		return HeadObjectOutput{Status: a.status, ContentLength: -1, ObjectDescription: a.description}, err
	}
	return HeadObjectOutput{Status: a.status, ContentLength: a.bytes.length(), ObjectDescription: a.description}, nil
}

// checkRead refuses reads that are wrong whatever the object is.
func checkRead(who policy.Caller, in GetObjectInput) error {
	if err := keyError(in.Key); err != nil {
		return err
	}
	if err := versionError(in.VersionId); err != nil {
		return err
	}
	if err := in.CustomerKey.check(); err != nil {
		return err
	}
	if in.Range != "" && in.PartNumber != "" {
		return invalidRequest("Cannot specify both Range header and partNumber query parameter")
	}
	if in.ResponseHeaders != (ResponseHeaders{}) && who.Kind == policy.Anonymous {
		return invalidRequest("Request specific response headers cannot be used for anonymous GET requests.")
	}
	return nil
}

// readError turns an error of the object backend, met in a read, into S3's.
func (s *Service) readError(ctx context.Context, who policy.Caller, b bucketRecord, key string, err error) error {
	switch {
	case errors.Is(err, objects.ErrNotFound):
		return s.missingKey(ctx, who, b, key)
	case errors.Is(err, objects.ErrBadKey):
		return refuse(http.StatusBadRequest, "InvalidURI", "Couldn't parse the specified URI.")
	default:
		return fmt.Errorf("reading the object: %w", err)
	}
}

// readAnswer is what a read comes to: which bytes, and what the headers say.
type readAnswer struct {
	status      int
	bytes       byteRange
	description ObjectDescription
}

// answerRead applies conditions, range and part number to an object.
func answerRead(in GetObjectInput, info objects.Info) (readAnswer, error) {
	c := conditions{
		ifMatch: in.IfMatch, ifNoneMatch: in.IfNoneMatch,
		ifModifiedSince: in.IfModifiedSince, ifUnmodifiedSince: in.IfUnmodifiedSince,
	}
	a := readAnswer{status: http.StatusOK, bytes: byteRange{first: 0, last: info.Size - 1}}
	switch verdict, name := c.evaluate(info.ETag, info.Modified); verdict {
	case preconditionFailed:
		return a, preconditionFailed412(name)
	case notModified:
		// RFC 9110 section 15.4.5: what a cache needs, and nothing about the bytes. A checksum here would
		// make botocore look for a body.
		a.status = http.StatusNotModified
		a.description = ObjectDescription{
			ETag: quoteETag(info.ETag), LastModified: httpDate(info.Modified),
			CacheControl: or(in.ResponseCacheControl, info.Meta.CacheControl),
			Expires:      or(in.ResponseExpires, info.Meta.Expires),
		}
		return a, nil
	}
	a.description = describe(in, info)
	switch {
	case in.PartNumber != "":
		if err := a.selectPart(in.PartNumber, info); err != nil {
			return a, err
		}
	case in.Range != "" && rangeStillValid(in.IfRange, info.ETag, info.Modified):
		r, verdict := parseRange(in.Range, info.Size)
		switch verdict {
		case rangeUnsatisfiable:
			return a, invalidRange(in.Range, info.Size)
		case rangePart:
			a.status, a.bytes = http.StatusPartialContent, r
		}
	}
	if a.status == http.StatusPartialContent {
		a.description.ContentRange = fmt.Sprintf("bytes %d-%d/%d", a.bytes.first, a.bytes.last, info.Size)
	}
	if in.ChecksumMode == "ENABLED" {
		a.addChecksum(in, info)
	}
	return a, nil
}

// selectPart picks the bytes of one part. An object that was stored in one piece has one part.
func (a *readAnswer) selectPart(text string, info objects.Info) error {
	n, err := parsePartNumber(text)
	if err != nil {
		return err
	}
	parts := info.Parts
	if len(parts) == 0 {
		parts = []objects.PartInfo{{Number: 1, Size: info.Size}}
	} else {
		count := int64(len(parts))
		a.description.PartsCount = &count
	}
	// Part numbers of a finished object are counted anew from 1, whatever numbers were uploaded.
	if n > len(parts) {
		return refuse(http.StatusRequestedRangeNotSatisfiable, "InvalidPartNumber", "The requested partnumber is not satisfiable",
			"PartNumberRequested", text, "ActualPartCount", strconv.Itoa(len(parts)))
	}
	for _, p := range parts[:n-1] {
		a.bytes.first += p.Size
	}
	a.bytes.last = a.bytes.first + parts[n-1].Size - 1
	if a.bytes.length() > 0 {
		a.status = http.StatusPartialContent
	}
	return nil
}

// addChecksum tells the checksum of what is sent: the object's for all of it, the part's for a part of an
// object with a composite one. Nothing is known of other ranges.
func (a *readAnswer) addChecksum(in GetObjectInput, info objects.Info) {
	switch {
	case a.status == http.StatusOK, in.PartNumber != "" && len(info.Parts) == 0:
		a.description.ChecksumValues = values(info.Checksum, len(info.Parts))
	case in.PartNumber != "" && info.Checksum.Type == objects.Composite:
		n, _ := strconv.Atoi(in.PartNumber)
		a.description.ChecksumValues = values(objects.Checksum{Algorithm: info.Checksum.Algorithm, Value: info.Parts[n-1].Checksum}, 0)
	default:
		return
	}
	a.description.ChecksumType = checksumType(info.Checksum)
}

// describe is the headers of an object, with those that the request asked to be others.
func describe(in GetObjectInput, info objects.Info) ObjectDescription {
	d := ObjectDescription{
		AcceptRanges:            "bytes",
		ETag:                    quoteETag(info.ETag),
		LastModified:            httpDate(info.Modified),
		ContentType:             or(in.ResponseContentType, info.Meta.ContentType, "binary/octet-stream"),
		ContentEncoding:         or(in.ResponseContentEncoding, info.Meta.ContentEncoding),
		ContentDisposition:      or(in.ResponseContentDisposition, info.Meta.ContentDisposition),
		ContentLanguage:         or(in.ResponseContentLanguage, info.Meta.ContentLanguage),
		CacheControl:            or(in.ResponseCacheControl, info.Meta.CacheControl),
		Expires:                 or(in.ResponseExpires, info.Meta.Expires),
		WebsiteRedirectLocation: info.Meta.Redirect,
		Metadata:                info.Meta.User,
	}
	if n := int64(len(info.Meta.Tags)); n > 0 {
		d.TagCount = &n
	}
	return d
}

// or is the first text that is not empty.
func or(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// section is the next bytes of a body and no more. It writes itself through io.LimitReader over the body
// itself, so that a file goes to a TCP connection by sendfile(2).
type section struct {
	body objects.Body
	left int64
}

// Read implements io.Reader.
func (s *section) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > s.left {
		p = p[:s.left]
	}
	n, err := s.body.Read(p)
	s.left -= int64(n)
	if errors.Is(err, io.EOF) && s.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// WriteTo implements io.WriterTo.
func (s *section) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, io.LimitReader(s.body, s.left))
	s.left -= n
	if err == nil && s.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close closes the body.
func (s *section) Close() error { return s.body.Close() }

// GetObjectTaggingInput is S3's request of the same name.
type GetObjectTaggingInput struct {
	Bucket    string `aws:"uri,Bucket"`
	Key       string `aws:"uri,Key"`
	VersionId string `aws:"query,versionId"`
	Expect
}

// GetObjectTaggingOutput is S3's answer of the same name.
type GetObjectTaggingOutput struct {
	Tagging Tagging `aws:"xml,Tagging"`
}

// Tagging is the document of tags.
type Tagging struct {
	XMLName xml.Name `xml:"Tagging"`
	TagSet  TagSet   `xml:"TagSet"`
}

// TagSet holds the tags; it is there also when it is empty.
type TagSet struct {
	Tags []Tag `xml:"Tag"`
}

// Tag is one tag.
type Tag struct {
	Key   string `xml:"Key"`
	Value string `xml:"Value"`
}

// GetObjectTagging lists an object's tags by key.
func (s *Service) GetObjectTagging(ctx context.Context, who policy.Caller, in GetObjectTaggingInput) (out GetObjectTaggingOutput, err error) {
	op, b, err := s.begin(ctx, who, access{
		action: "s3:GetObjectTagging", bucket: in.Bucket, key: in.Key, owner: in.ExpectedBucketOwner,
	})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	if err := keyError(in.Key); err != nil {
		return out, err
	}
	if err := versionError(in.VersionId); err != nil {
		return out, err
	}
	info, err := s.objects.Head(ctx, b.ID, in.Key)
	if err != nil {
		return out, s.readError(ctx, who, b, in.Key, err)
	}
	for _, k := range slices.Sorted(maps.Keys(info.Meta.Tags)) {
		out.Tagging.TagSet.Tags = append(out.Tagging.TagSet.Tags, Tag{Key: k, Value: info.Meta.Tags[k]})
	}
	return out, nil
}
