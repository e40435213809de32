package xmldoc_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"postern/internal/awsapi/xmldoc"
)

const namespace = "http://example.com/doc/"

type common struct {
	Target string
	TTL    *int64 `xml:"MinTTL,omitempty"`
}

type behaviour struct {
	Pattern string `xml:"PathPattern"`
	common
}

type Config struct {
	Name     string
	Note     *string
	On       bool
	When     *time.Time
	Quantity int
	Aliases  []string    `xml:"Aliases>Items>CNAME,omitempty"`
	Count    int         `xml:"Aliases>Quantity"`
	Rules    []behaviour `xml:"Rules>Rule"`
	Group    *struct {
		A, B string
	}
	Tree *node
}

type node struct {
	Value string
	Nodes []node `xml:"Node"`
}

func document(t *testing.T) *xmldoc.Document {
	t.Helper()
	d, err := xmldoc.New(reflect.TypeFor[Config](), "")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDecode(t *testing.T) {
	var c Config
	err := document(t).Decode([]byte(`<?xml version="1.0" encoding="UTF-8"?>
<!-- any order, any white space -->
<Config xmlns="http://example.com/doc/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <Rules>
  <Rule><MinTTL/><Target>a</Target><PathPattern>/x/*</PathPattern></Rule>
  <Rule><PathPattern>*</PathPattern><MinTTL> 60 </MinTTL></Rule>
 </Rules>
 <Quantity/>
 <When/>
 <On>true</On>
 <Note/>
 <Aliases><Quantity>2</Quantity><Items><CNAME>a.example</CNAME><CNAME> &lt;b&gt;<![CDATA[<c>]]></CNAME></Items></Aliases>
 <Name>&#x20;é</Name>
 <Group/>
 <Tree><Value>1</Value><Node><Value>2</Value></Node></Tree>
</Config>
`), &c, namespace)
	if err != nil {
		t.Fatal(err)
	}
	ttl := int64(60)
	empty := ""
	want := Config{Name: " é", Note: &empty, On: true, Aliases: []string{"a.example", " <b><c>"}, Count: 2,
		Rules: []behaviour{{Pattern: "/x/*", common: common{Target: "a"}}, {Pattern: "*", common: common{TTL: &ttl}}},
		Group: &struct{ A, B string }{}, Tree: &node{Value: "1", Nodes: []node{{Value: "2"}}}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\nwant\n%+v", c, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":            "",
		"white space":        " \n",
		"no xml":             "hello",
		"an open element":    "<Config><Name>x</Name>",
		"a crossed element":  "<Config><Name>x</Config></Name>",
		"another root":       "<Other/>",
		"two roots":          "<Config/><Config/>",
		"text after":         "<Config/>x",
		"text inside":        "<Config>x</Config>",
		"an unknown element": "<Config><New>1</New></Config>",
		"case":               "<Config><name>x</name></Config>",
		"an element twice":   "<Config><Name>x</Name><Name>y</Name></Config>",
		"a group twice":      "<Config><Aliases/><Aliases/></Config>",
		"a number":           "<Config><Quantity>1x</Quantity></Config>",
		"a large number":     "<Config><Quantity>99999999999999999999</Quantity></Config>",
		"a boolean":          "<Config><On>yes</On></Config>",
		"a time":             "<Config><When>tomorrow</When></Config>",
		"elements in a text": "<Config><Name><b/></Name></Config>",
		"elements in value":  "<Config><On><b/></On></Config>",
		"a namespace":        `<Config xmlns="http://elsewhere/"/>`,
		"a prefix":           `<x:Config/>`,
		"a document type":    `<!DOCTYPE Config><Config/>`,
		"an entity":          `<!DOCTYPE Config [<!ENTITY e "boom">]><Config><Name>&e;</Name></Config>`,
		"an unknown entity":  `<Config><Name>&e;</Name></Config>`,
		"an instruction":     `<Config><?php x ?></Config>`,
		"an encoding":        `<?xml version="1.0" encoding="UTF-16"?><Config/>`,
		"a control":          "<Config><Name>\x01</Name></Config>",
		"depth":              "<Config><Tree>" + strings.Repeat("<Node>", 40) + strings.Repeat("</Node>", 40) + "</Tree></Config>",
	} {
		err := document(t).Decode([]byte(body), new(Config), namespace)
		if _, ok := errors.AsType[*xmldoc.Malformed](err); !ok {
			t.Errorf("%s: %v", name, err)
		} else if len(err.Error()) > 250 {
			t.Errorf("%s: the error is too long: %v", name, err)
		}
	}
}

func TestNew(t *testing.T) {
	type nameless = struct{ A string }
	type clash struct {
		A string
		B string `xml:"A>B"`
	}
	for name, typ := range map[string]reflect.Type{"no struct": reflect.TypeFor[string](), "no name": reflect.TypeFor[nameless](),
		"a channel": reflect.TypeFor[struct{ A chan int }](), "a value with elements": reflect.TypeFor[clash]()} {
		if _, err := xmldoc.New(typ, ""); err == nil {
			t.Errorf("%s: New takes it", name)
		}
	}
	type Tagged struct {
		XMLName struct{} `xml:"http://example.com/doc/ Root"`
		A       string
	}
	d, err := xmldoc.New(reflect.TypeFor[Tagged](), "")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(d.Smallest(namespace)); !strings.HasSuffix(got, `<Root xmlns="http://example.com/doc/"><A></A></Root>`) {
		t.Error(got)
	}
}

func FuzzDecode(f *testing.F) {
	d, err := xmldoc.New(reflect.TypeFor[Config](), "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`<Config xmlns="http://example.com/doc/"><Name>x</Name><Aliases><Items><CNAME>a</CNAME></Items></Aliases></Config>`))
	f.Add([]byte(`<Config><Tree><Node><Node><Value>&amp;</Value></Node></Node></Tree><When>2026-01-02T03:04:05Z</When></Config>`))
	f.Add([]byte(`<!DOCTYPE x><Config/>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var c Config
		if d.Decode(body, &c, namespace) != nil {
			return
		}
		// What was read can be written, and read again as the same.
		text, err := d.Encode(&c, namespace)
		if err != nil {
			return // a time outside the years 0 to 9999
		}
		var again Config
		if err := d.Decode(text, &again, namespace); err != nil {
			t.Fatalf("%s\nbecame\n%s: %v", body, text, err)
		}
		once, err := d.Encode(&again, namespace)
		if err != nil || string(once) != string(text) {
			t.Fatalf("%s\nbecame\n%s (%v)", text, once, err)
		}
	})
}
