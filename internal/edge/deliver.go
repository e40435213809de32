package edge

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"postern/internal/edge/origin"
)

// chunk is how much of a body is held in memory, and how much a viewer has to take within Options.Stall.
const chunk = 64 << 10

// fileChunk is how much the kernel is asked to send at once.
const fileChunk = 512 << 10

var buffers = sync.Pool{New: func() any { return new([chunk]byte) }}

// fetch asks the origin for what was admitted, and delivers its answer.
func (x *exchange) fetch() {
	req := x.request()
	if b, ok := req.Body.(*patientBody); ok {
		defer b.finish()
	}
	resp, err := x.live.origins[x.dist][x.at].Fetch(x.r.Context(), x.admitted, req)
	if err != nil {
		x.failed(err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 && x.page(resp.StatusCode) {
		return
	}
	x.deliver(resp, resp.StatusCode)
}

// failed answers for an origin that did not.
func (x *exchange) failed(err error) {
	if x.r.Context().Err() != nil || errors.Is(err, origin.ErrUpload) {
		x.leave(err)
		return
	}
	a := answer{status: http.StatusBadGateway, refusal: refusedOrigin,
		message: "The origin could not be reached, or its answer could not be understood."}
	var oe *origin.Error
	if errors.As(err, &oe) {
		a.cause = oe.Reason
		switch a.status = oe.Status; oe.Status {
		case http.StatusGatewayTimeout:
			a.refusal, a.message = refusedTimeout, "The origin did not answer in time."
		case http.StatusBadRequest:
			a.refusal, a.message, a.plain = refusedPath, "Bad request. The path cannot be put to this origin.", true
		}
	}
	a.close = x.r.ContentLength != 0 // what is left of an upload is not worth reading
	x.refuse(a)
}

// page answers with the distribution's own page for a status, and reports whether it did. The page is
// fetched through the behaviour that its path belongs to, without the viewer's query, conditions or
// range, and without asking for a signature: whoever may be refused may see it, the operator decided.
// When the page itself cannot be had, its origin's answer is sent, as CloudFront does; when its origin
// gives none, the caller's own answer is.
func (x *exchange) page(status int) bool {
	p, ok := x.dist.pages[status]
	if !ok {
		return false
	}
	method := http.MethodGet
	if x.r.Method == http.MethodHead {
		method = http.MethodHead
	}
	resp, err := x.live.origins[x.dist][p.behaviour].Fetch(x.r.Context(), p.page.Admit(x.target), &origin.Request{
		Method:  method,
		Header:  http.Header{},
		Viewer:  x.viewer,
		Peer:    peer(x.r),
		ID:      x.id,
		Via:     x.edge.via,
		Forward: x.dist.behaviours[p.behaviour].forward,
	})
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	to := p.status
	if resp.StatusCode != http.StatusOK {
		to = resp.StatusCode
	}
	x.pageOf = status
	x.deliver(resp, to)
	return true
}

// deliver sends an origin's answer under a status.
func (x *exchange) deliver(resp *http.Response, status int) {
	h := x.w.Header()
	for name, values := range resp.Header {
		h[name] = values
	}
	if resp.ContentLength >= 0 {
		h["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	}
	cache := cacheMiss
	if status >= 400 || x.pageOf != 0 {
		cache = cacheError
	}
	x.common(h, cache, false)
	x.status = status
	x.w.WriteHeader(status)
	if x.r.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified {
		return
	}
	if err := x.stream(resp); err != nil {
		x.cause = err.Error()
		x.abort()
	}
}

// stream copies a body. Memory is one buffer. Whoever takes no byte for Options.Stall is cut.
func (x *exchange) stream(resp *http.Response) error {
	var err error
	if file, ok := resp.Body.(*os.File); ok && resp.ContentLength >= 0 && x.r.ProtoMajor == 1 {
		err = x.sendFile(file, resp.ContentLength)
	} else {
		err = x.copy(resp.Body, resp.ContentLength < 0)
	}
	if err == nil && resp.ContentLength >= 0 && x.bytes != resp.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// renew gives the viewer its time anew, so that a slow one is not cut and a stalled one is.
func (x *exchange) renew() { x.rc.SetWriteDeadline(time.Now().Add(x.edge.o.Stall)) }

// copy passes a body on, at once when its length is unknown: it may be a stream that pauses.
func (x *exchange) copy(body io.Reader, flush bool) error {
	buffer := buffers.Get().(*[chunk]byte)
	defer buffers.Put(buffer)
	for {
		n, err := body.Read(buffer[:])
		if n > 0 {
			x.renew()
			written, werr := x.w.Write(buffer[:n])
			x.bytes += int64(written)
			if werr != nil {
				return werr
			}
			if flush {
				if ferr := x.rc.Flush(); ferr != nil && !errors.Is(ferr, http.ErrNotSupported) {
					return ferr
				}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// sendFile lets the kernel send, piece by piece so that the deadline can be renewed in between.
func (x *exchange) sendFile(file *os.File, left int64) error {
	for left > 0 {
		x.renew()
		n, err := io.CopyN(x.w, file, min(left, fileChunk))
		x.bytes += n
		left -= n
		if err != nil {
			return err
		}
	}
	return nil
}

// patientBody renews the viewer's time while its body keeps coming. At the body's end net/http lifts the
// read deadline and reads ahead, so none may be set after it. Nor when the exchange is over: a transport may
// still be reading, but the connection's deadlines are the server's again.
type patientBody struct {
	io.ReadCloser
	rc    *http.ResponseController
	stall time.Duration

	mu   sync.Mutex
	over bool
}

func (b *patientBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	if !b.over {
		b.rc.SetReadDeadline(time.Now().Add(b.stall))
	}
	b.mu.Unlock()
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.finish()
	}
	return n, err
}

// finish ends the watch.
func (b *patientBody) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
}
