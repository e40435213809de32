package s3

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
)

// errToken: a continuation token is not one that this server gave out for this listing.
var errToken = errors.New("the continuation token provided is incorrect")

// A continuation token is base64url of: one version byte (1), eight bytes of SHA-256 over the scope and
// the place, and the place: the last key or common prefix that the previous page showed. The digest is
// no secret, because a place grants nothing that start-after does not; it catches tokens that were cut,
// changed, or taken to another bucket.
const (
	tokenVersion   = 1
	tokenSumLength = 8
)

// encodeToken makes the token with which the next page of a listing of scope starts after place.
func encodeToken(scope, place string) string {
	b := append([]byte{tokenVersion}, tokenSum(scope, place)...)
	return base64.RawURLEncoding.EncodeToString(append(b, place...))
}

// decodeToken is the place in a token that encodeToken made for the same scope.
func decodeToken(scope, token string) (string, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < 1+tokenSumLength || b[0] != tokenVersion || strings.ContainsAny(token, "\r\n") {
		return "", errToken
	}
	place := string(b[1+tokenSumLength:])
	if string(b[1:1+tokenSumLength]) != string(tokenSum(scope, place)) {
		return "", errToken
	}
	return place, nil
}

func tokenSum(scope, place string) []byte {
	sum := sha256.Sum256([]byte(scope + "\x00" + place))
	return sum[:tokenSumLength]
}
