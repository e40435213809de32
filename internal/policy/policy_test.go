package policy

import (
	"testing"
)

func TestOwner(t *testing.T) {
	const account, other = "111122223333", "444455556666"
	root := Caller{Kind: Root, Account: account, ARN: RootARN(account)}
	edge := EdgeCaller("arn:aws:cloudfront::" + account + ":distribution/E1")
	get := Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", ResourceAccount: account}
	put := Request{Action: "s3:PutObject", Resource: "arn:aws:s3:::b/k", ResourceAccount: account}
	for _, c := range []struct {
		name string
		who  Caller
		req  Request
		want bool
	}{
		{"the owner reads", root, get, true},
		{"the owner writes", root, put, true},
		{"the edge reads", edge, get, true},
		{"the edge does not write", edge, put, false},
		{"a distribution of another account", EdgeCaller("arn:aws:cloudfront::" + other + ":distribution/E1"), get, false},
		{"the edge without a distribution", EdgeCaller(""), get, false},
		{"the edge with a bare prefix", EdgeCaller("arn:aws:cloudfront::" + account + ":distribution/"), get, false},
		{"another service", Caller{Kind: Service, ARN: "lambda.amazonaws.com", SourceARN: edge.SourceARN}, get, false},
		{"another account's root", Caller{Kind: Root, Account: other, ARN: RootARN(other)}, get, false},
		{"a root whose ARN is not its own", Caller{Kind: Root, Account: account, ARN: RootARN(other)}, get, false},
		{"a user without policies", Caller{Kind: User, Account: account, ARN: "arn:aws:iam::" + account + ":user/x"}, get, false},
		{"nobody", Caller{}, get, false},
		{"a resource nobody owns", root, Request{Action: "s3:GetObject"}, false},
		{"nobody on what nobody owns", Caller{Kind: Root, ARN: RootARN("")}, Request{Action: "s3:GetObject"}, false},
	} {
		if got := (Owner{}).Decide(t.Context(), c.who, c.req); got.Allowed != c.want {
			t.Errorf("%s: allowed %v, want %v (%s)", c.name, got.Allowed, c.want, got.Reason)
		} else if got.Reason == "" {
			t.Errorf("%s: no reason", c.name)
		}
	}
}
