package sequence

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/seal"
)

// head is what the journal has of a request: all that the calls which undo can be made of.
type head struct {
	ID       string
	Base     string // of the keys of the calls
	Keyed    bool
	Method   string
	URL      string
	Host     string
	Header   http.Header
	Params   []param
	Client   netip.Addr
	Identity *filter.Identity // without its claims
	Claims   []byte           // JSON
	Priority filter.Priority
	Original filter.Original
	Start    time.Time
	Body     []byte // nil: none
	Size     int64  // of the body as it came; -1: not known
}

// param is a parameter of the path.
type param struct{ Name, Value string }

// params are those of a request that is undone elsewhere.
type params []param

// Get returns the value of the parameter with a name.
func (p params) Get(name string) (string, bool) {
	for i := range p {
		if p[i].Name == name {
			return p[i].Value, true
		}
	}
	return "", false
}

// Len is how many there are.
func (p params) Len() int { return len(p) }

// At returns the name and the value of one.
func (p params) At(i int) (name, value string) { return p[i].Name, p[i].Value }

// head seals what the journal has of the request.
func (r *run) head(k *shared, name string) (string, error) {
	ex := r.own
	h := head{
		ID: ex.ID, Base: r.base, Keyed: r.id != (id{}), Method: ex.Request.Method, URL: ex.Request.URL.String(), Host: ex.Request.Host, Header: ex.Request.Header,
		Client: ex.Client, Priority: ex.Priority, Original: ex.Original, Start: ex.Start,
		Size: ex.Request.ContentLength,
	}
	if l, ok := ex.Params.(interface {
		Len() int
		At(i int) (name, value string)
	}); ok {
		for i := range l.Len() {
			name, value := l.At(i)
			h.Params = append(h.Params, param{name, value})
		}
	}
	var err error
	if r.body != nil {
		if h.Body, err = document.Append(nil, r.body); err != nil {
			return "", fmt.Errorf("cannot read the body: %w", err)
		}
	}
	if ex.Identity != nil {
		who := *ex.Identity
		if h.Claims, err = json.Marshal(who.Claims); err != nil {
			return "", fmt.Errorf("cannot read the claims of the caller: %w", err)
		}
		who.Claims, h.Identity = nil, &who
	}
	return k.pack(&h, name, "h")
}

// errSealed says that something cannot be opened.
var errSealed = errors.New("it is sealed with another secret, or is not what was sealed")

// newSealer makes what seals the journal and the answers, or nil where there are no secrets.
func newSealer(secrets []config.Secret) (*seal.Sealer, error) {
	if len(secrets) == 0 {
		return nil, nil
	}
	var texts []string
	for _, secret := range secrets {
		texts = append(texts, secret.Reveal())
	}
	return seal.New(texts, "cardea sequence 1")
}

// pack encodes and seals a field of a record. Texts need not be of UTF-8: fields of HTTP are not always.
func (k *shared) pack(v any, name, field string) (string, error) {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(v); err != nil {
		return "", fmt.Errorf("cannot write the journal: %w", err)
	}
	return string(k.sealer.Seal(b.Bytes(), k.record(name)+" "+field)), nil
}

// unpack reads a field of a record.
func (k *shared) unpack(sealed, name, field string, into any) error {
	b, ok := k.sealer.Open([]byte(sealed), k.record(name)+" "+field)
	if !ok {
		return errSealed
	}
	return gob.NewDecoder(bytes.NewReader(b)).Decode(into)
}

// entry is what the journal has of a step.
type entry struct {
	State  state
	Raw    []byte
	Looked bool
	Line   string
	Err    string
}

// fieldOf is where the journal has a step.
func fieldOf(i int) string { return "n" + strconv.Itoa(i) }

// seal seals what became of a step.
func (res *result) seal(k *shared, id string, i int) (string, error) {
	e := entry{State: res.state, Raw: res.raw, Looked: res.looked, Line: res.line}
	if res.err != nil {
		e.Err = res.err.Error()
	}
	return k.pack(&e, id, fieldOf(i))
}

// noted is an error that the journal has.
type noted string

// Error is what it was.
func (e noted) Error() string { return string(e) }

// reopen makes a run of what the journal has, whose steps can be undone as if they had been made here. Its end must be called.
func (s *sequence) reopen(ctx context.Context, id string, fields map[string]string) (*run, *filter.Exchange, error) {
	var h head
	if err := s.shared.unpack(fields["h"], id, "h", &h); err != nil {
		return nil, nil, fmt.Errorf("cannot read the journal: %w", err)
	}
	ex, body, err := h.exchange(ctx, s.env)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the journal: %w", err)
	}
	r := newRun(s, ex, body)
	r.base, r.life = h.Base, ctx
	for i := range r.results {
		sealed, is := fields[fieldOf(i)]
		if !is {
			continue
		}
		var e entry
		err := s.shared.unpack(sealed, id, fieldOf(i), &e)
		if err == nil {
			err = r.results[i].restore(s.steps[i], &e)
		}
		if err != nil {
			r.end(ex)
			return nil, nil, fmt.Errorf("cannot read what the journal has of %s: %w", s.steps[i].name, err)
		}
	}
	return r, ex, nil
}

// restore is what is known of a step.
func (res *result) restore(s *step, e *entry) error {
	if e.State < waiting || e.State > stuck {
		return fmt.Errorf("there is no state %d", e.State)
	}
	res.state, res.raw, res.looked, res.line = e.State, e.Raw, e.Looked, e.Line
	if res.line == "" {
		res.line = s.Method + " " + s.Text
	}
	if e.Err != "" {
		res.err = noted(e.Err)
	}
	if !e.Looked {
		return nil
	}
	var err error
	res.value, err = reread(e.Raw)
	return err
}

// reread reads a document that was read before, within whatever bounds.
func reread(b []byte) (any, error) {
	return document.Read(bytes.NewReader(b), document.Limits{Size: int64(len(b)) + 1<<20})
}

// exchange makes an exchange of the request.
func (h *head) exchange(ctx context.Context, env *filter.Env) (*filter.Exchange, any, error) {
	u, err := url.Parse(h.URL)
	if err != nil {
		return nil, nil, err
	}
	req := &http.Request{
		Method: h.Method, URL: u, Host: h.Host, Header: h.Header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody, ContentLength: h.Size,
	}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	ex := &filter.Exchange{
		Request: req.WithContext(ctx), Route: env.Route, Params: params(h.Params), Client: h.Client, Identity: h.Identity, Priority: h.Priority, Original: h.Original,
		ID: h.ID, Start: h.Start,
	}
	if h.Identity != nil {
		if h.Identity.Claims, err = h.claims(); err != nil {
			return nil, nil, err
		}
	}
	ex.Prepare(env.Slots())
	var body any
	if h.Body != nil {
		body, err = reread(h.Body)
	}
	return ex, body, err
}

// claims are the claims of the caller.
func (h *head) claims() (claims map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(h.Claims))
	d.UseNumber()
	err = d.Decode(&claims)
	numbers(claims)
	return claims, err
}

// numbers makes the numbers of claims what they are elsewhere: int64, or else float64.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = numbers(v[name])
		}
	}
	return v
}

// answered is an answer that is kept.
type answered struct {
	Status int
	Header http.Header
	Body   []byte
}

// Replayed is the field of an answer that was given before.
const Replayed = "Idempotency-Replayed"

// sealAnswer seals an answer.
func sealAnswer(k *shared, id string, resp *http.Response, b []byte) (string, error) {
	return k.pack(&answered{resp.StatusCode, resp.Header, b}, id, "a")
}

// keptAnswer is the answer that was given before.
func keptAnswer(ex *filter.Exchange, k *shared, id, sealed string) (*http.Response, error) {
	var a answered
	if err := k.unpack(sealed, id, "a", &a); err != nil {
		return nil, unknownFor(err, "All was done at an earlier request with the same key, but its answer cannot be read.")
	}
	a.Header.Set(Replayed, "true")
	resp := &http.Response{
		StatusCode: a.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: a.Header, Request: ex.Request, Body: http.NoBody,
	}
	if n := a.Header.Get("Content-Length"); n != "" {
		resp.ContentLength = int64(len(a.Body))
		if ex.Request.Method != http.MethodHead {
			resp.Body = io.NopCloser(bytes.NewReader(a.Body))
		}
	}
	return resp, nil
}
