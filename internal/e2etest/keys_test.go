package e2etest

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// failing stands before the control listener and answers 503 to requests of one method and path while
// it is told to. The Host stays, so that signatures hold.
func failing(t *testing.T, control, method, path string) (endpoint string, fail *atomic.Bool) {
	t.Helper()
	target, err := url.Parse(control)
	if err != nil {
		t.Fatal(err)
	}
	fail = new(atomic.Bool)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fail.Load() && r.Method == method && strings.HasPrefix(r.URL.Path, path) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, fail
}

// TestKeysCreateGoesOn: whatever fails after the private key was made, the key stays, and the hint's own
// line goes on from there.
func TestKeysCreateGoesOn(t *testing.T) {
	p := Start(t, Config{})
	for name, failure := range map[string][2]string{
		"register": {http.MethodPost, "/2020-05-31/public-key"},
		"group":    {http.MethodPut, "/2020-05-31/key-group/"},
	} {
		t.Run(name, func(t *testing.T) {
			endpoint, fail := failing(t, p.URLs.Control, failure[0], failure[1])
			fail.Store(true)
			line := `AWS_ENDPOINT_URL="$0" exec "$1" keys create --name "$2" --type ecdsa --key-group postern`
			r := p.Exec("sh", "-c", line, endpoint, Program(t), name)
			if r.Code != 3 || !strings.Contains(r.Stderr, "postern: hint: ") {
				t.Fatalf("exit code %d, %s", r.Code, r.Stderr)
			}
			file := filepath.Join(p.Folder(), "keys", name+".pem")
			info, err := os.Stat(file)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Fatalf("the private key: %v, %v", info, err)
			}
			_, goOn, ok := strings.Cut(r.Stderr, "Go on with: postern ")
			if !ok {
				t.Fatalf("the hint does not say how to go on: %s", r.Stderr)
			}
			r = p.Exec("sh", "-c", `"$0" `+goOn, Program(t))
			if r.Code != 0 {
				t.Fatalf("going on: exit code %d, %s", r.Code, r.Stderr)
			}
			var lines []string
			for line := range strings.Lines(p.Must("keys", "list")) {
				if strings.Contains(line, " "+name+" ") {
					lines = append(lines, line)
				}
			}
			if len(lines) != 1 || !strings.Contains(lines[0], file) || !strings.Contains(lines[0], " postern ") {
				t.Errorf("the list has %q", lines)
			}
		})
	}
}

// TestKeysCreateAgain: what is registered and in its group already is left as it is.
func TestKeysCreateAgain(t *testing.T) {
	p := Start(t, Config{})
	for range 2 {
		out := p.Must("keys", "create", "--name", "mine", "--from", filepath.Join(p.Folder(), "keys", "ecdsa.pem"), "--key-group", "postern")
		if !strings.Contains(out, "key group    postern") {
			t.Errorf("%s", out)
		}
	}
	if list := p.Must("keys", "list"); strings.Count(list, "\n") != 2 {
		t.Errorf("a key was registered twice:\n%s", list)
	}
}

func TestKeysCreateRefuses(t *testing.T) {
	p := Start(t, Config{})
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--name", "x", "--key-group", "nobody"}, 2, "There are: postern."},
		{[]string{"--name", "rsa"}, 2, "there is a key file"},
		{[]string{"--name", "x", "--from", "none.pem"}, 3, "none.pem"},
		{[]string{"--name", "postern-rsa"}, 3, "PublicKeyAlreadyExists"},
	} {
		r := p.Command(append([]string{"keys", "create"}, c.args...)...)
		if r.Code != c.code || !strings.Contains(r.Stderr, c.want) {
			t.Errorf("%v: exit code %d, %s", c.args, r.Code, r.Stderr)
		}
	}
	if list := p.Must("keys", "list"); strings.Count(list, "\n") != 2 {
		t.Errorf("something was registered:\n%s", list)
	}
}

// TestExplainAsksTheEndpoint: a key that no group holds, a key that nobody knows, and a path that is
// altogether another object's are told apart with the running Postern's help.
func TestExplainAsksTheEndpoint(t *testing.T) {
	p := Start(t, Config{})
	url := p.Getenv("POSTERN_URL")
	created := p.Must("keys", "create", "--name", "alone", "--type", "ecdsa", "--output", "json")
	_, rest, _ := strings.Cut(created, `"keyPairId": "`)
	id, _, _ := strings.Cut(rest, `"`)
	link := p.Must("sign", url+"/uploads/sample-cost-report.pdf", "--expires-in", "1h",
		"--key", filepath.Join(p.Folder(), "keys", "alone.pem"), "--key-pair-id", id)
	if a := p.Get(link); a.StatusCode != 403 || !strings.Contains(string(a.Body), "InvalidKey") {
		t.Errorf("the edge: %s %s", a.Status, a.Body)
	}
	r := p.Command("explain", link)
	if r.Code != 1 || !strings.Contains(r.Stdout, "in no key group") {
		t.Errorf("a key without a group: exit code %d, %s", r.Code, r.Stdout)
	}
	r = p.Command("verify", link)
	if r.Code != 1 || !strings.Contains(r.Stdout, "InvalidKey") || !strings.Contains(r.Stderr, "in no key group") {
		t.Errorf("verify: exit code %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	r = p.Command("explain", strings.Replace(link, id, "K2JCJMDEHXQW5F", 1))
	if r.Code != 1 || !strings.Contains(r.Stdout, "K2JCJMDEHXQW5F") {
		t.Errorf("an unknown key: exit code %d, %s", r.Code, r.Stdout)
	}
	link, plain := p.Links()
	other := strings.Replace(link, plain, url+"/quite/another/thing.txt", 1)
	r = p.Command("explain", other)
	if r.Code != 1 || !strings.Contains(r.Stdout, "/uploads/sample-cost-report.pdf") {
		t.Errorf("another path: exit code %d, %s", r.Code, r.Stdout)
	}
	if strings.Contains(p.Stderr.String(), "Signature=") {
		t.Error("the log holds a signature")
	}
}
