//go:build e2e

// Package e2e drives the built program, and the library, with the tools its users have: AWS's CLI, boto3,
// AWS's SDKs for Go and JavaScript, curl and openssl. Run it with `make e2e`; what it needs beyond Go is
// named in .ci/run.
package e2e
