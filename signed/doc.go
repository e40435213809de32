// Package signed builds, verifies and explains Amazon CloudFront's signed URLs and signed cookies.
package signed
