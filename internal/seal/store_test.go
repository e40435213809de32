package seal_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"postern/internal/seal"
	"postern/internal/store"
)

// With the record store: a secret is there after a restart, nothing in the store's files shows it, and
// another root key does not open it.
func TestWithTheRecordStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	keyFile := filepath.Join(t.TempDir(), "root.key")
	root, err := seal.CreateKeyFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	plaintext := []byte("a secret that is long enough to be looked for")
	const key = "/postern/v1/test/secret/1"

	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	k, err := seal.NewKeeper(t.Context(), root, s)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := k.Seal(key, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Transact(t.Context(), store.Txn{Put: []store.Put{{Key: key, Value: sealed}}}); err != nil {
		t.Fatal(err)
	}
	s.Close()

	text, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	rootKey := bytes.TrimSpace(text[bytes.Index(text, []byte("key "))+4:])
	found := false
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		found = found || bytes.Contains(content, sealed)
		if bytes.Contains(content, plaintext) || bytes.Contains(content, rootKey) {
			t.Errorf("%s shows the secret or the root key", path)
		}
		return err
	})
	if err != nil || !found {
		t.Fatalf("the sealed record was found in the files: %v, %v", found, err)
	}

	s, err = store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if root, err = seal.OpenKeyFile(keyFile); err != nil {
		t.Fatal(err)
	}
	if k, err = seal.NewKeeper(t.Context(), root, s); err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open(key, r.Value); err != nil || !bytes.Equal(got, plaintext) {
		t.Fatalf("%q %v", got, err)
	}
	other, err := seal.CreateKeyFile(filepath.Join(t.TempDir(), "other.key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.NewKeeper(t.Context(), other, s); !errors.Is(err, seal.ErrWrongRootKey) {
		t.Fatalf("another root key: %v", err)
	}
}
