package edge

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// MaxHeaderBytes is the longest request line and headers that are read. Source: CloudFront quotas,
// "Maximum length of a request". net/http answers 431 above it where CloudFront answers 494.
const MaxHeaderBytes = 32 << 10

// NewServer wraps a handler in a server with limits for the open Internet. Its four timeouts are for the
// parts of a request in which no handler runs; an [Edge] renews the deadlines of those in which it does.
// The end of ctx ends every request's context. What net/http has to say goes to the logger.
func NewServer(ctx context.Context, h http.Handler, log *slog.Logger) *http.Server {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    MaxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		// "OPTIONS *" is a target like any other that names no object: the edge refuses it.
		DisableGeneralOptionsHandler: true,
	}
	if log != nil {
		s.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	}
	return s
}
