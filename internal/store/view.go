package store

import (
	"context"
	"errors"
)

// View is a watched copy of a prefix in memory.
type View[T any] struct{}

// NewView reads a prefix and follows it.
func NewView[T any](ctx context.Context, s *Store, prefix string, decode func(Record) (T, error)) (*View[T], error) {
	return nil, errors.ErrUnsupported
}

// Get answers from memory.
func (v *View[T]) Get(key string) (T, bool) { var zero T; return zero, false }

// Snapshot is the whole view at one revision. The map is shared: read it, never write to it.
func (v *View[T]) Snapshot() (map[string]T, int64) { return nil, 0 }

// Revision is the store's revision that the view shows.
func (v *View[T]) Revision() int64 { return 0 }

// Wait returns when the view shows that revision or a later one.
func (v *View[T]) Wait(ctx context.Context, rev int64) error { return errors.ErrUnsupported }

// Changed is closed at the next change.
func (v *View[T]) Changed() <-chan struct{} { return nil }

// Health is nil while the view follows the store.
func (v *View[T]) Health() error { return errors.ErrUnsupported }

// Close ends the view.
func (v *View[T]) Close() {}
