package seal

// Secret is a byte string that shows itself to nobody who does not ask by [Secret.Bytes].
type Secret struct {
	_ [0]func()
	b *secretBytes
}

type secretBytes struct{ b []byte }

// NewSecret copies b.
func NewSecret(b []byte) Secret {
	return Secret{b: &secretBytes{b: append([]byte(nil), b...)}}
}

// Bytes is a copy of the secret.
func (s Secret) Bytes() []byte {
	if s.b == nil {
		return nil
	}
	return append([]byte(nil), s.b.b...)
}

// Equal compares in constant time.
func (s Secret) Equal(t Secret) bool { return false }
