package audit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/audit"
	"postern/internal/audit/audittest"
	"postern/internal/policy"
)

const account = "111122223333"

var (
	when = time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	root = policy.Caller{Kind: policy.Root, ARN: policy.RootARN(account), Account: account, AccessKeyID: "AKIDEXAMPLE", SourceIP: "192.0.2.1", UserAgent: "agent", RequestID: "R1"}
	get  = policy.Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", ResourceAccount: account}
)

func newGuard(t testing.TB, w audit.Writer) *audit.Guard {
	t.Helper()
	g, err := audit.NewGuard(audit.GuardConfig{Decider: policy.Owner{}, Writer: w, Region: "us-east-1", Now: func() time.Time { return when }})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// codedError is what an engine's own errors look like.
type codedError struct{ code, text string }

func (e *codedError) Error() string        { return e.text }
func (e *codedError) AWSErrorCode() string { return e.code }

// engine is an operation as engines write them.
func engine(ctx context.Context, g *audit.Guard, who policy.Caller, req policy.Request, do func() (string, error)) (out string, err error) {
	op, err := g.Begin(ctx, who, req, map[string]any{"key": "k"})
	defer op.End(&err)
	if err != nil {
		return "", err
	}
	return do()
}

func TestGuard(t *testing.T) {
	distribution := "arn:aws:cloudfront::" + account + ":distribution/E1"
	edge := policy.EdgeCaller(distribution)
	ok := func() (string, error) { return "done", nil }
	for _, c := range []struct {
		name    string
		who     policy.Caller
		req     policy.Request
		do      func() (string, error)
		ran     bool
		code    string
		message string
		who2    audit.UserIdentity
		ip      string
	}{
		{"allowed", root, get, ok, true, "", "",
			audit.UserIdentity{Type: "Root", ARN: root.ARN, AccountID: account, AccessKeyID: "AKIDEXAMPLE"}, "192.0.2.1"},
		{"a service", edge, get, ok, true, "", "",
			audit.UserIdentity{Type: "AWSService", InvokedBy: "cloudfront.amazonaws.com"}, "cloudfront.amazonaws.com"},
		{"refused", policy.Caller{}, get, ok, false, "AccessDenied",
			"user anonymous is not authorized to perform s3:GetObject on resource arn:aws:s3:::b/k because no identity-based policy allows the s3:GetObject action",
			audit.UserIdentity{Type: "AWSAccount", AccountID: "ANONYMOUS_PRINCIPAL"}, ""},
		{"an error with a name", root, get, func() (string, error) { return "", fmt.Errorf("reading: %w", &codedError{"NoSuchKey", "gone"}) }, true, "NoSuchKey", "reading: gone",
			audit.UserIdentity{Type: "Root", ARN: root.ARN, AccountID: account, AccessKeyID: "AKIDEXAMPLE"}, "192.0.2.1"},
		{"an error without", root, get, func() (string, error) { return "", io.ErrUnexpectedEOF }, true, "InternalFailure", "unexpected EOF",
			audit.UserIdentity{Type: "Root", ARN: root.ARN, AccountID: account, AccessKeyID: "AKIDEXAMPLE"}, "192.0.2.1"},
	} {
		var rec audittest.Recorder
		g := newGuard(t, &rec)
		ran := false
		out, err := engine(t.Context(), g, c.who, c.req, func() (string, error) { ran = true; return c.do() })
		if ran != c.ran || (err == nil) != (c.code == "") || (out == "done") != (c.code == "") {
			t.Errorf("%s: ran %v, %q, %v", c.name, ran, out, err)
		}
		var denied *audit.Denied
		if errors.As(err, &denied) != !c.ran {
			t.Errorf("%s: %v", c.name, err)
		}
		events := rec.Events()
		if len(events) != 1 {
			t.Errorf("%s: %d events", c.name, len(events))
			continue
		}
		e := events[0]
		if e.ErrorCode != c.code || e.ErrorMessage != c.message || e.UserIdentity != c.who2 || e.SourceIPAddress != c.ip ||
			e.EventName != "GetObject" || e.EventSource != "s3.amazonaws.com" || e.Region != "us-east-1" || !e.EventTime.Equal(when) ||
			e.RequestID != c.who.RequestID || e.UserAgent != c.who.UserAgent || e.SourceARN != c.who.SourceARN || e.RequestParameters["key"] != "k" ||
			len(e.Resources) != 1 || e.Resources[0] != (audit.Resource{ARN: get.Resource, AccountID: account}) || e.DecisionReason == "" {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}

func TestWhatCannotBeAuditedFails(t *testing.T) {
	var rec audittest.Recorder
	g := newGuard(t, &rec)
	broken := errors.New("no space left")
	for name, do := range map[string]func() (string, error){
		"a success": func() (string, error) { return "done", nil },
		"a failure": func() (string, error) { return "", &codedError{"NoSuchKey", "gone"} },
	} {
		rec.Fail(broken)
		_, err := engine(t.Context(), g, root, get, do)
		var coded *codedError
		if !errors.Is(err, audit.ErrNotWritten) || !errors.Is(err, broken) || errors.As(err, &coded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := engine(t.Context(), g, policy.Caller{}, get, nil); !errors.Is(err, audit.ErrNotWritten) {
		t.Errorf("a refusal: %v", err)
	}
	// An operation that never began is not a success either.
	var err error
	new(audit.Operation).End(&err)
	if !errors.Is(err, audit.ErrNotWritten) {
		t.Errorf("an operation that never began: %v", err)
	}
}

func TestPanicIsAudited(t *testing.T) {
	var rec audittest.Recorder
	g := newGuard(t, &rec)
	cause := errors.New("secret detail")
	func() {
		defer func() {
			if got := recover(); got != cause {
				t.Errorf("panicked on with %v", got)
			}
		}()
		engine(t.Context(), g, root, get, func() (string, error) { panic(cause) })
		t.Error("the panic was swallowed")
	}()
	events := rec.Events()
	if len(events) != 1 || events[0].ErrorCode != "InternalFailure" || strings.Contains(events[0].ErrorMessage, "secret") {
		t.Fatalf("%+v", events)
	}
	// Also if the line cannot be written then.
	rec.Fail(io.ErrShortWrite)
	func() {
		defer func() {
			if got := recover(); got != cause {
				t.Errorf("panicked on with %v", got)
			}
		}()
		engine(t.Context(), g, root, get, func() (string, error) { panic(cause) })
	}()
}

func TestOperationNames(t *testing.T) {
	var rec audittest.Recorder
	g := newGuard(t, &rec)
	var err error
	op, err := g.Begin(t.Context(), root, get, nil)
	op.SetName("HeadObject")
	op.End(&err)
	op.End(&err) // the second says nothing
	op, err = g.Begin(t.Context(), root, policy.Request{Action: "cloudfront:ListKeyGroups", Resource: "*", ResourceAccount: account}, nil)
	op.End(&err)
	events := rec.Events()
	if len(events) != 2 || events[0].EventName != "HeadObject" || events[1].EventName != "ListKeyGroups" ||
		events[1].EventSource != "cloudfront.amazonaws.com" || len(events[1].Resources) != 0 {
		t.Fatalf("%+v", events)
	}
}

func TestDecideWritesNothing(t *testing.T) {
	var rec audittest.Recorder
	g := newGuard(t, &rec)
	if !g.Decide(t.Context(), root, get).Allowed || g.Decide(t.Context(), policy.Caller{}, get).Allowed {
		t.Error("the decider was not asked")
	}
	if n := len(rec.Events()); n != 0 {
		t.Errorf("%d events", n)
	}
}

func TestEventIDsAreUUIDs(t *testing.T) {
	var rec audittest.Recorder
	g := newGuard(t, &rec)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if _, err := engine(t.Context(), g, root, get, func() (string, error) { return "", nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for _, e := range rec.Events() {
		if !uuid.MatchString(e.EventID) || seen[e.EventID] {
			t.Errorf("%q", e.EventID)
		}
		seen[e.EventID] = true
	}
	if len(seen) != 200 {
		t.Errorf("%d events", len(seen))
	}
}

func TestGuardConfig(t *testing.T) {
	var rec audittest.Recorder
	for _, c := range []audit.GuardConfig{
		{Writer: &rec, Region: "r"}, {Decider: policy.Owner{}, Region: "r"}, {Decider: policy.Owner{}, Writer: &rec},
	} {
		if _, err := audit.NewGuard(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func BenchmarkOperation(b *testing.B) {
	f, err := audit.OpenFile(audit.FileConfig{Path: b.TempDir() + "/audit.jsonl"})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	g := newGuard(b, f)
	params := map[string]any{"bucketName": "b", "key": "a/b"}
	b.ReportAllocs()
	for b.Loop() {
		func() (err error) {
			op, err := g.Begin(b.Context(), root, get, params)
			defer op.End(&err)
			return err
		}()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
