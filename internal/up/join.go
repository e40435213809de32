package up

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"postern/internal/audit"
	"postern/internal/awsapi"
	"postern/internal/cloudfront"
	"postern/internal/edge"
	"postern/internal/edge/origin"
	"postern/internal/policy"
	"postern/internal/s3"
)

// buckets lets the edge read from the S3 engine in this process: as the caller the edge gives, through
// the engine's own operations, decided and audited like everybody's.
type buckets struct{ s3 *s3.Service }

// Get implements origin.Buckets.
func (b buckets) Get(ctx context.Context, who policy.Caller, bucket, key string, opt origin.GetOptions) (*origin.Object, error) {
	in := s3.GetObjectInput{Bucket: bucket, Key: key, Range: opt.Range, IfRange: opt.IfRange}
	in.IfMatch, in.IfNoneMatch = opt.IfMatch, opt.IfNoneMatch
	in.IfModifiedSince, in.IfUnmodifiedSince = opt.IfModifiedSince, opt.IfUnmodifiedSince
	if opt.Query != "" {
		q, err := url.ParseQuery(opt.Query)
		if err != nil {
			return nil, bucketError(&awsapi.Error{Status: http.StatusBadRequest, Code: "InvalidURI", Message: "Couldn't parse the specified URI."}, who)
		}
		in.VersionId, in.PartNumber = q.Get("versionId"), q.Get("partNumber")
		in.ResponseCacheControl = q.Get("response-cache-control")
		in.ResponseContentDisposition = q.Get("response-content-disposition")
		in.ResponseContentEncoding = q.Get("response-content-encoding")
		in.ResponseContentLanguage = q.Get("response-content-language")
		in.ResponseContentType = q.Get("response-content-type")
		in.ResponseExpires = q.Get("response-expires")
	}
	if opt.HeadOnly {
		out, err := b.s3.HeadObject(ctx, who, s3.HeadObjectInput(in))
		if err != nil {
			return nil, bucketError(err, who)
		}
		return &origin.Object{Status: status(out.Status), Header: header(out.ObjectDescription, out.ContentLength)}, nil
	}
	out, err := b.s3.GetObject(ctx, who, in)
	if err != nil {
		return nil, bucketError(err, who)
	}
	return &origin.Object{Status: status(out.Status), Header: header(out.ObjectDescription, out.ContentLength), Body: out.Body}, nil
}

func status(s int) int { return cmp.Or(s, http.StatusOK) }

// header is an object's description as S3 would send it.
func header(d s3.ObjectDescription, length int64) http.Header {
	h := http.Header{}
	for _, f := range []struct{ name, value string }{
		{"Accept-Ranges", d.AcceptRanges}, {"Content-Range", d.ContentRange}, {"Etag", d.ETag},
		{"Last-Modified", d.LastModified}, {"Content-Type", d.ContentType}, {"Content-Encoding", d.ContentEncoding},
		{"Content-Disposition", d.ContentDisposition}, {"Content-Language", d.ContentLanguage},
		{"Cache-Control", d.CacheControl}, {"Expires", d.Expires},
		{"X-Amz-Website-Redirect-Location", d.WebsiteRedirectLocation},
	} {
		if f.value != "" {
			h.Set(f.name, f.value)
		}
	}
	for name, value := range d.Metadata {
		h.Set("x-amz-meta-"+name, value)
	}
	if length >= 0 {
		h.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	return h
}

// bucketError puts S3's refusals into the edge's words; anything else stays a failure of the engine.
func bucketError(err error, who policy.Caller) error {
	host := sha256.Sum256([]byte(who.RequestID))
	e := &origin.BucketError{RequestID: who.RequestID, HostID: base64.StdEncoding.EncodeToString(host[:])}
	var refused *awsapi.Error
	var denied *audit.Denied
	switch {
	case errors.As(err, &denied):
		e.Status, e.Code, e.Message = http.StatusForbidden, "AccessDenied", "Access Denied"
	case errors.As(err, &refused):
		e.Status, e.Code, e.Message, e.Header = refused.Status, refused.Code, refused.Message, refused.Headers
		for _, name := range slices.Sorted(maps.Keys(refused.Fields)) {
			e.Fields = append(e.Fields, origin.Field{Name: name, Value: refused.Fields[name]})
		}
	default:
		return err
	}
	return e
}

// follower hands the documents to the edge, each change before its writer is answered.
type follower struct {
	log *slog.Logger

	mu      sync.Mutex
	edge    *edge.Edge // nil until start
	problem string     // why the documents in force are not the whole truth; empty if they are
	warning string     // what of them is not done, without harm
}

func newFollower(log *slog.Logger) *follower { return &follower{log: log} }

// applied is cloudfront's Applied. Before the edge is there, nobody is served by old documents.
func (f *follower) applied(ctx context.Context, rev int64) error {
	f.mu.Lock()
	e := f.edge
	f.mu.Unlock()
	if e == nil {
		return nil
	}
	return e.Wait(ctx, rev)
}

// start has the edge follow, and returns once it runs on the documents of now. changed is called with
// each snapshot before the edge takes it.
func (f *follower) start(ctx context.Context, c *cloudfront.Service, e *edge.Edge, def string, changed func(cloudfront.Snapshot) error) (stop func(), err error) {
	f.mu.Lock()
	f.edge = e
	f.mu.Unlock()
	// Not under ctx: requests under way when it ends are served to their end.
	following, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		// It ends with its context, and has no other error.
		_ = c.Follow(following, func(s cloudfront.Snapshot) { f.apply(s, def, changed) })
	}()
	stop = func() { cancel(); <-done }
	return stop, e.Wait(ctx, c.Snapshot().Revision)
}

// input is what the edge compiles of the documents.
func input(s cloudfront.Snapshot, def string) edge.Input {
	return edge.Input{
		Revision: s.Revision, Account: s.Account, Distributions: s.Distributions,
		PublicKeys: s.PublicKeys, KeyGroups: s.KeyGroups, Default: def,
	}
}

// servable is cloudfront's Check: what the edge would close a distribution for is refused when the
// document is put, where its author can read why.
func servable(would cloudfront.Snapshot, id string) error {
	_, err := edge.Compile(input(would, ""))
	for _, p := range edge.Problems(err) {
		if p.Distribution == id {
			return fmt.Errorf("%s %s", p.Field, p.Reason)
		}
	}
	return nil
}

// apply compiles and swaps. What cannot be compiled closes its own distribution only, and is said once
// in the log and until it is mended in health: a removed key must die even then. Warnings are said once.
func (f *follower) apply(s cloudfront.Snapshot, def string, changed func(cloudfront.Snapshot) error) {
	config, err := edge.Compile(input(s, def))
	err = errors.Join(err, changed(s))
	f.edge.Swap(config)
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	var warnings []string
	for _, w := range config.Warnings() {
		warnings = append(warnings, w.String())
	}
	warning := strings.Join(warnings, "; ")
	f.mu.Lock()
	newProblem, newWarning := problem != f.problem, warning != f.warning
	f.problem, f.warning = problem, warning
	f.mu.Unlock()
	switch {
	case newProblem && problem != "":
		f.log.Error("edge configuration", "revision", s.Revision, "error", problem)
	case newProblem:
		f.log.Info("edge configuration is whole again", "revision", s.Revision)
	}
	if newWarning && warning != "" {
		f.log.Warn("edge configuration", "revision", s.Revision, "warning", warning)
	}
}

// health is what cannot be honoured of the documents in force.
func (f *follower) health() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.problem != "" {
		return errors.New(f.problem)
	}
	return nil
}

// serverNames are what the TLS certificate is for: this machine, and every name of a distribution.
func serverNames(s cloudfront.Snapshot) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	for _, d := range s.Distributions {
		if d.DistributionConfig.Enabled {
			names = append(names, d.DomainName)
			names = append(names, d.DistributionConfig.Aliases.Items...)
		}
	}
	return names
}
