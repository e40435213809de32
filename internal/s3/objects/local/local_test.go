package local_test

import (
	"log/slog"
	"testing"
	"time"

	"postern/internal/s3/objects"
	"postern/internal/s3/objects/local"
	"postern/internal/s3/objects/objecttest"
)

const minPartSize = 1 << 10

func openLocal(t testing.TB, dir string) *local.Backend {
	t.Helper()
	l, err := local.Open(local.Config{
		Dir: dir, Now: time.Now, Logger: slog.New(slog.DiscardHandler), MinPartSize: minPartSize,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestLocal(t *testing.T) {
	objecttest.Run(t, func(t *testing.T) objecttest.Storage {
		dir := t.TempDir()
		return objecttest.Storage{
			Backend:     openLocal(t, dir),
			Reopen:      func(t *testing.T) objects.Backend { return openLocal(t, dir) },
			MinPartSize: minPartSize,
		}
	})
}
