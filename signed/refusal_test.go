package signed

import (
	"encoding/xml"
	"strings"
	"testing"
)

// The five bodies, with the lengths observed on CloudFront as Content-Length.
func TestXML(t *testing.T) {
	for code, want := range map[Code]struct {
		body string
		size int
	}{
		MissingKey:         {`<?xml version="1.0" encoding="UTF-8"?><Error><Code>MissingKey</Code><Message>Missing Key-Pair-Id query parameter or cookie value</Message></Error>`, 146},
		InvalidKey:         {`<?xml version="1.0" encoding="UTF-8"?><Error><Code>InvalidKey</Code><Message>Unknown Key</Message></Error>`, 106},
		MalformedPolicy:    {`<?xml version="1.0" encoding="UTF-8"?><Error><Code>MalformedPolicy</Code><Message>Malformed Policy</Message></Error>`, 116},
		MalformedSignature: {`<?xml version="1.0" encoding="UTF-8"?><Error><Code>MalformedSignature</Code><Message>Could not unencode Signature</Message></Error>`, 131},
		AccessDenied:       {`<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Access denied</Message></Error>`, 110},
	} {
		got := code.XML()
		if string(got) != want.body || len(got) != want.size {
			t.Errorf("%v: %d bytes, want %d: %s", code, len(got), want.size, got)
		}
		var v struct{ Code, Message string }
		if err := xml.Unmarshal(got, &v); err != nil || v.Code != code.String() || v.Message != code.Message() {
			t.Errorf("%v: %+v, %v", code, v, err)
		}
		got[0] = 'X'
		if code.XML()[0] != '<' {
			t.Error("the body is shared")
		}
	}
}

func TestRefusalText(t *testing.T) {
	err := error(&Refusal{Code: MalformedPolicy, Cause: CausePolicyEpoch, Err: &PolicyError{Reason: "x is wrong"}})
	contains(t, err.Error(), "MalformedPolicy", "policy-epoch", "x is wrong")
	if Cause(200).String() != "cause(200)" || strings.Contains(Form(0).String()+FormURL.String()+FormCookies.String(), "Form") {
		t.Error("names")
	}
}
