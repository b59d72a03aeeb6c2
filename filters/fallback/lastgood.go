package fallback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cache"
	"cardea.dev/cardea/internal/cache/rules"
	"cardea.dev/cardea/internal/stored"
)

// lastGood is the last good answer to the same request.
type lastGood struct {
	cache      *cache.Cache
	sizes      config.Cache
	generation uint64
	adopt      sync.Once
	maxAge     time.Duration
	maxObject  int64
	shared     bool
	force      bool
	route      string
	now        func() time.Time
}

func newLastGood(env *filter.Env, c *LastGood, at string, now func() time.Time) (*lastGood, error) {
	sizes, err := env.Cache(c.Cache)
	if err != nil {
		return nil, config.FieldErrorf(join(at, "cache"), "%w", err)
	}
	g := &lastGood{
		sizes: sizes, maxAge: c.MaxAge.Std(), maxObject: int64(c.MaxObject), shared: c.Shared, force: c.Force,
		route: "\nlast_good=" + string(cache.AppendQuoted(nil, env.Route.Name)), now: now,
	}
	if g.cache, err = cache.Open(env, c.Cache, &sizes, now); err != nil {
		return nil, config.FieldErrorf(join(at, "cache"), "%w", err)
	}
	g.generation = g.cache.Next()
	return g, nil
}

// prepare makes the keys of a request, before later policies change it.
func (g *lastGood) prepare(ex *filter.Exchange, s *state) {
	r := s.asked
	if r.Method != http.MethodGet && r.Method != http.MethodHead || hasBody(ex.Request) {
		return
	}
	g.adopt.Do(func() { g.cache.Configure(g.generation, &g.sizes) })
	s.seq, s.begun = g.cache.Seq(), g.now()
	s.all = g.key(ex)
	s.mine = s.all
	if !g.shared {
		s.mine = append(slices.Clip(s.all), "\nidentity="...)
		if ex.Identity != nil {
			s.mine = cache.AppendIdentity(s.mine, ex)
		}
		s.mine, s.known = appendCredentials(s.mine, ex)
	}
}

// appendCredentials appends a digest of the credentials that a request has for the service, whoever the gateway has found to call. Tokens that the gateway
// has checked are left out: the caller gets a new one now and then. Known says that there is a caller to be told from others.
func appendCredentials(b []byte, ex *filter.Exchange) (key []byte, known bool) {
	id := ex.Identity
	checked := id != nil && (id.Method == "jwt" || id.Method == "oauth2_introspection")
	var secret []string
	for name := range ex.Request.Header {
		if cache.SecretField(name) {
			secret = append(secret, name)
		}
	}
	slices.Sort(secret)
	for _, name := range secret {
		if name == "Authorization" && checked {
			continue
		}
		b = append(append(b, '\n'), name...)
		b = append(b, '=')
		b = cache.AppendDigest(b, strings.Join(ex.Request.Header[name], "\n"))
	}
	return b, len(secret) > 0 || id != nil
}

// key is the key of answers for all.
func (g *lastGood) key(ex *filter.Exchange) []byte {
	o := &ex.Original
	b := make([]byte, 0, 256)
	b = append(b, "GET "...)
	b = append(append(b, o.Scheme...), "://"...)
	b = append(append(b, o.Host...), o.Path...)
	if o.Query != "" {
		b = append(append(b, '?'), o.Query...)
	}
	b = append(b, g.route...)
	b = append(b, "\nhost="...)
	return cache.AppendQuoted(b, strings.ToLower(ex.Request.Host))
}

// keep has a good answer kept once its end has come, if it may be.
func (g *lastGood) keep(ex *filter.Exchange, s *state) {
	resp := ex.Response
	key, names, ok := g.keepable(ex, s)
	if !ok {
		return
	}
	r := &stored.Response{
		Key: string(key), URL: urlOf(key), Route: ex.Route.Name, Method: http.MethodGet, Status: resp.StatusCode, Seq: s.seq, Requested: s.begun, Received: g.now(),
		Tags:  rules.Tags(resp.Header),
		Terms: stored.Terms{InitialAge: ageOf(resp.Header), IfError: g.maxAge},
	}
	h := rules.Stored(&rules.Settings{Private: true}, resp.Header, r.Received)
	delete(h, "Cache-Status")
	r.Header = stored.NewFields(h)
	k := &keeping{ReadCloser: resp.Body, good: g, resp: resp, answer: r, names: names, client: s.asked.Header, length: resp.ContentLength}
	if resp.Body == nil || resp.Body == http.NoBody {
		k.commit()
		return
	}
	resp.Body = k
}

// keepable says whether an answer may be kept, at which key, and by which fields of requests it differs.
func (g *lastGood) keepable(ex *filter.Exchange, s *state) (key []byte, names []string, ok bool) {
	resp, h := ex.Response, ex.Response.Header
	control, asked := rules.ParseControl(h["Cache-Control"]), rules.ParseControl(s.asked.Header["Cache-Control"])
	switch {
	case s.mine == nil, s.asked.Method != http.MethodGet, ex.Err != nil:
	case resp.StatusCode < 200, resp.StatusCode > 299, resp.StatusCode == http.StatusPartialContent:
	case ex.Cached.Outcome == filter.CacheHit, ex.Cached.Outcome == filter.CacheStale: // it was kept when it came
	case ex.Fault != "", resp.ContentLength > g.maxObject, len(resp.Trailer) > 0:
	case h["Set-Cookie"] != nil, h["Set-Cookie2"] != nil, h["Content-Range"] != nil:
	case strings.HasPrefix(h.Get("Content-Type"), "text/event-stream"):
	case control.Has(rules.NoStore), asked.Has(rules.NoStore):
	case !g.force && control.Has(rules.NoCache|rules.MustRevalidate|rules.ProxyRevalidate):
	case control.Has(rules.Private) && !s.known: // whose it is cannot be told
	default:
		ok = true
	}
	if !ok {
		return nil, nil, false
	}
	if names, ok = varies(h); !ok {
		return nil, nil, false
	}
	if !g.shared && control.Has(rules.Public) && !control.Has(rules.Private) {
		return s.all, names, true
	}
	return s.mine, names, true
}

// varies are the fields of requests by which an answer differs. An encoded one is for those who accept that. It is false where none selects it.
func varies(h http.Header) (names []string, ok bool) {
	names, all := rules.VaryNames(h)
	if all {
		return nil, false
	}
	if h["Content-Encoding"] != nil && !slices.Contains(names, "Accept-Encoding") {
		names = append(names, "Accept-Encoding")
		slices.Sort(names)
	}
	return names, true
}

// ageOf is how old an answer was when it came.
func ageOf(h http.Header) time.Duration {
	if n, err := strconv.ParseInt(h.Get("Age"), 10, 32); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	return 0
}

// urlOf is the URL in a key.
func urlOf(key []byte) string {
	_, rest, _ := strings.Cut(string(key), " ")
	url, _, _ := strings.Cut(rest, "\n")
	return url
}

func (g *lastGood) kind() string { return "last_good" }

// find returns the answer that is there, or nil.
func (g *lastGood) find(ctx context.Context, s *state) *stored.Response {
	if s.mine == nil {
		return nil
	}
	var best *stored.Response
	for i, key := range [...][]byte{s.mine, s.all} {
		if i > 0 && g.shared {
			break
		}
		found, _ := g.cache.Find(ctx, slices.Clip(key), s.asked.Header)
		if r := found.Response; r != nil && r.Body != nil && r.Age(g.now()) <= g.maxAge && (best == nil || r.Received.After(best.Received)) {
			best = r
		}
	}
	return best
}

// answer answers with what is there.
func (g *lastGood) answer(ex *filter.Exchange, s *state) (*http.Response, error) {
	if s.mine == nil {
		return nil, errors.New("only answers to GET and HEAD are kept")
	}
	ctx, cancel := context.WithTimeout(ex.Caller(), time.Second)
	defer cancel()
	r := g.find(ctx, s)
	if r == nil {
		return nil, fmt.Errorf("there is none that is not older than %s", config.Duration(g.maxAge))
	}
	q := rules.ParseRequest(s.asked)
	a, h := &rules.Answer{}, make(http.Header, r.Header.Len()+4)
	rules.Respond(a, h, s.asked.Method, &q, r, g.now())
	resp := &http.Response{
		StatusCode: a.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, ContentLength: max(a.Length, 0), Request: ex.Request, Body: http.NoBody,
	}
	if a.Length >= 0 && a.Status != http.StatusNoContent {
		h["Content-Length"] = []string{strconv.FormatInt(a.Length, 10)}
	}
	if a.Send {
		reader, err := r.Body.Open()
		if err != nil {
			return nil, err
		}
		body := &content{Reader: reader, Closer: reader}
		if !a.Whole {
			body.Reader = a.Content(reader)
		}
		resp.Body = body
	}
	unkept(ex, h)
	return resp, nil
}

// content is the content of an answer, which is a stored body or a part of it.
type content struct {
	io.Reader
	io.Closer
}

func (g *lastGood) explain(ex *filter.Exchange) string {
	s := &state{}
	s.keep(ex)
	g.prepare(ex, s)
	if s.mine == nil {
		return "last_good, but there is none for " + ex.Request.Method
	}
	for _, key := range [...][]byte{s.mine, s.all} {
		if r := g.cache.Peek(slices.Clip(key), s.asked.Header).Response; r != nil && r.Age(g.now()) <= g.maxAge {
			return fmt.Sprintf("last_good, %s old", r.Age(g.now()).Round(time.Second))
		}
	}
	return "last_good, of which there is none now"
}
