package validate

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/openapi"
	"cardea.dev/cardea/internal/repeat"
)

// counts are the policy's counters.
type counts struct {
	requestValid, requestInvalid, requestReported, requestUnchecked     prometheus.Counter
	responseValid, responseInvalid, responseReported, responseUnchecked prometheus.Counter
}

func newCounts(env *filter.Env) counts {
	all := env.Metrics.Counter("validations_total", "Requests and answers that the policy validate looked at, by route, what (request or response) and result.", "route", "what", "result")
	of := func(what, result string) prometheus.Counter { return all.WithLabelValues(env.Route.Name, what, result) }
	return counts{
		of("request", "valid"), of("request", "invalid"), of("request", "reported"), of("request", "unchecked"),
		of("response", "valid"), of("response", "invalid"), of("response", "reported"), of("response", "unchecked"),
	}
}

// readable has the upstream answer in a way that can be checked: whole, and in an encoding that is read here. Else a client could choose that its
// answers are not checked.
func readable(r *http.Request) {
	r.Header.Del("Range")
	r.Header.Del("If-Range")
	accepted := r.Header["Accept-Encoding"]
	if len(accepted) == 0 {
		return
	}
	var left []string
	for one := range strings.SplitSeq(strings.Join(accepted, ","), ",") {
		coding, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(one)), ";")
		switch strings.TrimSpace(coding) {
		case "gzip", "x-gzip", "deflate", "identity":
			left = append(left, strings.TrimSpace(one))
		}
	}
	if len(left) == 0 {
		left = []string{"identity"}
	}
	r.Header["Accept-Encoding"] = []string{strings.Join(left, ", ")}
}

// checkResponse is the response phase.
func (p *policy) checkResponse(ex *filter.Exchange) error {
	known := p.asked.Get(ex)
	resp := ex.Response
	if known == nil || ex.Err != nil || resp == nil || resp.StatusCode < 200 || resp.StatusCode == http.StatusNotModified {
		return nil //nolint:nilerr // what the gateway itself answers is not checked
	}
	l := openapi.List{Most: p.maxErrors}
	content := p.responseContent(ex, known.operation, &l)
	if content == nil || bodiless(ex) {
		return p.judge(ex, &l)
	}
	if resp.Body == nil || resp.Body == http.NoBody || resp.ContentLength == 0 {
		l.Add(filter.Violation{In: "body", Reason: "is missing"})
		return p.judge(ex, &l)
	}
	decode, err := decoder(resp.Header)
	if err != nil {
		l.Add(filter.Violation{In: "header", Parameter: "Content-Encoding", Reason: "is none that can be read"})
		return p.judge(ex, &l)
	}
	check := func(text []byte) (checked bool) {
		plain, err := decode(text, p.max)
		switch {
		case errors.Is(err, errLarge):
			return false
		case err != nil:
			l.Add(filter.Violation{In: "body", Reason: "is not encoded as its Content-Encoding says"})
		default:
			content.Check(plain, p.bounds, &l)
		}
		return true
	}
	if p.responses == report {
		resp.Body = &watched{ReadCloser: resp.Body, most: p.max, end: func(text []byte, whole bool) {
			if !whole || !check(text) {
				p.counts.responseUnchecked.Inc()
				return
			}
			p.tell(&l)
		}}
		return nil
	}
	return p.readResponse(ex, &l, check)
}

// bodiless says whether a response has no body, whatever its header says (RFC 9110, section 6.4.1). One of 205 must have none either, but may come with
// one all the same.
func bodiless(ex *filter.Exchange) bool {
	resp := ex.Response
	return ex.Original.Method == http.MethodHead || resp.StatusCode == http.StatusNoContent ||
		resp.StatusCode == http.StatusResetContent && (resp.ContentLength == 0 || resp.Body == nil || resp.Body == http.NoBody)
}

// responseContent says how the body of a response is checked, and checks all else.
func (p *policy) responseContent(ex *filter.Exchange, operation *openapi.Operation, l *openapi.List) *openapi.Content {
	resp := ex.Response
	kind := contentType(resp.Header)
	if operation == nil {
		if p.response == nil || resp.StatusCode > 299 {
			return nil
		}
		if err := openapi.JSONOnly(kind); err != nil && !bodiless(ex) {
			l.Add(filter.Violation{In: "header", Parameter: "Content-Type", Reason: err.Error()})
			return nil
		}
		return p.response
	}
	known := operation.Response(resp.StatusCode)
	if known == nil {
		if p.unknownStatus {
			l.Add(filter.Violation{In: "status", Reason: fmt.Sprintf("the status %d is not known", resp.StatusCode)})
		}
		return nil
	}
	known.CheckHeader(resp.Header, l)
	if bodiless(ex) || kind == "" && resp.ContentLength == 0 && !known.Checks() {
		return nil
	}
	content, err := known.Body(kind)
	if err != nil {
		l.Add(filter.Violation{In: "header", Parameter: "Content-Type", Reason: err.Error()})
	}
	return content
}

// readResponse reads and checks a whole response before it is sent.
func (p *policy) readResponse(ex *filter.Exchange, l *openapi.List, check func(text []byte) bool) error {
	resp := ex.Response
	large := resp.ContentLength > p.max
	if !large {
		text, whole, err := repeat.Read(resp.Body, p.max, resp.ContentLength)
		if err != nil {
			var known *filter.Error
			if errors.As(err, &known) {
				return err
			}
			return filter.Reject(filter.UpstreamReset, "").Because(err)
		}
		resp.Body = repeat.Rejoin(text, whole, resp.Body)
		large = !whole || !check(text)
	}
	switch {
	case large && p.refuseLarge:
		l.Add(filter.Violation{In: "body", Reason: "has more than " + p.maxText})
	case large && len(l.Found) == 0:
		p.counts.responseUnchecked.Inc()
		return nil
	}
	return p.judge(ex, l)
}

// judge says what becomes of a response that was looked at.
func (p *policy) judge(ex *filter.Exchange, l *openapi.List) error {
	if len(l.Found) == 0 {
		p.counts.responseValid.Inc()
		return nil
	}
	ex.Invalid = filter.Invalid{What: "response", Why: list(l.Found), Reported: p.responses == report}
	if p.responses == report {
		p.tell(l)
		return nil
	}
	p.counts.responseInvalid.Inc()
	return filter.Reject(filter.ResponseInvalid, "").Because(errors.New(list(l.Found)))
}

// tell counts a response that passes whatever is wrong with it, and logs what is.
func (p *policy) tell(l *openapi.List) {
	if len(l.Found) == 0 {
		p.counts.responseValid.Inc()
		return
	}
	p.counts.responseReported.Inc()
	p.reporter.tell(list(l.Found))
}

// reporter logs what is wrong with responses, at most once a second.
type reporter struct {
	log   *slog.Logger
	route string
	now   func() time.Time
	last  atomic.Int64 // second
}

func (r *reporter) tell(why string) {
	second := r.now().Unix()
	if last := r.last.Load(); last != second && r.last.CompareAndSwap(last, second) {
		r.log.Warn("an answer is not as its schema says", "route", r.route, "why", why)
	}
}

// watched is a body that is kept as it passes, and looked at once it has ended.
type watched struct {
	io.ReadCloser
	most int64
	kept []byte
	over bool
	done bool
	end  func(text []byte, whole bool)
}

// Read reads on.
func (w *watched) Read(b []byte) (int, error) {
	n, err := w.ReadCloser.Read(b)
	if !w.over && n > 0 {
		if int64(len(w.kept)+n) > w.most {
			w.over, w.kept = true, nil
		} else {
			w.kept = append(w.kept, b[:n]...)
		}
	}
	if err == io.EOF {
		w.finish(!w.over)
	}
	return n, err
}

// Close ends the body.
func (w *watched) Close() error {
	w.finish(false)
	return w.ReadCloser.Close()
}

func (w *watched) finish(whole bool) {
	if w.done {
		return
	}
	w.done = true
	w.end(w.kept, whole)
	w.kept = nil
}
