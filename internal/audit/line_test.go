package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"postern/internal/seal"
)

// when is the clock of these tests.
var when = time.Date(2020, 2, 3, 4, 5, 6, 789, time.FixedZone("KST", 9*3600))

func example() Event {
	return Event{
		EventTime: when, EventID: "7b1e3c52-0000-4000-8000-000000000001",
		EventSource: "s3.amazonaws.com", EventName: "GetObject", Region: "us-east-1",
		SourceIPAddress: "192.0.2.1", UserAgent: "aws-cli/1.45 Python/3.11",
		UserIdentity:      UserIdentity{Type: "Root", ARN: "arn:aws:iam::111122223333:root", AccountID: "111122223333", AccessKeyID: "AKIDEXAMPLE"},
		RequestID:         "R1",
		RequestParameters: map[string]any{"bucketName": "b", "key": "a/b", "x": map[string]any{"n": 1, "t": true, "l": []string{"p", "q"}}},
		Resources:         []Resource{{ARN: "arn:aws:s3:::b/a/b", AccountID: "111122223333"}},
		DecisionReason:    "the account owns the resource",
	}
}

// line writes an event and reads it back with encoding/json.
func line(t testing.TB, e Event) (string, map[string]any) {
	t.Helper()
	text := string(appendLine(nil, &e))
	if !strings.HasSuffix(text, "}\n") || strings.Count(text, "\n") != 1 {
		t.Fatalf("not one line: %q", text)
	}
	if len(text) > maxLine {
		t.Fatalf("a line of %d bytes", len(text))
	}
	var m map[string]any
	dec := json.NewDecoder(strings.NewReader(text))
	if err := dec.Decode(&m); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return text, m
}

func TestLine(t *testing.T) {
	got, _ := line(t, example())
	want := `{"eventVersion":"1.11","userIdentity":{"type":"Root","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333","accessKeyId":"AKIDEXAMPLE"},` +
		`"eventTime":"2020-02-02T19:05:06Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.1","userAgent":"aws-cli/1.45 Python/3.11",` +
		`"requestParameters":{"bucketName":"b","key":"a/b","x":{"l":["p","q"],"n":1,"t":true}},"responseElements":null,"additionalEventData":{"decisionReason":"the account owns the resource"},` +
		`"requestID":"R1","eventID":"7b1e3c52-0000-4000-8000-000000000001","readOnly":true,"resources":[{"ARN":"arn:aws:s3:::b/a/b","accountId":"111122223333"}],` +
		`"eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"111122223333","eventCategory":"Data"}` + "\n"
	if got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	e := Event{EventTime: when, EventName: "CreateBucket", ErrorCode: "AccessDenied", ErrorMessage: "no", SourceARN: "arn:x",
		UserIdentity: UserIdentity{Type: "AWSService", InvokedBy: "cloudfront.amazonaws.com"}, Resources: []Resource{{ARN: "arn:aws:s3:::b"}}}
	got, _ = line(t, e)
	want = `{"eventVersion":"1.11","userIdentity":{"type":"AWSService","invokedBy":"cloudfront.amazonaws.com"},"eventTime":"2020-02-02T19:05:06Z","eventName":"CreateBucket",` +
		`"errorCode":"AccessDenied","errorMessage":"no","requestParameters":null,"responseElements":null,"additionalEventData":{"sourceArn":"arn:x"},"readOnly":false,` +
		`"resources":[{"ARN":"arn:aws:s3:::b"}],"eventType":"AwsApiCall","managementEvent":true,"eventCategory":"Management"}` + "\n"
	if got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestParameters(t *testing.T) {
	deep := map[string]any{}
	for range 20 {
		deep = map[string]any{"d": deep}
	}
	wide := map[string]any{}
	for i := range 200 {
		wide[fmt.Sprint(i)] = i
	}
	omitted := map[string]any{"omitted": true}
	for _, c := range []struct {
		name string
		in   map[string]any
		want any
	}{
		{"none", nil, nil},
		{"numbers", map[string]any{"a": 1, "b": int64(-2), "c": 1.5, "d": uint8(3), "e": int64(math.MaxInt64)},
			map[string]any{"a": json.Number("1"), "b": json.Number("-2"), "c": json.Number("1.5"), "d": json.Number("3"), "e": json.Number("9223372036854775807")}},
		{"a time", map[string]any{"t": when}, map[string]any{"t": "2020-02-02T19:05:06Z"}},
		{"lists and maps", map[string]any{"l": []any{"a", nil, false, []string{}}, "m": map[string]string{"k": "v"}},
			map[string]any{"l": []any{"a", nil, false, []any{}}, "m": map[string]any{"k": "v"}}},
		{"a struct", map[string]any{"s": struct {
			A string `json:"a"`
			B []int
		}{"x\ny", []int{1}}}, map[string]any{"s": map[string]any{"a": "x\ny", "B": []any{json.Number("1")}}}},
		{"a secret", map[string]any{"s": seal.NewSecret([]byte("hunter2"))}, map[string]any{"s": "[redacted]"}},
		{"a secret in a struct", map[string]any{"s": struct{ S seal.Secret }{seal.NewSecret([]byte("hunter2"))}}, map[string]any{"s": map[string]any{"S": "[redacted]"}}},
		{"a key of 1,024 bytes", map[string]any{"key": strings.Repeat("k", 1024)}, map[string]any{"key": strings.Repeat("k", 1024)}},
		{"a long string", map[string]any{"s": strings.Repeat("k", 5000)}, map[string]any{"s": strings.Repeat("k", maxString) + "…"}},
		{"a long string of long characters", map[string]any{"s": "x" + strings.Repeat("한", 1000)}, map[string]any{"s": "x" + strings.Repeat("한", (maxString-1)/3) + "…"}},
		{"too deep", deep, omitted},
		{"too wide", wide, omitted},
		{"a list too long", map[string]any{"l": make([]string, maxItems+1)}, omitted},
		{"too much", map[string]any{"l": slices.Repeat([]string{strings.Repeat("a", maxString)}, 11)}, omitted},
		{"what JSON cannot say", map[string]any{"f": func() {}}, omitted},
		{"a number JSON cannot say", map[string]any{"f": math.Inf(1)}, omitted},
	} {
		e := example()
		e.RequestParameters = c.in
		text := string(appendLine(nil, &e))
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		var m map[string]any
		if err := dec.Decode(&m); err != nil {
			t.Errorf("%s: %v in %s", c.name, err, text)
			continue
		}
		if got := m["requestParameters"]; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s: the secret is in the line", c.name)
		}
	}
}

func TestStringsAreSafe(t *testing.T) {
	for in, want := range map[string]string{
		"":                           `""`,
		"plain":                      `"plain"`,
		"한글 é €":                     `"한글 é €"`,
		`quote " back \ slash`:       `"quote \" back \\ slash"`,
		"a\nb\rc\td\x00e\x7f\x1b[2J": `"a\u000ab\u000dc\u0009d\u0000e\u007f\u001b[2J"`,
		"\u0085\u2028\u2029\u202e":   `"\u0085\u2028\u2029\u202e"`,
		"\xff\xc3\x28\xe2\x82":       `"\ufffd\ufffd(\ufffd\ufffd"`,
		"\U000e0001 \U0001f600":      `"\udb40\udc01 😀"`,
		"\ufffd":                     `"` + "\ufffd" + `"`,
	} {
		if got := string(appendString(nil, in, 1000)); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"abc", 3, `"abc"`}, {"abcd", 3, `"abc…"`}, {"한글", 3, `"한…"`}, {"한글", 4, `"한…"`}, {"한글", 5, `"한…"`}, {"한글", 6, `"한글"`}, {"한", 1, `"…"`}, {"\xff\xff\xff\xff\xff\xff", 5, `"\ufffd…"`},
	} {
		if got := string(appendString(nil, c.in, c.limit)); got != c.want {
			t.Errorf("%q to %d: %s, want %s", c.in, c.limit, got, c.want)
		}
	}
}

// The longest line that the limits allow.
func TestLongestLine(t *testing.T) {
	nasty := strings.Repeat("\x01", 100_000)
	params := map[string]any{}
	for i := range 5 {
		params[fmt.Sprint(i, strings.Repeat("\x02", 250))] = strings.Repeat("\x01", 250)
	}
	e := Event{EventTime: when, EventID: nasty, EventSource: nasty, EventName: nasty, Region: nasty, SourceIPAddress: nasty, UserAgent: nasty,
		UserIdentity: UserIdentity{nasty, nasty, nasty, nasty, nasty}, RequestID: nasty, RequestParameters: params, ErrorCode: nasty, ErrorMessage: nasty, SourceARN: nasty, DecisionReason: nasty}
	for range 100 {
		e.Resources = append(e.Resources, Resource{nasty, nasty})
	}
	text, _ := line(t, e)
	t.Logf("%d bytes", len(text))
}

// FuzzLine pins that one event is one line of valid JSON whatever its strings hold, and that the strings
// come back.
func FuzzLine(f *testing.F) {
	f.Add("GetObject", "agent\n{\"eventName\":\"forged\"}\n", "key", "value\r\n", "arn:aws:s3:::b/\xff")
	f.Add("", "\x00\x1b[31m\u2028", "", "한글", "")
	f.Add("\\", "\"", "\\\"", "\\u000a", "\xed\xa0\x80")
	f.Fuzz(func(t *testing.T, name, agent, key, value, arn string) {
		e := example()
		e.EventName, e.UserAgent, e.ErrorMessage, e.DecisionReason, e.RequestID = name, agent, value, agent, value
		e.RequestParameters = map[string]any{key: value, "list": []string{value, agent}, "other": struct{ X string }{value}}
		e.Resources = []Resource{{ARN: arn, AccountID: arn}}
		text, m := line(t, e)
		if !utf8.ValidString(text) {
			t.Fatalf("not UTF-8: %q", text)
		}
		for _, r := range text[:len(text)-1] {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
				t.Fatalf("%U in %q", r, text)
			}
		}
		if agent != "" && len(agent) <= maxText && m["userAgent"] != strings.ToValidUTF8(agent, "\ufffd") {
			// ToValidUTF8 makes one of a run of bad bytes, a line one of each.
			if utf8.ValidString(agent) {
				t.Fatalf("%q became %q", agent, m["userAgent"])
			}
		}
		if again := appendLine(nil, &e); !bytes.Equal(again, []byte(text)) {
			t.Fatalf("one event, two texts:\n%s%s", text, again)
		}
	})
}

func BenchmarkLine(b *testing.B) {
	e := example()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = appendLine(buf[:0], &e)
	}
	b.SetBytes(int64(len(buf)))
}
