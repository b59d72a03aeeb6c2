package accesslog

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// logged returns what a configuration logs of exchanges. Time stands still but for what the exchanges say.
func logged(t *testing.T, text string, changes ...func(*filter.Exchange)) string {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		env := newEnv(t, dir)
		f := newFilter(t, env, strings.ReplaceAll(text, "FILE", "access.log"))
		for _, change := range changes {
			run(t, f, exchange(env, change))
		}
		env.Keeper.(filtertest.Keeper).Close(t)
	})
	b, err := os.ReadFile(filepath.Join(dir, "access.log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

func same(*filter.Exchange) {}

func failed(ex *filter.Exchange) {
	ex.Status, ex.Sent, ex.Aborted = 502, 0, true
	ex.Err = filter.Reject(filter.UpstreamReset, "").Because(errors.New("connection reset by peer"))
	second := ex.Attempts[0]
	second.Start, second.Endpoint, second.Status = second.Start.Add(10*time.Millisecond), "10.0.0.2:80", 503
	ex.Attempts = append(ex.Attempts, second)
	ex.Attempts[0].Status, ex.Attempts[0].Err, ex.Attempts[0].FirstByte = 0, errors.New("EOF"), 0
}

// refused is an exchange of which nothing could be sent to its upstream, after a policy had asked another.
func refused(ex *filter.Exchange) {
	ex.Status, ex.Err = 503, filter.Reject(filter.UpstreamBreakerOpen, "")
	ex.Attempts[0].Upstream = "policies"
}

// left is an exchange whose client left before anything was sent.
func left(ex *filter.Exchange) {
	*ex.Request = *ex.Request.Clone(ex.Context())
	ex.Request.Header = nil
	ex.Status, ex.Sent, ex.FirstByte, ex.Upstream, ex.Attempts, ex.Identity = 0, 0, time.Time{}, "", nil, nil
	ex.Client = ex.Client.Next()
	ex.Original.Query = ""
	ex.Err, ex.Aborted = filter.Reject(filter.ClientClosed, ""), true
}

// lacking is an exchange some of whose calls have failed.
func lacking(ex *filter.Exchange) {
	ex.Calls = []filter.Call{
		{Name: "a", Outcome: filter.CallOK},
		{Name: "b", Outcome: filter.CallDefault},
		{Name: "c", Outcome: filter.CallSkipped},
		{Name: "d", Outcome: filter.CallWaiting},
		{Name: "e", Outcome: filter.CallOK, Loop: &filter.Loop{Times: 2, Failed: 1}},
		{Name: "undo f", Outcome: filter.CallFails},
		{Name: "f", Outcome: filter.CallStuck},
	}
}

// limited is an exchange that a limit refused.
func limited(ex *filter.Exchange) {
	ex.Status, ex.Err = 429, filter.Reject(filter.RateLimited, "").Because(errors.New("it is so"))
	ex.Priority = filter.Low
	ex.Limited = filter.Limited{Policy: "rate_limit", Limit: "100/min per address", Key: "192.0.2.7"}
}

// nearlyLimited is one that a limit would have refused.
func nearlyLimited(ex *filter.Exchange) {
	ex.Limited = filter.Limited{Policy: "concurrency", Limit: "3 per header.x-user", Key: "a \"b\"\n", DryRun: true}
}

// missed is an exchange that a cache could not answer.
func missed(ex *filter.Exchange) {
	ex.Cached = filter.Cached{Outcome: filter.CacheMiss, Why: "vary-miss", Stored: true}
}

// hit is one that it could.
func hit(ex *filter.Exchange) {
	ex.Cached = filter.Cached{Outcome: filter.CacheHit}
}

func TestFormats(t *testing.T) {
	// The clock of a synctest bubble begins at midnight UTC, 2000-01-01; exchanges began 12.345 ms before.
	tests := []struct {
		name, text string
		change     func(*filter.Exchange)
		want       string
	}{
		{
			"json", `log: FILE`, same,
			`{"time":"1999-12-31T23:59:59.987Z","request_id":"id-1","client":"192.0.2.7","method":"GET","scheme":"https","host":"api.example.com",` +
				`"path":"/orders/7","query":"page=2&token=***","proto":"HTTP/1.1","status":200,"sent":1234,"received":5,"duration_ms":12.345,"first_byte_ms":10.000,` +
				`"route":"orders","upstream":"orders","endpoint":"10.0.0.1:80","connect_ms":1.000,"upstream_ms":9.000,"tries":1,"subject":"ann lee","consumer":"acme",` +
				`"auth":"jwt","user_agent":"curl/8","referer":"https://app.example.com/?code=***&x=1"}` + "\n",
		},
		{
			"json of a failure", `log: {file: FILE, fields: [status, tries, attempts, error, cause, aborted]}`, failed,
			`{"status":502,"tries":2,"attempts":[{"upstream":"orders","endpoint":"10.0.0.1:80","start_ms":0.000,"connect_ms":1.000,"error":"EOF"},` +
				`{"upstream":"orders","endpoint":"10.0.0.2:80","start_ms":10.000,"connect_ms":1.000,"first_byte_ms":9.000,"status":503}],` +
				`"error":"upstream_reset","cause":"connection reset by peer","aborted":true}` + "\n",
		},
		{
			"json of failed calls", `log: {file: FILE, fields: [status, calls_failed]}`, lacking,
			`{"status":200,"calls_failed":"b default, e failed, undo f failed, f stuck"}` + "\n",
		},
		{"json of calls that went well", `log: {file: FILE, fields: [status, calls_failed]}`, func(ex *filter.Exchange) { lacking(ex); ex.Calls = ex.Calls[:1] }, `{"status":200}` + "\n"},
		{
			"json of what could not be sent", `log: {file: FILE, fields: [status, upstream, endpoint, upstream_ms, tries, error]}`, refused,
			`{"status":503,"upstream":"orders","tries":1,"error":"upstream_breaker_open"}` + "\n",
		},
		{
			"json of a client that left", `log: FILE`, left,
			`{"time":"1999-12-31T23:59:59.987Z","request_id":"id-1","client":"192.0.2.8","method":"GET","scheme":"https","host":"api.example.com",` +
				`"path":"/orders/7","proto":"HTTP/1.1","status":499,"sent":0,"received":5,"duration_ms":12.345,"route":"orders","error":"client_closed","aborted":true}` + "\n",
		},
		{
			"json of what a limit refused", `log: {file: FILE, fields: [status, priority, limited_by, limit_key, limit_dry_run, error]}`, limited,
			`{"status":429,"priority":"low","limited_by":"rate_limit 100/min per address","limit_key":"192.0.2.7","error":"rate_limited"}` + "\n",
		},
		{
			"json of what a limit would have refused", `log: {file: FILE, fields: [status, priority, limited_by, limit_key, limit_dry_run]}`, nearlyLimited,
			`{"status":200,"limited_by":"concurrency 3 per header.x-user","limit_key":"a \"b\"\n","limit_dry_run":true}` + "\n",
		},
		{
			"logfmt of what a limit would have refused", `log: {file: FILE, format: logfmt, fields: [limited_by, limit_key, limit_dry_run]}`, nearlyLimited,
			`limited_by="concurrency 3 per header.x-user" limit_key="a \"b\"\n" limit_dry_run=true` + "\n",
		},
		{
			"json of what a cache missed", `log: {file: FILE, fields: [status, cache, cache_why]}`, missed,
			`{"status":200,"cache":"miss","cache_why":"vary-miss"}` + "\n",
		},
		{
			"json of what a cache answered", `log: {file: FILE, fields: [status, cache, cache_why]}`, hit,
			`{"status":200,"cache":"hit"}` + "\n",
		},
		{
			"logfmt of what a cache missed", `log: {file: FILE, format: logfmt, fields: [status, cache, cache_why]}`, missed,
			`status=200 cache=miss cache_why=vary-miss` + "\n",
		},
		{
			"fields in their order, and more", `log: {file: FILE, fields: [status, method], add: {tenant: header.x-tenant, absent: header.x-none}}`, same,
			`{"status":200,"method":"GET","tenant":"acme"}` + "\n",
		},
		{
			"logfmt", `log: {file: FILE, format: logfmt, fields: [time, client, method, path, query, status, duration_ms, subject, referer]}`, same,
			`time=1999-12-31T23:59:59.987Z client=192.0.2.7 method=GET path=/orders/7 query="page=2&token=***" status=200 duration_ms=12.345 subject="ann lee" ` +
				`referer="https://app.example.com/?code=***&x=1"` + "\n",
		},
		{
			"logfmt of a failure", `log: {file: FILE, format: logfmt, fields: [tries, attempts, aborted]}`, failed,
			`tries=2 attempts="orders/10.0.0.1:80 EOF, orders/10.0.0.2:80 503" aborted=true` + "\n",
		},
		{
			"common", `log: {file: FILE, format: common}`, same,
			`192.0.2.7 - ann\x20lee [31/Dec/1999:23:59:59 +0000] "GET /orders/7?page=2&token=*** HTTP/1.1" 200 1234` + "\n",
		},
		{
			"combined", `log: {file: FILE, format: combined}`, same,
			`192.0.2.7 - ann\x20lee [31/Dec/1999:23:59:59 +0000] "GET /orders/7?page=2&token=*** HTTP/1.1" 200 1234 "https://app.example.com/?code=***&x=1" "curl/8"` + "\n",
		},
		{
			"combined of a client that left", `log: {file: FILE, format: combined, query: false}`, left,
			`192.0.2.8 - - [31/Dec/1999:23:59:59 +0000] "GET /orders/7 HTTP/1.1" 499 - "-" "-"` + "\n",
		},
		{
			"no query", `log: {file: FILE, fields: [path, query, referer], query: false}`, same,
			`{"path":"/orders/7","referer":"https://app.example.com/"}` + "\n",
		},
		{"nothing redacted", `log: {file: FILE, fields: [query], redact: []}`, same, `{"query":"page=2&token=s3cret"}` + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := logged(t, tt.text, func(ex *filter.Exchange) {
				ex.Start = ex.Start.UTC()
				tt.change(ex)
			})
			if got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestWhatClientsSendCannotBreakALine(t *testing.T) {
	evil := "a\"b\\c\r\n127.0.0.1 - - forged\x00\x1b[31m\x7f\xff\u0085\u2028é"
	change := func(ex *filter.Exchange) {
		ex.Original.Path, ex.Original.Host, ex.Original.Method, ex.Original.Query = evil, evil, evil, "x="+evil
		ex.Identity.Subject = evil
		ex.Request.Header["User-Agent"], ex.Request.Header["Referer"] = []string{evil}, []string{evil}
		ex.Err = filter.Reject(filter.InternalError, "").Because(errors.New(evil))
	}
	for _, format := range []string{"json", "logfmt", "common", "combined"} {
		t.Run(format, func(t *testing.T) {
			got := logged(t, `log: {file: FILE, format: `+format+`}`, change)
			if strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
				t.Fatalf("not one line: %q", got)
			}
			for _, r := range strings.TrimSuffix(got, "\n") {
				if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 {
					t.Fatalf("control character %q in %q", r, got)
				}
			}
			if format != "json" {
				return
			}
			var fields map[string]any
			if err := json.Unmarshal([]byte(got), &fields); err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(evil, "\xff", "\ufffd")
			if fields["path"] != want || fields["user_agent"] != want {
				t.Errorf("path %q, user agent %q, want %q", fields["path"], fields["user_agent"], want)
			}
		})
	}
}

func FuzzJSONText(f *testing.F) {
	for _, s := range []string{"", "plain", "é\xff\"\\\n\u2028", "\xe2\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := append(appendJSON([]byte{'"'}, s), '"')
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		standard, _ := json.Marshal(s)
		var want string
		_ = json.Unmarshal(standard, &want)
		if back != want {
			t.Fatalf("%q came back as %q, want %q", s, back, want)
		}
	})
}

func TestRedaction(t *testing.T) {
	hide := newRedactor(true, []string{"Token", "api_key", "a b"}, &filter.Route{})
	for query, want := range map[string]string{
		"":                           "",
		"page=1":                     "page=1",
		"token=x":                    "token=***",
		"TOKEN=x&page=1":             "TOKEN=***&page=1",
		"page=1&%74oken=x;api%5Fkey": "page=1&%74oken=***;api%5Fkey",
		"a+b=1&a%20b=2&ab=3":         "a+b=***&a%20b=***&ab=3",
		"tokens=x&toke=y&token":      "tokens=x&toke=y&token",
		"token=":                     "token=",
		"token=a=b&&x":               "token=***&&x",
		"tok%6=x&%7":                 "tok%6=x&%7",
	} {
		l := &line{}
		hide.write(l, query)
		if string(l.b) != want {
			t.Errorf("%q is written as %q, want %q", query, l.b, want)
		}
	}
}

func TestWhatIsLogged(t *testing.T) {
	slow := func(ex *filter.Exchange) { ex.Start = ex.Start.Add(-2 * time.Second) }
	notFound := func(ex *filter.Exchange) { ex.Status = 404 }
	tests := []struct {
		name, text string
		change     func(*filter.Exchange)
		want       bool
	}{
		{"everything", `log: {file: FILE}`, same, true},
		{"nothing of the sample", `log: {file: FILE, sample: 0%}`, same, false},
		{"an error beside the sample", `log: {file: FILE, sample: 0%}`, failed, true},
		{"a client's mistake is no error", `log: {file: FILE, sample: 0%}`, notFound, false},
		{"a client that left", `log: {file: FILE, sample: 0%}`, left, true},
		{"no errors beside the sample", `log: {file: FILE, sample: 0%, keep_errors: false}`, failed, false},
		{"slow beside the sample", `log: {file: FILE, sample: 0%}`, slow, true},
		{"slow is off", `log: {file: FILE, sample: 0%, slow: off}`, slow, false},
		{"condition holds", `log: {file: FILE, when: response.status >= 400}`, notFound, true},
		{"condition does not hold", `log: {file: FILE, when: response.status >= 400}`, slow, false},
		{"condition cannot be said", `log: {file: FILE, when: jwt.role == "x"}`, same, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := logged(t, tt.text, tt.change) != ""; got != tt.want {
				t.Errorf("logged is %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSampleFollowsFromTheRequestID(t *testing.T) {
	a := &accessLog{sample: 1 << 32 / 10}
	ex := &filter.Exchange{Status: 200}
	n := 0
	for i := range 20000 {
		ex.ID = "request-" + string(rune('a'+i%26)) + time.Duration(i).String()
		first := a.wanted(ex, ex.Start)
		if first != a.wanted(ex, ex.Start) {
			t.Fatal("the same id gave two answers")
		}
		if first {
			n++
		}
	}
	if n < 1800 || n > 2200 {
		t.Errorf("%d of 20000 are logged, want about 2000", n)
	}
}

func TestConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		`log: {format: xml}`:                                   "log.format",
		`log: {fields: [time, nothing]}`:                       `there is no field "nothing"`,
		`log: {format: common, fields: [time]}`:                "the format common has fields of its own",
		`log: {format: combined, add: {a: header.x}}`:          "the format combined takes no further fields",
		`log: {add: {status: header.x}}`:                       `there is a field "status" already`,
		`log: {add: {"a b": header.x}}`:                        `"a b" cannot be the name of a field`,
		`log: {add: {auth_header: header.Authorization}}`:      "holds credentials",
		`log: {add: {x: nonsense}}`:                            `unknown variable "nonsense"`,
		`log: {when: nonsense}`:                                `unknown name "nonsense"`,
		`log: {file: /nowhere/at/all/access.log}`:              "cannot log to /nowhere/at/all/access.log",
		`log: {file: .}`:                                       "it is a directory",
		`log: {file: ""}`:                                      "the file has no name",
		`log: {sample: 200%}`:                                  "log.sample",
		`log: {flie: x}`:                                       `did you mean "file"`,
		"log:\n  file: stdout\n  when: nonsense\n  sample: 1%": "test.yaml:3:9",
	} {
		env := newEnv(t, t.TempDir())
		_, err := Kind().Build(env, filtertest.Parse(t, text).Field("log"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
}

func TestExplain(t *testing.T) {
	for text, want := range map[string]string{
		`log: {}`: "a line as json to stdout",
		`log: {file: stderr, format: logfmt, sample: 10%, when: response.status >= 400}`: "a line as logfmt to stderr, when response.status >= 400; " +
			"10% of those, and all errors, and all that took 1s",
	} {
		env := newEnv(t, t.TempDir())
		f := newFilter(t, env, text)
		ex := exchange(env, func(ex *filter.Exchange) { ex.Dry = true })
		if got := f.Explain(ex); got != (filter.Verdict{Action: filter.Passes, Note: want}) {
			t.Errorf("%s: got %+v, want %q", text, got, want)
		}
		run(t, f, ex) // dry: writes nothing
	}
}

func TestKind(t *testing.T) {
	if k := Kind(); k.Name() != "log" || k.Stage() != filter.Observe {
		t.Errorf("got %s in %s", k.Name(), k.Stage())
	}
	var c Config
	c.Default()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if c.Slow != config.Duration(time.Second) {
		t.Error("the default of slow has changed; the manual says 1s")
	}
}
