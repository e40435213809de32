// Package audit writes one line for every operation that was asked for, allowed or not, in the form of
// CloudTrail's records, before the operation is answered.
package audit

import (
	"context"
	"errors"
	"time"

	"postern/internal/policy"
)

// ErrNotWritten: the audit line could not be written, so the operation failed.
var ErrNotWritten = errors.New("the audit line could not be written")

// Event is one operation, in CloudTrail's words.
type Event struct {
	EventTime         time.Time
	EventID           string
	EventSource       string // s3.amazonaws.com
	EventName         string // GetObject
	Region            string
	SourceIPAddress   string
	UserAgent         string
	UserIdentity      UserIdentity
	RequestID         string
	RequestParameters map[string]any
	Resources         []string // ARNs
	ErrorCode         string
	ErrorMessage      string
	SourceARN         string
	DecisionReason    string
}

// UserIdentity says who asked.
type UserIdentity struct {
	Type        string
	ARN         string
	AccountID   string
	AccessKeyID string
	InvokedBy   string
}

// Writer takes events.
type Writer interface{ Write(Event) error }

// Denied is the refusal of an operation.
type Denied struct {
	Caller  policy.Caller
	Request policy.Request
	Reason  string
}

// Error implements error.
func (d *Denied) Error() string { return "" }

// AWSErrorCode is AccessDenied.
func (d *Denied) AWSErrorCode() string { return "AccessDenied" }

// GuardConfig is what a Guard needs.
type GuardConfig struct {
	Decider policy.Decider
	Writer  Writer
	Region  string
	Now     func() time.Time
}

// Guard decides and audits.
type Guard struct{}

// NewGuard makes a guard.
func NewGuard(c GuardConfig) (*Guard, error) { return nil, errors.ErrUnsupported }

// Operation is one operation between its decision and its audit line.
type Operation struct{}

// Begin decides.
func (g *Guard) Begin(ctx context.Context, who policy.Caller, req policy.Request, params map[string]any) (*Operation, error) {
	return nil, errors.ErrUnsupported
}

// End writes the line.
func (op *Operation) End(errp *error) {}
