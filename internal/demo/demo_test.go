package demo

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// TestReport reads the document back the way a viewer does: from the end, by the cross-reference table.
func TestReport(t *testing.T) {
	doc := Report()
	if !bytes.HasPrefix(doc, []byte("%PDF-1.4\n")) || !bytes.HasSuffix(doc, []byte("%%EOF\n")) {
		t.Fatal("no header or no end")
	}
	_, tail, ok := bytes.Cut(doc, []byte("startxref\n"))
	if !ok {
		t.Fatal("no startxref")
	}
	at, err := strconv.Atoi(strings.SplitN(string(tail), "\n", 2)[0])
	if err != nil || !bytes.HasPrefix(doc[at:], []byte("xref\n0 8\n")) {
		t.Fatalf("startxref points at %d, where no table is: %v", at, err)
	}
	table := doc[at+len("xref\n0 8\n"):]
	for i := 1; i <= 7; i++ {
		line := table[20*i : 20*i+20]
		if !bytes.HasSuffix(line, []byte(" 00000 n \n")) {
			t.Fatalf("line %d of the table is %q", i, line)
		}
		offset, err := strconv.Atoi(string(line[:10]))
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%d 0 obj\n", i); !bytes.HasPrefix(doc[offset:], []byte(want)) {
			t.Errorf("object %d is not at %d", i, offset)
		}
	}
	_, after, _ := bytes.Cut(doc, []byte("/Length "))
	number, rest, _ := bytes.Cut(after, []byte(" >>\nstream\n"))
	length, err := strconv.Atoi(string(number))
	if err != nil || !bytes.HasPrefix(rest[length:], []byte("endstream")) {
		t.Errorf("the stream is not %d bytes long: %v", length, err)
	}
	// The table adds up: the sum of the shown totals is the shown sum.
	var sum int64
	for _, r := range rows {
		for _, c := range r.cents {
			sum += c
		}
	}
	if !bytes.Contains(doc, []byte("("+amount(sum)+")")) {
		t.Errorf("the report does not show its total %s", amount(sum))
	}
	if !bytes.Equal(doc, Report()) {
		t.Error("two calls make two documents")
	}
}

func TestAmount(t *testing.T) {
	for cents, want := range map[int64]string{0: "0.00", 5: "0.05", 99999: "999.99", 100000: "1,000.00", 123456789: "1,234,567.89"} {
		if got := amount(cents); got != want {
			t.Errorf("amount(%d) = %q, want %q", cents, got, want)
		}
	}
}

func TestEscape(t *testing.T) {
	if got, want := escape(`a(b)\c`), `a\(b\)\\c`; got != want {
		t.Errorf("escape: %q, want %q", got, want)
	}
}
