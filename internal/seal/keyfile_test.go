package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	if _, err := OpenKeyFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a file that is not there: %v", err)
	}
	made, err := CreateKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	read, err := OpenKeyFile(path)
	if err != nil || read.ID() != made.ID() || !read.key.Equal(made.key) {
		t.Fatalf("read %v, made %v, %v", read, made, err)
	}
	if _, err := CreateKeyFile(path); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("made over another: %v", err)
	}
	if again, err := OpenKeyFile(path); err != nil || again.ID() != made.ID() {
		t.Fatalf("the first is gone: %v", err)
	}
	other, err := CreateKeyFile(filepath.Join(t.TempDir(), "other.key"))
	if err != nil || other.ID() == made.ID() || other.key.Equal(made.key) {
		t.Fatalf("two root keys alike: %v", err)
	}
}

func TestKeyFilesThatAreRefused(t *testing.T) {
	good := encodeKeyFile(rootKey(t))
	lines := strings.SplitAfter(string(good), "\n")
	key := strings.TrimSuffix(strings.TrimPrefix(lines[3], "key "), "\n")
	short := base64.StdEncoding.EncodeToString(make([]byte, 16))
	for _, c := range []struct {
		name string
		make func(path string) error
		says string
	}{
		{"read by the group", func(p string) error { return os.WriteFile(p, good, 0o640) }, "chmod 600"},
		{"read by others", func(p string) error { return os.WriteFile(p, good, 0o604) }, "chmod 600"},
		{"written by the group", func(p string) error { return errors.Join(os.WriteFile(p, good, 0o600), os.Chmod(p, 0o620)) }, "chmod 600"},
		{"a link", func(p string) error {
			return errors.Join(os.WriteFile(p+".real", good, 0o600), os.Symlink(p+".real", p))
		}, "symbolic link"},
		{"a folder", func(p string) error { return os.Mkdir(p, 0o700) }, "regular file"},
		{"a pipe", func(p string) error { return syscall.Mkfifo(p, 0o600) }, "regular file"},
		{"empty", write(""), "not a root key file"},
		{"something else", write("-----BEGIN PRIVATE KEY-----\n"), "not a root key file"},
		{"too large", write(string(good) + strings.Repeat("#", maxKeyFile)), "bytes"},
		{"cut in the key", write(string(good[:len(good)-8])), "damaged"},
		{"cut before the key", write(lines[0] + lines[1] + lines[2]), "damaged"},
		{"without its last newline", write(string(good[:len(good)-1])), "damaged"},
		{"a line more", write(string(good) + "key " + key + "\n"), "damaged"},
		{"a newer version", write(lines[0] + "version 2\n" + lines[2] + lines[3]), "version 2"},
		{"a newer version of another form", write(lines[0] + "version 3\nwhatever"), "version 3"},
		{"no version", write(lines[0] + "version x\n" + lines[2] + lines[3]), "version cannot be read"},
		{"version zero", write(lines[0] + "version 0\n" + lines[2] + lines[3]), "version cannot be read"},
		{"another id", write(lines[0] + lines[1] + "id 0123456789abcdef\n" + lines[3]), "damaged"},
		{"a short key", write(lines[0] + lines[1] + lines[2] + "key " + short + "\n"), "damaged"},
		{"not base64", write(lines[0] + lines[1] + lines[2] + "key !" + key[1:] + "\n"), "damaged"},
		{"carriage returns", write(strings.ReplaceAll(string(good), "\n", "\r\n")), "not a root key file"},
		{"a carriage return in the key", write(lines[0] + lines[1] + lines[2] + "key " + key + "\r\n"), "damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "root.key")
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			k, err := OpenKeyFile(path)
			if err == nil {
				t.Fatalf("opened: %v", k)
			}
			if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), key[:8]) {
				t.Errorf("%v", err)
			}
		})
	}
}

func write(text string) func(string) error {
	return func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
}

func TestKeysDoNotShowThemselves(t *testing.T) {
	root := rootKey(t)
	k := keeper(t, root, &memory{})
	for _, shown := range []any{root, *root, k, *k, struct{ k *RootKey }{root}, struct{ k *Keeper }{k}, []*RootKey{root}, []*Keeper{k}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d", "%c"} {
			got := fmt.Sprintf(verb, shown)
			for _, key := range []Secret{root.key, k.key} {
				if shows(got, string(key.raw())) || strings.Contains(got, base64.StdEncoding.EncodeToString(key.raw())) {
					t.Errorf("%s of %T: %s", verb, shown, got)
				}
			}
		}
	}
}

func FuzzKeyFile(f *testing.F) {
	good := encodeKeyFile(rootKey(f))
	f.Add(good)
	f.Add([]byte("postern root key\nversion 2\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := parseKeyFile(text)
		if err == nil && !bytes.Equal(encodeKeyFile(k), text) {
			t.Fatalf("%q was read and is written as something else", text)
		}
		if err != nil && k != nil {
			t.Fatal("a key with an error")
		}
	})
}
