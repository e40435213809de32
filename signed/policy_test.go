package signed

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestCannedPolicyBytes(t *testing.T) {
	for _, c := range []struct {
		url  string
		at   time.Time
		want string
	}{
		{"https://d111111abcdef8.cloudfront.net/image.jpg", time.Unix(1767290400, 0), `{"Statement":[{"Resource":"https://d111111abcdef8.cloudfront.net/image.jpg","Condition":{"DateLessThan":{"AWS:EpochTime":1767290400}}}]}`},
		{"http://h/a?b=1&c=2", time.Unix(1, 999_999_999), `{"Statement":[{"Resource":"http://h/a?b=1&c=2","Condition":{"DateLessThan":{"AWS:EpochTime":1}}}]}`},
		{"http://h/a", time.Unix(MaxEpoch, 0), `{"Statement":[{"Resource":"http://h/a","Condition":{"DateLessThan":{"AWS:EpochTime":9223372036}}}]}`},
		{"http://h/'%27+%2B~", time.Unix(0, 0), `{"Statement":[{"Resource":"http://h/'%27+%2B~","Condition":{"DateLessThan":{"AWS:EpochTime":0}}}]}`},
	} {
		got, err := CannedPolicy(c.url, c.at)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v\nwant %s", c.url, got, err, c.want)
		}
		custom, err := Policy{Resource: c.url, NotAfter: c.at}.Encode()
		if err != nil || string(custom) != c.want {
			t.Errorf("custom without conditions: %s, %v\nwant %s", custom, err, c.want)
		}
	}
}

func TestCustomPolicyBytes(t *testing.T) {
	quoted := Policy{Resource: `https://h/a"b\?c=<&>`, NotAfter: time.Unix(1, 0)}
	if got, err := quoted.Encode(); err != nil || string(got) != `{"Statement":[{"Resource":"https://h/a\"b\\?c=<&>","Condition":{"DateLessThan":{"AWS:EpochTime":1}}}]}` {
		t.Errorf("%s, %v", got, err)
	}
	full := Policy{
		Resource: "https://h/*?a=<&>", NotAfter: time.Unix(1767290400, 0), NotBefore: time.Unix(1767200000, 5),
		SourceIP: netip.MustParsePrefix("192.168.0.0/24"),
	}
	const want = `{"Statement":[{"Resource":"https://h/*?a=<&>","Condition":{"DateLessThan":{"AWS:EpochTime":1767290400},"IpAddress":{"AWS:SourceIp":"192.168.0.0/24"},"DateGreaterThan":{"AWS:EpochTime":1767200000}}}]}`
	if got, err := full.Encode(); err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
	// The texts of AWS's shared cases: the same bytes as their Policy.
	for _, v := range vectors {
		i := strings.Index(v.url, "Policy=")
		if i < 0 || strings.HasPrefix(v.name, "2009") {
			continue
		}
		text, _, _ := strings.Cut(v.url[i+len("Policy="):], "&")
		raw := must(DecodeText(text))
		p := must(ParsePolicy(raw))
		if got, err := p.Encode(); err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%s: %s, %v\nwant %s", v.name, got, err, raw)
		}
	}
}

func TestPolicyRefusesToEncode(t *testing.T) {
	good := Policy{Resource: "https://h/*", NotAfter: noon}
	for name, change := range map[string]func(*Policy){
		"no resource":          func(p *Policy) { p.Resource = "" },
		"no expiry":            func(p *Policy) { p.NotAfter = time.Time{} },
		"expiry before 1970":   func(p *Policy) { p.NotAfter = time.Unix(-1, 0) },
		"expiry in ms":         func(p *Policy) { p.NotAfter = time.Unix(noon.UnixMilli(), 0) },
		"expiry above":         func(p *Policy) { p.NotAfter = time.Unix(MaxEpoch+1, 0) },
		"start before 1970":    func(p *Policy) { p.NotBefore = time.Unix(-1, 0) },
		"start at the expiry":  func(p *Policy) { p.NotBefore = noon },
		"start after":          func(p *Policy) { p.NotBefore = noon.Add(time.Second) },
		"IPv6":                 func(p *Policy) { p.SourceIP = netip.MustParsePrefix("2001:db8::/32") },
		"IPv4 in IPv6":         func(p *Policy) { p.SourceIP = netip.MustParsePrefix("::ffff:192.0.2.0/120") },
		"range without length": func(p *Policy) { p.SourceIP = netip.PrefixFrom(netip.MustParseAddr("192.0.2.1"), -1) },
		"blank":                func(p *Policy) { p.Resource = "https://h/a b" },
		"newline":              func(p *Policy) { p.Resource = "https://h/a\nb" },
		"non-ASCII":            func(p *Policy) { p.Resource = "https://h/보고서" },
		"fragment":             func(p *Policy) { p.Resource = "https://h/a#b" },
		"no protocol":          func(p *Policy) { p.Resource = "h/a" },
		"path alone":           func(p *Policy) { p.Resource = "/a" },
	} {
		p := good
		change(&p)
		if text, err := p.Encode(); err == nil {
			t.Errorf("%s: encoded as %s", name, text)
		}
	}
	for _, resource := range []string{"*", "http*://*", "*://h/*", "*h/a", "https://h/a\\?b=*", "https://h/?"} {
		p := good
		p.Resource = resource
		if _, err := p.Encode(); err != nil {
			t.Errorf("%s: %v", resource, err)
		}
	}
}

func TestUniquePolicy(t *testing.T) {
	p := Policy{Resource: goodURL, NotAfter: noon}
	seen := make(map[GrantID]bool)
	for range 100 {
		u, err := UniquePolicy(p)
		if err != nil {
			t.Fatal(err)
		}
		if n := u.NotBefore.Unix(); n < 1 || n > 1_000_000_000 {
			t.Fatalf("start %d", n)
		}
		if u.Resource != p.Resource || u.NotAfter != p.NotAfter {
			t.Fatal("more than the start changed")
		}
		seen[GrantIDOf(must(u.Encode()))] = true
	}
	if len(seen) < 99 {
		t.Errorf("100 grants have %d ids", len(seen))
	}
	p.NotBefore = noon.Add(-time.Hour)
	if _, err := UniquePolicy(p); err == nil {
		t.Error("a start of its own was overwritten")
	}
}

func TestGrantIDText(t *testing.T) {
	id := GrantIDOf([]byte("abc"))
	if id.String() != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" { // FIPS 180-4's own example
		t.Errorf("%s", id)
	}
	if back, err := ParseGrantID(id.String()); err != nil || back != id {
		t.Errorf("%v, %v", back, err)
	}
	for _, bad := range []string{"", "ba", strings.Repeat("g", 64), strings.Repeat("a", 65)} {
		if _, err := ParseGrantID(bad); err == nil {
			t.Errorf("%q parsed", bad)
		}
	}
}

const (
	cond = `"Condition":{"DateLessThan":{"AWS:EpochTime":1767290400}}`
	res  = `"Resource":"https://h/a"`
)

func TestParsePolicyAccepts(t *testing.T) {
	at := time.Unix(1767290400, 0).UTC()
	for _, c := range []struct {
		name, text string
		want       Policy
	}{
		{"compact", `{"Statement":[{` + res + `,` + cond + `}]}`, Policy{Resource: "https://h/a", NotAfter: at}},
		{"white space and a newline at the end", " \t\r\n{ \"Statement\" :\n[ {" + res + " ,\r\n" + cond + "\t} ] }\r\n \n", Policy{Resource: "https://h/a", NotAfter: at}},
		{"condition first", `{"Statement":[{` + cond + `,` + res + `}]}`, Policy{Resource: "https://h/a", NotAfter: at}},
		{"no resource", `{"Statement":[{` + cond + `}]}`, Policy{NotAfter: at}},
		{"escapes", `{"Statement":[{"Resource":"https:\/\/h\/\u0061\"\\\b\f\n\r\t\ud83d\ude00\u00e9",` + cond + `}]}`, Policy{Resource: "https://h/a\"\\\b\f\n\r\t😀é", NotAfter: at}},
		{"raw UTF-8", `{"Statement":[{"Resource":"https://h/보고서",` + cond + `}]}`, Policy{Resource: "https://h/보고서", NotAfter: at}},
		{"escaped names", `{"\u0053tatement":[{"Res\u006furce":"*",` + cond + `}]}`, Policy{Resource: "*", NotAfter: at}},
		{"all conditions", `{"Statement":[{` + res + `,"Condition":{"IpAddress":{"AWS:SourceIp":"10.0.0.0/8"},"DateGreaterThan":{"AWS:EpochTime":0},"DateLessThan":{"AWS:EpochTime":9223372036}}}]}`,
			Policy{Resource: "https://h/a", NotAfter: time.Unix(9223372036, 0).UTC(), NotBefore: time.Unix(0, 0).UTC(), SourceIP: netip.MustParsePrefix("10.0.0.0/8")}},
		{"start after the end is read, and never true", `{"Statement":[{"Condition":{"DateGreaterThan":{"AWS:EpochTime":2},"DateLessThan":{"AWS:EpochTime":1}}}]}`,
			Policy{NotAfter: time.Unix(1, 0).UTC(), NotBefore: time.Unix(2, 0).UTC()}},
	} {
		if got, err := ParsePolicy([]byte(c.text)); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
}

func TestParsePolicyRefuses(t *testing.T) {
	stmt := `{"Statement":[{` + res + `,` + cond + `}]}`
	for _, c := range []struct {
		name, text string
		cause      Cause
		reason     string // a part of it
		hint       string
	}{
		{"empty", "", CausePolicySyntax, "empty", ""},
		{"white space", " \n", CausePolicySyntax, "ends", ""},
		{"cut", stmt[:len(stmt)-2], CausePolicySyntax, "ends", "cut short"},
		{"cut in a string", stmt[:20], CausePolicySyntax, "no end", "cut short"},
		{"text after", stmt + "x", CausePolicySyntax, "follows", ""},
		{"second policy after", stmt + stmt, CausePolicySyntax, "follows", ""},
		{"NUL after", stmt + "\x00", CausePolicySyntax, "follows", ""},
		{"BOM", "\ufeff" + stmt, CausePolicySyntax, "byte order mark", "BOM"},
		{"not UTF-8", strings.Replace(stmt, "/a", "/\xff", 1), CausePolicySyntax, "UTF-8", ""},
		{"control in a string", strings.Replace(stmt, "/a", "/\n", 1), CausePolicySyntax, "control", ""},
		{"control after an escape", strings.Replace(stmt, "/a", `\/`+"\n", 1), CausePolicySyntax, "control", ""},
		{"single quotes", strings.ReplaceAll(stmt, `"`, `'`), CausePolicySyntax, `'\''`, ""},
		{"unknown escape", strings.Replace(stmt, "/a", `\?`, 1), CausePolicySyntax, "escape", "escapes"},
		{"short unicode escape", strings.Replace(stmt, "/a", `\u00`, 1), CausePolicySyntax, "escape", ""},
		{"lone surrogate", strings.Replace(stmt, "/a", `\ud83d`, 1), CausePolicySyntax, "surrogate", ""},
		{"swapped surrogates", strings.Replace(stmt, "/a", `\ude00\ud83d`, 1), CausePolicySyntax, "surrogate", ""},
		{"trailing comma", strings.Replace(stmt, "}]}", ",}]}", 1), CausePolicySyntax, "'}'", ""},
		{"no comma", strings.Replace(stmt, `","C`, `""C`, 1), CausePolicyShape, "comma", ""},
		{"comment", strings.Replace(stmt, "{", "{/*x*/", 1), CausePolicySyntax, "'/'", ""},
		{"NaN", strings.Replace(stmt, "1767290400", "NaN", 1), CausePolicySyntax, "'N'", ""},
		{"array", "[" + stmt + "]", CausePolicyShape, "object of policy", ""},
		{"null", "null", CausePolicyShape, "object of policy", ""},
		{"string", `"x"`, CausePolicyShape, "object of policy", ""},
		{"empty object", "{}", CausePolicyShape, "no Statement", ""},
		{"statement object", `{"Statement":{` + res + `,` + cond + `}}`, CausePolicyShape, "is an object", "[{"},
		{"no statement", `{"Statement":[]}`, CausePolicyShape, "empty", ""},
		{"two statements", `{"Statement":[{` + cond + `},{` + cond + `}]}`, CausePolicyShape, "more than one", ""},
		{"statement null", `{"Statement":[null]}`, CausePolicyShape, "object of statement", ""},
		{"version", `{"Version":"2012-10-17",` + stmt[1:], CausePolicyShape, "unknown member", "Statement"},
		{"name in another case", strings.Replace(stmt, "Statement", "statement", 1), CausePolicyShape, "unknown member", "case-sensitive: write Statement"},
		{"resource in another case", strings.Replace(stmt, "Resource", "resource", 1), CausePolicyShape, "unknown member", "write Resource"},
		{"member twice", `{"Statement":[{` + res + `,` + res + `,` + cond + `}]}`, CausePolicyShape, "Resource appears twice", ""},
		{"member twice, once escaped", `{"Statement":[{` + res + `,"\u0052esource":"*",` + cond + `}]}`, CausePolicyShape, "Resource appears twice", ""},
		{"statement twice", `{"Statement":[{` + cond + `}],"Statement":[{` + cond + `}]}`, CausePolicyShape, "Statement appears twice", ""},
		{"condition twice", `{"Statement":[{` + cond + `,` + cond + `}]}`, CausePolicyShape, "Condition appears twice", ""},
		{"expiry twice", strings.Replace(stmt, `}}}]`, `},"DateLessThan":{"AWS:EpochTime":1}}}]`, 1), CausePolicyShape, "DateLessThan appears twice", ""},
		{"no condition", `{"Statement":[{` + res + `}]}`, CausePolicyShape, "no Condition", ""},
		{"condition empty", `{"Statement":[{` + res + `,"Condition":{}}]}`, CausePolicyShape, "no DateLessThan", ""},
		{"only a start", strings.Replace(stmt, "DateLessThan", "DateGreaterThan", 1), CausePolicyShape, "no DateLessThan", ""},
		{"condition a list", `{"Statement":[{` + res + `,"Condition":[]}]}`, CausePolicyShape, "object of Condition", ""},
		{"unknown condition", strings.Replace(stmt, `}}}]`, `},"StringLike":{}}}]`, 1), CausePolicyShape, "unknown member", ""},
		{"epoch missing", strings.Replace(stmt, `"AWS:EpochTime":1767290400`, ``, 1), CausePolicyShape, "no AWS:EpochTime", ""},
		{"unknown in epoch", strings.Replace(stmt, `{"AWS:EpochTime"`, `{"x":1,"AWS:EpochTime"`, 1), CausePolicyShape, "unknown member", ""},
		{"resource a number", strings.Replace(stmt, `"https://h/a"`, `1`, 1), CausePolicyShape, "Resource", ""},
		{"resource a list", strings.Replace(stmt, `"https://h/a"`, `["https://h/a"]`, 1), CausePolicyShape, "Resource", ""},
		{"resource null", strings.Replace(stmt, `"https://h/a"`, `null`, 1), CausePolicyShape, "Resource", ""},
		{"resource empty", strings.Replace(stmt, `https://h/a`, ``, 1), CausePolicyShape, "empty", "*"},
		{"epoch a string", strings.Replace(stmt, "1767290400", `"1767290400"`, 1), CausePolicyEpoch, "string", "quotation"},
		{"epoch a float", strings.Replace(stmt, "1767290400", `1767290400.5`, 1), CausePolicyEpoch, "whole", ""},
		{"epoch a round float", strings.Replace(stmt, "1767290400", `1767290400.0`, 1), CausePolicyEpoch, "whole", ""},
		{"epoch with exponent", strings.Replace(stmt, "1767290400", `1e9`, 1), CausePolicyEpoch, "whole", ""},
		{"epoch negative", strings.Replace(stmt, "1767290400", `-1`, 1), CausePolicyEpoch, "negative", ""},
		{"epoch with a zero before", strings.Replace(stmt, "1767290400", `01767290400`, 1), CausePolicyEpoch, "leading zero", ""},
		{"epoch in milliseconds", strings.Replace(stmt, "1767290400", `1767290400123`, 1), CausePolicyEpoch, "above", "milliseconds; in seconds it is 1767290400"},
		{"epoch in microseconds", strings.Replace(stmt, "1767290400", `1767290400123456`, 1), CausePolicyEpoch, "above", "microseconds"},
		{"epoch in nanoseconds", strings.Replace(stmt, "1767290400", `1767290400123456789`, 1), CausePolicyEpoch, "above", "nanoseconds"},
		{"documented maximum", strings.Replace(stmt, "1767290400", `9223372036854775807`, 1), CausePolicyEpoch, "above", ""},
		{"beyond 64 bits", strings.Replace(stmt, "1767290400", strings.Repeat("9", 30), 1), CausePolicyEpoch, "30 digits", ""},
		{"epoch null", strings.Replace(stmt, "1767290400", `null`, 1), CausePolicyShape, "number", ""},
		{"address IPv6", strings.Replace(stmt, `}}}]`, `},"IpAddress":{"AWS:SourceIp":"2001:db8::1/128"}}}]`, 1), CausePolicyAddress, "IPv4", "IPv6"},
		{"two addresses", strings.Replace(stmt, `}}}]`, `},"IpAddress":{"AWS:SourceIp":"1.2.3.4/32,1.2.3.5/32"}}}]`, 1), CausePolicyAddress, "IPv4", ""},
		{"address list", strings.Replace(stmt, `}}}]`, `},"IpAddress":{"AWS:SourceIp":["1.2.3.4/32"]}}}]`, 1), CausePolicyShape, "AWS:SourceIp", ""},
		{"too long", `{"Statement":[{"Resource":"https://h/` + strings.Repeat("a", MaxPolicyBytes) + `",` + cond + `}]}`, CausePolicyShape, "bytes", ""},
		{"a long pattern", `{"Statement":[{"Resource":"https://h/*` + strings.Repeat("a", MaxPatternBytes-len("https://h/*")+1) + `",` + cond + `}]}`, CausePolicyShape, "and a *", ""},
		{"deep", strings.Repeat(`{"Statement":[`, 400), CausePolicyShape, "unknown member", ""},
		{"deep brackets", strings.Repeat(`[`, 6000), CausePolicyShape, "object of policy", ""},
	} {
		p, err := ParsePolicy([]byte(c.text))
		var pe *PolicyError
		if !errors.As(err, &pe) {
			t.Errorf("%s: %+v, %v", c.name, p, err)
			continue
		}
		if pe.Cause != c.cause || !strings.Contains(pe.Reason, c.reason) || !strings.Contains(pe.Hint, c.hint) {
			t.Errorf("%s: %v %q (hint %q), want %v %q (%q)", c.name, pe.Cause, pe.Reason, pe.Hint, c.cause, c.reason, c.hint)
		}
		if pe.Offset < 0 || pe.Offset > max(len(c.text), MaxPolicyBytes) {
			t.Errorf("%s: offset %d of %d", c.name, pe.Offset, len(c.text))
		}
		if p != (Policy{}) {
			t.Errorf("%s: a policy comes with the error", c.name)
		}
	}
}

// reference is the policy language in encoding/json's terms.
type reference struct {
	Statement []struct {
		Resource  *string
		Condition *struct {
			DateLessThan, DateGreaterThan *struct {
				Time json.Number `json:"AWS:EpochTime"`
			}
			IPAddress *struct {
				SourceIP string `json:"AWS:SourceIp"`
			} `json:"IpAddress"`
		}
	}
}

// FuzzParsePolicy: what we read, encoding/json reads as the same; and what we write, we read back.
func FuzzParsePolicy(f *testing.F) {
	for _, v := range vectors {
		if i := strings.Index(v.url, "Policy="); i >= 0 {
			text, _, _ := strings.Cut(v.url[i+len("Policy="):], "&")
			f.Add(must(DecodeText(text)))
		}
	}
	f.Add([]byte(`{"Statement":[{"Resource":"\u0061\ud83d\ude00","Condition":{"DateLessThan":{"AWS:EpochTime":1}}}]}`))
	f.Add([]byte(`{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":1},"IpAddress":{"AWS:SourceIp":"1.2.3.4"}}}]}` + "\n"))
	f.Add([]byte(`{"statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":1.0}}}],"Statement":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePolicy(text)
		if err != nil {
			var pe *PolicyError
			if !errors.As(err, &pe) || pe.Cause.Code() != MalformedPolicy {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		var ref reference
		if err := d.Decode(&ref); err != nil {
			t.Fatalf("accepted %q, and encoding/json says %v", text, err)
		}
		s := ref.Statement[0]
		if len(ref.Statement) != 1 || s.Resource != nil && *s.Resource != p.Resource || s.Resource == nil && p.Resource != "" {
			t.Fatalf("%q: %+v and %+v", text, p, s)
		}
		if n, err := s.Condition.DateLessThan.Time.Int64(); err != nil || n != p.NotAfter.Unix() {
			t.Fatalf("%q: %v and %v", text, p.NotAfter, s.Condition.DateLessThan.Time)
		}
		if (s.Condition.DateGreaterThan == nil) != p.NotBefore.IsZero() || (s.Condition.IPAddress == nil) == p.SourceIP.IsValid() {
			t.Fatalf("%q: %+v and %+v", text, p, s.Condition)
		}
		again, err := p.Encode()
		if err != nil {
			return // it may be read, but we would not issue it
		}
		if back, err := ParsePolicy(again); err != nil || !reflect.DeepEqual(back, p) {
			t.Fatalf("%q re-encoded as %q reads %+v, %v", text, again, back, err)
		}
	})
}

// FuzzPolicyFromJSON: what encoding/json writes for a policy, indented or not, we read as the same.
func FuzzPolicyFromJSON(f *testing.F) {
	f.Add("https://h/a?b=<c>&d", int64(1767290400), int64(0), false)
	f.Add("보고서\u2028\"\\\x7f\x00", int64(0), int64(MaxEpoch), true)
	f.Fuzz(func(t *testing.T, resource string, after, before int64, indent bool) {
		in := map[string]any{"Statement": []any{map[string]any{
			"Resource": resource,
			"Condition": map[string]any{
				"DateLessThan":    map[string]any{"AWS:EpochTime": after},
				"DateGreaterThan": map[string]any{"AWS:EpochTime": before},
			},
		}}}
		text := must(json.Marshal(in))
		if indent {
			text = must(json.MarshalIndent(in, "\t", "\r  "))
		}
		p, err := ParsePolicy(text)
		valid := resource != "" && after >= 0 && after <= MaxEpoch && before >= 0 && before <= MaxEpoch && len(text) <= MaxPolicyBytes &&
			(len(resource) <= MaxPatternBytes || !strings.Contains(resource, "*"))
		if valid != (err == nil) {
			t.Fatalf("%q: %v", text, err)
		}
		if err == nil && (p.Resource != strings.ToValidUTF8(resource, "\ufffd") && utf8.ValidString(resource) || p.NotAfter.Unix() != after || p.NotBefore.Unix() != before) {
			t.Fatalf("%q: %+v", text, p)
		}
	})
}

// TestPatternBound: a pattern of MaxPatternBytes is encoded and read, a longer one neither; a longer
// resource without * is both.
func TestPatternBound(t *testing.T) {
	for _, c := range []struct {
		resource string
		ok       bool
	}{
		{"https://h/*" + strings.Repeat("a", MaxPatternBytes-len("https://h/*")), true},
		{"https://h/*" + strings.Repeat("a", MaxPatternBytes-len("https://h/*")+1), false},
		{"https://h/" + strings.Repeat("a", 2*MaxPatternBytes), true},
	} {
		text, err := Policy{Resource: c.resource, NotAfter: time.Unix(1767290400, 0)}.Encode()
		if (err == nil) != c.ok {
			t.Errorf("%d bytes: encoding: %v", len(c.resource), err)
		}
		if err == nil {
			if _, err := ParsePolicy(text); err != nil {
				t.Errorf("%d bytes: reading: %v", len(c.resource), err)
			}
		}
	}
}
