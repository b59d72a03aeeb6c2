package soap_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"cardea.dev/cardea/internal/convert"
	"cardea.dev/cardea/internal/convert/xml/soap"
)

const (
	ns11 = `http://schemas.xmlsoap.org/soap/envelope/`
	ns12 = `http://www.w3.org/2003/05/soap-envelope`
)

func rules(change ...func(*soap.Options)) *soap.Options {
	o := soap.Defaults()
	o.Declaration = false
	for _, c := range change {
		c(o)
	}
	return o
}

func order(o *soap.Options) { o.Operation, o.Namespace = "GetOrder", "urn:shop" }

func envelope(ns, header, body string) string {
	return `<soap:Envelope xmlns:soap="` + ns + `">` + header + `<soap:Body>` + body + `</soap:Body></soap:Envelope>`
}

func TestRequestBothWays(t *testing.T) {
	for name, c := range map[string]struct {
		xml, json string
		o         *soap.Options
	}{
		"operation": {
			envelope(ns11, "", `<GetOrder xmlns="urn:shop"><id>7</id><tag>a</tag><tag>b</tag></GetOrder>`),
			`{"id":"7","tag":["a","b"]}`, rules(order),
		},
		"prefix": {
			envelope(ns11, "", `<m:GetOrder xmlns:m="urn:shop"><id>7</id></m:GetOrder>`),
			`{"id":"7"}`, rules(order, func(o *soap.Options) { o.Prefix = "m" }),
		},
		"1.2":          {envelope(ns12, "", `<GetOrder xmlns="urn:shop"><id>7</id></GetOrder>`), `{"id":"7"}`, rules(order, func(o *soap.Options) { o.Version = "1.2" })},
		"no operation": {envelope(ns11, "", `<Ping><id>7</id></Ping>`), `{"Ping":{"id":"7"}}`, rules()},
		"kept": {
			envelope(ns11, "", `<m:Ping xmlns:m="urn:m"><m:id>7</m:id></m:Ping>`), `{"m:Ping":{"@xmlns:m":"urn:m","m:id":"7"}}`,
			rules(func(o *soap.Options) { o.Namespaces = "keep" }),
		},
		"headers": {
			envelope(ns11, `<soap:Header><Trace>x</Trace></soap:Header>`, `<GetOrder xmlns="urn:shop"><id>7</id></GetOrder>`),
			`{"header":{"Trace":"x"},"body":{"id":"7"}}`, rules(order, func(o *soap.Options) { o.Headers = true }),
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := soap.RequestToJSON(&out, strings.NewReader(c.xml), c.o); err != nil || strings.TrimSpace(out.String()) != c.json {
				t.Errorf("to JSON: %v\n got %s\nwant %s", err, out.String(), c.json)
			}
			out.Reset()
			if err := soap.RequestFromJSON(&out, strings.NewReader(c.json), c.o); err != nil || out.String() != c.xml {
				t.Errorf("to XML: %v\n got %s\nwant %s", err, out.String(), c.xml)
			}
		})
	}
}

func TestNothingIsWrittenOfWhatCannotBe(t *testing.T) {
	var out bytes.Buffer
	if err := soap.RequestFromJSON(&out, strings.NewReader(`{"id":[[1]]}`), rules(order)); !isKind(err, convert.Unsuitable) || out.Len() > 0 {
		t.Errorf("got %v after %q", err, out.String())
	}
}

func TestResponseIsNamedAfterTheOperation(t *testing.T) {
	o, want := rules(order), envelope(ns11, "", `<GetOrderResponse xmlns="urn:shop"><id>7</id></GetOrderResponse>`)
	var out bytes.Buffer
	if err := soap.ResponseFromJSON(&out, strings.NewReader(`{"id":7}`), o); err != nil || out.String() != want {
		t.Errorf("to XML: %v\n got %s\nwant %s", err, out.String(), want)
	}
	out.Reset()
	if err := soap.ResponseToJSON(&out, strings.NewReader(want), o); err != nil || out.String() != `{"id":"7"}`+"\n" {
		t.Errorf("to JSON: %v\n got %s", err, out.String())
	}
	other := envelope(ns11, "", `<Other/>`)
	if err := soap.ResponseToJSON(&out, strings.NewReader(other), o); !isKind(err, convert.Unsuitable) {
		t.Errorf("another element is taken for the response: %v", err)
	}
}

// Declarations around an operation go with it, so that its prefixes mean the same.
func TestKeptPrefixesStayDeclared(t *testing.T) {
	in := `<e:Envelope xmlns:e="` + ns11 + `" xmlns:m="urn:m"><e:Body xmlns="urn:d"><m:Ping><id m:k="1"/></m:Ping></e:Body></e:Envelope>`
	o := rules(func(o *soap.Options) { o.Namespaces = "keep" })
	var out, back bytes.Buffer
	if err := soap.RequestToJSON(&out, strings.NewReader(in), o); err != nil {
		t.Fatal(err)
	}
	want := envelope(ns11, "", `<m:Ping xmlns="urn:d" xmlns:m="urn:m"><id m:k="1"/></m:Ping>`)
	if err := soap.RequestFromJSON(&back, &out, o); err != nil || back.String() != want {
		t.Errorf("%v\n got %s\nwant %s", err, back.String(), want)
	}
}

func TestFaults(t *testing.T) {
	fault12 := func(code, more string) string {
		return envelope(ns12, "", `<soap:Fault><soap:Code><soap:Value>soap:`+code+`</soap:Value>`+more+`</soap:Code>
			<soap:Reason><soap:Text xml:lang="de">Nein</soap:Text><soap:Text xml:lang="en">No</soap:Text></soap:Reason>
			<soap:Role>urn:r</soap:Role><soap:Detail><e xmlns="urn:e"><n>1</n></e></soap:Detail></soap:Fault>`)
	}
	for name, c := range map[string]struct {
		in   string
		o    *soap.Options
		want soap.Fault
	}{
		"client of 1.1": {
			envelope(ns11, "", `<soap:Fault><faultcode>soap:Client</faultcode><faultstring> No such order </faultstring><faultactor>urn:a</faultactor><detail><n>1</n></detail></soap:Fault>`),
			rules(),
			soap.Fault{Version: "1.1", Code: "Sender", Reason: "No such order", Actor: "urn:a", Detail: []byte(`{"n":"1"}`), Status: 400},
		},
		"dotted": {
			envelope(ns11, "", `<soap:Fault><faultcode>soap:Client.NotFound</faultcode><faultstring>No</faultstring></soap:Fault>`),
			rules(func(o *soap.Options) { o.Faults = map[string]int{"Client.NotFound": 404} }),
			soap.Fault{Version: "1.1", Code: "Sender", Subcode: "Client.NotFound", Reason: "No", Status: 404},
		},
		"made up": {
			envelope(ns11, "", `<soap:Fault><faultcode xmlns:m="urn:m">m:Gone</faultcode><faultstring>No</faultstring></soap:Fault>`),
			rules(),
			soap.Fault{Version: "1.1", Code: "Gone", Reason: "No", Status: 502},
		},
		"server, mapped": {
			envelope(ns11, "", `<soap:Fault><faultcode>soap:Server</faultcode><faultstring>No</faultstring></soap:Fault>`),
			rules(func(o *soap.Options) { o.Faults = map[string]int{"Server": 503} }),
			soap.Fault{Version: "1.1", Code: "Receiver", Reason: "No", Status: 503},
		},
		"receiver of 1.2": {
			fault12("Receiver", ""), rules(func(o *soap.Options) { o.Version = "1.2" }),
			soap.Fault{Version: "1.2", Code: "Receiver", Reason: "No", Actor: "urn:r", Detail: []byte(`{"e":{"n":"1"}}`), Status: 502},
		},
		"subcode of 1.2": {
			fault12("Sender", `<soap:Subcode><soap:Value>m:A</soap:Value><soap:Subcode><soap:Value>m:B</soap:Value></soap:Subcode></soap:Subcode>`),
			rules(func(o *soap.Options) { o.Version, o.Faults = "1.2", map[string]int{"B": 409} }),
			soap.Fault{Version: "1.2", Code: "Sender", Subcode: "B", Reason: "No", Actor: "urn:r", Detail: []byte(`{"e":{"n":"1"}}`), Status: 409},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := soap.ResponseToJSON(&out, strings.NewReader(c.in), c.o)
			var f *soap.Fault
			if !errors.As(err, &f) || out.Len() > 0 {
				t.Fatalf("no fault: %v, %s", err, out.String())
			}
			if got, want := describe(f), describe(&c.want); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

func describe(f *soap.Fault) string {
	return strings.Join([]string{f.Version, f.Code, f.Subcode, f.Reason, f.Actor, string(f.Detail), string(rune('0'+f.Status/100)) + "xx", f.Error()}, "|")
}

func TestProblemsBecomeFaults(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		problem string
		version string
		want    string
		http    int
	}{
		"problem": {
			404, `{"title":"Not found","detail":"no order 7","code":"x","ids":[1,2]}`, "1.1",
			envelope(ns11, "", `<soap:Fault><faultcode>soap:Client</faultcode><faultstring>no order 7</faultstring><detail><problem xmlns="urn:ietf:rfc:7807"><title>Not found</title><detail>no order 7</detail><code>x</code><ids>1</ids><ids>2</ids></problem></detail></soap:Fault>`), 500,
		},
		"empty":    {404, ` { } `, "1.1", envelope(ns11, "", `<soap:Fault><faultcode>soap:Client</faultcode><faultstring>Not Found</faultstring><detail><problem xmlns="urn:ietf:rfc:7807"/></detail></soap:Fault>`), 500},
		"HTML":     {503, `<html>`, "1.1", envelope(ns11, "", `<soap:Fault><faultcode>soap:Server</faultcode><faultstring>Service Unavailable</faultstring></soap:Fault>`), 500},
		"cut":      {599, `{"title":"x"`, "1.1", envelope(ns11, "", `<soap:Fault><faultcode>soap:Server</faultcode><faultstring>the service failed</faultstring></soap:Fault>`), 500},
		"controls": {400, `{"title":"a\u0000b"}`, "1.2", envelope(ns12, "", `<soap:Fault><soap:Code><soap:Value>soap:Sender</soap:Value></soap:Code><soap:Reason><soap:Text xml:lang="en">a?b</soap:Text></soap:Reason></soap:Fault>`), 400},
	} {
		t.Run(name, func(t *testing.T) {
			o := rules(func(o *soap.Options) { o.Version = c.version })
			f := soap.FaultFor(c.status, []byte(c.problem), o)
			var out bytes.Buffer
			if err := soap.WriteFault(&out, f, o); err != nil || out.String() != c.want {
				t.Errorf("%v\n got %s\nwant %s", err, out.String(), c.want)
			}
			if f.EnvelopeStatus() != c.http {
				t.Errorf("the envelope's status is %d, want %d", f.EnvelopeStatus(), c.http)
			}
			var back *soap.Fault
			if err := soap.ResponseToJSON(&out, &out, o); !errors.As(err, &back) || back.Code != f.Code || back.Status/100 == 2 {
				t.Errorf("the fault is read back as %v", err)
			}
		})
	}
}

func TestHeadersThatMustBeUnderstood(t *testing.T) {
	header := func(attrs string) string {
		return envelope(ns11, `<soap:Header><m:Tx xmlns:m="urn:m" `+attrs+`/></soap:Header>`, `<Ping/>`)
	}
	for name, c := range map[string]struct {
		in         string
		understood []string
		refused    bool
	}{
		"must":                 {header(`soap:mustUnderstand="1"`), nil, true},
		"need not":             {header(`soap:mustUnderstand="0"`), nil, false},
		"understood":           {header(`soap:mustUnderstand="1"`), []string{"Tx"}, false},
		"for the next":         {header(`soap:mustUnderstand="1" soap:actor="http://schemas.xmlsoap.org/soap/actor/next"`), nil, true},
		"for someone else":     {header(`soap:mustUnderstand="1" soap:actor="urn:other"`), nil, false},
		"another's attribute":  {header(`m:mustUnderstand="1"`), nil, false},
		"nothing to be listed": {envelope(ns11, "", `<Ping/>`), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			o := rules(func(o *soap.Options) { o.Understood = c.understood })
			err := soap.RequestToJSON(&out, strings.NewReader(c.in), o)
			var f *soap.Fault
			if got := errors.As(err, &f) && f.Code == soap.MustUnderstand; got != c.refused || !c.refused && err != nil {
				t.Errorf("refused: %v (%v), want %v", got, err, c.refused)
			}
			if err := soap.ResponseToJSON(&out, strings.NewReader(c.in), o); isKind(err, convert.Unsuitable) != c.refused {
				t.Errorf("a response is refused with %v", err)
			}
		})
	}
}

func TestHostileEnvelopes(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		kind convert.Kind
	}{
		"no envelope":  {`<a/>`, convert.Malformed},
		"HTML":         {`<!DOCTYPE html><html></html>`, convert.Refused},
		"other space":  {`<Envelope xmlns="urn:x"><Body/></Envelope>`, convert.Malformed},
		"no body":      {`<e:Envelope xmlns:e="` + ns11 + `"/>`, convert.Malformed},
		"two bodies":   {`<e:Envelope xmlns:e="` + ns11 + `"><e:Body/><e:Body/></e:Envelope>`, convert.Malformed},
		"late header":  {`<e:Envelope xmlns:e="` + ns11 + `"><e:Body/><e:Header/></e:Envelope>`, convert.Malformed},
		"two elements": {envelope(ns11, "", `<a/><b/>`), convert.Unsuitable},
		"text":         {envelope(ns11, "", `x`), convert.Malformed},
		"attachment":   {envelope(ns11, "", `<a><xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:1"/></a>`), convert.Refused},
		"DTD":          {`<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + envelope(ns11, "", `<a>&x;</a>`), convert.Refused},
		"cut":          {envelope(ns11, "", `<a>`)[:100], convert.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := soap.RequestToJSON(&out, strings.NewReader(c.in), rules()); !isKind(err, c.kind) || out.Len() > 0 {
				t.Errorf("got %v, %q", err, out.String())
			}
		})
	}
}

func TestWrongVersion(t *testing.T) {
	var f *soap.Fault
	if err := soap.RequestToJSON(&bytes.Buffer{}, strings.NewReader(envelope(ns12, "", `<a/>`)), rules()); !errors.As(err, &f) || f.Code != soap.VersionMismatch {
		t.Errorf("a request of 1.2 to 1.1 gets %v", err)
	}
	if err := soap.ResponseToJSON(&bytes.Buffer{}, strings.NewReader(envelope(ns12, "", `<a/>`)), rules()); !isKind(err, convert.Unsuitable) {
		t.Errorf("a response of 1.2 to 1.1 gets %v", err)
	}
}

func TestMedia(t *testing.T) {
	if m, err := soap.ReadContentType(`application/soap+xml; charset=utf-8; action="urn:a"`); err != nil || m != (soap.Media{Version: "1.2", Charset: "utf-8", Action: "urn:a"}) {
		t.Errorf("%v, %v", m, err)
	}
	if m, err := soap.ReadContentType(`text/xml`); err != nil || m.Version != "1.1" {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := soap.ReadContentType(`multipart/related; type="application/xop+xml"; boundary=b`); !isKind(err, convert.Refused) {
		t.Errorf("MTOM: %v", err)
	}
	for _, other := range []string{"application/json", "", "text/html", ";;"} {
		if _, err := soap.ReadContentType(other); !isKind(err, convert.Unsupported) {
			t.Errorf("%q: %v", other, err)
		}
	}
	o := rules(func(o *soap.Options) { o.Action = "urn:a" })
	if o.SOAPAction() != `"urn:a"` || o.ContentType() != "text/xml; charset=utf-8" {
		t.Error(o.SOAPAction(), o.ContentType())
	}
	o.Version = "1.2"
	if o.SOAPAction() != "" || o.ContentType() != `application/soap+xml; charset=utf-8; action="urn:a"` {
		t.Error(o.SOAPAction(), o.ContentType())
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	if err := rules(order).Validate(); err != nil {
		t.Errorf("right options are refused: %v", err)
	}
	for name, change := range map[string]func(*soap.Options){
		"operation":                   func(o *soap.Options) { o.Operation = "a b" },
		"root":                        func(o *soap.Options) { o.Root = "a" },
		"namespace, no operation":     func(o *soap.Options) { o.Namespace = "urn:x" },
		"prefix without a namespace":  func(o *soap.Options) { o.Operation, o.Prefix = "a", "m" },
		"prefix of the envelope":      func(o *soap.Options) { order(o); o.Prefix = "soap" },
		"status":                      func(o *soap.Options) { o.Faults = map[string]int{"A": 200} },
		"line's end in the action":    func(o *soap.Options) { o.Action = "a\r\nX: y" },
		"response, without operation": func(o *soap.Options) { o.Response = "r" },
	} {
		if rules(change).Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func isKind(err error, kind convert.Kind) bool {
	e, ok := convert.AsError(err)
	return ok && e.Kind == kind
}

func FuzzEnvelope(f *testing.F) {
	f.Add(envelope(ns11, `<soap:Header><a soap:mustUnderstand="1"/></soap:Header>`, `<GetOrder xmlns="urn:shop"/>`))
	f.Add(envelope(ns12, "", `<soap:Fault><soap:Code><soap:Value>soap:Sender</soap:Value></soap:Code></soap:Fault>`))
	f.Add(`{"header":{},"body":{"id":1}}`)
	f.Fuzz(func(t *testing.T, in string) {
		for _, o := range []*soap.Options{rules(order), rules(func(o *soap.Options) { o.Version, o.Headers, o.Namespaces = "1.2", true, "keep" })} {
			var out, back bytes.Buffer
			err := soap.ResponseToJSON(&out, strings.NewReader(in), o)
			if err == nil && o.Operation == "" && !strings.Contains(out.String(), `"body":null`) {
				_ = soap.ResponseFromJSON(&back, &out, o)
			}
			var fault *soap.Fault
			if errors.As(err, &fault) {
				if err := soap.WriteFault(&back, fault, o); err != nil {
					t.Errorf("a fault that was read cannot be written: %v", err)
				}
			}
			_ = soap.RequestToJSON(&out, strings.NewReader(in), o)
			_ = soap.RequestFromJSON(&out, strings.NewReader(in), o)
			_ = soap.FaultFor(500, []byte(in), o)
		}
	})
}
