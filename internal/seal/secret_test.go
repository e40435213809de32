package seal

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
)

// shows says whether a text gives the secret away in any form a formatter might have.
func shows(text, secret string) bool {
	lower := strings.ToLower(text)
	decimal := strings.Trim(fmt.Sprint([]byte(secret)), "[]")
	return strings.Contains(text, secret) ||
		strings.Contains(lower, hex.EncodeToString([]byte(secret))) ||
		strings.Contains(text, decimal) ||
		strings.Contains(strings.ReplaceAll(text, ", ", " "), decimal)
}

func TestSecretDoesNotShowItself(t *testing.T) {
	const plain = "hunter2-hunter2"
	s := NewSecret([]byte(plain))
	type holder struct {
		S Secret
		P *Secret
		u Secret // fmt cannot call methods on this one
	}
	h := holder{s, &s, s}
	shown := map[string]any{
		"itself": s, "a pointer": &s, "in a struct": h, "in a pointer": &h, "in a slice": []Secret{s},
		"in a map": map[string]Secret{"k": s}, "as any": any(s), "in any": []any{s},
		"in an error": fmt.Errorf("failed with %v", s), "in a nested struct": struct{ H holder }{h},
	}
	for name, v := range shown {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "% x", "%q", "%d", "%o", "%b", "%c", "%U", "%e", "%t", "%p", "%200v", "%-5s|"} {
			if got := fmt.Sprintf(verb, v); shows(got, plain) {
				t.Errorf("%s with %s: %s", name, verb, got)
			}
		}
		if text, err := json.Marshal(v); err == nil && shows(string(text), plain) {
			t.Errorf("%s as JSON: %s", name, text)
		}
		if text, err := xml.Marshal(v); err == nil && shows(string(text), plain) {
			t.Errorf("%s as XML: %s", name, text)
		}
		var b bytes.Buffer
		if err := gob.NewEncoder(&b).Encode(v); err == nil && shows(b.String(), plain) {
			t.Errorf("%s as gob: %q", name, b.String())
		}
		for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
			slog.New(h).Info("m", "a", v, slog.Group("g", "b", v))
		}
		if shows(b.String(), plain) {
			t.Errorf("%s in a log: %s", name, b.String())
		}
	}
	for _, got := range []string{s.String(), s.GoString(), fmt.Sprint(s), fmt.Sprintf("%x", s), fmt.Sprintf("%d", &s)} {
		if got != redacted {
			t.Errorf("%q", got)
		}
	}
	if text, err := json.Marshal(struct{ S Secret }{s}); err != nil || string(text) != `{"S":"[redacted]"}` {
		t.Errorf("%s %v", text, err)
	}
}

func TestSecretIsNotReadBack(t *testing.T) {
	s := NewSecret([]byte("x"))
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Secret
	if err := json.Unmarshal(text, &back); err == nil || back.Len() != 0 {
		t.Errorf("%v, %d bytes", err, back.Len())
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(s); err != nil {
		t.Fatal(err)
	}
	if err := gob.NewDecoder(&b).Decode(&back); err == nil || back.Len() != 0 {
		t.Errorf("%v, %d bytes", err, back.Len())
	}
}

func TestSecretBytes(t *testing.T) {
	b := []byte("secret")
	s := NewSecret(b)
	b[0] = 'X'
	got := s.Bytes()
	if string(got) != "secret" || s.Len() != 6 {
		t.Fatalf("it changed with what it was made of: %q", got)
	}
	got[0] = 'X'
	if string(s.Bytes()) != "secret" {
		t.Fatal("it changed with what it gave away")
	}
	if (Secret{}).Bytes() != nil || NewSecret(nil).Len() != 0 {
		t.Fatal("the empty secret has bytes")
	}
}

func TestSecretEqual(t *testing.T) {
	a := NewSecret([]byte("a"))
	for _, c := range []struct {
		name string
		s, t Secret
		want bool
	}{
		{"itself", a, a, true},
		{"the same bytes", a, NewSecret([]byte("a")), true},
		{"others", a, NewSecret([]byte("b")), false},
		{"longer", a, NewSecret([]byte("aa")), false},
		{"nothing", a, Secret{}, false},
		{"nothing and nothing", Secret{}, Secret{}, false},
		{"nothing and an empty one", Secret{}, NewSecret([]byte{}), false},
	} {
		if c.s.Equal(c.t) != c.want || c.t.Equal(c.s) != c.want {
			t.Errorf("%s: %v", c.name, c.s.Equal(c.t))
		}
	}
	if reflect.TypeFor[Secret]().Comparable() {
		t.Error("secrets can be compared by ==")
	}
}
