package awsclient

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/audit"
	"postern/internal/awsapi"
	"postern/internal/cloudfront"
	"postern/internal/cloudfront/document"
	"postern/internal/policy"
	"postern/internal/s3"
	"postern/internal/s3/objects/local"
	"postern/internal/seal"
	"postern/internal/store"
	"postern/signed"
)

const (
	account  = "123456789012"
	keyID    = "AKIAEXAMPLEEXAMPLEEX"
	password = "secret+/of the test"
)

type credentials struct{}

func (credentials) Lookup(_ context.Context, id string) (awsapi.Credential, error) {
	if id != keyID {
		return awsapi.Credential{}, awsapi.ErrUnknownKey
	}
	return awsapi.Credential{Secret: seal.NewSecret([]byte(password)), Caller: policy.Caller{
		Kind: policy.Root, ARN: policy.RootARN(account), Account: account, AccessKeyID: id,
	}}, nil
}

type discard struct{}

func (discard) Write(audit.Event) error { return nil }

// serve serves the real engines over the real pipeline.
func serve(t *testing.T) (url string, s *s3.Service) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	records, err := store.Open(context.Background(), store.Config{Dir: filepath.Join(dir, "store")})
	must(err)
	t.Cleanup(func() { must(records.Close()) })
	root, err := seal.CreateKeyFile(filepath.Join(dir, "root.key"))
	must(err)
	keeper, err := seal.NewKeeper(context.Background(), root, records)
	must(err)
	guard, err := audit.NewGuard(audit.GuardConfig{Decider: policy.Owner{}, Writer: discard{}, Region: "us-east-1"})
	must(err)
	backend, err := local.Open(local.Config{Dir: filepath.Join(dir, "objects"), Now: time.Now, Logger: log})
	must(err)
	t.Cleanup(func() { must(backend.Close()) })
	s, err = s3.New(s3.Config{Store: records, Objects: backend, Guard: guard, Account: account, Region: "us-east-1", Now: time.Now})
	must(err)
	t.Cleanup(s.Close)
	cf, err := cloudfront.New(context.Background(), cloudfront.Config{Store: records, Keeper: keeper, Guard: guard, Account: account, Now: time.Now})
	must(err)
	t.Cleanup(cf.Close)
	api, err := awsapi.New(awsapi.Config{
		Services: []awsapi.Service{s.Table(), cf.Table()}, Credentials: credentials{},
		Region: "us-east-1", Account: account, Now: time.Now, Logger: log,
	})
	must(err)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	return server.URL, s
}

func client(t *testing.T, vars map[string]string) *Client {
	t.Helper()
	all := map[string]string{"AWS_ACCESS_KEY_ID": keyID, "AWS_SECRET_ACCESS_KEY": password}
	for k, v := range vars {
		all[k] = v
	}
	c, err := FromEnv(func(name string) string { return all[name] }, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func publicKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := signed.EncodePublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem)
}

func TestKeysAndGroups(t *testing.T) {
	url, _ := serve(t)
	// The region of the environment is not CloudFront's business.
	c, ctx := client(t, map[string]string{"AWS_ENDPOINT_URL": url + "/", "AWS_REGION": "ap-northeast-2"}), context.Background()
	for i := range 3 {
		config := document.PublicKeyConfig{CallerReference: fmt.Sprint("ref ", i), Name: fmt.Sprint("key-", i), EncodedKey: publicKey(t)}
		created, err := c.CreatePublicKey(ctx, config)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.PublicKey(ctx, created.Id)
		if err != nil || got.PublicKeyConfig != config {
			t.Fatalf("%+v, %v, want %+v", got, err, config)
		}
		if _, err := c.CreatePublicKey(ctx, config); !IsCode(err, "PublicKeyAlreadyExists") {
			t.Errorf("a second key under one name: %v", err)
		}
	}
	list, err := c.PublicKeys(ctx)
	if err != nil || len(list) != 3 {
		t.Fatalf("%d keys, %v", len(list), err)
	}
	if _, err := c.PublicKey(ctx, "K00000000000000"); !IsCode(err, "NoSuchPublicKey") {
		t.Errorf("an unknown key: %v", err)
	}
	var refused *Error
	_, err = c.PublicKey(ctx, "K00000000000000")
	if !errors.As(err, &refused) || refused.Status != 404 || refused.RequestID == "" || !strings.HasPrefix(err.Error(), "GetPublicKey: NoSuchPublicKey") {
		t.Errorf("%v", err)
	}
	if groups, err := c.KeyGroups(ctx); err != nil || len(groups) != 0 {
		t.Errorf("%d groups, %v", len(groups), err)
	}
}

func TestUpdateKeyGroup(t *testing.T) {
	url, _ := serve(t)
	c, ctx := client(t, map[string]string{"AWS_ENDPOINT_URL_CLOUDFRONT": url, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}), context.Background()
	key, err := c.CreatePublicKey(ctx, document.PublicKeyConfig{CallerReference: "r", Name: "k", EncodedKey: publicKey(t)})
	if err != nil {
		t.Fatal(err)
	}
	// The client makes no groups; the wire does.
	var group document.KeyGroup
	if _, err := c.do(ctx, call{operation: "CreateKeyGroup", service: "cloudfront", method: "POST", path: api + "key-group", root: "KeyGroupConfig",
		in: document.KeyGroupConfig{Name: "a & <b>", Items: []string{key.Id}}, out: &group}); err != nil {
		t.Fatal(err)
	}
	groups, err := c.KeyGroups(ctx)
	if err != nil || len(groups) != 1 || groups[0].KeyGroupConfig.Name != "a & <b>" {
		t.Fatalf("%+v, %v", groups, err)
	}
	_, etag, err := c.KeyGroup(ctx, group.Id)
	if err != nil || etag == "" {
		t.Fatalf("no ETag: %v", err)
	}
	config := group.KeyGroupConfig
	config.Comment = "changed"
	if err := c.UpdateKeyGroup(ctx, group.Id, etag, config); err != nil {
		t.Fatal(err)
	}
	if err := c.UpdateKeyGroup(ctx, group.Id, etag, config); !IsCode(err, "PreconditionFailed") {
		t.Errorf("an update with an old ETag: %v", err)
	}
}

func TestObjectKeys(t *testing.T) {
	url, engine := serve(t)
	c, ctx := client(t, map[string]string{"AWS_ENDPOINT_URL": url}), context.Background()
	who := policy.Caller{Kind: policy.Root, ARN: policy.RootARN(account), Account: account}
	if _, err := engine.CreateBucket(ctx, who, s3.CreateBucketInput{Bucket: "bucket"}); err != nil {
		t.Fatal(err)
	}
	want := []string{"a b.pdf", "uploads/보고서.pdf", "x&<y>", "z+"}
	for _, key := range want {
		if _, err := engine.PutObject(ctx, who, s3.PutObjectInput{Bucket: "bucket", Key: key, Body: strings.NewReader(""), ContentLength: 0}); err != nil {
			t.Fatal(err)
		}
	}
	collect := func(bucket string, limit int) (keys []string, err error) {
		for k, e := range c.ObjectKeys(ctx, bucket, limit) {
			if e != nil {
				return keys, e
			}
			keys = append(keys, k)
		}
		return keys, nil
	}
	slices.Sort(want)
	if got, err := collect("bucket", 1000); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if got, err := collect("bucket", 2); err != nil || !slices.Equal(got, want[:2]) {
		t.Errorf("two of them: %q, %v", got, err)
	}
	if _, err := collect("nobody", 10); !IsCode(err, "NoSuchBucket") {
		t.Errorf("a bucket that is not there: %v", err)
	}
	for range c.ObjectKeys(ctx, "bucket", 10) {
		break // an early end is no failure
	}
}

// TestPages: markers are followed to the end, and not for ever.
func TestPages(t *testing.T) {
	page := 0
	endless := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := ""
		if page > 0 {
			want = fmt.Sprint("m ", page)
		}
		if got := r.URL.Query().Get("Marker"); got != want {
			t.Errorf("page %d was asked for with the marker %q, want %q", page, got, want)
		}
		page++
		next := fmt.Sprintf("<NextMarker>m %d</NextMarker>", page)
		if page == 3 && !endless {
			next = ""
		}
		fmt.Fprintf(w, "<PublicKeyList>%s<Items><PublicKeySummary><Id>K%d</Id></PublicKeySummary></Items></PublicKeyList>", next, page)
	}))
	defer server.Close()
	c := client(t, map[string]string{"AWS_ENDPOINT_URL": server.URL})
	if list, err := c.PublicKeys(context.Background()); err != nil || len(list) != 3 || list[2].Id != "K3" {
		t.Errorf("%+v, %v", list, err)
	}
	page, endless = 0, true
	if _, err := c.PublicKeys(context.Background()); err == nil || page != maxPages {
		t.Errorf("after %d pages: %v", page, err)
	}
}

// TestBadAnswers: what is not CloudFront's answer is an error in words, without the request's secrets.
func TestBadAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		want   string
	}{
		"S3's form of refusal": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(403)
			fmt.Fprint(w, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message><RequestId>R1</RequestId></Error>")
		}, "GetPublicKey: AccessDenied: Access Denied (request R1)"},
		"CloudFront's form": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(403)
			fmt.Fprint(w, `<ErrorResponse xmlns="x"><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>m</Message></Error><RequestId>R2</RequestId></ErrorResponse>`)
		}, "GetPublicKey: ExpiredToken: m (request R2)"},
		"a page of a proxy": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(502)
			fmt.Fprint(w, "<html>bad gateway")
		}, "GetPublicKey: 502 Bad Gateway"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", http.StatusTemporaryRedirect)
		}, "GetPublicKey: 307 Temporary Redirect"},
		"not XML": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }, "the answer is not what CloudFront or S3 sends"},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			chunk := strings.Repeat(" ", 1<<20)
			for range 10 {
				fmt.Fprint(w, chunk)
			}
		}, "longer than"},
		"cut short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "<")
		}, "reading the answer"},
		"no answer": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "GetPublicKey: "},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(c.answer))
			defer server.Close()
			_, err := client(t, map[string]string{"AWS_ENDPOINT_URL": server.URL}).PublicKey(context.Background(), "K1")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "Signature") || strings.Contains(err.Error(), server.URL) {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

func TestFromEnv(t *testing.T) {
	get := func(vars map[string]string) (*Client, error) {
		return FromEnv(func(n string) string { return vars[n] }, time.Now)
	}
	if _, err := get(map[string]string{"AWS_ACCESS_KEY_ID": "A"}); !errors.Is(err, ErrNoCredentials) {
		t.Errorf("half of the credentials: %v", err)
	}
	with := func(k, v string) map[string]string {
		return map[string]string{"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", k: v}
	}
	c, err := get(with("", ""))
	if err != nil || c.cloudfront != "https://cloudfront.amazonaws.com" || c.s3 != "https://s3.us-east-1.amazonaws.com" {
		t.Errorf("without an endpoint: %+v, %v", c, err)
	}
	c, err = get(with("AWS_DEFAULT_REGION", "eu-west-1"))
	if err != nil || c.s3 != "https://s3.eu-west-1.amazonaws.com" {
		t.Errorf("in another region: %+v, %v", c, err)
	}
	for _, bad := range []string{"nonsense", "ftp://h", "http://", "http://u:p@h", "http://h?x=1"} {
		if _, err := get(with("AWS_ENDPOINT_URL", bad)); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
	if _, err := get(with("AWS_ENDPOINT_URL_S3", "nonsense")); err == nil {
		t.Error("a bad endpoint of S3 accepted")
	}
}
