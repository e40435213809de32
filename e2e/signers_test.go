//go:build e2e

package e2e

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	awssign "github.com/aws/aws-sdk-go-v2/feature/cloudfront/sign"

	"postern/signed"
)

const keyPairID = "K2EXAMPLE0SIGN"

// pair is a fresh key pair, in memory and as the files that AWS's tools read.
type pair struct {
	private crypto.Signer
	pem     []byte // PKCS#1 or SEC 1
	file    string
	spki    []byte
	key     *signed.Key
}

func newPair(t *testing.T, private crypto.Signer) pair {
	t.Helper()
	text, err := signed.EncodePrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := signed.EncodePublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	key, err := signed.NewKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "private.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return pair{private, text, file, spki, key}
}

func newRSA(t *testing.T) pair {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return newPair(t, key)
}

func newECDSA(t *testing.T) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newPair(t, key)
}

func (p pair) verifier() *signed.Verifier {
	return &signed.Verifier{Keys: func(id string) (*signed.Key, bool) { return p.key, id == keyPairID }}
}

// run runs a tool with no configuration but what it is given, feeds it in, and returns its output.
func run(t *testing.T, in []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	home := t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "AWS_CONFIG_FILE=" + home + "/none",
		"AWS_SHARED_CREDENTIALS_FILE=" + home + "/none", "AWS_EC2_METADATA_DISABLED=true", "LANG=C.UTF-8"}
	if root := os.Getenv("PYENV_ROOT"); root != "" {
		cmd.Env = append(cmd.Env, "PYENV_ROOT="+root)
	}
	cmd.Stdin = bytes.NewReader(in)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, stderr.Bytes())
	}
	return stdout.Bytes()
}

func runJSON(t *testing.T, in any, out any, name string, args ...string) {
	t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(run(t, text, name, args...), out); err != nil {
		t.Fatalf("%s: reading its answer: %v", name, err)
	}
}

var (
	viewer   = netip.MustParseAddr("192.0.2.10")
	stranger = netip.MustParseAddr("198.51.100.7")
)

// urls are what signers in the field are given; every one must open, and nothing beside it.
var urls = []string{
	"https://d111111abcdef8.cloudfront.net/report.pdf",
	"http://127.0.0.1:8080/uploads/report.pdf",
	"https://d111111abcdef8.cloudfront.net/a/b/c?size=large&v=2",
	"https://d111111abcdef8.cloudfront.net/%EB%B9%84%EC%9A%A9%20%EB%B3%B4%EA%B3%A0%EC%84%9C.pdf",
	"https://d111111abcdef8.cloudfront.net/a+b%20c.pdf?name=x%26y",
	"https://d111111abcdef8.cloudfront.net/",
}

// opens fails unless the URL opens for the viewer now, and is refused later, on another path, and with its
// query changed.
func opens(t *testing.T, v *signed.Verifier, url string, until time.Time) signed.Grant {
	t.Helper()
	r := signed.Request{URL: url, ViewerIP: viewer, Time: until.Add(-time.Minute)}
	grant, err := v.Verify(r)
	if err != nil {
		t.Fatalf("a fresh link is refused: %v", err)
	}
	for name, spoil := range map[string]func(signed.Request) signed.Request{
		"a second after its end": func(r signed.Request) signed.Request { r.Time = until.Add(time.Second); return r },
		"on another path": func(r signed.Request) signed.Request {
			path, query, _ := strings.Cut(r.URL, "?")
			r.URL = path + "x?" + query
			return r
		},
		"under another host": func(r signed.Request) signed.Request {
			r.URL = strings.Replace(r.URL, "://", "://x", 1)
			return r
		},
		"with one more parameter": func(r signed.Request) signed.Request { r.URL += "&more=1"; return r },
	} {
		if _, err := v.Verify(spoil(r)); err == nil {
			t.Errorf("opens %s", name)
		}
	}
	return grant
}

// TestAWSCLISigns: what `aws cloudfront sign` prints opens, and is byte for byte what we print.
func TestAWSCLISigns(t *testing.T) {
	p := newRSA(t)
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	for _, url := range urls {
		out := strings.TrimSpace(string(run(t, nil, "aws", "cloudfront", "sign", "--url", url, "--key-pair-id", keyPairID,
			"--private-key", "file://"+p.file, "--date-less-than", until.Format(time.RFC3339))))
		opens(t, p.verifier(), out, until)
		ours, err := (&signed.Signer{KeyPairID: keyPairID, Key: p.private, Hash: signed.SHA1}).SignURL(url, until)
		if err != nil {
			t.Fatal(err)
		}
		if ours != out {
			t.Errorf("for %s we print other bytes than the AWS CLI", url)
		}
	}
}

// TestBotocoreSigns: canned and custom, with a start and an address.
func TestBotocoreSigns(t *testing.T) {
	p := newRSA(t)
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	start := until.Add(-2 * time.Hour)
	type signCase struct {
		URL      string  `json:"url"`
		Resource string  `json:"resource,omitempty"`
		Until    int64   `json:"dateLessThan"`
		From     *int64  `json:"dateGreaterThan"`
		IP       *string `json:"ipAddress"`
		Custom   bool    `json:"custom"`
	}
	var cases []signCase
	from, ip := start.Unix(), "192.0.2.0/24"
	for _, url := range urls {
		cases = append(cases, signCase{URL: url, Until: until.Unix()},
			signCase{URL: url, Until: until.Unix(), From: &from, IP: &ip, Custom: true})
	}
	var got []string
	runJSON(t, map[string]any{"key": p.file, "keyPairId": keyPairID, "cases": cases}, &got, "python3", "py/sign.py")
	if len(got) != len(cases) {
		t.Fatalf("%d answers for %d cases", len(got), len(cases))
	}
	for i, c := range cases {
		grant := opens(t, p.verifier(), got[i], until)
		if grant.Canned == c.Custom {
			t.Errorf("case %d: canned %v", i, grant.Canned)
		}
		if !c.Custom {
			continue
		}
		if _, err := p.verifier().Verify(signed.Request{URL: got[i], ViewerIP: stranger, Time: until.Add(-time.Minute)}); err == nil {
			t.Errorf("case %d opens for a stranger's address", i)
		}
		if _, err := p.verifier().Verify(signed.Request{URL: got[i], ViewerIP: viewer, Time: start}); err == nil {
			t.Errorf("case %d opens at its very start", i)
		}
	}
}

// TestGoSDKSigns: URLs and cookies of aws-sdk-go-v2's signer, and the same bytes from ours.
func TestGoSDKSigns(t *testing.T) {
	p := newRSA(t)
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	private := p.private.(*rsa.PrivateKey)
	for _, url := range urls {
		theirs, err := awssign.NewURLSigner(keyPairID, private).Sign(url, until)
		if err != nil {
			t.Fatal(err)
		}
		opens(t, p.verifier(), theirs, until)
		ours, err := (&signed.Signer{KeyPairID: keyPairID, Key: private, Hash: signed.SHA1}).SignURL(url, until)
		if err != nil {
			t.Fatal(err)
		}
		if ours != theirs {
			t.Errorf("for %s we print other bytes than aws-sdk-go-v2", url)
		}
	}
	cookies, err := awssign.NewCookieSigner(keyPairID, private).Sign("http*://*.cloudfront.net/videos/*", until)
	if err != nil {
		t.Fatal(err)
	}
	cookieOpens(t, p, cookies, "https://d111111abcdef8.cloudfront.net/videos/1/seg0.ts", until)
	if _, err := p.verifier().Verify(cookieRequest(cookies, "https://d111111abcdef8.cloudfront.net/other/1", until)); err == nil {
		t.Error("the cookies open another folder")
	}
}

func cookieRequest(cookies []*http.Cookie, url string, until time.Time) signed.Request {
	var header []string
	for _, c := range cookies {
		header = append(header, c.Name+"="+c.Value)
	}
	return signed.Request{URL: url, Cookies: []string{"theme=dark; " + strings.Join(header, "; ")}, ViewerIP: viewer, Time: until.Add(-time.Minute)}
}

func cookieOpens(t *testing.T, p pair, cookies []*http.Cookie, url string, until time.Time) {
	t.Helper()
	grant, err := p.verifier().Verify(cookieRequest(cookies, url, until))
	if err != nil {
		t.Fatalf("fresh cookies are refused: %v", err)
	}
	if grant.Form != signed.FormCookies {
		t.Errorf("form %v", grant.Form)
	}
	r := cookieRequest(cookies, url, until)
	r.Time = until.Add(time.Second)
	if _, err := p.verifier().Verify(r); err == nil {
		t.Error("the cookies open after their end")
	}
}

// TestJavaScriptSDKSigns: @aws-sdk/cloudfront-signer, RSA with both hashes and ECDSA.
func TestJavaScriptSDKSigns(t *testing.T) {
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	for name, c := range map[string]struct {
		p         pair
		algorithm string
	}{
		"RSA SHA-1":     {newRSA(t), "RSA-SHA1"},
		"RSA SHA-256":   {newRSA(t), "RSA-SHA256"},
		"ECDSA SHA-1":   {newECDSA(t), "RSA-SHA1"},
		"ECDSA SHA-256": {newECDSA(t), "RSA-SHA256"},
	} {
		t.Run(name, func(t *testing.T) {
			type signCase struct {
				Kind      string `json:"kind"`
				URL       string `json:"url"`
				Until     string `json:"dateLessThan"`
				From      string `json:"dateGreaterThan,omitempty"`
				IP        string `json:"ipAddress,omitempty"`
				Algorithm string `json:"algorithm"`
			}
			var cases []signCase
			for _, url := range urls {
				cases = append(cases,
					signCase{Kind: "url", URL: url, Until: until.Format(time.RFC3339), Algorithm: c.algorithm},
					signCase{Kind: "url", URL: url, Until: until.Format(time.RFC3339), From: until.Add(-2 * time.Hour).Format(time.RFC3339), IP: "192.0.2.0/24", Algorithm: c.algorithm})
			}
			var got []string
			runJSON(t, map[string]any{"key": string(c.p.pem), "keyPairId": keyPairID, "cases": cases}, &got, "node", "--no-warnings", "js/sign.mjs")
			for i := range cases {
				opens(t, c.p.verifier(), got[i], until)
			}
			var cookies []map[string]any // the signer leaves CloudFront-Expires a number
			runJSON(t, map[string]any{"key": string(c.p.pem), "keyPairId": keyPairID, "cases": []signCase{
				{Kind: "cookies", URL: urls[0], Until: until.Format(time.RFC3339), Algorithm: c.algorithm}}},
				&cookies, "node", "--no-warnings", "js/sign.mjs")
			var list []*http.Cookie
			for n, v := range cookies[0] {
				if epoch, ok := v.(float64); ok {
					v = strconv.FormatInt(int64(epoch), 10)
				}
				list = append(list, &http.Cookie{Name: n, Value: v.(string)})
			}
			cookieOpens(t, c.p, list, urls[0], until)
		})
	}
}

// TestOthersVerifyOurs: signatures of ours hold before Node's crypto and openssl, which share no code with it.
func TestOthersVerifyOurs(t *testing.T) {
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	for name, c := range map[string]struct {
		p    pair
		hash signed.Hash
	}{
		"RSA SHA-1": {newRSA(t), signed.SHA1}, "RSA SHA-256": {newRSA(t), signed.SHA256},
		"ECDSA SHA-1": {newECDSA(t), signed.SHA1}, "ECDSA SHA-256": {newECDSA(t), signed.SHA256},
	} {
		t.Run(name, func(t *testing.T) {
			signer := &signed.Signer{KeyPairID: keyPairID, Key: c.p.private, Hash: c.hash, AllowLegacyECDSASHA1: true}
			policy, err := signed.CannedPolicy(urls[0], until)
			if err != nil {
				t.Fatal(err)
			}
			signature, err := signer.SignPolicy(policy)
			if err != nil {
				t.Fatal(err)
			}
			nodeHash := map[signed.Hash]string{signed.SHA1: "sha1", signed.SHA256: "sha256"}[c.hash]
			var ok []bool
			runJSON(t, map[string]any{"key": string(c.p.spki), "cases": []map[string]string{{
				"policy": base64.StdEncoding.EncodeToString(policy), "signature": base64.StdEncoding.EncodeToString(signature), "hash": nodeHash,
			}, {
				"policy": base64.StdEncoding.EncodeToString(append(policy, ' ')), "signature": base64.StdEncoding.EncodeToString(signature), "hash": nodeHash,
			}}}, &ok, "node", "--no-warnings", "js/verify.mjs")
			if len(ok) != 2 || !ok[0] || ok[1] {
				t.Errorf("Node says %v, want true for the policy and false for another", ok)
			}
			dir := t.TempDir()
			for file, data := range map[string][]byte{"policy": policy, "signature": signature, "public.pem": c.p.spki} {
				if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			out := run(t, nil, "openssl", "dgst", "-"+nodeHash, "-verify", dir+"/public.pem", "-signature", dir+"/signature", dir+"/policy")
			if !strings.Contains(string(out), "Verified OK") {
				t.Errorf("openssl says %s", out)
			}
		})
	}
}
