package signed_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"slices"
	"strings"
	"time"

	"postern/signed"
)

// A link is signed, opens, and is explained when somebody changes a letter of it.
func Example() {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // usually signed.ParsePrivateKey
	if err != nil {
		log.Fatal(err)
	}
	public, err := signed.NewKey(private.Public())
	if err != nil {
		log.Fatal(err)
	}
	now := time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)

	signer := &signed.Signer{KeyPairID: "K2JCJMDEHXQW5F", Key: private}
	link, err := signer.SignURL("https://cdn.example.com"+signed.EncodePath("reports/may 2031.pdf"), now.Add(7*24*time.Hour))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(link[:strings.Index(link, "&Signature=")])

	verifier := &signed.Verifier{Keys: func(id string) (*signed.Key, bool) {
		return public, id == "K2JCJMDEHXQW5F"
	}}
	grant, err := verifier.Verify(signed.Request{URL: link, Time: now})
	fmt.Println(grant.Policy.Resource, "until", grant.Policy.NotAfter.Format(time.DateOnly), err)

	changed := signed.Request{URL: strings.Replace(link, "may", "mai", 1), Time: now}
	_, err = verifier.Verify(changed)
	var refusal *signed.Refusal
	if errors.As(err, &refusal) {
		fmt.Printf("%s\n", refusal.Code.XML())
	}
	fmt.Println(signed.Explain(changed, signed.ExplainConfig{Verifier: verifier}))
	// Output:
	// https://cdn.example.com/reports/may%202031.pdf?Expires=1936008000
	// https://cdn.example.com/reports/may%202031.pdf until 2031-05-08 <nil>
	// <?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Access denied</Message></Error>
	// The signature was made for https://cdn.example.com/reports/may%202031.pdf; character 12 of the path is 'i' here and 'y' there; use that URL, or sign this one.
}

// Cookies open everything that a pattern covers, such as all segments of a video.
func ExampleSigner_Cookies() {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	signer := &signed.Signer{KeyPairID: "K2JCJMDEHXQW5F", Key: private}
	cookies, err := signer.Cookies(signed.Policy{
		Resource: "https://video.example.com/films/42/*",
		NotAfter: time.Date(2031, 5, 1, 18, 0, 0, 0, time.UTC),
	}, signed.CookieOptions{Path: "/films/42/"})
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range cookies {
		c.Value = "..."
		fmt.Println(c)
	}
	// Output:
	// CloudFront-Policy=...; Path=/films/42/; HttpOnly; Secure; SameSite=Lax
	// CloudFront-Signature=...; Path=/films/42/; HttpOnly; Secure; SameSite=Lax
	// CloudFront-Key-Pair-Id=...; Path=/films/42/; HttpOnly; Secure; SameSite=Lax
	// CloudFront-Hash-Algorithm=...; Path=/films/42/; HttpOnly; Secure; SameSite=Lax
}

// Two people get links to one file. One link is taken back, and the other stays good.
func ExampleUniquePolicy() {
	policy := signed.Policy{Resource: "https://cdn.example.com/report.pdf", NotAfter: time.Date(2031, 5, 1, 0, 0, 0, 0, time.UTC)}
	var ids []signed.GrantID
	for range 2 {
		own, err := signed.UniquePolicy(policy)
		if err != nil {
			log.Fatal(err)
		}
		text, err := own.Encode()
		if err != nil {
			log.Fatal(err)
		}
		ids = append(ids, signed.GrantIDOf(text))
	}
	revoked := func(id signed.GrantID) bool { return id == ids[0] }
	fmt.Println(revoked(ids[0]), revoked(ids[1]))
	// Output:
	// true false
}

// A star in a URL that is meant literally would open more than that URL.
func ExampleCheckLiteral() {
	err := signed.CheckLiteral("https://cdn.example.com/reports/*")
	var wild *signed.LiteralWildcardError
	fmt.Println(errors.As(err, &wild))
	fmt.Println(err)
	// Output:
	// true
	// at character 33 of the URL: '*' is a wildcard in a policy and would open other URLs as well; write %2A if the character itself is meant, or sign a custom policy
}

func ExampleEncodePath() {
	for _, key := range []string{"a b+c", "100%?", "it's #1 & *", "한글.pdf"} {
		fmt.Println(signed.EncodePath(key))
	}
	// Output:
	// /a%20b%2Bc
	// /100%25%3F
	// /it%27s%20%231%20%26%20%2A
	// /%ED%95%9C%EA%B8%80.pdf
}

// With the bucket's keys at hand, a link whose path was replaced altogether is recognised.
func ExampleExplain_candidates() {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	public, err := signed.NewKey(private.Public())
	if err != nil {
		log.Fatal(err)
	}
	now := time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)
	link, err := (&signed.Signer{KeyPairID: "K2JCJMDEHXQW5F", Key: private}).SignURL("https://cdn.example.com/public/terms.html", now.Add(time.Hour))
	if err != nil {
		log.Fatal(err)
	}
	e := signed.Explain(signed.Request{URL: strings.Replace(link, "/public/terms.html", "/private/salaries.xlsx", 1), Time: now}, signed.ExplainConfig{
		Verifier:   &signed.Verifier{Keys: func(string) (*signed.Key, bool) { return public, true }},
		Candidates: slices.Values([]string{"private/salaries.xlsx", "public/terms.html"}),
	})
	fmt.Println(e.SignedURL)
	fmt.Println(e.Section, e.Position)
	// Output:
	// https://cdn.example.com/public/terms.html
	// path 3
}

func ExampleParseTime() {
	for _, text := range []string{"2031-05-01T18:00:00+09:00", "2031-05-01+09:00", "1935392400", "2031-05-01", "1935392400000"} {
		t, err := signed.ParseTime(text)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(t.UTC().Format(time.RFC3339))
	}
	// Output:
	// 2031-05-01T09:00:00Z
	// 2031-04-30T15:00:00Z
	// 2031-05-01T09:00:00Z
	// "2031-05-01": no time zone (write 2031-05-01Z for UTC, 2031-05-01+09:00, or "2031-05-01 Asia/Seoul")
	// "1935392400000": seconds since 1970 expected, and this is 1935392400000, above the limit of 9223372036 (the value is in milliseconds; in seconds it is 1935392400)
}
