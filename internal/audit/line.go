package audit

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of a line, in bytes before escaping, which makes six of one at worst. An ordinary line has
// about one KiB; the longest that the limits allow is below maxLine.
const (
	maxLine = 128 << 10
	// maxName bounds names, ids and addresses.
	maxName = 256
	// maxString bounds ARNs and the strings in requestParameters: an ARN with an object key of 1,024
	// bytes fits.
	maxString = 1536
	// maxText bounds the user agent, the error message (CloudTrail: 1 KB each) and the reason.
	maxText = 1024
	// maxParameters bounds the whole of requestParameters in the line.
	maxParameters = 16 << 10
	// maxDepth and maxItems bound the nesting and the breadth of requestParameters.
	maxDepth = 8
	maxItems = 128
	// maxResources bounds the list of resources.
	maxResources = 4
)

// eventVersion is the version of CloudTrail's record format whose fields these are.
const eventVersion = "1.11"

// appendLine appends the event as one line of JSON, with its newline. Fields that do not apply are left
// out, as CloudTrail leaves them out.
func appendLine(b []byte, e *Event) []byte {
	b = append(b, `{"eventVersion":"`+eventVersion+`","userIdentity":{"type":`...)
	b = appendString(b, e.UserIdentity.Type, maxName)
	b = appendField(b, "arn", e.UserIdentity.ARN, maxString)
	b = appendField(b, "accountId", e.UserIdentity.AccountID, maxName)
	b = appendField(b, "accessKeyId", e.UserIdentity.AccessKeyID, maxName)
	b = appendField(b, "invokedBy", e.UserIdentity.InvokedBy, maxName)
	b = append(b, `},"eventTime":"`...)
	b = e.EventTime.UTC().AppendFormat(b, "2006-01-02T15:04:05Z")
	b = append(b, '"')
	b = appendField(b, "eventSource", e.EventSource, maxName)
	b = appendField(b, "eventName", e.EventName, maxName)
	b = appendField(b, "awsRegion", e.Region, maxName)
	b = appendField(b, "sourceIPAddress", e.SourceIPAddress, maxName)
	b = appendField(b, "userAgent", e.UserAgent, maxText)
	b = appendField(b, "errorCode", e.ErrorCode, maxName)
	b = appendField(b, "errorMessage", e.ErrorMessage, maxText)
	b = append(b, `,"requestParameters":`...)
	b = appendParameters(b, e.RequestParameters)
	b = append(b, `,"responseElements":null`...)
	if e.SourceARN != "" || e.DecisionReason != "" {
		b = append(b, `,"additionalEventData":{`...)
		mark := len(b)
		b = appendField(b, "sourceArn", e.SourceARN, maxString)
		b = appendField(b, "decisionReason", e.DecisionReason, maxText)
		b = append(slices.Delete(b, mark, mark+1), '}') // without the first comma
	}
	b = appendField(b, "requestID", e.RequestID, maxName)
	b = appendField(b, "eventID", e.EventID, maxName)
	b = append(b, `,"readOnly":`...)
	b = strconv.AppendBool(b, readOnly(e.EventName))
	if len(e.Resources) > 0 {
		b = append(b, `,"resources":[`...)
		for i, r := range e.Resources[:min(len(e.Resources), maxResources)] {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"ARN":`...)
			b = appendString(b, r.ARN, maxString)
			b = appendField(b, "accountId", r.AccountID, maxName)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	data := dataEvent(e)
	b = append(b, `,"eventType":"AwsApiCall","managementEvent":`...)
	b = strconv.AppendBool(b, !data)
	if len(e.Resources) > 0 {
		b = appendField(b, "recipientAccountId", e.Resources[0].AccountID, maxName)
	}
	if data {
		return append(b, `,"eventCategory":"Data"}`+"\n"...)
	}
	return append(b, `,"eventCategory":"Management"}`+"\n"...)
}

// readOnly tells the operations that change nothing, by AWS's names for them.
func readOnly(name string) bool {
	for _, prefix := range []string{"Get", "List", "Head", "Describe"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// dataEvent tells CloudTrail's data events: here, operations on an object in a bucket.
func dataEvent(e *Event) bool {
	if len(e.Resources) == 0 {
		return false
	}
	name, isS3 := strings.CutPrefix(e.Resources[0].ARN, "arn:aws:s3:::")
	return isS3 && strings.Contains(name, "/")
}

// appendField appends ,"name":"value" if there is a value. name is one of ours and needs no escaping.
func appendField(b []byte, name, value string, limit int) []byte {
	if value == "" {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return appendString(b, value, limit)
}

func appendParameters(b []byte, params map[string]any) []byte {
	if len(params) == 0 {
		return append(b, "null"...)
	}
	mark := len(b)
	b, ok := appendMap(b, params, mark, 1)
	if !ok || len(b)-mark > maxParameters {
		return append(b[:mark], `{"omitted":true}`...)
	}
	return b
}

// appendValue appends a value of requestParameters. It answers false as soon as the parameters that
// began at mark are over a limit; what b holds then is of no use.
func appendValue(b []byte, value any, mark, depth int) ([]byte, bool) {
	if depth > maxDepth || len(b)-mark > maxParameters {
		return b, false
	}
	switch v := value.(type) {
	case nil:
		return append(b, "null"...), true
	case string:
		return appendString(b, v, maxString), true
	case bool:
		return strconv.AppendBool(b, v), true
	case int:
		return strconv.AppendInt(b, int64(v), 10), true
	case int64:
		return strconv.AppendInt(b, v, 10), true
	case time.Time:
		b = append(b, '"')
		b = v.UTC().AppendFormat(b, "2006-01-02T15:04:05Z")
		return append(b, '"'), true
	case []string:
		return appendList(b, len(v), func(b []byte, i int) ([]byte, bool) {
			return appendValue(b, v[i], mark, depth+1)
		})
	case []any:
		return appendList(b, len(v), func(b []byte, i int) ([]byte, bool) {
			return appendValue(b, v[i], mark, depth+1)
		})
	case map[string]any:
		return appendMap(b, v, mark, depth+1)
	case map[string]string:
		return appendMap(b, v, mark, depth+1)
	default:
		return appendOther(b, v, mark, depth)
	}
}

// appendOther sends a value through encoding/json, which honours what a type says of itself (a sealed
// Secret redacts itself there), and then through appendValue, which bounds it and makes it safe.
func appendOther(b []byte, value any, mark, depth int) ([]byte, bool) {
	text, err := json.Marshal(value)
	if err != nil || len(text) > maxParameters {
		return b, false
	}
	var plain any
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.UseNumber()
	if err := dec.Decode(&plain); err != nil {
		return b, false
	}
	if n, ok := plain.(json.Number); ok {
		return append(b, n...), true
	}
	return appendValue(b, plain, mark, depth)
}

func appendList(b []byte, n int, item func([]byte, int) ([]byte, bool)) ([]byte, bool) {
	if n > maxItems {
		return b, false
	}
	b = append(b, '[')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		var ok bool
		if b, ok = item(b, i); !ok {
			return b, false
		}
	}
	return append(b, ']'), true
}

func appendMap[V any](b []byte, m map[string]V, mark, depth int) ([]byte, bool) {
	if len(m) > maxItems {
		return b, false
	}
	var buf [8]string
	keys := slices.AppendSeq(buf[:0], maps.Keys(m))
	slices.Sort(keys) // one event, one text
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, k, maxString)
		b = append(b, ':')
		var ok bool
		if b, ok = appendValue(b, m[k], mark, depth); !ok {
			return b, false
		}
	}
	return append(b, '}'), true
}

const hexDigits = "0123456789abcdef"

// appendString appends a JSON string that is safe in a line, in a terminal and in a log viewer: control
// characters, and everything else that Unicode does not call printable (line separators, directional
// overrides), are escaped, and bytes that are not UTF-8 become U+FFFD. Of a string longer than limit
// bytes the beginning is kept, with … after it.
func appendString(b []byte, s string, limit int) []byte {
	cut := len(s) > limit
	if cut {
		s = s[:limit]
		for i := 0; i < utf8.UTFMax && len(s) > 0; i++ { // do not cut a character in two
			if r, size := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || size > 1 {
				break
			}
			s = s[:len(s)-1]
		}
	}
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			if c == '"' || c == '\\' {
				b = append(b, '\\', c)
			} else {
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if (r != utf8.RuneError || size > 1) && strconv.IsPrint(r) {
			i += size
			continue
		}
		b = append(b, s[start:i]...)
		b = appendEscapedRune(b, r)
		i += size
		start = i
	}
	b = append(b, s[start:]...)
	if cut {
		b = append(b, "…"...)
	}
	return append(b, '"')
}

func appendEscapedRune(b []byte, r rune) []byte {
	if r > 0xffff { // a surrogate pair, RFC 8259 section 7
		r -= 0x10000
		b = appendEscapedRune(b, 0xd800+r>>10)
		return appendEscapedRune(b, 0xdc00+r&0x3ff)
	}
	return append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
