package soap

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/internal/convert/xml"
)

// The codes of faults, by their names in SOAP 1.2. In 1.1, Sender is Client and Receiver is Server.
const (
	Sender              = "Sender"
	Receiver            = "Receiver"
	VersionMismatch     = "VersionMismatch"
	MustUnderstand      = "MustUnderstand"
	DataEncodingUnknown = "DataEncodingUnknown"
)

// Fault is a fault of SOAP.
type Fault struct {
	Version string // of the envelope: 1.1 or 1.2
	Code    string // one of the codes; of 1.1 also another, which the service made up
	Subcode string // of 1.1 the whole faultcode where it has a dot; of 1.2 the innermost subcode; without prefix
	Reason  string // for people
	Actor   string // who it was: faultactor in 1.1, Role in 1.2
	Detail  jsontext.Value
	Status  int // that a REST client should get: 400 for Sender, 502 for the rest, or what Options.Faults says
}

// Error says code and reason.
func (f *Fault) Error() string {
	code := f.Code
	if f.Subcode != "" {
		code += " (" + f.Subcode + ")"
	}
	return "SOAP fault " + code + ": " + f.Reason
}

// EnvelopeStatus is the status of the response that the fault's envelope stands in (SOAP 1.1, section 6.2; SOAP 1.2 part 2, section 7.5.2.2).
func (f *Fault) EnvelopeStatus() int {
	if f.Version == "1.2" && f.Code == Sender {
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// fault reads a fault. It returns a *Fault, or why it cannot be read.
func (o *Options) fault(n *xml.Node, space string) error {
	f := &Fault{Version: o.Version}
	var detail *xml.Node
	if space == space11 {
		code := localPart(childText(n, "", "faultcode"))
		f.Code, _, _ = strings.Cut(code, ".")
		if f.Code != code {
			f.Subcode = code
		}
		f.Reason, f.Actor, detail = childText(n, "", "faultstring"), childText(n, "", "faultactor"), n.Child("", "detail")
	} else {
		f.Code, f.Subcode = codes12(n.Child(space, "Code"), space)
		if reason := n.Child(space, "Reason"); reason != nil {
			f.Reason = reasonText(reason, space)
		}
		f.Actor, detail = childText(n, space, "Role"), n.Child(space, "Detail")
	}
	switch f.Code {
	case "Client":
		f.Code = Sender
	case "Server":
		f.Code = Receiver
	}
	f.Status = o.status(f)
	if detail != nil {
		var b bytes.Buffer
		rules := o.Options
		rules.Namespaces = "strip"
		if err := detail.WriteJSON(&b, &rules); err != nil {
			return err
		}
		f.Detail = bytes.TrimSpace(b.Bytes())
	}
	return f
}

func (o *Options) status(f *Fault) int {
	for _, name := range []string{f.Subcode, f.Code, map[string]string{Sender: "Client", Receiver: "Server"}[f.Code]} {
		if s, found := o.Faults[name]; found && name != "" {
			return s
		}
	}
	if f.Code == Sender {
		return http.StatusBadRequest
	}
	return http.StatusBadGateway
}

func codes12(n *xml.Node, space string) (code, subcode string) {
	if n == nil {
		return "", ""
	}
	code = localPart(childText(n, space, "Value"))
	for n = n.Child(space, "Subcode"); n != nil; n = n.Child(space, "Subcode") {
		subcode = localPart(childText(n, space, "Value"))
	}
	return code, subcode
}

// reasonText is the reason in English, or else the first one.
func reasonText(n *xml.Node, space string) string {
	first := childText(n, space, "Text")
	for _, c := range n.Children {
		if lang, _ := c.Attr("http://www.w3.org/XML/1998/namespace", "lang"); c.Local == "Text" && strings.HasPrefix(strings.ToLower(lang), "en") {
			return strings.TrimSpace(c.Text)
		}
	}
	return first
}

func childText(n *xml.Node, space, local string) string {
	if c := n.Child(space, local); c != nil {
		return strings.TrimSpace(c.Text)
	}
	return ""
}

func localPart(qname string) string { return qname[strings.LastIndexByte(qname, ':')+1:] }

// FaultFor is the fault that stands for a response of a REST service: Sender for 4xx, Receiver for others. The problem is the response's body
// where it is application/problem+json (RFC 9457); it gives the reason, and is the detail. Another body is not looked at.
func FaultFor(status int, problem []byte, o *Options) *Fault {
	f := &Fault{Version: o.Version, Code: Receiver, Reason: http.StatusText(status), Status: status}
	if status >= 400 && status < 500 {
		f.Code = Sender
	}
	if f.Reason == "" {
		f.Reason = "the service failed"
	}
	var title, detail string
	members, ok := problemMembers(problem)
	for _, m := range members {
		switch m.name {
		case "title":
			title = m.text
		case "detail":
			detail = m.text
		}
	}
	for _, reason := range []string{title, detail} {
		if reason != "" {
			f.Reason = reason
		}
	}
	if ok {
		f.Detail = problemDetail(problem)
	}
	return f
}

type textMember struct{ name, text string }

func problemMembers(problem []byte) (all []textMember, ok bool) {
	dec := jsontext.NewDecoder(bytes.NewReader(problem))
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '{' {
		return nil, false
	}
	for dec.PeekKind() == '"' {
		t, err := dec.ReadToken()
		if err != nil {
			return nil, false
		}
		name := t.String()
		v, err := dec.ReadValue()
		if err != nil {
			return nil, false
		}
		if v.Kind() == '"' {
			text, err := jsontext.AppendUnquote(nil, v)
			if err != nil {
				return nil, false
			}
			all = append(all, textMember{name, string(text)})
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, false
	}
	_, err := dec.ReadToken()
	return all, err == io.EOF
}

// problemDetail puts a problem into its element (RFC 9457, appendix B).
func problemDetail(problem []byte) jsontext.Value {
	members := bytes.TrimSpace(problem)[1:]
	begin := `{"problem":{"@xmlns":"urn:ietf:rfc:7807"`
	if rest := bytes.TrimSpace(members); rest[0] != '}' {
		begin += ","
	}
	return append(append([]byte(begin), members...), '}')
}

// WriteFault writes the envelope of a fault.
func WriteFault(dst io.Writer, f *Fault, o *Options) error {
	var b bytes.Buffer
	if err := o.begin(&b, nil); err != nil {
		return err
	}
	rules := xml.Defaults()
	rules.Limits, rules.Item, rules.Null = o.Limits, "i", "empty"
	w := &faultWriter{Buffer: &b, o: o, rules: rules}
	b.WriteString("<soap:Fault>")
	var err error
	if o.Version == "1.2" {
		err = w.write12(f)
	} else {
		err = w.write11(f)
	}
	if err != nil {
		return err
	}
	b.WriteString("</soap:Fault>")
	if err := o.end(&b); err != nil {
		return err
	}
	_, err = dst.Write(b.Bytes())
	return err
}

type faultWriter struct {
	*bytes.Buffer
	o     *Options
	rules *xml.Options
}

func (w *faultWriter) write11(f *Fault) error {
	code := map[string]string{Sender: "Client", Receiver: "Server", DataEncodingUnknown: "Client"}[f.Code]
	if code == "" {
		code = f.Code
	}
	if err := w.element("faultcode", "soap:"+code); err != nil {
		return err
	}
	if err := w.element("faultstring", f.Reason); err != nil {
		return err
	}
	if f.Actor != "" {
		if err := w.element("faultactor", f.Actor); err != nil {
			return err
		}
	}
	return w.detail("detail", f.Detail)
}

func (w *faultWriter) write12(f *Fault) error {
	w.WriteString("<soap:Code>")
	if err := w.element("soap:Value", "soap:"+f.Code); err != nil {
		return err
	}
	w.WriteString("</soap:Code><soap:Reason>")
	if err := w.element("soap:Text", f.Reason, xml.Attr{Name: "xml:lang", Value: "en"}); err != nil {
		return err
	}
	w.WriteString("</soap:Reason>")
	if f.Actor != "" {
		if err := w.element("soap:Role", f.Actor); err != nil {
			return err
		}
	}
	return w.detail("soap:Detail", f.Detail)
}

// element writes an element with text. What XML cannot hold becomes a question mark, since a fault must arrive.
func (w *faultWriter) element(name, text string, attrs ...xml.Attr) error {
	text = strings.Map(func(r rune) rune {
		if !xml.IsChar(r) {
			return '?'
		}
		return r
	}, text)
	quoted, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(text, "?"))
	if err != nil {
		return err
	}
	return xml.WriteElement(w, bytes.NewReader(quoted), name, attrs, w.o.around(), w.rules)
}

// detail writes the detail, if it has a form in XML; the fault stands without it otherwise.
func (w *faultWriter) detail(name string, v jsontext.Value) error {
	if len(v) == 0 {
		return nil
	}
	before := w.Len()
	if err := xml.WriteElement(w, bytes.NewReader(v), name, nil, w.o.around(), w.rules); err != nil {
		w.Truncate(before)
	}
	return nil
}
