package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/storage/wal"

	"postern/internal/durable"
)

// The store's folder:
//
//	lock     held by flock(2) while the store is open; holds the holder's process id
//	FORMAT   what wrote the folder; see format
//	NEW      there while the first Open has not finished: what etcd holds by then was never
//	         acknowledged to anybody, and the next Open begins anew
//	etcd     etcd's own folder: log (WAL) and database
const (
	lockName   = "lock"
	formatName = "FORMAT"
	newName    = "NEW"
	etcdName   = "etcd"
)

// formatVersion is the version of the folder that this code writes, and the newest it reads.
const formatVersion = 1

// Open opens the store in a folder, and makes it if there is none. ctx bounds the opening only.
//
// If another process has the folder open, the error is [ErrLocked] and names it. A folder of a newer
// format is refused with [ErrNewerFormat]; a folder from which etcd's data is missing or damaged is
// refused too: an empty store in its place would look like a working one.
func Open(ctx context.Context, c Config) (_ *Store, err error) {
	switch {
	case c.Dir == "":
		return nil, errors.New("opening the record store: a folder is required")
	case c.QuotaBytes < 0:
		return nil, errors.New("opening the record store: the quota must not be negative")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the record store: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("opening the record store in %s: %w", dir, err)
		}
	}()
	if err := private(dir); err != nil {
		return nil, err
	}
	lock, err := acquire(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, log: logger(c.Logger), quota: c.QuotaBytes, lock: lock, stop: make(chan struct{})}
	if s.quota == 0 {
		s.quota = DefaultQuotaBytes
	}
	s.upkeep.init(s.quota)
	fresh, err := inspect(dir)
	if err == nil {
		err = s.start(ctx)
	}
	if err != nil {
		var died *diedError
		if !errors.As(err, &died) {
			s.release()
		} // else etcd still holds its files: a second Open in this process is refused, and not left hanging
		return nil, err
	}
	if err := stamp(dir, fresh); err != nil {
		s.Close()
		return nil, err
	}
	s.wg.Go(s.runUpkeep)
	return s, nil
}

// private makes the folder, or takes other users' rights to it away.
func private(dir string) error {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return os.Chmod(dir, 0o700)
}

// acquire takes the folder's lock. The kernel gives it back when the process ends, however it ends.
func acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		text := make([]byte, 32)
		n, _ := f.Read(text)
		f.Close()
		holder := "another process"
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n]))); err == nil {
			holder = fmt.Sprintf("process %d", pid)
		}
		return nil, fmt.Errorf("%w by %s: stop that one first, or use another folder", ErrLocked, holder)
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), f.Close())
	}
	return f, nil
}

// release gives the lock back.
func (s *Store) release() {
	// A process id that is not the holder's must not be named to the next who is refused.
	_ = s.lock.Truncate(0)
	s.lock.Close()
}

// inspect reads the folder's marks, and says whether the store is to be made. It clears away what a
// first Open left that did not finish, and sets the mark for this one.
func inspect(dir string) (fresh bool, err error) {
	has := func(name string) bool {
		_, statErr := os.Lstat(filepath.Join(dir, name))
		if statErr != nil && !errors.Is(statErr, fs.ErrNotExist) {
			err = errors.Join(err, statErr)
		}
		return statErr == nil
	}
	unfinished, formatted, data := has(newName), has(formatName), has(etcdName)
	switch {
	case err != nil:
		return false, err
	case unfinished:
		if err := os.RemoveAll(filepath.Join(dir, etcdName)); err != nil {
			return false, err
		}
		return true, nil
	case formatted && data:
		text, err := os.ReadFile(filepath.Join(dir, formatName))
		if err != nil {
			return false, err
		}
		return false, checkFormat(string(text))
	case formatted:
		return false, fmt.Errorf("the folder %s is missing, and the records with it: restore it from a backup, or move the whole folder away to begin with an empty one", etcdName)
	case data:
		return false, fmt.Errorf("the file %s is missing, so the records in the folder %s cannot be trusted to be Postern's: restore it from a backup, or use another folder", formatName, etcdName)
	}
	return true, durable.WriteFile(filepath.Join(dir, newName), nil, 0o600)
}

// stamp writes what this code is into the folder, and takes the mark of a first Open away. Nobody has
// been told of a write yet.
func stamp(dir string, fresh bool) error {
	path := filepath.Join(dir, formatName)
	if text, err := os.ReadFile(path); err != nil || string(text) != format() {
		if err := durable.WriteFile(path, []byte(format()), 0o600); err != nil {
			return err
		}
	}
	if !fresh {
		return nil
	}
	if err := os.Remove(filepath.Join(dir, newName)); err != nil {
		return err
	}
	// If the mark came back after a loss of power, the next Open would throw acknowledged writes away.
	return durable.SyncDir(dir)
}

// format is the text of the file FORMAT, three lines:
//
//	postern record store
//	format <version of the folder>
//	etcd <major>.<minor> of the etcd that opened it last
//
// etcd reads data of its own and of the previous minor version, hence the third line.
func format() string {
	major, minor := etcdMinor(version.Version)
	return fmt.Sprintf("postern record store\nformat %d\netcd %d.%d\n", formatVersion, major, minor)
}

// etcdMinor reads the first two numbers of etcd's own version.
func etcdMinor(v string) (major, minor int) {
	// The version is a constant of the module; a test pins that it parses.
	_, _ = fmt.Sscanf(v, "%d.%d", &major, &minor)
	return major, minor
}

// checkFormat says whether this code can open a folder with that FORMAT.
func checkFormat(text string) error {
	lines := strings.Split(text, "\n")
	number, ok := "", false
	if len(lines) >= 3 && lines[0] == "postern record store" {
		number, ok = strings.CutPrefix(lines[1], "format ")
	}
	v, err := strconv.Atoi(number)
	if !ok || err != nil || v < 1 {
		return fmt.Errorf("the file %s is damaged: restore it from a backup", formatName)
	}
	if v > formatVersion {
		return fmt.Errorf("%w: it has format %d, and this version knows %d; use the version that wrote it, or a newer one", ErrNewerFormat, v, formatVersion)
	}
	var major, minor int
	if _, err := fmt.Sscanf(lines[2], "etcd %d.%d", &major, &minor); err != nil {
		return fmt.Errorf("the file %s is damaged: restore it from a backup", formatName)
	}
	ourMajor, ourMinor := etcdMinor(version.Version)
	switch {
	case major > ourMajor || major == ourMajor && minor > ourMinor:
		return fmt.Errorf("%w: it holds data of etcd %d.%d, and this version has etcd %d.%d; use the version that wrote it, or a newer one", ErrNewerFormat, major, minor, ourMajor, ourMinor)
	case major < ourMajor || minor < ourMinor-1:
		return fmt.Errorf("it holds data of etcd %d.%d, and this version has etcd %d.%d, which reads the one before it at most: open it with the versions of Postern between, one after the other", major, minor, ourMajor, ourMinor)
	}
	return nil
}

// smallSegments makes etcd's log files 8 MB from 64 MB, before the first store of the process opens.
// etcd sets the space aside at once, which for a few hundred records is waste; it has no setting for it
// but this variable. A segment grows beyond it where a request needs that.
var smallSegments = sync.OnceFunc(func() { wal.SegmentSizeBytes = 8 << 20 })

// memberName and memberURL are what the single member is called in its own membership list. There is
// no listener behind the URL.
const (
	memberName = "postern"
	memberURL  = "http://localhost:0"
)

// etcdConfig is a single member that nobody can connect to.
func (s *Store) etcdConfig() (*embed.Config, error) {
	u, err := url.Parse(memberURL)
	if err != nil {
		return nil, err
	}
	c := embed.NewConfig()
	c.Name = memberName
	c.Dir = filepath.Join(s.dir, etcdName)
	// No client listener, and no peer listener: a single member has no peers. Whoever wants the records
	// has to be this process, or be able to read its files.
	c.ListenClientUrls, c.AdvertiseClientUrls, c.ListenPeerUrls = nil, nil, nil
	c.AdvertisePeerUrls = []url.URL{*u}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	// A single member elects itself after one to five ticks: 10 ms ticks make that 50 ms at most, for
	// about one per cent of a core when idle. Pre-vote asks other members, of which there are none.
	c.TickMs, c.ElectionMs = 10, 50
	c.PreVote = false
	c.QuotaBackendBytes = s.quota
	// Entries behind a snapshot are only kept for members that lag; with large values 5,000 of them
	// would be gigabytes of memory. A snapshot every 1,000 writes keeps the log that Open reads short.
	c.SnapshotCount, c.SnapshotCatchUpEntries = 1000, 16
	c.EnableGRPCGateway = false
	c.DowngradeCheckTime = 0
	// Below a second a slow disk is nobody's news.
	c.WarningApplyDuration, c.WarningUnaryRequestDuration = time.Second, time.Second
	return c, nil
}

// start runs etcd and waits until it takes writes.
func (s *Store) start(ctx context.Context) error {
	smallSegments()
	c, err := s.etcdConfig()
	if err != nil {
		return err
	}
	if s.etcd, err = startEtcd(c, s.log); err != nil {
		return fmt.Errorf("the records cannot be read: %w; restore the folder from a backup, or move it away to begin with an empty one", err)
	}
	select {
	case <-s.etcd.Server.ReadyNotify():
	case <-s.etcd.Server.StopNotify():
		err = errors.New("etcd stopped while it started")
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		s.etcd.Close()
		return err
	}
	s.client = v3client.New(s.etcd.Server)
	s.kv = s.client.KV
	return nil
}

// startEtcd is embed.StartEtcd with etcd's way out of bad data made an error. That way is a panic or the
// end of the process, in whichever goroutine finds out, and always through its logger.
func startEtcd(c *embed.Config, log *slog.Logger) (*embed.Etcd, error) {
	end := &endHook{died: make(chan error, 1)}
	end.starting.Store(true)
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zapLogger(log, end))
	type result struct {
		etcd *embed.Etcd
		err  error
	}
	started := make(chan result, 1)
	go func() {
		e, err := embed.StartEtcd(c)
		started <- result{e, err}
	}()
	select {
	case r := <-started:
		end.starting.Store(false)
		return r.etcd, r.err
	case err := <-end.died:
		return nil, &diedError{err}
	}
}

// diedError says that etcd gave up while it started. It still holds its files then.
type diedError struct{ error }

// Close ends the watches, stops etcd, and releases the folder. Writes that have no answer yet end with
// [ErrUnknown]. A second Close does nothing.
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.stop)
		s.wg.Wait()
		s.client.Close() // its error is the end of its own context
		s.etcd.Close()
		s.release()
	})
	return nil
}
