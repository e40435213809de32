package up

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/cloudfront"
	"postern/internal/cloudfront/document"
	"postern/internal/demo"
	"postern/internal/edge"
	"postern/internal/edge/origin"
	"postern/internal/policy"
	"postern/internal/s3"
	"postern/internal/seal"
)

func config(t *testing.T) Config {
	return Config{
		Data: filepath.Join(t.TempDir(), "data"), Role: RoleAll,
		ListenPublic: "127.0.0.1:0", ListenPublicTLS: "127.0.0.1:0", ListenControl: "127.0.0.1:0",
		Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	}
}

// open starts a node without serving, and stops it at the end of the test.
func open(t *testing.T, c Config) (*node, Started) {
	t.Helper()
	n := &node{c: c, metrics: newMetrics()}
	stop := func() {
		for _, f := range slices.Backward(n.stops) {
			if err := f(); err != nil {
				t.Errorf("stopping: %v", err)
			}
		}
		n.stops = nil
	}
	t.Cleanup(stop)
	s, err := n.start(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return n, s
}

// TestRun starts, serves, stops and starts again: the second start makes nothing anew.
func TestRun(t *testing.T) {
	c := config(t)
	c.ReadyFile = filepath.Join(t.TempDir(), "ready.json")
	var starts []Started
	for range 2 {
		ctx, stop := context.WithCancel(context.Background())
		err := Run(ctx, c, func(s Started) {
			starts = append(starts, s)
			// Not in this goroutine: nothing is served before started has returned.
			go func() {
				defer stop()
				for url, want := range map[string]int{s.SignedURL: 200, s.PlainURL: 403, s.URL + "/public/hello.txt": 200, s.Endpoint + "/_postern/health": 200} {
					resp, err := http.Get(url)
					if err != nil {
						t.Error(err)
						continue
					}
					resp.Body.Close()
					if resp.StatusCode != want {
						t.Errorf("%s, want %d", resp.Status, want)
					}
				}
				http.DefaultClient.CloseIdleConnections()
				var ready readyFile
				text, err := os.ReadFile(c.ReadyFile)
				if err == nil {
					err = json.Unmarshal(text, &ready)
				}
				if err != nil || ready.PID != os.Getpid() || ready.URLs.Public != s.URL || ready.URLs.Control != s.Endpoint {
					t.Errorf("the ready file: %+v, %v", ready, err)
				}
			}()
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(c.ReadyFile); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the ready file is still there: %v", err)
		}
	}
	if !starts[0].First || starts[1].First {
		t.Error("the first start is not the first, or the second is")
	}
	one, two := starts[0].Environment, starts[1].Environment
	for _, e := range []*Environment{&one, &two} {
		e.Endpoint, e.URL, e.URLTLS = "", "", "" // other ports
	}
	if one != two {
		t.Errorf("the second start changed the environment")
	}
	stored, err := ReadEnvironment(c.Data)
	if err != nil || stored != starts[1].Environment {
		t.Errorf("env.json is not what was started: %v", err)
	}
	// Nothing in the folder holds the secret in clear.
	err = filepath.WalkDir(c.Data, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(file)
		if err == nil && bytes.Contains(text, []byte(stored.SecretAccessKey)) {
			t.Errorf("%s holds the secret access key in clear", file)
		}
		return err
	})
	if err != nil || stored.SecretAccessKey == "" {
		t.Errorf("looking for the secret: %v", err)
	}
}

// TestFirstStartAgain: a first start that was cut off just before its end finds everything that was made,
// and leaves it as it is.
func TestFirstStartAgain(t *testing.T) {
	n, _ := open(t, config(t))
	ctx := context.Background()
	const mine = "a report of my own"
	in := s3.PutObjectInput{Bucket: n.ours.Bucket, Key: demo.ReportKey, Body: strings.NewReader(mine), ContentLength: int64(len(mine))}
	if _, err := n.s3.PutObject(ctx, n.owner(), in); err != nil {
		t.Fatal(err)
	}
	before := n.ours
	n.ours = installation{Account: before.Account, Region: before.Region, Created: before.Created, AccessKeyID: before.AccessKeyID}
	first, err := n.firstStart(ctx, makePairs(filepath.Join(n.c.Data, keysDir)))
	if err != nil || !first || n.ours != before {
		t.Fatalf("%v, %v: %+v, want %+v", first, err, n.ours, before)
	}
	s := n.cloudfront.Snapshot()
	if len(s.Distributions) != 1 || len(s.PublicKeys) != 2 || len(s.KeyGroups) != 1 || len(s.OriginAccessControls) != 1 {
		t.Errorf("%d distributions, %d keys, %d groups, %d controls", len(s.Distributions), len(s.PublicKeys), len(s.KeyGroups), len(s.OriginAccessControls))
	}
	out, err := n.s3.GetObject(ctx, n.owner(), s3.GetObjectInput{Bucket: n.ours.Bucket, Key: demo.ReportKey})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	if text, err := io.ReadAll(out.Body); err != nil || string(text) != mine {
		t.Errorf("the user's report was replaced: %q, %v", text, err)
	}
}

// TestRemovedDemo: what the user took away after the first start stays away, and up says nothing of it.
func TestRemovedDemo(t *testing.T) {
	c := config(t)
	n, _ := open(t, c)
	if err := n.objects.Delete(context.Background(), bucketID(t, n), demo.ReportKey); err != nil {
		t.Fatal(err)
	}
	for _, f := range slices.Backward(n.stops) {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	n.stops = nil
	_, s := open(t, c)
	if s.First || s.SignedURL != "" || s.PlainURL != "" {
		t.Errorf("the second start: %v, links %v", s.First, s.SignedURL != "")
	}
}

// bucketID is the id under which the backend knows the demo's bucket: the only one with objects.
func bucketID(t *testing.T, n *node) string {
	t.Helper()
	records, _, _, err := n.store.List(context.Background(), "/postern/v1/s3/bucket/", "", 0)
	if err != nil || len(records) != 1 {
		t.Fatalf("%d buckets, %v", len(records), err)
	}
	var b struct{ ID string }
	_, body, _ := bytes.Cut(records[0].Value, []byte("{"))
	if err := json.Unmarshal(append([]byte("{"), body...), &b); err != nil || b.ID == "" {
		t.Fatalf("the bucket's id: %q, %v", b.ID, err)
	}
	return b.ID
}

func TestRootKey(t *testing.T) {
	c := config(t)
	n, _ := open(t, c)
	for _, f := range slices.Backward(n.stops) {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	n.stops = nil
	file := filepath.Join(c.Data, rootKeyFile)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	never := func(Started) { t.Error("started") }
	err := Run(context.Background(), c, never)
	if err == nil || !strings.Contains(err.Error(), "put it back") {
		t.Errorf("without the root key: %v", err)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a new root key was made over records of an old one")
	}
	if _, err := seal.CreateKeyFile(file); err != nil {
		t.Fatal(err)
	}
	if err := Run(context.Background(), c, never); !errors.Is(err, seal.ErrWrongRootKey) {
		t.Errorf("with another root key: %v", err)
	}
}

func TestPrepareFolder(t *testing.T) {
	loose := t.TempDir()
	if err := os.Chmod(loose, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := prepareFolder(loose); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(loose); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("an empty folder: %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(loose, "thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := prepareFolder(loose); !errors.Is(err, ErrNotOurs) {
		t.Errorf("a folder with something else in it: %v", err)
	}
	if err := os.WriteFile(filepath.Join(loose, lockFileName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := prepareFolder(loose); err != nil {
		t.Errorf("a folder of ours with a file of the user's: %v", err)
	}
	if err := prepareFolder(filepath.Join(loose, "thesis.tex")); err == nil {
		t.Error("a file was taken for a folder")
	}
}

func TestBind(t *testing.T) {
	c := config(t)
	s, err := bind(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if len(s.all()) != 3 || len(s.exposed()) != 0 {
		t.Errorf("%d sockets, %q", len(s.all()), s.exposed())
	}
	c.ListenControl = s.control.Addr().String()
	var taken *AddressInUseError
	if _, err := bind(c); !errors.As(err, &taken) || taken.Flag != "--listen-control" {
		t.Errorf("an address that is taken: %v", err)
	}
	for role, want := range map[Role][3]bool{RoleEdge: {true, true, false}, RoleControl: {false, false, true}} {
		c := config(t)
		c.Role = role
		s, err := bind(c)
		if err != nil {
			t.Fatal(err)
		}
		if got := [3]bool{s.public != nil, s.publicTLS != nil, s.control != nil}; got != want {
			t.Errorf("%s opens %v, want %v", role, got, want)
		}
		s.close()
	}
	c = config(t)
	c.Role, c.ListenControl = RoleControl, ""
	if _, err := bind(c); err == nil {
		t.Error("nothing to listen on, and nothing said")
	}
	c = config(t)
	c.ListenPublic, c.ListenControl = "0.0.0.0:0", "0.0.0.0:0"
	s, err = bind(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if w := s.exposed(); len(w) != 2 || !strings.Contains(w[1], "TLS in front") {
		t.Errorf("listeners that others reach: %q", w)
	}
	if url := urlOf("http", s.public); !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Errorf("the URL of a listener on all addresses is %s", url)
	}
	if url := urlOf("http", nil); url != "" {
		t.Errorf("the URL of no listener is %s", url)
	}
}

func TestLock(t *testing.T) {
	data := t.TempDir()
	if pid, running := Holder(data); running {
		t.Errorf("process %d holds a folder that nobody opened", pid)
	}
	release, err := lock(data)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if _, err := lock(filepath.Join(data, "none")); err == nil {
		t.Error("locked a folder that is not there")
	}
	e := &InUseError{Data: "/d", PID: 7}
	if e.Error() != "another postern (process 7) is running on /d" {
		t.Error(e)
	}
}

// TestBuckets: what the edge reads is what S3 answers, in the edge's words.
func TestBuckets(t *testing.T) {
	n, _ := open(t, config(t))
	edgeCaller := policy.EdgeCaller("arn:aws:cloudfront::" + n.ours.Account + ":distribution/" + n.ours.Distribution)
	edgeCaller.RequestID = "request-1"
	b, ctx := buckets{n.s3}, context.Background()
	get := func(who policy.Caller, key string, o origin.GetOptions) (*origin.Object, string, *origin.BucketError) {
		t.Helper()
		object, err := b.Get(ctx, who, n.ours.Bucket, key, o)
		var refused *origin.BucketError
		if err != nil && !errors.As(err, &refused) {
			t.Fatal(err)
		}
		body := ""
		if object != nil && object.Body != nil {
			text, err := io.ReadAll(object.Body)
			if err != nil {
				t.Fatal(err)
			}
			object.Body.Close()
			body = string(text)
		}
		return object, body, refused
	}
	whole, body, _ := get(edgeCaller, demo.PublicKey, origin.GetOptions{})
	if whole == nil || whole.Status != 200 || body != string(demo.PublicText()) || whole.Header.Get("Etag") == "" || whole.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Fatalf("%+v, %q", whole, body)
	}
	etag := whole.Header.Get("Etag")
	if o, body, _ := get(edgeCaller, demo.PublicKey, origin.GetOptions{Range: "bytes=5-10"}); o == nil || o.Status != 206 || body != string(demo.PublicText()[5:11]) ||
		o.Header.Get("Content-Length") != "6" || !strings.HasPrefix(o.Header.Get("Content-Range"), "bytes 5-10/") {
		t.Errorf("a range: %+v, %q", o, body)
	}
	if o, body, _ := get(edgeCaller, demo.PublicKey, origin.GetOptions{HeadOnly: true}); o == nil || o.Status != 200 || body != "" || o.Body != nil || o.Header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %+v, %q", o, body)
	}
	if o, _, _ := get(edgeCaller, demo.PublicKey, origin.GetOptions{IfNoneMatch: etag}); o == nil || o.Status != 304 || o.Header.Get("Content-Length") != "" {
		t.Errorf("not modified: %+v", o)
	}
	if o, _, _ := get(edgeCaller, demo.PublicKey, origin.GetOptions{Query: "response-content-disposition=attachment%3B%20filename%3Da&x=1"}); o == nil || o.Header.Get("Content-Disposition") != "attachment; filename=a" {
		t.Errorf("a response header of the query: %+v", o)
	}
	for name, c := range map[string]struct {
		who  policy.Caller
		key  string
		o    origin.GetOptions
		code string
		http int
	}{
		"beyond the end":     {edgeCaller, demo.PublicKey, origin.GetOptions{Range: "bytes=100000-"}, "InvalidRange", 416},
		"another version":    {edgeCaller, demo.PublicKey, origin.GetOptions{IfMatch: `"x"`}, "PreconditionFailed", 412},
		"nothing there":      {edgeCaller, "none", origin.GetOptions{}, "AccessDenied", 403},
		"anonymous":          {policy.Caller{}, demo.PublicKey, origin.GetOptions{}, "AccessDenied", 403},
		"another account":    {policy.EdgeCaller("arn:aws:cloudfront::000000000000:distribution/E1"), demo.PublicKey, origin.GetOptions{}, "AccessDenied", 403},
		"an undecoded query": {edgeCaller, demo.PublicKey, origin.GetOptions{Query: "a=%zz"}, "InvalidURI", 400},
	} {
		o, _, refused := get(c.who, c.key, c.o)
		if o != nil || refused == nil || refused.Code != c.code || refused.Status != c.http || refused.HostID == "" {
			t.Errorf("%s: %+v, %+v, want %s", name, o, refused, c.code)
		}
	}
}

// TestHealth: degraded while a document cannot be honoured, failing when a part is gone.
func TestHealth(t *testing.T) {
	n, _ := open(t, config(t))
	ask := func() (int, healthJSON) {
		t.Helper()
		w := httptest.NewRecorder()
		n.serveHealth(w, httptest.NewRequest("GET", "/_postern/health", nil))
		var h healthJSON
		if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil {
			t.Fatal(err)
		}
		return w.Code, h
	}
	if code, h := ask(); code != 200 || h.Status != "ok" || len(h.Checks) != 6 || h.Revision == 0 {
		t.Errorf("%d, %+v", code, h)
	}
	broken := n.cloudfront.Snapshot()
	broken.Revision++
	broken.Distributions = slices.Clone(broken.Distributions)
	broken.Distributions[0].DistributionConfig.WebACLId = "unheard of"
	n.follower.apply(broken, "", func(cloudfront.Snapshot) error { return nil })
	if code, h := ask(); code != 200 || h.Status != "degraded" || !strings.Contains(h.Checks["edge"], "WebACLId") {
		t.Errorf("with a document that cannot be honoured: %d, %+v", code, h)
	}
	whole := n.cloudfront.Snapshot()
	whole.Revision += 2
	n.follower.apply(whole, "", func(cloudfront.Snapshot) error { return nil })
	if code, h := ask(); code != 200 || h.Status != "ok" {
		t.Errorf("mended: %d, %+v", code, h)
	}
	n.keys.Close()
	if code, h := ask(); code != 503 || h.Status != "failing" || h.Checks["accessKeys"] == "ok" {
		t.Errorf("without access keys: %d, %+v", code, h)
	}
}

// TestFollower: a document that does not compile closes its own distribution, and a key that is gone
// is dead all the same.
func TestFollower(t *testing.T) {
	var log bytes.Buffer
	f := newFollower(slog.New(slog.NewTextHandler(&log, nil)))
	if err := f.applied(context.Background(), 99); err != nil {
		t.Errorf("before there is an edge, a write waits for it: %v", err)
	}
	e, err := edge.New(edge.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	f.edge = e
	bad := cloudfront.Snapshot{Revision: 5, Account: "123456789012", Distributions: []document.Distribution{{
		Id: "E1", DomainName: "d1.cloudfront.net", DistributionConfig: document.DistributionConfig{Enabled: true, WebACLId: "x"},
	}}}
	for range 3 {
		f.apply(bad, "", func(cloudfront.Snapshot) error { return nil })
	}
	if e.Revision() != 5 {
		t.Error("a broken document keeps the edge on old news")
	}
	if f.health() == nil || strings.Count(log.String(), "level=ERROR") != 1 {
		t.Errorf("health %v, log %s", f.health(), log.String())
	}
	for range 2 {
		f.apply(bad, "E2", func(cloudfront.Snapshot) error { return nil })
	}
	if strings.Count(log.String(), "level=WARN") != 1 || !strings.Contains(log.String(), "E2") {
		t.Errorf("a default distribution that is not there: %s", log.String())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.applied(ctx, 6); !errors.Is(err, context.Canceled) {
		t.Errorf("a revision the edge has not taken: %v", err)
	}
	f.apply(cloudfront.Snapshot{Revision: 6, Account: "123456789012"}, "", func(cloudfront.Snapshot) error { return errors.New("no certificate") })
	if err := f.health(); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Error(err)
	}
}

func TestServerNames(t *testing.T) {
	names := serverNames(cloudfront.Snapshot{Distributions: []document.Distribution{
		{DomainName: "d1.cloudfront.net", DistributionConfig: document.DistributionConfig{Enabled: true, Aliases: document.Aliases{Items: []string{"cdn.example.com", "*.example.org"}}}},
		{DomainName: "d2.cloudfront.net"}, // disabled
	}})
	want := []string{"localhost", "127.0.0.1", "::1", "d1.cloudfront.net", "cdn.example.com", "*.example.org"}
	if !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
}

// deadlines notes what is set on a connection.
type deadlines struct {
	http.ResponseWriter
	read, write int
}

func (d *deadlines) SetReadDeadline(time.Time) error  { d.read++; return nil }
func (d *deadlines) SetWriteDeadline(time.Time) error { d.write++; return nil }

// TestPatient: deadlines move with the bytes.
func TestPatient(t *testing.T) {
	d := &deadlines{ResponseWriter: httptest.NewRecorder()}
	h := patient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, struct{ io.Reader }{r.Body}); err != nil {
			t.Error(err)
		}
		before := d.write
		_, _ = w.Write([]byte("a"))
		_, _ = w.Write([]byte("b"))
		if d.write != before+2 {
			t.Errorf("two writes renewed the deadline %d times", d.write-before)
		}
	}))
	h.ServeHTTP(d, httptest.NewRequest("PUT", "/", strings.NewReader(strings.Repeat("x", 100_000))))
	if d.read < 2 {
		t.Errorf("the body's deadline was renewed %d times", d.read)
	}
}

// TestControlPaths: what is Postern's own is never a bucket's, and the other way round.
func TestControlPaths(t *testing.T) {
	n, _ := open(t, config(t))
	h, err := n.control()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"http://localhost:4566/_postern/health": "200 application/json", "http://[::1]/_postern/none": "404 text/plain; charset=utf-8",
		"http://rebound.example/_postern/health": "403 text/plain; charset=utf-8", "http://rebound.example/_postern/metrics": "403 text/plain; charset=utf-8",
		"http://localhost/health": "403 application/xml", "http://localhost/metrics/x": "403 application/xml",
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if got := w.Result().Status[:3] + " " + w.Header().Get("Content-Type"); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestUnreadable(t *testing.T) {
	n, s := open(t, config(t))
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- n.serve(ctx) }()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /public/hello.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) {
		t.Errorf("two lengths: %v, %q", err, answer)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	w := httptest.NewRecorder()
	n.metrics.handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if !strings.Contains(w.Body.String(), "postern_edge_unreadable_total{fault=") {
		t.Error("the refusal was not counted")
	}
}
