// Package policy says who is asking and whether they may.
//
// A [Caller] is an authenticated principal; every engine method takes one. A [Decider] answers, for
// one [Request], yes or no. The first decider is [Owner]: the account's own credentials may do
// everything, the edge may read objects, nobody else may do anything. A full IAM decision replaces
// the decider, never the calls.
package policy

import (
	"context"
	"fmt"
	"strings"
)

// Kind tells principals apart that AWS treats differently.
type Kind uint8

const (
	// Anonymous is a request that carries no signature. It is the zero Kind, so that a Caller nobody
	// filled in is a stranger.
	Anonymous Kind = iota
	// Root is the account itself: arn:aws:iam::<account>:root.
	Root
	// User is an IAM user.
	User
	// Role is a session of an assumed role.
	Role
	// Service is an AWS service principal, such as cloudfront.amazonaws.com.
	Service
)

// String names the kind as CloudTrail's userIdentity.type does
// (docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html).
func (k Kind) String() string {
	switch k {
	case Root:
		return "Root"
	case User:
		return "IAMUser"
	case Role:
		return "AssumedRole"
	case Service:
		return "AWSService"
	default:
		return "Anonymous"
	}
}

// Caller is an authenticated principal. The zero Caller is anonymous and may do nothing.
// It is a value: engines keep no pointer to it.
type Caller struct {
	Kind Kind
	// ARN is the principal's ARN, or the service's name (cloudfront.amazonaws.com) for a Service.
	ARN string
	// Account is the twelve-digit id of the principal's account; empty for anonymous and services.
	Account string
	// AccessKeyID is the id of the key that signed the request; never its secret.
	AccessKeyID string
	// SourceARN is aws:SourceArn: the resource on whose behalf a Service acts.
	SourceARN string
	// SourceIP is the peer's address as text, for audit and aws:SourceIp. May be empty in-process.
	SourceIP string
	// SecureTransport is aws:SecureTransport: the request came over TLS (or in-process).
	SecureTransport bool
	// UserAgent is the client's User-Agent, for audit only. At most 512 bytes are kept.
	UserAgent string
	// RequestID names the request in the audit log, the answer and the error.
	RequestID string
}

// CloudFront is the service principal under which the edge reads a private bucket for one distribution
// (origin access control).
const CloudFront = "cloudfront.amazonaws.com"

// EdgeCaller is the principal of the edge reading for the distribution with that ARN.
func EdgeCaller(distributionARN string) Caller {
	return Caller{Kind: Service, ARN: CloudFront, SourceARN: distributionARN, SecureTransport: true}
}

// RootARN is the ARN of the account itself.
func RootARN(account string) string { return "arn:aws:iam::" + account + ":root" }

// Request is one thing a caller wants to do.
type Request struct {
	// Action is service:Operation as IAM names it, such as s3:GetObject.
	Action string
	// Resource is the ARN the action is on; "*" where the action has none.
	Resource string
	// ResourceAccount is the account that owns the resource.
	ResourceAccount string
	// Context holds the condition keys of this request that the Caller does not carry,
	// such as s3:prefix. Keys are compared without regard to case, as IAM does.
	Context map[string][]string
}

// Decision is a Decider's answer. Only an Allowed of true is a yes.
type Decision struct {
	Allowed bool
	// Reason is one half-sentence for the audit log and for AWS's message text, such as
	// "because no identity-based policy allows the s3:GetObject action". It holds no secret.
	Reason string
}

// Decider decides. Implementations are safe for concurrent use, do no network calls, and answer no
// when in doubt.
type Decider interface {
	Decide(ctx context.Context, who Caller, req Request) Decision
}

// Owner allows what the resource's own account asks for, lets the edge (the CloudFront service
// principal, acting for a distribution of that account) read objects, and refuses everybody else.
type Owner struct{}

// Decide implements [Decider].
func (Owner) Decide(_ context.Context, who Caller, req Request) Decision {
	if req.ResourceAccount == "" {
		return Decision{Reason: "because the resource has no owner"}
	}
	switch who.Kind {
	case Root:
		if who.Account == req.ResourceAccount && who.ARN == RootARN(who.Account) {
			return Decision{Allowed: true, Reason: "the account owns the resource"}
		}
	case Service:
		prefix := "arn:aws:cloudfront::" + req.ResourceAccount + ":distribution/"
		if who.ARN == CloudFront && req.Action == "s3:GetObject" &&
			strings.HasPrefix(who.SourceARN, prefix) && len(who.SourceARN) > len(prefix) {
			return Decision{Allowed: true, Reason: "the account's distribution may read its objects"}
		}
	}
	return Decision{Reason: fmt.Sprintf("because no identity-based policy allows the %s action", req.Action)}
}
