//go:build e2e

package s3_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// awsClient runs the machine's own AWS tools against the server, with nothing of the user's around them.
type awsClient struct {
	t   *testing.T
	dir string // holds the home, and the files of the test
	env []string
}

func newAWSClient(t *testing.T, s *server, endpoint string) *awsClient {
	t.Helper()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.secure.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{
		"HOME=" + dir, "TMPDIR=" + os.TempDir(), "LC_ALL=C.UTF-8", "PATH=" + os.Getenv("PATH"),
		"AWS_CONFIG_FILE=" + filepath.Join(dir, "config"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(dir, "credentials"),
		"AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1", "AWS_CA_BUNDLE=" + ca,
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region,
		"AWS_ACCESS_KEY_ID=" + s.key.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + string(s.key.Secret),
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "PYTHONWARNINGS=ignore",
	}
	if root := os.Getenv("PYENV_ROOT"); root != "" { // a version manager's shims look for it in the home
		env = append(env, "PYENV_ROOT="+root)
	}
	return &awsClient{t: t, dir: dir, env: env}
}

// run runs a program, which must succeed, and returns what it wrote.
func (c *awsClient) run(name string, args ...string) string {
	c.t.Helper()
	out, stderr, err := c.try(name, args...)
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr)
	}
	return out
}

func (c *awsClient) try(name string, args ...string) (stdout, stderr string, err error) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), name, args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

// refused runs an aws command that must be refused with a text in its error.
func (c *awsClient) refused(want string, args ...string) {
	c.t.Helper()
	_, stderr, err := c.try("aws", args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(stderr, want) {
		c.t.Errorf("aws %s: %v, %s; want %s", strings.Join(args, " "), err, stderr, want)
	}
}

func (c *awsClient) write(name string, b []byte) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c *awsClient) read(name string) []byte {
	c.t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// What the CLI does on top of what boto3 does; over https it sends aws-chunked bodies with trailers.
func TestCLI(t *testing.T) {
	s := newServer(t, serverConfig{})
	small, big := noise(1, 1000), noise(2, 18<<20) // big goes in parts
	const key = "uploads/비용 리포트+1.pdf"
	for scheme, endpoint := range map[string]string{"http": s.plain.URL, "https": s.secure.URL} {
		t.Run(scheme, func(t *testing.T) {
			c := newAWSClient(t, s, endpoint)
			bucket := "s3://cli-" + scheme
			c.run("aws", "s3", "mb", bucket)
			c.write("report.pdf", small)
			c.write("video.mp4", big)
			c.run("aws", "s3", "cp", "report.pdf", bucket+"/"+key, "--metadata", "purpose=test", "--acl", "bucket-owner-full-control")
			c.run("aws", "s3", "cp", "video.mp4", bucket+"/video.mp4")
			c.run("aws", "s3", "cp", bucket+"/video.mp4", "back.mp4") // in ranges
			if !bytes.Equal(c.read("back.mp4"), big) {
				t.Error("the file came back changed")
			}
			var head struct {
				ContentType, ETag, ChecksumCRC32 string
				Metadata                         map[string]string
				ContentLength                    int
			}
			out := c.run("aws", "s3api", "head-object", "--bucket", "cli-"+scheme, "--key", key, "--checksum-mode", "ENABLED", "--output", "json")
			if err := json.Unmarshal([]byte(out), &head); err != nil || head.ContentType != "application/pdf" || head.Metadata["purpose"] != "test" ||
				head.ContentLength != 1000 || head.ChecksumCRC32 == "" {
				t.Errorf("head-object: %+v, %v", head, err)
			}
			link := strings.TrimSpace(c.run("aws", "s3", "presign", bucket+"/"+key)) // CLI v1 signs it by SigV2
			resp, err := s.secure.Client().Get(link)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK || !bytes.Equal(body, small) {
				t.Errorf("the presigned link answered %d: %.200q, %v", resp.StatusCode, body, err)
			}
		})
	}
	c := newAWSClient(t, s, s.plain.URL)
	c.run("aws", "s3api", "create-bucket", "--bucket", "seoul", "--create-bucket-configuration", "LocationConstraint=ap-northeast-2")
	c.run("aws", "s3", "cp", "s3://cli-http/video.mp4", "s3://seoul/copy.mp4") // by parts, too
	for _, name := range []string{"a.txt", "dir/b.txt", "dir/비.txt"} {
		c.write("tree/"+name, []byte(name))
	}
	c.run("aws", "s3", "sync", "tree", "s3://seoul/tree")
	if out := c.run("aws", "s3", "sync", "tree", "s3://seoul/tree"); strings.Contains(out, "upload") {
		t.Errorf("a second sync uploads: %s", out)
	}
	c.run("aws", "s3", "sync", "s3://seoul", "back")
	if string(c.read("back/tree/dir/비.txt")) != "dir/비.txt" || !bytes.Equal(c.read("back/copy.mp4"), big) {
		t.Error("sync brought something else back")
	}
	if out := c.run("aws", "s3", "ls", "s3://seoul/tree/"); !strings.Contains(out, "PRE dir/") || !strings.Contains(out, "a.txt") {
		t.Errorf("ls with a delimiter: %q", out)
	}
	out := c.run("aws", "s3api", "list-objects-v2", "--bucket", "seoul", "--page-size", "2", "--query", "Contents[].Key", "--output", "json")
	var listed []string
	if err := json.Unmarshal([]byte(out), &listed); err != nil || !slices.Contains(listed, "tree/dir/비.txt") || len(listed) != 4 {
		t.Errorf("paged, the keys are %q, %v", listed, err)
	}
	c.refused("NotImplemented", "s3api", "get-bucket-policy", "--bucket", "seoul")
	c.refused("NotImplemented", "s3", "cp", "tree/a.txt", "s3://seoul/x", "--sse")
	c.refused("BucketNotEmpty", "s3", "rb", "s3://seoul")
	c.run("aws", "s3", "mv", "s3://seoul/tree/a.txt", "s3://seoul/moved")
	for _, bucket := range []string{"seoul", "cli-http", "cli-https"} {
		c.run("aws", "s3", "rb", "--force", "s3://"+bucket)
	}
	if n := s.blobs(t); n != 0 {
		t.Errorf("after all is deleted %d blobs are left", n)
	}
}

// botoScript drives boto3 through what people do with it. It prints "ok" at its end.
const botoScript = `
import hashlib, io, os, unicodedata
import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from urllib.request import urlopen, Request
import ssl

def code(call, **kw):
    try:
        call(**kw)
    except ClientError as e:
        return e.response["Error"]["Code"]
    return None

s3 = boto3.client("s3")
b = "boto"
s3.create_bucket(Bucket=b)
assert s3.head_bucket(Bucket=b)["BucketRegion"] == "us-east-1"
keys = ["plain", "a//b", "../x", "x", "x/y", "trailing/", " lead", "a+b c%2F", "a?b#c&d", "new\nline", "tab\t",
        unicodedata.normalize("NFC", "비용"), unicodedata.normalize("NFD", "비용"), "k" * 1024, "<&>\"'"]
for i, k in enumerate(keys):
    s3.put_object(Bucket=b, Key=k, Body=str(i).encode(), Metadata={"N": str(i)})
for i, k in enumerate(keys):
    o = s3.get_object(Bucket=b, Key=k)
    assert o["Body"].read() == str(i).encode() and o["Metadata"] == {"n": str(i)}, k
listed = [o["Key"] for p in s3.get_paginator("list_objects_v2").paginate(Bucket=b, PaginationConfig={"PageSize": 2}) for o in p["Contents"]]
assert listed == sorted(keys, key=lambda k: k.encode()), listed
listed = [o["Key"] for p in s3.get_paginator("list_objects").paginate(Bucket=b, PaginationConfig={"PageSize": 2}) for o in p["Contents"]]
assert listed == sorted(keys, key=lambda k: k.encode()), listed
assert [p["Prefix"] for p in s3.list_objects_v2(Bucket=b, Delimiter="/")["CommonPrefixes"]] == ["../", "a/", "trailing/", "x/"]
r = s3.delete_objects(Bucket=b, Delete={"Objects": [{"Key": k} for k in keys]})
assert sorted(d["Key"] for d in r["Deleted"]) == sorted(keys) and "Errors" not in r, r
assert "Contents" not in s3.list_objects_v2(Bucket=b)

body = hashlib.shake_256(b"x").digest(11 << 20)
config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
s3.upload_fileobj(io.BytesIO(body), b, "big", Config=config, ExtraArgs={"ContentType": "video/mp4"})
out = io.BytesIO()
s3.download_fileobj(b, "big", out, Config=config)
assert out.getvalue() == body
h = s3.head_object(Bucket=b, Key="big", ChecksumMode="ENABLED")
assert h["ETag"].endswith("-3\"") and h["ChecksumType"] == "COMPOSITE" and h["ContentType"] == "video/mp4", h
s3.copy({"Bucket": b, "Key": "big"}, b, "copy of big", Config=config)
assert s3.get_object(Bucket=b, Key="copy of big")["Body"].read() == body
for algorithm in ("CRC32", "SHA1", "SHA256"):
    s3.put_object(Bucket=b, Key=algorithm, Body=body[:100000], ChecksumAlgorithm=algorithm)
    o = s3.get_object(Bucket=b, Key=algorithm, ChecksumMode="ENABLED")
    assert o["Body"].read() == body[:100000] and o["Checksum" + algorithm], o
    assert code(s3.get_object, Bucket=b, Key=algorithm, ChecksumMode="ENABLED", IfNoneMatch=o["ETag"]) == "304"
s3.put_object(Bucket=b, Key="once", Body=b"1", IfNoneMatch="*")
assert code(s3.put_object, Bucket=b, Key="once", Body=b"2", IfNoneMatch="*") == "PreconditionFailed"
assert s3.get_object(Bucket=b, Key="once")["Body"].read() == b"1"
assert code(s3.get_object, Bucket=b, Key="none") == "NoSuchKey"
assert code(s3.head_object, Bucket=b, Key="none") == "404"
assert code(s3.head_bucket, Bucket=b, ExpectedBucketOwner="999999999999") == "403"
assert code(s3.put_object, Bucket=b, Key="k", Body=b"x", ServerSideEncryption="aws:kms") == "NotImplemented"
assert code(s3.get_bucket_acl, Bucket=b) == "NotImplemented"
assert code(s3.put_object, Bucket=b, Key="k", Body=b"x", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==") == "BadDigest"

tls = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
for version in ("s3", "s3v4"):
    p = boto3.client("s3", config=Config(signature_version=version))
    url = p.generate_presigned_url("get_object", Params={"Bucket": b, "Key": "once", "ResponseContentType": "text/x"}, ExpiresIn=60)
    r = urlopen(url, context=tls if url.startswith("https") else None)
    assert r.read() == b"1" and r.headers["Content-Type"] == "text/x", url
url = boto3.client("s3", config=Config(signature_version="s3v4")).generate_presigned_url(
    "put_object", Params={"Bucket": b, "Key": "sent", "ContentType": "text/y", "Metadata": {"a": "b"}}, ExpiresIn=60)
urlopen(Request(url, data=b"by a link", method="PUT", headers={"Content-Type": "text/y", "x-amz-meta-a": "b"}), context=tls if url.startswith("https") else None)
o = s3.get_object(Bucket=b, Key="sent")
assert o["Body"].read() == b"by a link" and o["ContentType"] == "text/y" and o["Metadata"] == {"a": "b"}, o

bucket = boto3.resource("s3").Bucket(b)
bucket.objects.all().delete()
assert code(s3.delete_bucket, Bucket=b) is None
print("ok")
`

func TestBoto3(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			s := newServer(t, serverConfig{})
			endpoint := s.plain.URL
			if scheme == "https" {
				endpoint = s.secure.URL
			}
			c := newAWSClient(t, s, endpoint)
			if out := c.run("python3", c.write("drive.py", []byte(botoScript))); out != "ok\n" {
				t.Errorf("the script wrote %q", out)
			}
		})
	}
}
