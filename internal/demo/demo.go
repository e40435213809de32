// Package demo holds what the first start of Postern puts into its bucket, so that there is something
// to open: a one-page cost report behind the gate, and a page that anybody may read. Both are made by
// code and are the same bytes everywhere.
package demo

import (
	"bytes"
	"fmt"
	"strings"
)

// The keys of the two objects.
const (
	// ReportKey is private: the distribution asks for a signature.
	ReportKey = "uploads/sample-cost-report.pdf"
	// PublicKey stands below the one path that is open to everybody.
	PublicKey = "public/hello.txt"
)

// PublicText is the public object.
func PublicText() []byte {
	return []byte("This object stands below /public/, the one path of this distribution that needs no signature.\n" +
		"Everything else answers 403 to a request without one.\n")
}

// row is one line of the report's table: a service, and its cost in cents a month.
type row struct {
	name  string
	cents [3]int64
}

var months = [3]string{"January", "February", "March"}

var rows = []row{
	{"Compute", [3]int64{184210, 179455, 191080}},
	{"Object storage", [3]int64{42318, 43902, 45177}},
	{"Content delivery", [3]int64{96040, 101733, 99812}},
	{"Key management", [3]int64{1200, 1200, 1300}},
	{"Logs and metrics", [3]int64{15877, 16240, 15995}},
}

// Report is the sample cost report: one A4 page, PDF 1.4 (ISO 32000-1), two of the fourteen standard
// fonts, no compression, no date, no metadata beyond a title.
func Report() []byte {
	return pdf("Sample cost report", page())
}

// page writes the content stream of the one page. Units are points from the lower left corner; A4 is
// 595 by 842.
func page() []byte {
	var b bytes.Buffer
	const left, right = 72.0, 523.0
	columns := [4]float64{285, 360, 435, right} // right edges of three months and the total
	text := func(font string, size, x, y float64, s string) {
		fmt.Fprintf(&b, "BT /%s %g Tf %.2f %.2f Td (%s) Tj ET\n", font, size, x, y, escape(s))
	}
	// Digits, point and comma have fixed widths in Helvetica (556 and 278 thousandths), bold or not,
	// so numbers can be set flush right without a font's metrics.
	number := func(font string, size, x, y float64, s string) {
		width := 0.0
		for _, r := range s {
			if r == '.' || r == ',' {
				width += 0.278
			} else {
				width += 0.556
			}
		}
		text(font, size, x-width*size, y, s)
	}
	rule := func(y, thickness float64) {
		fmt.Fprintf(&b, "%g w %g %g m %g %g l S\n", thickness, left, y, right, y)
	}

	text("F2", 20, left, 760, "Cost report, first quarter")
	text("F1", 11, left, 738, "A sample: the company does not exist and the figures are invented. Amounts in USD.")
	rule(716, 1)
	text("F2", 11, left, 700, "Service")
	for i, m := range months {
		// Month names are set to end near the column's edge; 5.4 points is a fair mean width at 11.
		text("F2", 11, columns[i]-5.9*float64(len(m)), 700, m)
	}
	text("F2", 11, columns[3]-27, 700, "Total")
	rule(692, 0.5)
	y := 674.0
	var sums [4]int64
	for _, r := range rows {
		text("F1", 11, left, y, r.name)
		var total int64
		for i, c := range r.cents {
			number("F1", 11, columns[i], y, amount(c))
			total += c
			sums[i] += c
		}
		sums[3] += total
		number("F1", 11, columns[3], y, amount(total))
		y -= 20
	}
	rule(y+12, 0.5)
	text("F2", 11, left, y-4, "Total")
	for i, c := range sums {
		number("F2", 11, columns[i], y-4, amount(c))
	}
	rule(y-14, 1)
	for i, line := range []string{
		"You are reading this because the link was signed: its signature names this one file and the",
		"second at which it ends. The same link without its signature is answered 403, and the bucket",
		"behind it answers nobody but the edge and its owner.",
	} {
		text("F1", 10, left, y-48-14*float64(i), line)
	}
	return b.Bytes()
}

// amount writes cents as dollars with thousands separated.
func amount(cents int64) string {
	whole := fmt.Sprint(cents / 100)
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return fmt.Sprintf("%s.%02d", whole, cents%100)
}

// escape writes a literal string's content (ISO 32000-1 section 7.3.4.2).
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `(`, `\(`, `)`, `\)`).Replace(s)
}

// pdf wraps one content stream into a document: header, numbered objects, the cross-reference table
// with each object's byte offset in twenty-byte lines, trailer (ISO 32000-1 section 7.5).
func pdf(title string, content []byte) []byte {
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R /F2 6 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%sendstream", len(content), content),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
		"<< /Title (" + escape(title) + ") >>",
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n") // the comment's high bytes mark the file as binary
	offsets := make([]int, len(objects))
	for i, o := range objects {
		offsets[i] = b.Len()
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, len(objects), xref)
	return b.Bytes()
}
