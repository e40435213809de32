package postern

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"postern/internal/awsapi"
	"postern/internal/cloudfront"
	"postern/internal/s3"
)

var update = flag.Bool("update", false, "write docs/compatibility.md anew")

// TestCompatibilityPage: docs/compatibility.md is printed from the operation tables, so it can neither
// promise an operation that is not served nor forget one that is.
func TestCompatibilityPage(t *testing.T) {
	const file = "docs/compatibility.md"
	want := compatibilityPage([]awsapi.Service{(*s3.Service)(nil).Table(), (*cloudfront.Service)(nil).Table()})
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the tables say: run `go test . -update`", file)
	}
}

func compatibilityPage(services []awsapi.Service) string {
	names := map[string]string{"s3": "Amazon S3", "cloudfront": "Amazon CloudFront"}
	var b strings.Builder
	b.WriteString(`# Which AWS operations are served

Printed from the operation tables by ` + "`go test . -update`" + `; do not edit. What is not listed answers 4xx at
once, with a sentence that says so. An option of a listed operation that is not honoured is refused, not
ignored, where ignoring it would serve or keep content otherwise than asked.
`)
	b.WriteString(`
Signatures: SigV4 in the header, in the query (presigned, up to seven days) and over aws-chunked bodies; SigV2
in the query for GET and HEAD only, because ` + "`aws s3 presign`" + ` of the AWS CLI v1 makes it. boto3 makes SigV2
presigned URLs too unless told otherwise: for ` + "`put_object`" + ` give the client ` + "`Config(signature_version=\"s3v4\")`" + `,
as AWS itself asks for since 2020.
`)
	for _, s := range services {
		list := s.Describe()
		fmt.Fprintf(&b, "\n## %s (%d operations)\n\n| operation | request |\n|---|---|\n", names[s.Name], len(list))
		for _, d := range list {
			request := d.Method + " " + d.Path
			for i, q := range d.Query {
				request += string("?&"[min(i, 1)]) + q
			}
			for _, h := range d.Header {
				request += ", with " + h
			}
			fmt.Fprintf(&b, "| %s | `%s` |\n", d.Operation, request)
		}
	}
	return b.String()
}
