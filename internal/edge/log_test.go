package edge

import (
	"strings"
	"testing"
	"time"

	"postern/internal/cloudfront/document"
	"postern/signed"
)

func TestOneEventPerRequest(t *testing.T) {
	w := newWorld(t, nil, nil)
	c := w.dial()
	event := w.log.of(c.do("GET", w.sign("/report.pdf")).Response)
	for name, v := range map[string]any{
		"msg": "request", "method": "GET", "host": host, "scheme": "http", "path": "/report.pdf", "status": 200., "bytes": 10.,
		"distribution": "E1", "behaviour": "*", "key_pair": keyID, "viewer": "127.0.0.1",
	} {
		if event[name] != v {
			t.Errorf("%s: %v, want %v", name, event[name], v)
		}
	}
	canned, err := signed.CannedPolicy("http://"+host+"/report.pdf", w.clock().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if id := signed.GrantIDOf(canned).String(); event["grant"] != id {
		t.Errorf("grant %v, want %s", event["grant"], id)
	}
	r := c.do("GET", "/report.pdf")
	event = w.log.of(r.Response)
	if event["bytes"] != 146. {
		t.Errorf("GET: %v bytes", event["bytes"])
	}
	if event["request"] != r.Header.Get("X-Amz-Cf-Id") || event["refusal"] != "MissingKey" || event["cause"] != signed.CauseUnsigned.String() || event["key_pair"] != nil {
		t.Errorf("%v", event)
	}
	if event = w.log.of(c.do("HEAD", "/report.pdf").Response); event["bytes"] != 0. {
		t.Errorf("HEAD: %v bytes", event["bytes"])
	}
	if w.log.count != 3 || len(w.metrics.seen) != 3 {
		t.Errorf("%d events and %d observations for three requests", w.log.count, len(w.metrics.seen))
	}
	if o := w.metrics.last(); o.Distribution != "E1" || o.Status != 403 || o.Refusal != "MissingKey" || o.Bytes != 0 {
		t.Errorf("%+v", o)
	}
}

// Neither log nor error page nor origin sees a signature, a policy or a cookie, whatever becomes of the request.
func TestSecretsStayOut(t *testing.T) {
	w := newWorld(t, func(c *document.DistributionConfig) {
		c.CacheBehaviors.Items = append(c.CacheBehaviors.Items, document.CacheBehavior{PathPattern: "/tls/*",
			DefaultCacheBehavior: behaviourOf("bucket", func(b *document.DefaultCacheBehavior) { b.ViewerProtocolPolicy = "https-only" })})
	}, nil)
	s := signed.Signer{KeyPairID: keyID, Key: w.keys[keyID]}
	p := signed.Policy{Resource: "http://" + host + "/*", NotAfter: w.clock().Add(time.Minute)}
	u, err := s.SignURLPolicy("http://"+host+"/app/x?a=1", p)
	if err != nil {
		t.Fatal(err)
	}
	target := strings.TrimPrefix(u, "http://"+host)
	cookies, err := s.Cookies(p, signed.CookieOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var secrets, pairs []string
	for _, c := range cookies {
		pairs = append(pairs, c.Name+"="+c.Value)
		if c.Name != "CloudFront-Key-Pair-Id" {
			secrets = append(secrets, c.Value)
		}
	}
	_, query, _ := strings.Cut(target, "?")
	for part := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(part, "="); name == "Signature" || name == "Policy" {
			secrets = append(secrets, value)
		}
	}
	cookie := "Cookie: a=1; " + strings.Join(pairs, "; ") + "; b=2"
	secrets = append(secrets, "CloudFront-Signature", "Signature=")

	answers := []reply{
		w.do("GET", target),
		w.do("GET", "/app/y?a=1", cookie, "Referer: "+u),
		w.do("GET", target, cookie),
		w.do("GET", strings.Replace(target, "/app/x", "/app/../x", 1), cookie),
		w.do("GET", strings.Replace(target, "/app/x", "/report.pdf", 1)),
		w.do("GET", strings.Replace(target, "/app/x", "/tls/x", 1)),
		w.do("POST", target, "Content-Length: 0"),
		w.do("GET", target+"é"),
		w.do("GET", target, "Host: nobody.example"),
		w.do("GET", strings.Replace(target, "Signature=", "Signature=x", 1)),
	}
	w.advance(time.Hour)
	answers = append(answers, w.do("GET", target), w.do("GET", "/app/y", cookie))
	if answers[0].StatusCode != 200 || answers[1].StatusCode != 200 {
		t.Fatalf("%d %q, %d %q", answers[0].StatusCode, answers[0].body, answers[1].StatusCode, answers[1].body)
	}
	for i, r := range answers {
		w.log.of(r.Response)
		for _, secret := range secrets {
			if strings.Contains(r.body, secret) {
				t.Errorf("answer %d holds %q", i, secret)
			}
		}
	}
	for _, secret := range secrets {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	for _, r := range w.web.asked {
		var head strings.Builder
		r.Header.Write(&head)
		head.WriteString(r.RequestURI)
		for _, secret := range secrets {
			if strings.Contains(head.String(), secret) {
				t.Errorf("the origin was shown %q", secret)
			}
		}
	}
	if got := w.web.asked[1].Header.Get("Cookie"); got != "a=1; b=2" {
		t.Errorf("the viewer's own cookies: %q", got)
	}
}
