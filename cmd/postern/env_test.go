package main

import (
	"os/exec"
	"strings"
	"testing"

	"postern/internal/up"
)

var anEnvironment = up.Environment{
	Endpoint: "http://127.0.0.1:4566", AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: `it's $(a) "secret\`,
	Region: "us-east-1", Account: "123456789012", URL: "http://127.0.0.1:8080", Bucket: "b", KeyPairID: "K1", PrivateKeyFile: "keys/rsa.pem",
}

// TestEnvironmentInAShell evaluates the lines where leftovers of work on AWS would win over them.
func TestEnvironmentInAShell(t *testing.T) {
	const script = `AWS_PROFILE=other AWS_SESSION_TOKEN=old AWS_ENDPOINT_URL_S3=https://s3.amazonaws.com
export AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL_S3
set -eu
eval "$1"
printf '%s\n' "$AWS_SECRET_ACCESS_KEY" "$AWS_ENDPOINT_URL" "$AWS_REGION" "$AWS_DEFAULT_REGION" "$POSTERN_URL" \
	"$POSTERN_BUCKET" "$POSTERN_PRIVATE_KEY_FILE" "${AWS_PROFILE-gone}" "${AWS_SESSION_TOKEN-gone}" "${AWS_ENDPOINT_URL_S3-gone}"`
	out, err := exec.Command("sh", "-c", script, "sh", environmentLines("bash", anEnvironment, "/data dir")).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := anEnvironment.SecretAccessKey + "\nhttp://127.0.0.1:4566\nus-east-1\nus-east-1\nhttp://127.0.0.1:8080\nb\n/data dir/keys/rsa.pem\ngone\ngone\ngone\n"
	if string(out) != want {
		t.Errorf("the shell has %q, want %q", out, want)
	}
}

func TestEnvironmentOfOtherShells(t *testing.T) {
	for shell, want := range map[string][]string{
		"fish":       {`set -gx AWS_SECRET_ACCESS_KEY 'it\'s $(a) "secret\\'`, "set -e AWS_PROFILE"},
		"powershell": {`$env:AWS_SECRET_ACCESS_KEY = 'it''s $(a) "secret\'`, "Remove-Item Env:AWS_PROFILE -ErrorAction SilentlyContinue"},
	} {
		lines := strings.Split(environmentLines(shell, anEnvironment, "/d"), "\n")
		for _, w := range want {
			found := false
			for _, l := range lines {
				found = found || l == w
			}
			if !found {
				t.Errorf("%s: no line %s in\n%s", shell, w, strings.Join(lines, "\n"))
			}
		}
	}
}

// TestEnvironmentWithoutAnEndpoint: without an endpoint of ours the AWS tools would take the access key to AWS.
func TestEnvironmentWithoutAnEndpoint(t *testing.T) {
	e := anEnvironment
	e.Endpoint = ""
	lines := environmentLines("bash", e, "/d")
	if strings.Contains(lines, "export AWS_") || !strings.Contains(lines, "export POSTERN_URL=") {
		t.Errorf("%s", lines)
	}
}
