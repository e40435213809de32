// Package audit writes one line for every operation somebody asked for, allowed or not, before the
// operation is answered. A line is one JSON object in the form of CloudTrail's records, so that the
// tools that read CloudTrail read it. [Guard] is the one way from an engine to the line: it asks the
// decider, and when the operation ends it writes what became of it; if the line cannot be written, the
// operation fails.
//
// A line never holds a secret, a plaintext, a signature or a signed URL. Engines choose the request
// parameters they hand over with that in mind; the writer makes every string safe and bounded.
package audit

import (
	"errors"
	"time"

	"postern/internal/policy"
)

// ErrNotWritten is wrapped by the error of an operation that failed because its audit line could not
// be written.
var ErrNotWritten = errors.New("the audit line could not be written")

// Split is a [Writer] that keeps apart what anybody can cause without a credential, such as an edge's reads
// for viewers of a public path and refused strangers, from what a credential did. The first can be as much
// as strangers like, so its writer should be bounded; the second should be kept.
type Split struct{ Credentialed, Uncredentialed Writer }

// Write implements [Writer].
func (s Split) Write(e Event) error {
	switch e.UserIdentity.Type {
	case policy.Service.String(), policy.Anonymous.String():
		return s.Uncredentialed.Write(e)
	}
	return s.Credentialed.Write(e)
}

// Event is one operation in CloudTrail's words
// (docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html).
// It has more fields than a struct of ours should, because the record has them.
type Event struct {
	// EventTime is when the operation was completed. The line has it in UTC, to the second.
	EventTime time.Time
	// EventID is a random UUID that tells this event from every other.
	EventID string
	// EventSource is the service, such as s3.amazonaws.com.
	EventSource string
	// EventName is the API operation, such as GetObject.
	EventName string
	// Region is the region the request was made to.
	Region string
	// SourceIPAddress is the caller's address, or the service's name if a service called.
	SourceIPAddress string
	// UserAgent is what the client calls itself. 1,024 bytes of it are kept.
	UserAgent string
	// UserIdentity says who asked.
	UserIdentity UserIdentity
	// RequestID is the id the answer carries.
	RequestID string
	// RequestParameters says what was asked for. Values are strings, booleans, numbers, times, lists
	// and maps of these; anything else is written as encoding/json does. Never a secret. If it would
	// take more than 16 KiB of the line, the line says {"omitted":true} in its place.
	RequestParameters map[string]any
	// Resources are what the operation was on. The first four are kept.
	Resources []Resource
	// ErrorCode is AWS's name of the error; empty if the operation succeeded.
	ErrorCode string
	// ErrorMessage describes the error. 1,024 bytes of it are kept.
	ErrorMessage string
	// SourceARN is the resource on whose behalf a service called; the line has it in
	// additionalEventData.
	SourceARN string
	// DecisionReason says why the decider allowed or refused; the line has it in additionalEventData.
	DecisionReason string
}

// UserIdentity is CloudTrail's userIdentity element
// (docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html).
type UserIdentity struct {
	// Type is Root, IAMUser, AssumedRole, AWSService, or AWSAccount for a request without a signature.
	Type string
	// ARN is the principal's ARN; empty for a service and for an unsigned request.
	ARN string
	// AccountID is the principal's account, or ANONYMOUS_PRINCIPAL.
	AccountID string
	// AccessKeyID is the id of the key that signed, never its secret.
	AccessKeyID string
	// InvokedBy is the service that called, such as cloudfront.amazonaws.com.
	InvokedBy string
}

// Resource is one thing an operation was on.
type Resource struct {
	ARN       string
	AccountID string
}

// Writer takes events. When Write has returned nil the event's line is in the hands of the operating
// system, whole, and outlives the process. Write is safe for concurrent use, and keeps neither the
// event nor what it refers to.
type Writer interface {
	Write(Event) error
}
