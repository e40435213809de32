package awsapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"postern/internal/audit"
	"postern/internal/sigv4"
)

// Error is an answer that is a refusal. Engines return it; anything else an engine returns, but
// *audit.Denied, becomes InternalError with a request id.
type Error struct {
	Status  int
	Code    string
	Message string
	// Fields are further elements of S3's document: Key, BucketName.
	Fields map[string]string
	// Headers are put on the answer.
	Headers http.Header
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// AWSErrorCode is the code, for audit.
func (e *Error) AWSErrorCode() string { return e.Code }

func notImplemented(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "NotImplemented", Message: fmt.Sprintf(format, args...)}
}

func unknownKey(id string) *sigv4.Error {
	return &sigv4.Error{Status: http.StatusForbidden, Code: "InvalidAccessKeyId", Fields: map[string]string{"AWSAccessKeyId": id},
		Message: "The AWS Access Key Id you provided does not exist in our records."}
}

func tooLong() *Error {
	return &Error{Status: http.StatusBadRequest, Code: "MaxMessageLengthExceeded", Message: "Your request was too big."}
}

// refusal finds the answer in an error. An unknown error is InternalError: its text goes to the log and
// never to the caller.
func (s *service) refusal(err error, requestID string) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		if s == nil || s.s3 {
			return &Error{Status: e.Status, Code: e.Code, Message: e.Message, Fields: e.Fields}
		}
		return plainSignatureError(e)
	}
	if d, ok := errors.AsType[*audit.Denied](err); ok {
		if s == nil || s.s3 {
			return &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Access Denied"}
		}
		// docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
		return &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: strings.TrimSpace(fmt.Sprintf(
			"User: %s is not authorized to perform: %s on resource: %s %s", d.Caller.ARN, d.Request.Action, d.Request.Resource, d.Reason))}
	}
	code := "InternalFailure"
	if s == nil || s.s3 {
		code = "InternalError"
	}
	return &Error{Status: http.StatusInternalServerError, Code: code,
		Message: "We encountered an internal error. Please try again. The log names it by the request id " + requestID + "."}
}

// plainSignatureError says what sigv4 says in S3's words in the words of every other service
// (docs.aws.amazon.com/AWSSimpleQueueService and IAM "Common Errors").
func plainSignatureError(e *sigv4.Error) *Error {
	out := &Error{Status: http.StatusForbidden, Code: "SignatureDoesNotMatch", Message: e.Message}
	switch e.Code {
	case "InvalidAccessKeyId", "InvalidToken":
		out.Code, out.Message = "InvalidClientTokenId", "The security token included in the request is invalid."
	case "AuthorizationHeaderMalformed", "AuthorizationQueryParametersError", "InvalidArgument", "InvalidRequest":
		out.Status, out.Code = http.StatusBadRequest, "IncompleteSignature"
	case "RequestTimeTooSkewed":
		out.Message = "Signature expired or not yet current: the request says " + e.Fields["RequestTime"] + ", the server " + e.Fields["ServerTime"] + ", and they may differ by 15 min."
	case "SignatureDoesNotMatch":
		out.Message = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
		if request := e.Fields["CanonicalRequest"]; request != "" {
			out.Message += "\n\nThe Canonical String for this request should have been\n'" + request + "'"
		}
		if text := e.Fields["StringToSign"]; text != "" {
			out.Message += "\n\nThe String-to-Sign should have been\n'" + text + "'"
		}
	case "XAmzContentSHA256Mismatch", "AccessDenied":
	default:
		out.Status, out.Code = e.Status, e.Code
	}
	return out
}
