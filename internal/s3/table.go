package s3

import (
	"net/http"

	"postern/internal/awsapi"
)

// Namespace is that of S3's documents.
const Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// maxDeleteBody bounds the document of DeleteObjects, in bytes: 1,000 keys of 1,024 bytes, each byte of
// which may be an entity of six.
const maxDeleteBody = 8 << 20

// Table is the service's wire face.
//
// Every region is accepted in a credential scope: clients sign with the region they are configured for,
// and one server stands in for all of them. Unsigned requests reach the engine, whose decider refuses
// them, because a bucket may be public one day and because S3's refusal differs from that of a bad
// signature.
func (s *Service) Table() awsapi.Service {
	const bucket, object = "/{Bucket}", "/{Bucket}/{Key+}"
	const source = "x-amz-copy-source"
	part := []string{"partNumber", "uploadId"}
	upload := []string{"uploadId"}
	noContent := awsapi.Status(http.StatusNoContent)
	return awsapi.Service{
		Name: "s3", Protocol: awsapi.RESTXML, Namespace: Namespace, Anonymous: true, AnyRegion: true,
		Operations: []awsapi.Operation{
			awsapi.Op("ListBuckets", awsapi.Route{Method: "GET", Path: "/"}, s.ListBuckets),
			awsapi.Op("CreateBucket", awsapi.Route{Method: "PUT", Path: bucket}, s.CreateBucket),
			awsapi.Op("HeadBucket", awsapi.Route{Method: "HEAD", Path: bucket}, s.HeadBucket),
			awsapi.Op("DeleteBucket", awsapi.Route{Method: "DELETE", Path: bucket}, s.DeleteBucket, noContent),
			awsapi.Op("GetBucketLocation", awsapi.Route{Method: "GET", Path: bucket, Query: []string{"location"}}, s.GetBucketLocation),
			awsapi.Op("ListObjects", awsapi.Route{Method: "GET", Path: bucket}, s.ListObjects),
			awsapi.Op("ListObjectsV2", awsapi.Route{Method: "GET", Path: bucket, Query: []string{"list-type=2"}}, s.ListObjectsV2),
			awsapi.Op("ListMultipartUploads", awsapi.Route{Method: "GET", Path: bucket, Query: []string{"uploads"}}, s.ListMultipartUploads),
			awsapi.Op("DeleteObjects", awsapi.Route{Method: "POST", Path: bucket, Query: []string{"delete"}}, s.DeleteObjects, awsapi.MaxBody(maxDeleteBody)),
			awsapi.Op("GetObject", awsapi.Route{Method: "GET", Path: object}, s.GetObject),
			awsapi.Op("HeadObject", awsapi.Route{Method: "HEAD", Path: object}, s.HeadObject),
			awsapi.Op("PutObject", awsapi.Route{Method: "PUT", Path: object}, s.PutObject),
			awsapi.Op("CopyObject", awsapi.Route{Method: "PUT", Path: object, Header: []string{source}}, s.CopyObject),
			awsapi.Op("DeleteObject", awsapi.Route{Method: "DELETE", Path: object}, s.DeleteObject, noContent),
			awsapi.Op("GetObjectTagging", awsapi.Route{Method: "GET", Path: object, Query: []string{"tagging"}}, s.GetObjectTagging),
			awsapi.Op("CreateMultipartUpload", awsapi.Route{Method: "POST", Path: object, Query: []string{"uploads"}}, s.CreateMultipartUpload),
			awsapi.Op("UploadPart", awsapi.Route{Method: "PUT", Path: object, Query: part}, s.UploadPart),
			awsapi.Op("UploadPartCopy", awsapi.Route{Method: "PUT", Path: object, Query: part, Header: []string{source}}, s.UploadPartCopy),
			awsapi.Op("CompleteMultipartUpload", awsapi.Route{Method: "POST", Path: object, Query: upload}, s.CompleteMultipartUpload),
			awsapi.Op("AbortMultipartUpload", awsapi.Route{Method: "DELETE", Path: object, Query: upload}, s.AbortMultipartUpload, noContent),
			awsapi.Op("ListParts", awsapi.Route{Method: "GET", Path: object, Query: upload}, s.ListParts),
		},
	}
}
