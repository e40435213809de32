package seal

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what a Secret shows.
const redacted = "[redacted]"

// Secret is a byte string that shows itself to nobody who does not ask by [Secret.Bytes]: every verb of
// fmt, encoding/json, encoding/xml, encoding/gob and log/slog write [redacted] in its place. It cannot
// be read back from any of them either. Secrets cannot be compared by ==, and so not by accident; the
// zero Secret is empty.
//
// A Secret in an unexported field is out of the reach of its own methods; fmt shows an address there,
// not the bytes.
type Secret struct {
	// A function, because that is where reflection ends: fmt follows a pointer under some verbs. It also
	// makes the type incomparable.
	read func() []byte
}

// NewSecret makes a secret of a copy of b.
func NewSecret(b []byte) Secret {
	if len(b) == 0 {
		return Secret{}
	}
	b = bytes.Clone(b)
	return Secret{read: func() []byte { return b }}
}

// Bytes is a copy of the secret; nil if it is empty.
func (s Secret) Bytes() []byte { return bytes.Clone(s.raw()) }

// Len is the number of bytes.
func (s Secret) Len() int { return len(s.raw()) }

// raw is the secret itself, which must not be changed.
func (s Secret) raw() []byte {
	if s.read == nil {
		return nil
	}
	return s.read()
}

// Equal compares in a time that depends on the lengths alone. An empty secret equals nothing, not even
// another empty one: a secret that was never set must not be met by one that was not given.
func (s Secret) Equal(t Secret) bool {
	if s.read == nil || t.read == nil {
		return false
	}
	return subtle.ConstantTimeCompare(s.raw(), t.raw()) == 1
}

// String redacts.
func (Secret) String() string { return redacted }

// GoString redacts.
func (Secret) GoString() string { return redacted }

// Format redacts, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue redacts.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText redacts. encoding/json and encoding/xml use it.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalBinary redacts. encoding/gob uses it.
func (Secret) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText fails: what was written is not the secret.
func (*Secret) UnmarshalText([]byte) error { return errUnmarshal }

// UnmarshalBinary fails: what was written is not the secret.
func (*Secret) UnmarshalBinary([]byte) error { return errUnmarshal }

var errUnmarshal = errors.New("a secret is not read from a document: it was redacted when it was written")
