package cloudfront

import (
	"context"
	"net/http"

	"postern/internal/awsapi"
	"postern/internal/cloudfront/document"
	"postern/internal/policy"
)

const root = "/2020-05-31/"

// Table is CloudFront's wire face: REST-XML, API version 2020-05-31, any region in the scope, since a
// client with an endpoint of its own signs with whatever region it has.
func (s *Service) Table() awsapi.Service {
	return awsapi.Service{
		Name:       "cloudfront",
		Protocol:   awsapi.RESTXML,
		Namespace:  document.Namespace,
		AnyRegion:  true,
		PathPrefix: root,
		Operations: []awsapi.Operation{
			op("CreatePublicKey", "POST", kindPublicKey, s.CreatePublicKey),
			op("GetPublicKey", "GET", kindPublicKey+"/{Id}", s.GetPublicKey),
			op("GetPublicKeyConfig", "GET", kindPublicKey+"/{Id}/config", s.GetPublicKeyConfig),
			op("UpdatePublicKey", "PUT", kindPublicKey+"/{Id}/config", s.UpdatePublicKey),
			op("DeletePublicKey", "DELETE", kindPublicKey+"/{Id}", s.DeletePublicKey),
			op("ListPublicKeys", "GET", kindPublicKey, s.ListPublicKeys),

			op("CreateKeyGroup", "POST", kindKeyGroup, s.CreateKeyGroup),
			op("GetKeyGroup", "GET", kindKeyGroup+"/{Id}", s.GetKeyGroup),
			op("GetKeyGroupConfig", "GET", kindKeyGroup+"/{Id}/config", s.GetKeyGroupConfig),
			// The one update whose path does not end in /config.
			op("UpdateKeyGroup", "PUT", kindKeyGroup+"/{Id}", s.UpdateKeyGroup),
			op("DeleteKeyGroup", "DELETE", kindKeyGroup+"/{Id}", s.DeleteKeyGroup),
			op("ListKeyGroups", "GET", kindKeyGroup, s.ListKeyGroups),

			op("CreateOriginAccessControl", "POST", kindControl, s.CreateOriginAccessControl),
			op("GetOriginAccessControl", "GET", kindControl+"/{Id}", s.GetOriginAccessControl),
			op("GetOriginAccessControlConfig", "GET", kindControl+"/{Id}/config", s.GetOriginAccessControlConfig),
			op("UpdateOriginAccessControl", "PUT", kindControl+"/{Id}/config", s.UpdateOriginAccessControl),
			op("DeleteOriginAccessControl", "DELETE", kindControl+"/{Id}", s.DeleteOriginAccessControl),
			op("ListOriginAccessControls", "GET", kindControl, s.ListOriginAccessControls),

			op("CreateDistribution", "POST", kindDistribution, s.CreateDistribution),
			op("GetDistribution", "GET", kindDistribution+"/{Id}", s.GetDistribution),
			op("GetDistributionConfig", "GET", kindDistribution+"/{Id}/config", s.GetDistributionConfig),
			op("UpdateDistribution", "PUT", kindDistribution+"/{Id}/config", s.UpdateDistribution),
			op("DeleteDistribution", "DELETE", kindDistribution+"/{Id}", s.DeleteDistribution),
			op("ListDistributions", "GET", kindDistribution, s.ListDistributions),
		},
	}
}

// op is one line: POST creates and answers 201, DELETE answers 204, the rest 200.
func op[In, Out any](name, method, path string, fn func(context.Context, policy.Caller, In) (Out, error)) awsapi.Operation {
	var opts []awsapi.Option
	switch method {
	case http.MethodPost:
		opts = append(opts, awsapi.Status(http.StatusCreated))
	case http.MethodDelete:
		opts = append(opts, awsapi.Status(http.StatusNoContent))
	}
	return awsapi.Op(name, awsapi.Route{Method: method, Path: root + path}, fn, opts...)
}
