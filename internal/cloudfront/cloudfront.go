// Package cloudfront is the control side of the edge: distributions, public keys, key groups and
// origin access controls, by CloudFront's own operations and documents.
//
// Records live in the record store, the engine reads them from a watched view in memory. Documents
// refer to each other, and a reference must never dangle nor a name be taken twice, so every write also
// rewrites one record, the generation, and compares it with what the view showed when the write was
// decided: writes of this service are one after another, whoever makes them, and a decision is made
// again when it was made on old news. The edge follows by [Service.Follow]; a write is answered when
// the edge of this process has taken it, so a key that was removed is dead when its removal is
// acknowledged. Documents that ask the edge for what it cannot enforce are refused.
package cloudfront

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postern/internal/audit"
	"postern/internal/awsapi"
	"postern/internal/cloudfront/document"
	"postern/internal/policy"
	"postern/internal/seal"
	"postern/internal/store"
)

// Config is what a [Service] needs. All but Applied, Check and
// Patience are required.
type Config struct {
	Store *store.Store
	// Keeper seals the values of origins' custom headers, which may be secrets.
	Keeper *seal.Keeper
	Guard  *audit.Guard
	// Account is the twelve-digit id of the account that owns every document.
	Account string
	Now     func() time.Time
	// Applied returns when the edge of this process runs on revision rev or a later one, as handed out
	// by Follow, or with an error when ctx ends first. Nil: no edge runs in this process.
	Applied func(ctx context.Context, rev int64) error
	// Check says whether the edge can serve the distribution id by the documents as they would be if a
	// write were made; its error is shown to the caller, who gets InvalidArgument. It must not wait. Nil:
	// what this package refuses by itself is refused, and no more.
	Check func(would Snapshot, id string) error
	// Patience bounds one write, from its first look at the view to the edge's having taken it; 10 s if
	// zero.
	Patience time.Duration
}

// Service is the engine. Its methods are CloudFront's operations, are safe for concurrent use, and
// decide and audit before anything else. Their errors are [*awsapi.Error], *audit.Denied, or a fault.
type Service struct {
	guard    *audit.Guard
	store    *store.Store
	view     *store.View[any]
	account  string
	now      func() time.Time
	applied  func(ctx context.Context, rev int64) error
	check    func(would Snapshot, id string) error
	patience time.Duration
	keeper   *seal.Keeper
}

// New reads the records and follows them until Close.
func New(ctx context.Context, c Config) (*Service, error) {
	if c.Store == nil || c.Keeper == nil || c.Guard == nil || c.Account == "" || c.Now == nil {
		return nil, errors.New("cloudfront: Store, Keeper, Guard, Account and Now are required")
	}
	s := &Service{
		guard: c.Guard, store: c.Store, account: c.Account, now: c.Now,
		applied: c.Applied, check: c.Check, patience: c.Patience, keeper: c.Keeper,
	}
	if s.patience == 0 {
		s.patience = 10 * time.Second
	}
	view, err := store.NewView(ctx, c.Store, prefix, s.decode)
	if err != nil {
		return nil, fmt.Errorf("reading the CloudFront records: %w", err)
	}
	s.view = view
	return s, nil
}

// Close stops following the records.
func (s *Service) Close() { s.view.Close() }

// Health is nil while the records are followed.
func (s *Service) Health() error { return s.view.Health() }

// Snapshot is every document at one revision, for the edge. Distributions carry their computed parts;
// disabled ones are among them. Its maps and documents are shared: read them only.
type Snapshot struct {
	// Revision is the store's at the last write of this service, 0 before the first. Writes of other
	// services do not move it, so whoever follows comes to every revision that a snapshot ever had.
	Revision             int64
	Account              string
	Distributions        []document.Distribution // by id
	PublicKeys           map[string]document.PublicKey
	KeyGroups            map[string]document.KeyGroup
	OriginAccessControls map[string]document.OriginAccessControl
}

// Snapshot is the documents as they are now.
func (s *Service) Snapshot() Snapshot { return s.snapshot(s.state()) }

func (s *Service) snapshot(st *state) Snapshot {
	out := Snapshot{
		Revision:             st.generation,
		Account:              s.account,
		PublicKeys:           map[string]document.PublicKey{},
		KeyGroups:            map[string]document.KeyGroup{},
		OriginAccessControls: map[string]document.OriginAccessControl{},
	}
	for _, e := range sorted(st.distributions) {
		out.Distributions = append(out.Distributions, s.distribution(st, e, deployed))
	}
	for id, e := range st.publicKeys {
		out.PublicKeys[id] = publicKey(e)
	}
	for id, e := range st.keyGroups {
		out.KeyGroups[id] = keyGroup(e)
	}
	for id, e := range st.controls {
		out.OriginAccessControls[id] = originAccessControl(e)
	}
	return out
}

// Follow calls apply with the documents as they are, and again after every change, one call at a time,
// until ctx ends, or the service or its store is closed; its error says which. Revisions never go back. Changes that happen during a call
// are handed over together: the latest wins. apply must not call a writing method of the service.
func (s *Service) Follow(ctx context.Context, apply func(Snapshot)) error {
	for {
		// Asked for before the snapshot, so that no change falls between the two.
		changed := s.view.Changed()
		apply(s.Snapshot())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
		if err := s.view.Health(); errors.Is(err, store.ErrClosed) {
			return fmt.Errorf("following the CloudFront records: %w", err)
		}
	}
}

// ARN prefixes of the resources a caller may be allowed to touch.
func (s *Service) arn(kind, id string) string {
	return "arn:aws:cloudfront::" + s.account + ":" + kind + "/" + id
}

func (s *Service) begin(ctx context.Context, who policy.Caller, operation, resource string, params map[string]any) (*audit.Operation, error) {
	return s.guard.Begin(ctx, who, policy.Request{
		Action:          "cloudfront:" + operation,
		Resource:        resource,
		ResourceAccount: s.account,
	}, params)
}

// write decides by plan on what the view shows, commits what it returns if nothing of CloudFront's was
// written in between, else decides again, and waits until the edge has taken it. A plan may run several
// times and must not change what it is shown. A refusal is held back likewise, until the edge has taken
// what it is founded on: "no such key" must not be said of a key the edge still honours.
func (s *Service) write(ctx context.Context, plan func(*state) (store.Txn, error)) error {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	for {
		st := s.state()
		txn, refusal := plan(st)
		if refusal == nil {
			txn.If = append(txn.If, store.Compare{Key: generationKey, Revision: st.generation})
			txn.Put = append(txn.Put, store.Put{Key: generationKey, Value: generationValue})
			rev, err := s.store.Transact(ctx, txn)
			switch {
			case err == nil:
				if late := s.settle(ctx, rev); late != nil {
					return unavailable("The change is stored, but the edge has not taken it yet and may still serve by the old documents (revision %d: %v).", rev, late)
				}
				return nil
			case errors.Is(err, store.ErrUnknown):
				return unavailable("The record store did not answer in time. The change may have been made or not: look before you ask again.")
			case errors.Is(err, store.ErrTooLarge):
				return refuse("InvalidArgument", "The document is too large for the record store.")
			case !errors.Is(err, store.ErrConflict):
				return fmt.Errorf("writing CloudFront records: %w", err)
			}
		}
		// Refused, or overtaken. The view may lag behind what another process has written.
		now, err := s.generation(ctx)
		if err != nil {
			return fmt.Errorf("reading CloudFront records: %w", err)
		}
		if late := s.settle(ctx, now); late != nil {
			return unavailable("Nothing was changed: an earlier change has not come to the edge yet (revision %d: %v). Ask again.", now, late)
		}
		switch {
		case now > st.generation: // decide again
		case refusal != nil:
			return refusal
		default:
			return errors.New("writing CloudFront records: a record was changed without the generation")
		}
	}
}

// generation is the revision of the last write, by the store's own word; 0 before the first.
func (s *Service) generation(ctx context.Context) (int64, error) {
	r, err := s.store.Get(ctx, generationKey)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	return r.Revision, err
}

// settle waits until the view and the edge have come to a revision.
func (s *Service) settle(ctx context.Context, rev int64) error {
	if err := s.view.Wait(ctx, rev); err != nil || s.applied == nil || rev == 0 {
		return err
	}
	return s.applied(ctx, rev)
}

func unavailable(format string, args ...any) error {
	return &awsapi.Error{Status: 503, Code: "ServiceUnavailable", Message: fmt.Sprintf(format, args...)}
}
