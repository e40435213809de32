package store

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// refusals are etcd's answers that mean: nothing was done, and asking again the same way is of no use.
var refusals = map[error]error{
	rpctypes.ErrNoSpace:         ErrNoSpace,
	rpctypes.ErrRequestTooLarge: ErrTooLarge,
	rpctypes.ErrTooManyOps:      ErrTooManyOps,
	rpctypes.ErrDuplicateKey:    ErrInvalid,
	rpctypes.ErrEmptyKey:        ErrInvalid,
	rpctypes.ErrCompacted:       ErrCompacted,
	rpctypes.ErrFutureRev:       ErrInvalid,
}

// readError gives an error of etcd's the kind that callers branch on.
func readError(err error) error {
	for etcd, ours := range refusals {
		if errors.Is(err, etcd) {
			return ours
		}
	}
	// Both the server's own end and the end of the in-process client mean that somebody called Close.
	if errors.Is(err, rpctypes.ErrStopped) {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	if errors.Is(err, rpctypes.ErrTimeout) {
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}

// writeError is readError for a write: what is not a refusal leaves the outcome open. Too many requests
// is a refusal, but of the kind that passes.
func writeError(err error) error {
	for etcd, ours := range refusals {
		if errors.Is(err, etcd) {
			return ours
		}
	}
	if errors.Is(err, rpctypes.ErrTooManyRequests) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err)
}

func recordOf(kv *mvccpb.KeyValue) Record {
	return Record{Key: string(kv.Key), Value: kv.Value, Revision: kv.ModRevision, CreateRevision: kv.CreateRevision}
}
