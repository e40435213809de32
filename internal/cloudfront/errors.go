package cloudfront

import (
	"errors"
	"fmt"
	"strings"

	"postern/internal/awsapi"
	"postern/internal/cloudfront/document"
)

// statusOf is the HTTP status the API model gives an error code (httpStatusCode of the error shapes).
func statusOf(code string) int {
	switch {
	case code == "PreconditionFailed":
		return 412
	case strings.HasPrefix(code, "NoSuch"), code == "EntityNotFound":
		return 404
	case strings.HasSuffix(code, "AlreadyExists"), strings.HasSuffix(code, "InUse"), code == "DistributionNotDisabled":
		return 409
	default:
		return 400
	}
}

func refuse(code, format string, args ...any) error {
	return &awsapi.Error{Status: statusOf(code), Code: code, Message: fmt.Sprintf(format, args...)}
}

// asRefusal gives a document's fault the status it has on the wire.
func asRefusal(err error) error {
	var fault *document.Error
	if errors.As(err, &fault) {
		return refuse(fault.Code, "%s", fault.Message)
	}
	return err
}

// match holds If-Match against a record's ETag. The two texts are CloudFront's.
func match(ifMatch, etag string) error {
	switch ifMatch {
	case etag:
		return nil
	case "":
		return refuse("InvalidIfMatchVersion", "The If-Match version is missing or not valid for the resource.")
	default:
		return refuse("PreconditionFailed", "The request failed because it didn't meet the preconditions in one or more request-header fields.")
	}
}
