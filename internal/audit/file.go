package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"postern/internal/durable"
)

// Sync says when lines are forced from the operating system to the disk. A line outlives the process
// either way; what differs is what a loss of power can take.
type Sync uint8

const (
	// SyncInterval forces lines to the disk an interval after the first of them, at rotation and at
	// Close. A loss of power takes at most the last interval's lines.
	SyncInterval Sync = iota
	// SyncAlways forces every line to the disk before Write returns; concurrent writers share an fsync.
	SyncAlways
)

// Defaults of a [FileConfig].
const (
	DefaultInterval = 100 * time.Millisecond
	DefaultMaxBytes = 64 << 20
)

// FileConfig says where and how lines are written. Path is required.
type FileConfig struct {
	// Path is the current file, such as …/audit/audit.jsonl. Its folder is made (0700) if it is
	// missing, the file is 0600. A path that is not a regular file, such as /dev/stdout, is written to
	// and neither synced nor rotated.
	Path string
	// Sync says when lines are forced to the disk.
	Sync Sync
	// Interval is that of SyncInterval; 0 means DefaultInterval.
	Interval time.Duration
	// MaxBytes rotates the file before it would grow beyond it; 0 means DefaultMaxBytes. A full file
	// audit.jsonl becomes audit-0000000001-20060102T150405Z.jsonl, with a number that counts up, so
	// that names sort as the lines were written.
	MaxBytes int64
	// Keep is how many full files are kept; at a rotation the oldest beyond them are removed. 0 keeps
	// all of them.
	Keep int
	// Now is the clock for the names of full files; nil means time.Now.
	Now func() time.Time
}

// File is a [Writer] of lines. One process at a time writes to one path.
//
// A line is one write(2). A line that was cut short, by a crash or a full disk, gets its newline with
// the next line or the next OpenFile, so that every later event is a line of its own; a reader skips
// what does not parse. After an error of fsync nothing is known about what is on the disk, so every
// later Write fails: the process has to be started anew.
type File struct {
	cfg     FileConfig
	rotated *regexp.Regexp

	// mu orders writes, rotation and Close.
	mu      sync.Mutex
	f       *os.File // nil after Close, and between a rotation's rename and its success
	regular bool
	size    int64
	torn    bool // the last byte in the file is not a newline
	closed  bool
	broken  error  // of an fsync: final
	written uint64 // lines written to f and to the files before it
	timer   *time.Timer
	armed   bool // the timer will sync

	// syncMu is held around fsync, before mu.
	syncMu sync.Mutex
	synced uint64 // lines known to be on the disk
}

// OpenFile opens or makes the file.
func OpenFile(c FileConfig) (*File, error) {
	switch {
	case c.Path == "":
		return nil, errors.New("opening the audit log: a path is required")
	case c.Interval < 0 || c.MaxBytes < 0 || c.Keep < 0:
		return nil, errors.New("opening the audit log: the interval, the size and the number of files must not be negative")
	case c.Sync > SyncAlways:
		return nil, fmt.Errorf("opening the audit log: unknown sync mode %d", c.Sync)
	}
	if c.Interval == 0 {
		c.Interval = DefaultInterval
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if err := durable.MkdirAll(filepath.Dir(c.Path), 0o700); err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	stem, ext := splitExt(filepath.Base(c.Path))
	f := &File{cfg: c, rotated: regexp.MustCompile(
		`^` + regexp.QuoteMeta(stem) + `-([0-9]{10})-[0-9]{8}T[0-9]{6}Z` + regexp.QuoteMeta(ext) + `$`)}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

func splitExt(base string) (stem, ext string) {
	ext = filepath.Ext(base)
	return strings.TrimSuffix(base, ext), ext
}

// open makes f.f the file at the path. The caller holds mu, or nobody else has f yet.
func (f *File) open() error {
	file, err := os.OpenFile(f.cfg.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the audit log: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("opening the audit log: %w", err), file.Close())
	}
	size, torn := int64(0), false
	if info.Mode().IsRegular() {
		size = info.Size()
		torn, err = prepare(file, info)
		if err != nil {
			return errors.Join(fmt.Errorf("opening the audit log: %w", err), file.Close())
		}
	}
	f.f, f.regular, f.size, f.torn = file, info.Mode().IsRegular(), size, torn
	return nil
}

// prepare makes a regular file private and its name durable, and says whether its last line is torn.
func prepare(file *os.File, info fs.FileInfo) (torn bool, err error) {
	if info.Mode().Perm() != 0o600 {
		if err := file.Chmod(0o600); err != nil {
			return false, err
		}
	}
	if err := durable.SyncDir(filepath.Dir(file.Name())); err != nil {
		return false, err
	}
	if info.Size() == 0 {
		return false, nil
	}
	r, err := os.Open(file.Name())
	if err != nil {
		return false, err
	}
	defer r.Close()
	var last [1]byte
	if _, err := r.ReadAt(last[:], info.Size()-1); err != nil {
		return false, err
	}
	return last[0] != '\n', nil
}

// linePool holds buffers for lines.
var linePool = sync.Pool{New: func() any { return new([]byte) }}

// Write writes the event's line. When it has returned nil the line is in the operating system's hands,
// and with SyncAlways on the disk.
func (f *File) Write(e Event) error {
	buf := linePool.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= maxParameters {
			linePool.Put(buf)
		}
	}()
	// The place for the newline that a torn line before this one needs.
	*buf = append((*buf)[:0], '\n')
	*buf = appendLine(*buf, &e)
	n, err := f.write(*buf)
	if err != nil {
		return fmt.Errorf("writing the audit log: %w", err)
	}
	if f.cfg.Sync == SyncAlways {
		return f.syncTo(n)
	}
	return nil
}

// write writes a line that has a spare newline before it, and returns the line's number.
func (f *File) write(line []byte) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return 0, os.ErrClosed
	case f.broken != nil:
		return 0, f.broken
	case f.f == nil: // a rotation failed half-way
		if err := f.open(); err != nil {
			return 0, err
		}
	}
	if f.regular && f.size > 0 && f.size+int64(len(line))-1 > f.cfg.MaxBytes {
		if err := f.rotate(); err != nil {
			return 0, err
		}
	}
	if !f.torn {
		line = line[1:]
	}
	n, err := f.f.Write(line)
	f.size += int64(n)
	if err != nil {
		// Whatever part of the line is there stays, and is ended before the next one.
		f.torn = f.torn || n > 0
		return 0, err
	}
	f.torn = false
	f.written++
	if f.cfg.Sync == SyncInterval && f.regular && !f.armed {
		f.armed = true
		if f.timer == nil {
			f.timer = time.AfterFunc(f.cfg.Interval, f.syncLater)
		} else {
			f.timer.Reset(f.cfg.Interval)
		}
	}
	return f.written, nil
}

// syncLater is the timer's: it syncs what was written so far. Its error is the next Write's.
func (f *File) syncLater() {
	f.mu.Lock()
	f.armed = false
	n := f.written
	f.mu.Unlock()
	_ = f.syncTo(n)
}

// syncTo returns when the first n lines are on the disk. Writers go on meanwhile.
func (f *File) syncTo(n uint64) error {
	f.syncMu.Lock()
	defer f.syncMu.Unlock()
	if f.synced >= n {
		return nil // an earlier fsync took this line along
	}
	f.mu.Lock()
	file, regular, written, broken := f.f, f.regular, f.written, f.broken
	f.mu.Unlock()
	if broken != nil {
		return fmt.Errorf("syncing the audit log: %w", broken)
	}
	// A file that was closed in the meantime was synced before, by rotate or Close.
	if regular && file != nil {
		if err := file.Sync(); err != nil && !errors.Is(err, os.ErrClosed) {
			f.mu.Lock()
			f.broken = err
			f.mu.Unlock()
			return fmt.Errorf("syncing the audit log: %w", err)
		}
	}
	f.synced = written
	return nil
}

// rotate puts the full file aside and opens the next. The caller holds mu.
func (f *File) rotate() error {
	if err := f.f.Sync(); err != nil {
		f.broken = err
		return err
	}
	name, err := f.fullName()
	if err != nil {
		return fmt.Errorf("rotating: %w", err)
	}
	// If there is nothing at the path any more, somebody else has put the file aside.
	if err := os.Rename(f.cfg.Path, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("rotating: %w", err)
	}
	f.f.Close() // synced above
	f.f = nil
	if err := f.open(); err != nil {
		return err
	}
	return f.prune()
}

// prune removes the oldest full files beyond those to keep.
func (f *File) prune() error {
	if f.cfg.Keep == 0 {
		return nil
	}
	full, err := f.full()
	if err != nil {
		return fmt.Errorf("rotating: %w", err)
	}
	for _, name := range full[:max(0, len(full)-f.cfg.Keep)] {
		if err := os.Remove(filepath.Join(filepath.Dir(f.cfg.Path), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("rotating: %w", err)
		}
	}
	return nil
}

// full are the names of the full files, the oldest first.
func (f *File) full() ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(f.cfg.Path)) // sorted by name, and the names sort
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if f.rotated.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// fullName is the name under which the current file is put aside: its number is one above the highest
// in the folder, so that names sort even when the clock is set back.
func (f *File) fullName() (string, error) {
	dir, base := filepath.Split(f.cfg.Path)
	full, err := f.full()
	if err != nil {
		return "", err
	}
	last := 0
	if len(full) > 0 {
		if last, err = strconv.Atoi(f.rotated.FindStringSubmatch(full[len(full)-1])[1]); err != nil {
			return "", err
		}
	}
	stem, ext := splitExt(base)
	return filepath.Join(dir, fmt.Sprintf("%s-%010d-%s%s", stem, last+1, f.cfg.Now().UTC().Format("20060102T150405Z"), ext)), nil
}

// Close forces what was written to the disk and closes the file. A Write after it fails; a second
// Close does nothing.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	if f.timer != nil {
		f.timer.Stop()
	}
	err := f.broken
	if f.f != nil {
		if f.regular {
			err = errors.Join(err, f.f.Sync())
		}
		err = errors.Join(err, f.f.Close())
		f.f = nil
	}
	if err != nil {
		return fmt.Errorf("closing the audit log: %w", err)
	}
	return nil
}
