package objects

import (
	"errors"
	"log/slog"
	"time"
)

// LocalConfig configures [OpenLocal].
type LocalConfig struct {
	Dir    string           // folder for blobs and index, made if missing (0700); required
	Now    func() time.Time // required
	Logger *slog.Logger     // required
	// MinPartSize is the least size of a part that is not the last, in bytes; 0 is S3's 5 MiB.
	MinPartSize int64
}

// Local is the backend of one machine.
type Local struct{ Backend }

// OpenLocal opens the folder, making it if it is not there.
func OpenLocal(c LocalConfig) (*Local, error) {
	if c.Dir == "" || c.Now == nil || c.Logger == nil {
		return nil, errors.New("opening object backend: Dir, Now and Logger are required")
	}
	return nil, errors.New("opening object backend: the local backend is not written yet")
}
