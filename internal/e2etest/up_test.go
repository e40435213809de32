package e2etest

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/internal/awsclient"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

const missingKey = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>MissingKey</Code><Message>Missing Key-Pair-Id query parameter or cookie value</Message></Error>`

// mustOpen checks the promise of the first start: the link opens, and the same without its signature
// does not.
func mustOpen(t *testing.T, p *Postern) {
	t.Helper()
	link, plain := p.Links()
	if plain != strings.SplitN(link, "?", 2)[0] {
		t.Errorf("the second link is not the first without its signature")
	}
	if a := p.Get(link); a.StatusCode != 200 || !bytes.HasPrefix(a.Body, []byte("%PDF-")) || a.Header.Get("Content-Type") != "application/pdf" {
		t.Errorf("the signed link: %s, %s, %d bytes", a.Status, a.Header.Get("Content-Type"), len(a.Body))
	}
	a := p.Get(plain)
	if a.StatusCode != 403 || string(a.Body) != missingKey || len(a.Body) != 146 || a.ContentLength != 146 {
		t.Errorf("the link without its signature: %s, %q", a.Status, a.Body)
	}
}

func TestFirstStart(t *testing.T) {
	p := Start(t, Config{})
	mustOpen(t, p)
	if a := p.Get(p.URLs.Public + "/public/hello.txt"); a.StatusCode != 200 {
		t.Errorf("the public object: %s", a.Status)
	}
	if a := p.Get(p.URLs.Control + "/_postern/health"); a.StatusCode != 200 || !bytes.Contains(a.Body, []byte(`"status": "ok"`)) {
		t.Errorf("health: %s %s", a.Status, a.Body)
	}
	if a := p.Get(p.URLs.Control + "/_postern/metrics"); a.StatusCode != 200 || !bytes.Contains(a.Body, []byte(`refusal="MissingKey"`)) {
		t.Errorf("metrics: %s", a.Status)
	}
	bucket := p.Getenv("POSTERN_BUCKET")
	if a := p.Get(p.URLs.Control + "/" + bucket + "/uploads/sample-cost-report.pdf"); a.StatusCode != 403 || !bytes.Contains(a.Body, []byte("<Code>AccessDenied</Code>")) {
		t.Errorf("the bucket, unsigned: %s %s", a.Status, a.Body)
	}
	if strings.Contains(p.Stderr.String(), "Signature=") {
		t.Error("the log holds a signature")
	}
}

// TestPrivate: nothing in the data folder is for others, but what is public anyway.
func TestPrivate(t *testing.T) {
	p := Start(t, Config{})
	public := []string{"ca.pem"}
	var seen int
	err := filepath.WalkDir(p.Folder(), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		seen++
		want := fs.FileMode(0o600)
		switch {
		case d.IsDir():
			want = 0o700
		case slices.Contains(public, d.Name()):
			want = 0o644
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o, want %04o", name, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil || seen < 10 {
		t.Fatalf("walked over %d files: %v", seen, err)
	}
	// No private key and no secret outside the files that are for them.
	secret := p.Getenv("AWS_SECRET_ACCESS_KEY")
	p.Stop()
	_ = filepath.WalkDir(p.Folder(), func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "env.json" {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		}
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("%s holds the secret access key in clear", name)
		}
		return nil
	})
	if strings.Contains(p.Stderr.String()+p.Stdout.String(), secret) {
		t.Error("the program printed the secret access key")
	}
}

// TestLoopbackOnly: without being told otherwise, no socket of the process is open to other machines,
// and there are no more sockets than the three that are documented.
func TestLoopbackOnly(t *testing.T) {
	p := Start(t, Config{})
	sockets := p.Listening()
	if len(sockets) != 3 {
		t.Errorf("the process listens on %v, want three addresses", sockets)
	}
	for _, s := range sockets {
		if !s.IP.IsLoopback() {
			t.Errorf("the process listens on %v", s)
		}
	}
}

func TestRoles(t *testing.T) {
	for _, c := range []struct {
		role            string
		public, control bool
	}{{"edge", true, false}, {"control", false, true}} {
		t.Run(c.role, func(t *testing.T) {
			p := Start(t, Config{Args: []string{"--role", c.role}})
			if (p.URLs.Public != "") != c.public || (p.URLs.PublicTLS != "") != c.public || (p.URLs.Control != "") != c.control {
				t.Errorf("listeners: %+v", p.Listeners)
			}
			if c.public {
				mustOpen(t, p)
			}
		})
	}
}

func TestSecondUp(t *testing.T) {
	p := Start(t, Config{})
	r := p.Command("up", "--data", p.Folder(), "--listen-public", "127.0.0.1:0", "--listen-public-tls", "", "--listen-control", "")
	if r.Code != 4 || !strings.Contains(r.Stderr, "process "+strconv.Itoa(p.PID)) || !strings.Contains(r.Stderr, "postern: hint: ") {
		t.Errorf("a second up: exit code %d, %s", r.Code, r.Stderr)
	}
	mustOpen(t, p)
}

func TestAddressInUse(t *testing.T) {
	p := Start(t, Config{})
	other := filepath.Join(t.TempDir(), "other")
	r := p.Command("up", "--data", other, "--listen-public", p.Listeners.Public)
	if r.Code != 3 || !strings.Contains(r.Stderr, "another program listens on "+p.Listeners.Public) {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
}

// TestKillDuringFirstStart kills the first start at each of its steps; the next start completes it.
func TestKillDuringFirstStart(t *testing.T) {
	exists := func(name string) func(string) bool {
		return func(data string) bool { _, err := os.Stat(filepath.Join(data, name)); return err == nil }
	}
	audited := func(event string) func(string) bool {
		return func(data string) bool {
			text, _ := os.ReadFile(filepath.Join(data, "audit", "audit.jsonl"))
			return bytes.Contains(text, []byte(`"`+event+`"`))
		}
	}
	for _, step := range []struct {
		name string
		at   func(data string) bool
	}{
		{"folder", exists(".")},
		{"lock", exists("up.lock")},
		{"root key", exists("root.key")},
		{"store", exists("store")},
		{"ECDSA key", exists("keys/ecdsa.pem")},
		{"RSA key", exists("keys/rsa.pem")},
		{"objects", exists("objects")},
		{"bucket", audited("CreateBucket")},
		{"object", audited("PutObject")},
		{"public key", audited("CreatePublicKey")},
		{"key group", audited("CreateKeyGroup")},
		{"control", audited("CreateOriginAccessControl")},
		{"distribution", audited("CreateDistribution")},
		{"certificate", exists("ca.pem")},
		{"environment", exists("env.json")},
	} {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			p := New(t, Config{})
			p.Launch()
			if !p.Until(func() bool { return step.at(p.Folder()) }) {
				t.Fatalf("the step was never reached\n%s", p.Stderr)
			}
			p.Kill()
			p.Restart()
			mustOpen(t, p)
			var keys, groups int
			list := p.Must("keys", "list")
			for line := range strings.Lines(list) {
				if strings.Contains(line, "keys/rsa.pem") || strings.Contains(line, "keys/ecdsa.pem") {
					keys++
					if strings.Contains(line, " postern ") {
						groups++
					}
				}
			}
			if keys != 2 || groups != 2 || strings.Count(list, "\n") != 2 {
				t.Errorf("the keys are not two, in one group, with their files:\n%s", list)
			}
		})
	}
}

// TestKillKeepsEverything: what was acknowledged is there after kill -9.
func TestKillKeepsEverything(t *testing.T) {
	p := Start(t, Config{})
	link, _ := p.Links()
	before := p.Env()
	created := p.Must("keys", "create", "--name", "spring", "--type", "ecdsa", "--key-group", "postern", "--output", "json")
	p.Kill()
	p.Restart()
	if a := p.Get(link); a.StatusCode != 200 {
		t.Errorf("the link of the first start after kill -9: %s", a.Status)
	}
	if after := p.Env(); !slices.Equal(after, before) {
		t.Errorf("the environment changed:\n%q\n%q", before, after)
	}
	if list := p.Must("keys", "list"); !strings.Contains(list, "spring") {
		t.Errorf("the key %s is gone: %s", created, list)
	}
	if strings.Contains(p.Stdout.String(), "for the first time") {
		t.Error("the second start says that it is the first")
	}
	if _, err := os.Stat(filepath.Join(p.Folder(), "keys", "spring.pem")); err != nil {
		t.Error(err)
	}
}

func TestStop(t *testing.T) {
	p := Start(t, Config{})
	p.Stop()
	if _, err := os.Stat(p.readyFile()); !os.IsNotExist(err) {
		t.Errorf("the ready file is still there: %v", err)
	}
	r := p.Command("env", "--data", p.Folder())
	if r.Code != 0 || !strings.Contains(r.Stderr, "no postern is running") {
		t.Errorf("env after the stop: exit code %d, %s", r.Code, r.Stderr)
	}
}

// TestRemovedKeyIsDead: when the removal of a key from its group has been acknowledged, its links are dead.
func TestRemovedKeyIsDead(t *testing.T) {
	p := Start(t, Config{})
	url := p.Getenv("POSTERN_URL") + "/uploads/sample-cost-report.pdf"
	id, file := "", ""
	for line := range strings.Lines(p.Must("keys", "list")) {
		if f := strings.Fields(line); len(f) == 5 && f[2] == "ecdsa" {
			id, file = f[0], f[4]
		}
	}
	link := p.Must("sign", url, "--expires-in", "1h", "--key", file, "--key-pair-id", id)
	if a := p.Get(link); a.StatusCode != 200 {
		t.Fatalf("a link of the ECDSA key: %s", a.Status)
	}
	client, err := awsclient.FromEnv(p.Getenv, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := client.KeyGroups(context.Background())
	if err != nil || len(groups) != 1 {
		t.Fatalf("key groups: %d, %v", len(groups), err)
	}
	group, etag, err := client.KeyGroup(context.Background(), groups[0].Id)
	if err != nil {
		t.Fatal(err)
	}
	config := group.KeyGroupConfig
	config.Items = slices.DeleteFunc(config.Items, func(k string) bool { return k == id })
	if err := client.UpdateKeyGroup(context.Background(), group.Id, etag, config); err != nil {
		t.Fatal(err)
	}
	if a := p.Get(link); a.StatusCode != 403 || !bytes.Contains(a.Body, []byte("<Code>InvalidKey</Code>")) {
		t.Errorf("after the removal: %s %s", a.Status, a.Body)
	}
}

// TestLinkRunsOut moves the clock of the running program: the link ends on its second, on the same
// connection.
func TestLinkRunsOut(t *testing.T) {
	p := Start(t, Config{Program: ClockProgram(t)})
	link, _ := p.Links()
	p.SetClock(7*24*time.Hour - time.Minute)
	if a := p.Get(link); a.StatusCode != 200 {
		t.Errorf("a minute before its end: %s", a.Status)
	}
	p.SetClock(7*24*time.Hour + time.Minute)
	if a := p.Get(link); a.StatusCode != 403 || !bytes.Contains(a.Body, []byte("<Code>AccessDenied</Code>")) {
		t.Errorf("a minute after its end: %s %s", a.Status, a.Body)
	}
	r := p.Command("explain", link)
	if r.Code != 1 || !strings.Contains(r.Stdout, "was good until") {
		t.Errorf("explain: exit code %d, %s", r.Code, r.Stdout)
	}
}

// TestNoClockInTheShippedProgram: the variable that moves the test program's clock does nothing there.
func TestNoClockInTheShippedProgram(t *testing.T) {
	p := Start(t, Config{})
	p.SetClock(30 * 24 * time.Hour)
	mustOpen(t, p)
	content, err := os.ReadFile(Program(t))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(content, []byte("POSTERN_TEST_CLOCK_FILE")) {
		t.Error("the shipped program knows the test clock")
	}
}

func TestForeignFolder(t *testing.T) {
	p := New(t, Config{Data: t.TempDir()})
	if err := os.WriteFile(filepath.Join(p.Folder(), "thesis.tex"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.Launch()
	if p.Until(func() bool { return false }) {
		t.Fatal("unreachable")
	}
	if err := <-p.exited; err == nil || p.cmd.ProcessState.ExitCode() != 2 || !strings.Contains(p.Stderr.String(), "not empty") {
		t.Errorf("up in a folder with something else in it: %v, %s", err, p.Stderr)
	}
	p.running = false
}
