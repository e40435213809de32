package local_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/s3/objects"
	"postern/internal/s3/objects/local"
)

func benchPut(b *testing.B, size, writers int) {
	l := openLocal(b, b.TempDir())
	body := bytes.Repeat([]byte("x"), size)
	b.SetBytes(int64(size))
	b.SetParallelism(writers)
	b.ReportAllocs()
	var n atomic.Int64
	put := func() {
		_, err := l.Put(b.Context(), objects.PutRequest{
			Bucket: "b", Key: fmt.Sprint("key", n.Add(1)), Body: bytes.NewReader(body), Size: int64(size), Checksum: objects.CRC64NVME,
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if writers == 1 {
		for b.Loop() {
			put()
		}
		return
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			put()
		}
	})
}

func BenchmarkPut1KiB(b *testing.B)    { benchPut(b, 1<<10, 1) }
func BenchmarkPut1KiBx16(b *testing.B) { benchPut(b, 1<<10, 8) } // a goroutine is 8 a processor: 16 on two
func BenchmarkPut64MiB(b *testing.B)   { benchPut(b, 64<<20, 1) }

func benchGet(b *testing.B, size int) {
	l := openLocal(b, b.TempDir())
	_, err := l.Put(b.Context(), objects.PutRequest{
		Bucket: "b", Key: "key", Body: bytes.NewReader(make([]byte, size)), Size: int64(size),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	buf := make([]byte, 128<<10)
	for b.Loop() {
		_, body, err := l.Get(b.Context(), "b", "key")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{body}, buf); err != nil {
			b.Fatal(err)
		}
		body.Close()
	}
}

func BenchmarkGet1KiB(b *testing.B)  { benchGet(b, 1<<10) }
func BenchmarkGet64MiB(b *testing.B) { benchGet(b, 64<<20) }

func BenchmarkHead(b *testing.B) {
	l := openLocal(b, b.TempDir())
	if _, err := l.Put(b.Context(), objects.PutRequest{Bucket: "b", Key: "key"}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Head(b.Context(), "b", "key"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, c := range []struct {
		name  string
		fresh bool
	}{{"first", true}, {"second", false}} {
		b.Run(c.name, func(b *testing.B) {
			dir := b.TempDir()
			for i := 0; b.Loop(); i++ {
				d := dir
				if c.fresh {
					d = fmt.Sprint(dir, "/", i)
				}
				l, err := local.Open(local.Config{Dir: d, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					b.Fatal(err)
				}
				l.Close()
			}
		})
	}
}
