package audit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/internal/policy"
)

// Denied is the refusal of an operation. A wire face renders it as its service's AccessDenied.
type Denied struct {
	Caller  policy.Caller
	Request policy.Request
	// Reason is the decider's half-sentence, such as "because no identity-based policy allows the
	// s3:GetObject action".
	Reason string
}

// Error says who may not do what, in IAM's words.
func (d *Denied) Error() string {
	who := d.Caller.ARN
	if who == "" {
		who = "anonymous"
	}
	msg := "user " + who + " is not authorized to perform " + d.Request.Action + " on resource " + d.Request.Resource
	if d.Reason != "" {
		msg += " " + d.Reason
	}
	return msg
}

// AWSErrorCode is AWS's name of the error.
func (d *Denied) AWSErrorCode() string { return "AccessDenied" }

// GuardConfig is what a [Guard] needs. Decider, Writer and Region are required.
type GuardConfig struct {
	Decider policy.Decider
	Writer  Writer
	// Region is what the events say for awsRegion.
	Region string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Guard decides and audits for engines. It is safe for concurrent use. An engine's method uses it so:
//
//	op, err := s.guard.Begin(ctx, who, policy.Request{…}, params)
//	defer op.End(&err)
//	if err != nil {
//		return out, err
//	}
//
// with err the method's named result, so that End sees how the method ended and can make it fail.
type Guard struct {
	decider policy.Decider
	writer  Writer
	region  string
	now     func() time.Time
}

// NewGuard makes a guard.
func NewGuard(c GuardConfig) (*Guard, error) {
	switch {
	case c.Decider == nil:
		return nil, errors.New("making an audit guard: a decider is required")
	case c.Writer == nil:
		return nil, errors.New("making an audit guard: a writer is required")
	case c.Region == "":
		return nil, errors.New("making an audit guard: a region is required")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Guard{decider: c.Decider, writer: c.Writer, region: c.Region, now: c.Now}, nil
}

// Operation is one operation between its decision and its audit line. It belongs to one goroutine.
type Operation struct {
	guard  *Guard
	who    policy.Caller
	req    policy.Request
	params map[string]any
	name   string
	reason string
	ended  bool
}

// Begin asks whether who may do what req says. The error is a [*Denied] if not. The operation is never
// nil, and its End is to be deferred in either case: a refusal is audited like everything else.
//
// params become the event's requestParameters (never a secret in them); they must not change until End.
func (g *Guard) Begin(ctx context.Context, who policy.Caller, req policy.Request, params map[string]any) (*Operation, error) {
	op := &Operation{guard: g, who: who, req: req, params: params}
	_, op.name, _ = strings.Cut(req.Action, ":")
	d := g.decider.Decide(ctx, who, req)
	op.reason = d.Reason
	if !d.Allowed {
		return op, &Denied{Caller: who, Request: req, Reason: d.Reason}
	}
	return op, nil
}

// Decide asks the decider and writes nothing. It is for a question inside an operation that is already
// begun, such as S3's: may this caller list the bucket, and so learn that a key is missing?
func (g *Guard) Decide(ctx context.Context, who policy.Caller, req policy.Request) policy.Decision {
	return g.decider.Decide(ctx, who, req)
}

// SetName names the API operation where it is not the action's own name: HeadObject is asked for as
// s3:GetObject, ListObjectsV2 as s3:ListBucket.
func (op *Operation) SetName(name string) { op.name = name }

// End writes the operation's audit line with the outcome that *errp holds. If the line cannot be
// written, *errp becomes an error that wraps [ErrNotWritten], whatever it was: what cannot be audited
// has failed.
//
// End must be deferred itself, not called from a deferred function: with a panic in flight it writes a
// line that says InternalFailure, and panics on with the same value. A second End does nothing.
func (op *Operation) End(errp *error) {
	if op.guard == nil { // not from Begin: nobody decided, nobody is audited
		*errp = fmt.Errorf("ending an operation that was not begun: %w", ErrNotWritten)
		return
	}
	if op.ended {
		return
	}
	op.ended = true
	if cause := recover(); cause != nil {
		// The panic's text may hold anything, a secret included, and stays out of the line. An error of
		// the write has nothing left to fail: the operation already has.
		_ = op.write("InternalFailure", "the operation panicked")
		panic(cause)
	}
	code, message := "", ""
	if *errp != nil {
		code, message = "InternalFailure", (*errp).Error()
		var named interface{ AWSErrorCode() string }
		if errors.As(*errp, &named) {
			code = named.AWSErrorCode()
		}
	}
	if err := op.write(code, message); err != nil {
		*errp = fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
}

func (op *Operation) write(code, message string) error {
	service, _, _ := strings.Cut(op.req.Action, ":")
	e := Event{
		EventTime:         op.guard.now(),
		EventID:           newEventID(),
		EventSource:       service + ".amazonaws.com",
		EventName:         op.name,
		Region:            op.guard.region,
		SourceIPAddress:   op.who.SourceIP,
		UserAgent:         op.who.UserAgent,
		UserIdentity:      identity(op.who),
		RequestID:         op.who.RequestID,
		RequestParameters: op.params,
		ErrorCode:         code,
		ErrorMessage:      message,
		SourceARN:         op.who.SourceARN,
		DecisionReason:    op.reason,
	}
	if op.req.Resource != "" && op.req.Resource != "*" {
		e.Resources = []Resource{{ARN: op.req.Resource, AccountID: op.req.ResourceAccount}}
	}
	if op.who.Kind == policy.Service && e.SourceIPAddress == "" {
		e.SourceIPAddress = op.who.ARN
	}
	return op.guard.writer.Write(e)
}

// identity writes the caller down as CloudTrail does: a service by its name, an unsigned request as
// S3's data events have it.
func identity(who policy.Caller) UserIdentity {
	switch who.Kind {
	case policy.Anonymous:
		return UserIdentity{Type: "AWSAccount", AccountID: "ANONYMOUS_PRINCIPAL"}
	case policy.Service:
		return UserIdentity{Type: who.Kind.String(), InvokedBy: who.ARN}
	default:
		return UserIdentity{Type: who.Kind.String(), ARN: who.ARN, AccountID: who.Account, AccessKeyID: who.AccessKeyID}
	}
}

// newEventID makes a random UUID, version 4 (RFC 9562 section 5.4).
func newEventID() string {
	var u [16]byte
	rand.Read(u[:]) // never fails: crypto/rand ends the process first
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[0:], u[0:4])
	hex.Encode(text[9:], u[4:6])
	hex.Encode(text[14:], u[6:8])
	hex.Encode(text[19:], u[8:10])
	hex.Encode(text[24:], u[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}
