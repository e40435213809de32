// Package audittest records audit events in memory, for tests.
package audittest

import (
	"sync"

	"postern/internal/audit"
)

// Recorder is an audit.Writer that keeps events. The zero Recorder is ready.
type Recorder struct {
	mu     sync.Mutex
	events []audit.Event
	err    error
}

// Write implements audit.Writer.
func (r *Recorder) Write(e audit.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	r.events = append(r.events, e)
	return nil
}

// Events is a copy of what was written so far.
func (r *Recorder) Events() []audit.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]audit.Event(nil), r.events...)
}

// Fail makes every later Write return err; nil heals it.
func (r *Recorder) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}
