// Package awsapitest holds a service's table against strangers: for its tests only.
package awsapitest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/internal/awsapi"
	"postern/internal/policy"
	"postern/internal/seal"
	"postern/internal/sigv4"
)

const region = "us-east-1"

// stranger is the root of an account that owns nothing.
const strangerAccount = "999999999999"

type oneKey struct {
	id         string
	credential awsapi.Credential
}

func (k oneKey) Lookup(_ context.Context, id string) (awsapi.Credential, error) {
	if id != k.id {
		return awsapi.Credential{}, fmt.Errorf("looking %s up: %w", id, awsapi.ErrUnknownKey)
	}
	return k.credential, nil
}

// Strangers calls every operation of s, whose engine decides with a real guard, as four strangers: with
// a key nobody has, with a key and a wrong signature, without a signature, and as the rightly signed
// owner of another account (999999999999, which must not be the engine's). Each must be refused with 403 and
// an error of authentication or AccessDenied: before the engine looks at what exists, and whatever it
// thinks of the input.
func Strangers(t *testing.T, s awsapi.Service) {
	t.Helper()
	if len(s.Operations) == 0 {
		t.Fatalf("the table of %s is empty", s.Name)
	}
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	key := sigv4.Credentials{AccessKeyID: "AKIASTRANGER", Secret: []byte(rand.Text())}
	h, err := awsapi.New(awsapi.Config{Services: []awsapi.Service{s}, Region: region, Account: "111111111111",
		Credentials: oneKey{key.AccessKeyID, awsapi.Credential{Secret: seal.NewSecret(key.Secret),
			Caller: policy.Caller{Kind: policy.Root, ARN: policy.RootARN(strangerAccount), Account: strangerAccount}}},
		Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	unknown, wrong := key, key
	unknown.AccessKeyID = "AKIANOBODY"
	wrong.Secret = []byte(rand.Text())
	for _, op := range s.Describe() {
		for _, who := range []struct {
			name  string
			key   *sigv4.Credentials
			codes string
		}{
			{"unknown key", &unknown, "InvalidAccessKeyId InvalidClientTokenId UnrecognizedClientException"},
			{"wrong signature", &wrong, "SignatureDoesNotMatch InvalidSignatureException"},
			{"no signature", nil, "AccessDenied MissingAuthenticationToken MissingAuthenticationTokenException"},
			{"another account", &key, "AccessDenied AccessDeniedException"},
		} {
			t.Run(op.Operation+"/"+who.name, func(t *testing.T) {
				r := request(op)
				if who.key != nil {
					sum := sha256.Sum256(op.Document)
					if err := sigv4.Sign(r, *who.key, region, s.Name, hex.EncodeToString(sum[:]), now); err != nil {
						t.Fatal(err)
					}
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != http.StatusForbidden {
					t.Fatalf("%s %s answered %d, want 403: %s", op.Method, r.RequestURI, w.Code, w.Body)
				}
				if op.Method == http.MethodHead {
					return
				}
				code := codeIn.FindStringSubmatch(w.Body.String())
				if code == nil || !strings.Contains(" "+who.codes+" ", " "+code[1]+" ") {
					t.Fatalf("%s %s is refused with %s, want one of: %s", op.Method, r.RequestURI, w.Body, who.codes)
				}
			})
		}
	}
}

var (
	label  = regexp.MustCompile(`\{[^}]*\}`)
	codeIn = regexp.MustCompile(`(?:<Code>|"__type":")([A-Za-z]+)`)
)

// request is a smallest request that the operation takes.
func request(op awsapi.Description) *http.Request {
	target := label.ReplaceAllString(op.Path, "stranger-label")
	for i, q := range op.Query {
		separator := "&"
		if i == 0 {
			separator = "?"
		}
		if !strings.Contains(q, "=") {
			q += "=1"
		}
		target += separator + q
	}
	r := httptest.NewRequest(op.Method, target, bytes.NewReader(op.Document))
	for _, name := range op.Header {
		r.Header.Set(name, "stranger-label/stranger-label")
	}
	return r
}
