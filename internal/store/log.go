package store

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logger is l, or one that drops everything.
func logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}

// zapLogger sends etcd's warnings and worse to l, and drops the rest; end hears of those after which
// etcd does not go on.
func zapLogger(l *slog.Logger, end *endHook) *zap.Logger {
	return zap.New(&slogCore{log: l}, zap.WithFatalHook(end), zap.WithPanicHook(end))
}

// expected are the ends of warnings that a single member without listeners gives whenever it starts,
// and of what etcd says while its first start has not written down its version and its membership yet.
var expected = []string{
	"Running http and grpc server on single port. This is not recommended for production.",
	"simple token is not cryptographically signed",
	"Failed to detect schema version: missing term information",
	"failed to update storage version: cannot detect storage schema version: missing term information",
	"since there are still pending configuration changes to apply",
}

// textOf is a log line's message with its error, if it has one.
func textOf(message string, fields []zapcore.Field) string {
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok {
			message += ": " + err.Error()
		}
	}
	return message
}

// slogCore is a zapcore.Core over a slog.Logger.
type slogCore struct {
	log    *slog.Logger
	fields []zapcore.Field
}

func (c *slogCore) Enabled(l zapcore.Level) bool { return l >= zapcore.WarnLevel }

func (c *slogCore) With(fields []zapcore.Field) zapcore.Core {
	return &slogCore{log: c.log, fields: append(slices.Clip(c.fields), fields...)}
}

func (c *slogCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(e.Level) {
		return ce
	}
	return ce.AddCore(e, c)
}

func (c *slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	text := textOf(e.Message, fields)
	if slices.ContainsFunc(expected, func(end string) bool { return strings.HasSuffix(text, end) }) {
		return nil
	}
	level := slog.LevelWarn
	if e.Level >= zapcore.ErrorLevel {
		level = slog.LevelError
	}
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range slices.Concat(c.fields, fields) {
		f.AddTo(enc)
	}
	attrs := make([]slog.Attr, 0, len(enc.Fields))
	for k, v := range enc.Fields {
		attrs = append(attrs, slog.Any(k, v))
	}
	slices.SortFunc(attrs, func(a, b slog.Attr) int { return strings.Compare(a.Key, b.Key) })
	c.log.LogAttrs(context.Background(), level, "etcd: "+e.Message, slog.GroupAttrs("etcd", attrs...))
	return nil
}

func (c *slogCore) Sync() error { return nil }

// endHook is what happens where etcd would panic or end the process. While the store opens, it tells
// died why and ends the goroutine, so that Open can return an error. Afterwards it panics, and the
// process crashes saying why: a store that cannot go on must not seem to.
type endHook struct {
	starting atomic.Bool
	died     chan error // holds one
}

// OnWrite implements zapcore.CheckWriteHook. It must not return.
func (h *endHook) OnWrite(ce *zapcore.CheckedEntry, fields []zapcore.Field) {
	text := "etcd: " + textOf(ce.Message, fields)
	if !h.starting.Load() {
		panic(text)
	}
	select {
	case h.died <- errors.New(text):
	default: // one reason is enough
	}
	runtime.Goexit()
}
