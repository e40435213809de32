package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"postern/internal/durable"
)

// RootKey seals the data-sealing keys of stores. Losing it loses every secret in them; whoever has it
// and a store has the store's secrets. It does not show itself in any format.
type RootKey struct {
	id  keyID
	key Secret
}

// Seal seals, under the root key itself, a secret that must be readable without the store, such as a field
// of a file beside it. name plays the part of a record's key and must not be empty.
func (k *RootKey) Seal(name string, plaintext []byte) ([]byte, error) {
	if name == "" {
		return nil, errors.New("sealing under the root key: the text has no name")
	}
	return sealWith(k.key, purposeOutside, k.id, k.id, name, plaintext), nil
}

// Open opens what Seal sealed under the same name. Errors are [ErrWrongRootKey] and [ErrOpen].
func (k *RootKey) Open(name string, sealed []byte) ([]byte, error) {
	h, err := parseHeader(sealed)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	if h.root != k.id {
		return nil, fmt.Errorf("opening %s: %w: it was sealed under %s, and this one is %s", name, ErrWrongRootKey, h.root, k.id)
	}
	plaintext, err := openWith(k.key, purposeOutside, name, sealed)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	return plaintext, nil
}

// ID names the root key without saying anything about it: 16 hexadecimal digits.
func (k *RootKey) ID() string { return k.id.String() }

// String names the key.
func (k *RootKey) String() string { return "[root key " + k.ID() + "]" }

func newRootKey(key Secret) *RootKey {
	return &RootKey{id: keyID(derive(key, nil, "postern root key id v1")[:idSize]), key: key}
}

// The root key file is text, four lines of it, and nothing else:
//
//	postern root key
//	version 1
//	id <16 hexadecimal digits>
//	key <32 bytes in base64, RFC 4648 section 4>
//
// The id follows from the key, so that a key that was mistyped or cut is seen at once.
const (
	keyFileTitle   = "postern root key"
	keyFileVersion = 1
	// maxKeyFile is more than a root key file of any version will have.
	maxKeyFile = 4096
)

func encodeKeyFile(k *RootKey) []byte {
	return fmt.Appendf(nil, "%s\nversion %d\nid %s\nkey %s\n", keyFileTitle, keyFileVersion, k.id, base64.StdEncoding.EncodeToString(k.key.raw()))
}

// parseKeyFile reads the text of a root key file. Its errors never quote the text.
func parseKeyFile(text []byte) (*RootKey, error) {
	lines := strings.Split(string(text), "\n")
	if lines[0] != keyFileTitle || len(lines) < 2 {
		return nil, errors.New("it is not a root key file: restore it from the copy you keep")
	}
	number, ok := strings.CutPrefix(lines[1], "version ")
	version, err := strconv.Atoi(number)
	if !ok || err != nil || version < 1 {
		return nil, errors.New("its version cannot be read: restore it from the copy you keep")
	}
	if version != keyFileVersion {
		return nil, fmt.Errorf("it has version %d, and this Postern knows version %d: use a newer Postern", version, keyFileVersion)
	}
	damaged := errors.New("it is damaged: restore it from the copy you keep")
	if len(lines) != 5 || lines[4] != "" {
		return nil, damaged
	}
	encoded, ok := strings.CutPrefix(lines[3], "key ")
	if !ok {
		return nil, damaged
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(key) != keySize {
		return nil, damaged
	}
	k := newRootKey(NewSecret(key))
	// The id must be the key's; and the decoder skips carriage returns, but one file has one text.
	if !bytes.Equal(encodeKeyFile(k), text) {
		return nil, damaged
	}
	return k, nil
}

// OpenKeyFile reads a root key file. It refuses a file that anybody but its owner can read or write, a
// symbolic link, and everything that is not a whole root key file of a version it knows; the error says
// what to do. If there is no file the error wraps fs.ErrNotExist.
func OpenKeyFile(path string) (*RootKey, error) {
	k, err := readKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("opening the root key file %s: %w", path, err)
	}
	return k, nil
}

func readKeyFile(path string) (*RootKey, error) {
	// Not through a link that somebody may turn, and without waiting for the other end of a pipe.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, errors.New("it is a symbolic link: put the file itself there, or name the file it leads to")
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return nil, pathError.Err // the path is in the message already
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of what was opened, not of what is at the path now
	if err != nil {
		return nil, err
	}
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return nil, errors.New("it is not a regular file: put a root key file there")
	case mode.Perm()&0o077 != 0:
		return nil, fmt.Errorf("others than its owner can use it (mode %#o): if nobody has, run chmod 600 on it", mode.Perm())
	case info.Size() > maxKeyFile:
		return nil, fmt.Errorf("it has %d bytes, which no root key file has: restore it from the copy you keep", info.Size())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, err
	}
	return parseKeyFile(text)
}

// CreateKeyFile makes a random root key and a file (0600) for it, durably. If there is anything at path
// it stays, and the error wraps fs.ErrExist.
func CreateKeyFile(path string) (*RootKey, error) {
	key := make([]byte, keySize)
	rand.Read(key) // never fails: crypto/rand ends the process first
	k := newRootKey(NewSecret(key))
	if err := durable.CreateFile(path, encodeKeyFile(k), 0o600); err != nil {
		return nil, fmt.Errorf("making the root key file: %w", err)
	}
	return k, nil
}
