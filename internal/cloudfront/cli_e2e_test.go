//go:build e2e

package cloudfront

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/cloudfront/document"
)

// shell runs real clients against the table: an empty home, no configuration, the endpoint by variable.
type shell struct {
	dir string
	env []string
}

func newShell(t *testing.T, s *Service) *shell {
	t.Helper()
	secret := rand.Text()
	server := httptest.NewServer(handler(t, s, secret))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	sh := &shell{dir: dir}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "AWS_") && name != "HOME" && !strings.HasSuffix(strings.ToLower(name), "_proxy") {
			sh.env = append(sh.env, v)
		}
	}
	sh.env = append(sh.env, "HOME="+dir, "AWS_CONFIG_FILE="+filepath.Join(dir, "none"), "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(dir, "none"),
		"AWS_ENDPOINT_URL="+server.URL, "AWS_ACCESS_KEY_ID=AKIAOWNER", "AWS_SECRET_ACCESS_KEY="+secret, "AWS_DEFAULT_REGION=ap-northeast-2",
		"AWS_MAX_ATTEMPTS=1", "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=")
	// A Python that pyenv chooses looks for its version below the home folder.
	if os.Getenv("PYENV_ROOT") == "" {
		if home, err := os.UserHomeDir(); err == nil {
			sh.env = append(sh.env, "PYENV_ROOT="+filepath.Join(home, ".pyenv"))
		}
	}
	return sh
}

func (sh *shell) run(name string, args ...string) (stdout, stderr string, err error) {
	var o, e bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = sh.dir, sh.env, &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

// aws runs `aws cloudfront …` and reads its JSON.
func (sh *shell) aws(t *testing.T, args ...string) map[string]any {
	t.Helper()
	stdout, stderr, err := sh.run("aws", append([]string{"cloudfront", "--output", "json"}, args...)...)
	if err != nil {
		t.Fatalf("aws cloudfront %v: %v: %s", args, err, stderr)
	}
	var out map[string]any
	if strings.TrimSpace(stdout) != "" {
		if err := json.Unmarshal([]byte(stdout), &out); err != nil {
			t.Fatalf("aws cloudfront %v printed %s: %v", args, stdout, err)
		}
	}
	return out
}

// refused runs `aws cloudfront …`, which must fail with a code.
func (sh *shell) refused(t *testing.T, code string, args ...string) {
	t.Helper()
	_, stderr, err := sh.run("aws", append([]string{"cloudfront"}, args...)...)
	if err == nil || !strings.Contains(stderr, "("+code+")") {
		t.Errorf("aws cloudfront %v: %v: %s, want %s", args, err, stderr, code)
	}
}

func (sh *shell) file(t *testing.T, name string, content any) string {
	t.Helper()
	b, ok := content.([]byte)
	if !ok {
		b = mustJSON(content)
	}
	if err := os.WriteFile(filepath.Join(sh.dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + filepath.Join(sh.dir, name)
}

// at walks maps and lists: at(m, "A", 0, "B") is m["A"][0]["B"].
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				t.Fatalf("no item %d in %v", p, v)
			}
			v = l[p]
		}
	}
	return v
}

func text(t *testing.T, v any, path ...any) string {
	t.Helper()
	s, ok := at(t, v, path...).(string)
	if !ok {
		t.Fatalf("no text at %v of %v", path, v)
	}
	return s
}

func TestAWSCommandLine(t *testing.T) {
	b := newBed(t)
	sh := newShell(t, b.Service)

	pem := rsaPEM()
	key := sh.aws(t, "create-public-key", "--public-key-config", sh.file(t, "key.json", map[string]string{
		"CallerReference": "cli", "Name": "cli", "EncodedKey": pem, "Comment": "c"}))
	keyID := text(t, key, "PublicKey", "Id")
	if got := text(t, sh.aws(t, "get-public-key", "--id", keyID), "PublicKey", "PublicKeyConfig", "EncodedKey"); got != pem {
		t.Errorf("the key came back as %q", got)
	}
	sh.refused(t, "PublicKeyAlreadyExists", "create-public-key", "--public-key-config", "file://"+filepath.Join(sh.dir, "key.json"))

	group := sh.aws(t, "create-key-group", "--key-group-config", "Name=cli,Items="+keyID)
	groupID := text(t, group, "KeyGroup", "Id")
	sh.refused(t, "PublicKeyInUse", "delete-public-key", "--id", keyID, "--if-match", text(t, key, "ETag"))

	control := sh.aws(t, "create-origin-access-control", "--origin-access-control-config",
		"Name=cli,SigningProtocol=sigv4,SigningBehavior=always,OriginAccessControlOriginType=s3")
	controlID := text(t, control, "OriginAccessControl", "Id")

	// The document's JSON form is the command line's.
	cfg := config("cli", groupID)
	cfg.Origins.Items[0].OriginAccessControlId = controlID
	made := sh.aws(t, "create-distribution", "--distribution-config", sh.file(t, "dist.json", document.Counted(cfg)))
	id := text(t, made, "Distribution", "Id")
	if got := text(t, made, "Distribution", "ActiveTrustedKeyGroups", "Items", 0, "KeyPairIds", "Items", 0); got != keyID {
		t.Errorf("active key %s", got)
	}

	got := sh.aws(t, "get-distribution-config", "--id", id)
	edited := at(t, got, "DistributionConfig").(map[string]any)
	edited["Enabled"] = false
	edited["Comment"] = "한글 & <more>"
	etag := text(t, got, "ETag")
	updated := sh.aws(t, "update-distribution", "--id", id, "--if-match", etag, "--distribution-config", sh.file(t, "edited.json", edited))
	if got := text(t, updated, "Distribution", "DistributionConfig", "Comment"); got != "한글 & <more>" {
		t.Errorf("the comment is %q", got)
	}
	sh.refused(t, "PreconditionFailed", "update-distribution", "--id", id, "--if-match", etag, "--distribution-config", "file://"+filepath.Join(sh.dir, "edited.json"))
	sh.refused(t, "InvalidIfMatchVersion", "delete-distribution", "--id", id)
	sh.refused(t, "OriginAccessControlInUse", "delete-origin-access-control", "--id", controlID, "--if-match", text(t, control, "ETag"))

	// The command line's own short form: an origin's name and nothing else.
	short := sh.aws(t, "create-distribution", "--origin-domain-name", "uploads.s3.us-east-1.amazonaws.com", "--default-root-object", "index.html")
	if got := text(t, short, "Distribution", "DistributionConfig", "DefaultRootObject"); got != "index.html" {
		t.Errorf("the root object is %q", got)
	}
	list := sh.aws(t, "list-distributions")
	if n := len(at(t, list, "DistributionList", "Items").([]any)); n != 2 {
		t.Errorf("%d distributions are listed", n)
	}

	sh.aws(t, "delete-distribution", "--id", id, "--if-match", text(t, updated, "ETag"))
	regrouped := sh.aws(t, "update-key-group", "--id", groupID, "--if-match", text(t, group, "ETag"), "--key-group-config", "Name=renamed,Items="+keyID+",Comment=c")
	sh.aws(t, "delete-key-group", "--id", groupID, "--if-match", text(t, regrouped, "ETag"))
	sh.aws(t, "delete-public-key", "--id", keyID, "--if-match", text(t, key, "ETag"))
	sh.aws(t, "delete-origin-access-control", "--id", controlID, "--if-match", text(t, control, "ETag"))
}

// boto3 reads every answer by the API's model; a list, its paginator and its waiter are its own code.
const script = `
import sys, boto3, botocore.exceptions
c = boto3.client("cloudfront")
pem = open(sys.argv[1]).read()
key = c.create_public_key(PublicKeyConfig=dict(CallerReference="boto", Name="boto", EncodedKey=pem))
assert key["ResponseMetadata"]["HTTPStatusCode"] == 201 and key["Location"].endswith(key["PublicKey"]["Id"]), key
assert c.get_public_key_config(Id=key["PublicKey"]["Id"])["PublicKeyConfig"]["EncodedKey"] == pem
group = c.create_key_group(KeyGroupConfig=dict(Name="boto", Items=[key["PublicKey"]["Id"]]))
base = dict(
    CallerReference="boto", Comment="", Enabled=False,
    Origins=dict(Quantity=1, Items=[dict(Id="web", DomainName="127.0.0.1",
        CustomOriginConfig=dict(HTTPPort=8080, HTTPSPort=8443, OriginProtocolPolicy="http-only"))]),
    DefaultCacheBehavior=dict(TargetOriginId="web", ViewerProtocolPolicy="allow-all",
        ForwardedValues=dict(QueryString=False, Cookies=dict(Forward="none")), MinTTL=0,
        TrustedKeyGroups=dict(Enabled=True, Quantity=1, Items=[group["KeyGroup"]["Id"]])))
made = c.create_distribution(DistributionConfig=base)
d = made["Distribution"]
for name in ("OriginGroups", "Logging", "Restrictions", "ViewerCertificate", "CustomErrorResponses", "Aliases", "CacheBehaviors"):
    assert name in d["DistributionConfig"], name
assert d["LastModifiedTime"].tzinfo is not None and d["ActiveTrustedKeyGroups"]["Quantity"] == 1
c.get_waiter("distribution_deployed").wait(Id=d["Id"], WaiterConfig=dict(Delay=1, MaxAttempts=2))
for i in range(3):
    c.create_distribution(DistributionConfig=dict(base, CallerReference=str(i)))
pages = list(c.get_paginator("list_distributions").paginate(PaginationConfig=dict(PageSize=2)))
assert [len(p["DistributionList"]["Items"]) for p in pages] == [2, 2], pages
control = c.create_origin_access_control(OriginAccessControlConfig=dict(Name="boto", SigningProtocol="sigv4", SigningBehavior="always", OriginAccessControlOriginType="s3"))
assert c.get_origin_access_control_config(Id=control["OriginAccessControl"]["Id"])["OriginAccessControlConfig"]["Name"] == "boto"
assert c.list_public_keys()["PublicKeyList"]["Items"][0]["EncodedKey"] == pem
assert c.list_key_groups()["KeyGroupList"]["Items"][0]["KeyGroup"]["KeyGroupConfig"]["Items"] == [key["PublicKey"]["Id"]]
assert c.list_origin_access_controls()["OriginAccessControlList"]["Quantity"] == 1
def refused(code, status, call, **kw):
    try:
        call(**kw)
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == code and e.response["ResponseMetadata"]["HTTPStatusCode"] == status, e.response
        assert e.response["ResponseMetadata"]["RequestId"], e.response
        return
    raise AssertionError(code)
refused("DistributionAlreadyExists", 409, c.create_distribution, DistributionConfig=base)
refused("PreconditionFailed", 412, c.delete_distribution, Id=d["Id"], IfMatch="EWRONG")
refused("ResourceInUse", 409, c.delete_key_group, Id=group["KeyGroup"]["Id"], IfMatch=group["ETag"])
refused("NoSuchDistribution", 404, c.get_distribution, Id="none")
refused("NoSuchResource", 404, c.get_key_group, Id="none")
refused("InvalidArgument", 400, c.create_public_key, PublicKeyConfig=dict(CallerReference="x", Name="x", EncodedKey="x"))
refused("InvalidLambdaFunctionAssociation", 400, c.create_distribution, DistributionConfig=dict(base, CallerReference="l",
    DefaultCacheBehavior=dict(base["DefaultCacheBehavior"], LambdaFunctionAssociations=dict(Quantity=1,
        Items=[dict(LambdaFunctionARN="arn:aws:lambda:us-east-1:123456789012:function:f:1", EventType="viewer-request")]))))
assert c.delete_distribution(Id=d["Id"], IfMatch=made["ETag"])["ResponseMetadata"]["HTTPStatusCode"] == 204
print("done")
`

func TestBoto3(t *testing.T) {
	b := newBed(t)
	sh := newShell(t, b.Service)
	sh.file(t, "key.pem", []byte(rsaPEM()))
	sh.file(t, "script.py", []byte(script))
	stdout, stderr, err := sh.run("python3", "script.py", "key.pem")
	if err != nil || strings.TrimSpace(stdout) != "done" {
		t.Errorf("%v: %s%s", err, stdout, stderr)
	}
}
