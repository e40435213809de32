// Package origin fetches what the gate has admitted: from a bucket of an S3 engine in this process
// ([Bucket]) or from a plain web server ([HTTP]). An origin reads the path and query to ask for from the
// [gate.Admission] and from nowhere else, refuses an admission that the gate did not make, and hands back
// an answer whose headers are already those a viewer may see. It follows no redirects and keeps nothing.
package origin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"

	"postern/internal/edge/gate"
)

// ErrNotAdmitted means that an origin was asked with an admission that no gate made. It is a fault of
// the program, never of a viewer.
var ErrNotAdmitted = errors.New("origin: the request was not admitted by a gate")

// ErrUpload means that the viewer's body could not be read to its end. It is no fault of the origin's.
var ErrUpload = errors.New("origin: the viewer's body ended early")

// Request is what an origin may know of the viewer's request besides the admission. Origins change
// nothing in it.
type Request struct {
	// Method is the viewer's.
	Method string
	// Header is the viewer's, whole; Forward says what of it passes.
	Header http.Header
	// Body is nil when there is none. ContentLength is its length, -1 when unknown.
	Body          io.ReadCloser
	ContentLength int64
	// Viewer is the viewer's address, Peer that of the other end of the connection: a proxy's, maybe. The
	// zero Addr when unknown.
	Viewer, Peer netip.Addr
	// ID names the request to the origin (X-Amz-Cf-Id); Via is this edge's own entry in the Via header.
	ID, Via string
	// Forward says what of the request an origin may see. The zero Forward is the least.
	Forward Forward
}

// Origin is a place to fetch from. Fetch returns an answer of any status, or an error: *[Error] when the
// origin could not be reached or understood, ctx's own error when the viewer is gone, [ErrNotAdmitted].
// The caller closes the answer's body; closing it early ends the exchange. The body's Read fails when the
// origin stalls or cuts the answer short: what was read until then must not be passed off as whole.
// Implementations are safe for concurrent use, and hold no more of a body in memory than a buffer.
type Origin interface {
	Fetch(ctx context.Context, a gate.Admission, r *Request) (*http.Response, error)
}

// Error is a failure of the origin, not of its answer.
type Error struct {
	// Status is what the viewer gets: 502, 504, or 400 when the path cannot be put to this origin.
	Status int
	// Reason is one of this package's own sentences.
	Reason string
	Err    error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err == nil {
		return "fetching from origin: " + e.Reason
	}
	return "fetching from origin: " + e.Reason + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
