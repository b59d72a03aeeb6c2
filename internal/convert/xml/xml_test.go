package xml_test

import (
	"bytes"
	"strings"
	"testing"

	"cardea.dev/cardea/internal/convert/xml"
)

func toJSON(t *testing.T, in string, o *xml.Options) (string, error) {
	t.Helper()
	var b bytes.Buffer
	err := xml.ToJSON(&b, strings.NewReader(in), o)
	return strings.TrimSpace(b.String()), err
}

func fromJSON(t *testing.T, in string, o *xml.Options) (string, error) {
	t.Helper()
	var b bytes.Buffer
	err := xml.FromJSON(&b, strings.NewReader(in), o)
	return b.String(), err
}

func rules(change ...func(*xml.Options)) *xml.Options {
	o := xml.Defaults()
	o.Declaration = false
	for _, c := range change {
		c(o)
	}
	return o
}

func TestBothWays(t *testing.T) {
	for name, c := range map[string]struct {
		xml, json string
		o         *xml.Options
	}{
		"text":        {`<a>x</a>`, `{"a":"x"}`, rules()},
		"empty":       {`<a/>`, `{"a":""}`, rules()},
		"attributes":  {`<a id="1" b="&lt;">x</a>`, `{"a":{"@id":"1","@b":"<","#text":"x"}}`, rules()},
		"only attr":   {`<a id="1"/>`, `{"a":{"@id":"1"}}`, rules()},
		"list":        {`<a><b>1</b><b>2</b><c/></a>`, `{"a":{"b":["1","2"],"c":""}}`, rules()},
		"one of list": {`<a><b>1</b></a>`, `{"a":{"b":["1"]}}`, rules(func(o *xml.Options) { o.Lists = []string{"/a/b"} })},
		"null": {
			`<a><b xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/></a>`, `{"a":{"b":null}}`, rules(),
		},
		"namespaces": {
			`<s:a xmlns:s="urn:s" xmlns="urn:d"><b s:c="1"/></s:a>`,
			`{"s:a":{"@xmlns:s":"urn:s","@xmlns":"urn:d","b":{"@s:c":"1"}}}`, rules(),
		},
		"numbers":   {`<a><n>12345678901234567890.10</n><b>true</b><t>007</t></a>`, `{"a":{"n":12345678901234567890.10,"b":true,"t":"007"}}`, rules(func(o *xml.Options) { o.Recognize = true })},
		"names":     {`<_x0031_a_x0020_b><_x_/><_x005F_x0041_/></_x0031_a_x0020_b>`, `{"1a b":{"":"","_x0041_":""}}`, rules()},
		"root":      {`<r><a>1</a></r>`, `{"a":"1"}`, rules(func(o *xml.Options) { o.Root = "r" })},
		"root list": {`<r><i>1</i><i>2</i></r>`, `["1","2"]`, rules(func(o *xml.Options) { o.Root, o.Item = "r", "i" })},
		"space":     {"<a> \n</a>", `{"a":" \n"}`, rules()},
		"colon":     {`<a_x003A_b_x003A_c/>`, `{"a:b:c":""}`, rules()},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := toJSON(t, c.xml, c.o); err != nil || got != c.json {
				t.Errorf("to JSON: %v\n got %s\nwant %s", err, got, c.json)
			}
			if got, err := fromJSON(t, c.json, c.o); err != nil || got != c.xml {
				t.Errorf("to XML: %v\n got %s\nwant %s", err, got, c.xml)
			}
		})
	}
}
