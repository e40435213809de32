package seal

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// memory is a KeyStore.
type memory struct {
	mu   sync.Mutex
	m    map[string][]byte
	fail error
	// missed makes Lookup say that there is nothing, as it does to two processes that start together.
	missed bool
}

func (m *memory) Lookup(_ context.Context, key string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.m[key]
	return v, ok && !m.missed, m.fail
}

func (m *memory) CreateOnce(_ context.Context, key string, value []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	if m.m == nil {
		m.m = map[string][]byte{}
	}
	if _, ok := m.m[key]; !ok {
		m.m[key] = slices.Clone(value)
	}
	return m.m[key], nil
}

func rootKey(t testing.TB) *RootKey {
	t.Helper()
	k, err := CreateKeyFile(filepath.Join(t.TempDir(), "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keeper(t testing.TB, root *RootKey, s KeyStore) *Keeper {
	t.Helper()
	k, err := NewKeeper(t.Context(), root, s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealedRecordsOpen(t *testing.T) {
	root, store := rootKey(t), &memory{}
	k := keeper(t, root, store)
	for _, plaintext := range [][]byte{nil, {0}, []byte("secret"), bytes.Repeat([]byte("x"), 1<<20)} {
		sealed, err := k.Seal("/r", plaintext)
		if err != nil {
			t.Fatal(err)
		}
		if len(sealed) != len(plaintext)+Overhead {
			t.Errorf("%d bytes became %d", len(plaintext), len(sealed))
		}
		if len(plaintext) > 4 && bytes.Contains(sealed, plaintext) {
			t.Error("the plaintext is in the sealed text")
		}
		again, err := k.Seal("/r", plaintext)
		if err != nil || bytes.Equal(sealed, again) || bytes.Equal(sealed[17:45], again[17:45]) {
			t.Errorf("sealed twice alike: %v", err)
		}
		// A keeper that starts anew from the same store and root key opens it.
		for _, k := range []*Keeper{k, keeper(t, root, store)} {
			got, err := k.Open("/r", sealed)
			if err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("%d bytes of %d, %v", len(got), len(plaintext), err)
			}
		}
		if _, err := k.Open("/other", sealed); !errors.Is(err, ErrOpen) {
			t.Errorf("opened for another record: %v", err)
		}
	}
	if _, err := k.Seal("", []byte("x")); err == nil {
		t.Error("sealed for no record")
	}
}

func TestEveryChangedBitIsRefused(t *testing.T) {
	k := keeper(t, rootKey(t), &memory{})
	sealed, err := k.Seal("/r", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(sealed) * 8 {
		bad := bytes.Clone(sealed)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := k.Open("/r", bad); !errors.Is(err, ErrOpen) && !errors.Is(err, ErrWrongRootKey) {
			t.Errorf("bit %d: %v", i, err)
		}
	}
	for n := range len(sealed) {
		if _, err := k.Open("/r", sealed[:n]); !errors.Is(err, ErrOpen) && !errors.Is(err, ErrWrongRootKey) {
			t.Errorf("%d bytes of it: %v", n, err)
		}
	}
	if _, err := k.Open("/r", append(bytes.Clone(sealed), 0)); !errors.Is(err, ErrOpen) {
		t.Errorf("a byte more: %v", err)
	}
}

func TestWrongRootKeyIsNamed(t *testing.T) {
	root, other, store := rootKey(t), rootKey(t), &memory{}
	k := keeper(t, root, store)
	_, err := NewKeeper(t.Context(), other, store)
	if !errors.Is(err, ErrWrongRootKey) || !strings.Contains(err.Error(), root.ID()) || !strings.Contains(err.Error(), other.ID()) {
		t.Fatalf("%v", err)
	}
	// Nor does a root key with the right name but other bytes open it.
	forged := &RootKey{id: root.id, key: other.key}
	if _, err := NewKeeper(t.Context(), forged, store); !errors.Is(err, ErrOpen) {
		t.Fatalf("%v", err)
	}
	sealed, err := k.Seal("/r", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keeper(t, other, &memory{}).Open("/r", sealed); !errors.Is(err, ErrWrongRootKey) {
		t.Fatalf("another store's record: %v", err)
	}
	// The same root key with another store: the record is not that store's.
	if _, err := keeper(t, root, &memory{}).Open("/r", sealed); !errors.Is(err, ErrOpen) || errors.Is(err, ErrWrongRootKey) {
		t.Fatalf("another store's record: %v", err)
	}
}

func TestDamagedSealingKey(t *testing.T) {
	root, store := rootKey(t), &memory{}
	k := keeper(t, root, store)
	record, err := k.Seal(DataKeyRecord, bytes.Repeat([]byte{1}, keySize))
	if err != nil {
		t.Fatal(err)
	}
	good := store.m[DataKeyRecord]
	for name, bad := range map[string][]byte{
		"empty":                   {},
		"cut":                     good[:len(good)-1],
		"a changed bit":           append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1),
		"another version":         append([]byte{9}, good[1:]...),
		"a record in its place":   record,
		"a key of another length": sealWith(root.key, purposeDataKey, root.id, k.id, DataKeyRecord, []byte("short")),
		"of another record":       sealWith(root.key, purposeDataKey, root.id, k.id, "/x", k.key.raw()),
	} {
		store.m[DataKeyRecord] = bad
		if _, err := NewKeeper(t.Context(), root, store); !errors.Is(err, ErrOpen) || !strings.Contains(err.Error(), "restore") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A text of the other kind does not open as a record either, even under the same key.
	same := &Keeper{root: root.id, id: k.id, key: root.key}
	if _, err := same.Open(DataKeyRecord, good); !errors.Is(err, ErrOpen) {
		t.Errorf("a data-sealing key opened as a record: %v", err)
	}
}

func TestKeeperAndItsStore(t *testing.T) {
	root := rootKey(t)
	broken := errors.New("no store")
	if _, err := NewKeeper(t.Context(), root, &memory{fail: broken}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if _, err := NewKeeper(t.Context(), nil, &memory{}); err == nil {
		t.Error("a keeper without a root key")
	}
	// Two that start together on an empty store end with one key.
	store := &memory{}
	first := keeper(t, root, store)
	store.missed = true
	second := keeper(t, root, store)
	sealed, err := first.Seal("/r", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := second.Open("/r", sealed); err != nil || string(got) != "x" {
		t.Errorf("%q %v", got, err)
	}
	if bytes.Contains(store.m[DataKeyRecord], first.key.raw()) {
		t.Error("the data-sealing key is stored in the clear")
	}
}

// The format as documented, written by other code than Seal's: what is stored today opens for ever.
func TestFormat(t *testing.T) {
	k := keeper(t, rootKey(t), &memory{})
	byHand := func(key []byte, purpose, record string, root, id []byte, plaintext []byte) []byte {
		salt, nonce := make([]byte, 16), make([]byte, 12)
		rand.Read(salt)
		rand.Read(nonce)
		aesKey, err := hkdf.Key(sha256.New, key, salt, purpose, 32)
		if err != nil {
			t.Fatal(err)
		}
		block, err := aes.NewCipher(aesKey)
		if err != nil {
			t.Fatal(err)
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		header := slices.Concat([]byte{1}, root, id, salt, nonce)
		return gcm.Seal(header, nonce, plaintext, slices.Concat([]byte(purpose), header, []byte(record)))
	}
	sealed := byHand(k.key.raw(), "postern seal record v1\x00", "/r", k.root[:], k.id[:], []byte("secret"))
	if got, err := k.Open("/r", sealed); err != nil || string(got) != "secret" {
		t.Errorf("%q %v", got, err)
	}
	key := sha256.Sum256([]byte("a root key for this test"))
	root := newRootKey(NewSecret(key[:]))
	id, err := hkdf.Key(sha256.New, key[:], nil, "postern root key id v1", 32)
	if err != nil || root.ID() != fmt.Sprintf("%x", id[:8]) {
		t.Errorf("id %s, want %x (%v)", root.ID(), id[:8], err)
	}
	store := &memory{m: map[string][]byte{
		"/postern/v1/seal/data-key/1": byHand(key[:], "postern seal data key v1\x00", "/postern/v1/seal/data-key/1", root.id[:], k.id[:], k.key.raw()),
	}}
	if got, err := keeper(t, root, store).Open("/r", byHand(k.key.raw(), "postern seal record v1\x00", "/r", root.id[:], k.id[:], []byte("x"))); err != nil || string(got) != "x" {
		t.Errorf("%q %v", got, err)
	}
}

func FuzzOpen(f *testing.F) {
	k := keeper(f, rootKey(f), &memory{})
	sealed, err := k.Seal("/r", []byte("secret"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed, "/r")
	f.Add([]byte{}, "")
	f.Add(sealed[:Overhead], "/r")
	f.Fuzz(func(t *testing.T, text []byte, record string) {
		got, err := k.Open(record, text)
		if err != nil {
			if !errors.Is(err, ErrOpen) && !errors.Is(err, ErrWrongRootKey) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if !bytes.Equal(text, sealed) || record != "/r" || string(got) != "secret" {
			t.Fatalf("%x opened for %q", text, record)
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	k := keeper(f, rootKey(f), &memory{})
	f.Add("/r", []byte("secret"), uint16(0))
	f.Add("한글", []byte{}, uint16(500))
	f.Fuzz(func(t *testing.T, record string, plaintext []byte, flip uint16) {
		sealed, err := k.Seal(record, plaintext)
		if record == "" {
			if err == nil {
				t.Fatal("sealed for no record")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Open(record, sealed)
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("%x, %v", got, err)
		}
		bit := int(flip) % (8 * len(sealed))
		sealed[bit/8] ^= 1 << (bit % 8)
		if _, err := k.Open(record, sealed); err == nil {
			t.Fatalf("bit %d changed, and it opens", bit)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k := keeper(b, rootKey(b), &memory{})
	plaintext := make([]byte, 1<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Seal("/r", plaintext); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	k := keeper(b, rootKey(b), &memory{})
	sealed, err := k.Seal("/r", make([]byte, 1<<10))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Open("/r", sealed); err != nil {
			b.Fatal(err)
		}
	}
}

// TestOutside: what the root key seals by itself opens under its name and no other, with that key and no
// other, and never as a record or the other way round.
func TestOutside(t *testing.T) {
	file := filepath.Join(t.TempDir(), "root.key")
	root, err := CreateKeyFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other, err := CreateKeyFile(filepath.Join(t.TempDir(), "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := root.Seal("a/b", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := root.Open("a/b", sealed); err != nil || string(got) != "secret" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := root.Open("a/c", sealed); !errors.Is(err, ErrOpen) {
		t.Errorf("under another name: %v", err)
	}
	if _, err := other.Open("a/b", sealed); !errors.Is(err, ErrWrongRootKey) {
		t.Errorf("with another key: %v", err)
	}
	if _, err := root.Seal("", nil); err == nil {
		t.Error("sealed without a name")
	}
	for i := range sealed {
		sealed[i] ^= 1
		if _, err := root.Open("a/b", sealed); err == nil {
			t.Errorf("opens with byte %d changed", i)
		}
		sealed[i] ^= 1
	}
	asDataKey := sealWith(root.key, purposeDataKey, root.id, root.id, "a/b", []byte("secret"))
	if _, err := root.Open("a/b", asDataKey); !errors.Is(err, ErrOpen) {
		t.Errorf("a data key opens as something outside: %v", err)
	}
}
