package edge

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"

	"postern/internal/edge/origin"
	"postern/internal/policy"
)

// kilobyte is an S3 engine that always answers the same 1 KiB.
type kilobyte struct{ body []byte }

var kilobyteHeader = http.Header{"Content-Length": {"1024"}, "Content-Type": {"text/plain"}}

func (k kilobyte) Get(context.Context, policy.Caller, string, string, origin.GetOptions) (*origin.Object, error) {
	return &origin.Object{Status: 200, Header: kilobyteHeader, Body: io.NopCloser(bytes.NewReader(k.body))}, nil
}

// BenchmarkRequest compares a 1 KiB answer of a bare net/http handler with the edge's, on keep-alive
// connections over loopback: public, gated (the verdict remembered), and refused. The client, the same for
// all, is part of the figure.
func BenchmarkRequest(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 1024)
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Content-Type"] = textHTML
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
		w.Write(body)
	})
	w := newWorld(b, nil, func(o *Options) {
		o.Buckets, o.Metrics = kilobyte{body}, nil
		o.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil))
	})
	link := w.signBy(keyID, "http://"+host, "/uploads/2026/report.pdf", time.Hour)
	for _, c := range []struct {
		name, addr, target string
		status             int
	}{
		{"bare", serve(b, bare, nil), link, 200},
		{"public", w.addr, "/public/report.pdf", 200},
		{"gated", w.addr, link, 200},
		{"refused", w.addr, "/uploads/2026/report.pdf", 403},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			request := []byte(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", c.target, host))
			prefix := []byte(fmt.Sprintf("HTTP/1.1 %d", c.status))
			before := cpu(b)
			defer func() { b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op") }()
			b.RunParallel(func(pb *testing.PB) {
				conn, err := net.Dial("tcp", c.addr)
				if err != nil {
					b.Error(err)
					return
				}
				defer conn.Close()
				r := bufio.NewReaderSize(conn, 16<<10)
				for pb.Next() {
					if _, err := conn.Write(request); err != nil {
						b.Error(err)
						return
					}
					if err := discardAnswer(r, prefix); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// cpu is what this process has used, client and server: the figure to compare on a machine that others use.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// discardAnswer reads one answer with a Content-Length.
func discardAnswer(r *bufio.Reader, prefix []byte) error {
	length := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, prefix) {
			return fmt.Errorf("got %q", line)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(v)); err != nil {
				return err
			}
		}
	}
	_, err := r.Discard(length)
	return err
}
