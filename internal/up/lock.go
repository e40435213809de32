package up

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// lock takes the data folder for this process before anything else in it is touched. It is a POSIX
// record lock (fcntl F_SETLK) on an empty file: the kernel drops it however the process ends, tells
// others who holds it, and lets them ask without taking it. The process must open the file only once:
// closing any descriptor of it would drop the lock.
func lock(data string) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(data, lockFileName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	whole := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &whole); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EACCES) {
			return nil, fmt.Errorf("locking the data folder, which must be on a file system with locks: %w", err)
		}
		return nil, &InUseError{Data: data, PID: askLock(f)}
	}
	return func() { f.Close() }, nil
}

// InUseError: another process has the data folder.
type InUseError struct {
	Data string
	PID  int // 0 if it is not known
}

// Error names the process.
func (e *InUseError) Error() string {
	who := "another postern"
	if e.PID > 0 {
		who = fmt.Sprintf("another postern (process %d)", e.PID)
	}
	return fmt.Sprintf("%s is running on %s", who, e.Data)
}

// Holder says whether a postern runs on the folder. The process that holds the lock must not call it.
func Holder(data string) (pid int, running bool) {
	f, err := os.OpenFile(filepath.Join(data, lockFileName), os.O_RDWR, 0)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	pid = askLock(f)
	return pid, pid != 0
}

// askLock is the process that holds the lock, 0 if none does.
func askLock(f *os.File) int {
	whole := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &whole); err != nil || whole.Type == syscall.F_UNLCK {
		return 0
	}
	if whole.Pid == 0 { // a process of another container
		return -1
	}
	return int(whole.Pid)
}
