// Package admin is the operators' HTTP API: health, metrics, the running configuration, its routes and upstreams, explain, limits,
// caches and reload. It shows what the gateway tells it; it holds no state of its own. Package control serves it.
package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/engine"
)

// Gateway is what the API shows and does.
type Gateway struct {
	Version  string
	Ready    func() error
	Status   func() any
	Snapshot func() *engine.Snapshot
	Past     func(id string) (engine.Past, bool)
	Reload   func() (report any, err error)
	Limiters func() []filter.Limiter       // all that count by key
	Caches   func() []filter.ResponseCache // all that store responses
	Metrics  http.Handler
	Log      *slog.Logger
}

// Handler returns the API, as the settings want it.
func Handler(g Gateway, settings config.Admin) http.Handler {
	mux := http.NewServeMux()
	a := &api{g}
	mux.HandleFunc("GET /{$}", a.index)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", a.ready)
	mux.Handle("GET /metrics", g.Metrics)
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, g.Status()) })
	mux.HandleFunc("GET /config", a.config)
	mux.HandleFunc("GET /routes", a.routes)
	mux.HandleFunc("GET /upstreams", a.upstreams)
	mux.HandleFunc("GET /explain", a.explain)
	mux.HandleFunc("POST /explain", a.explain)
	mux.HandleFunc("GET /limits", a.limits)
	mux.HandleFunc("GET /limits/top", a.top)
	mux.HandleFunc("POST /limits/reset", a.resetLimit)
	mux.HandleFunc("GET /caches", a.caches)
	mux.HandleFunc("GET /caches/look", a.look)
	mux.HandleFunc("GET /caches/objects", a.objects)
	mux.HandleFunc("POST /caches/purge", a.purge)
	mux.HandleFunc("POST /reload", a.reload)
	if settings.Profiles() {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return protect(mux, settings.Token)
}

// protect keeps others than operators out: pages in an operator's browser that ask across origins or under a name of their
// own (DNS rebinding), and where there is a token, all who do not have it. Probes need none.
func protect(next http.Handler, token config.Secret) http.Handler {
	want := sha256.Sum256([]byte("Bearer " + token.Reveal()))
	guarded := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/livez" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		if token == "" && !plainHost(r.Host) {
			writeProblem(w, http.StatusForbidden, "host_denied", "Without a token this API answers only to an address or to localhost, not to the name "+r.Host+".")
			return
		}
		given := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if token != "" && subtle.ConstantTimeCompare(given[:], want[:]) == 0 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="cardea admin"`)
			writeProblem(w, http.StatusUnauthorized, "token_required", "This API wants the token of the admin section as a bearer token.")
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

// plainHost says whether a Host is an address, localhost, or that of a Unix socket: nothing that a name server could point here.
func plainHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "cardea"
}

type api struct{ Gateway }

func (a *api) index(w http.ResponseWriter, _ *http.Request) {
	writeText(w, http.StatusOK, `cardea `+a.Version+`

GET  /livez      is the process alive
GET  /readyz     are requests welcome
GET  /status     version, age, last load of the configuration
GET  /metrics    for Prometheus
GET  /config     the running configuration as written, secrets hidden
GET  /routes     routes with their policies and targets
GET  /upstreams  upstreams with the health of their endpoints
GET  /explain    ?url=https://host/path[&method=GET][&client=192.0.2.1][&header=Name: value]…   why does a request get what it gets
                 ?id=REQUEST-ID   why did this one fail, which calls was it made of, and how long did they take
GET  /limits     what is limited by key
GET  /limits/top [?limit=NAME][&n=20]   which keys have used most of it
POST /limits/reset  limit=NAME&key=KEY   forget what was counted for a key
GET  /caches     what stores responses, and how much
GET  /caches/look     ?url=https://host/path[&cache=NAME][&n=20]   what is stored for a URL
GET  /caches/objects  [?prefix=https://host/path/][&cache=NAME][&n=20]   what is stored
POST /caches/purge    {"url" or "prefix" or "tag": "…" or "all": true[, "soft": true][, "cache": "NAME"]}   what is stored is not used any more
POST /reload     load the configuration anew
`)
}

func (a *api) ready(w http.ResponseWriter, _ *http.Request) {
	if err := a.Ready(); err != nil {
		writeText(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
		return
	}
	writeText(w, http.StatusOK, "ready")
}

func (a *api) config(w http.ResponseWriter, _ *http.Request) {
	s := a.current(w)
	if s == nil {
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(config.Redacted(s.Config.Self))
}

func (a *api) routes(w http.ResponseWriter, _ *http.Request) {
	if s := a.current(w); s != nil {
		writeJSON(w, http.StatusOK, map[string]any{"routes": engine.ListRoutes(s), "left_out": append([]engine.LeftOut{}, s.Left...)})
	}
}

func (a *api) upstreams(w http.ResponseWriter, _ *http.Request) {
	s := a.current(w)
	if s == nil {
		return
	}
	out := []any{}
	for _, u := range s.Upstreams {
		out = append(out, u.Status())
	}
	writeJSON(w, http.StatusOK, map[string]any{"upstreams": out})
}

func (a *api) reload(w http.ResponseWriter, _ *http.Request) {
	report, err := a.Reload()
	status := http.StatusOK
	if err != nil {
		status = http.StatusUnprocessableEntity
	}
	writeJSON(w, status, report)
}

// current returns the current snapshot, or answers that there is none.
func (a *api) current(w http.ResponseWriter) *engine.Snapshot {
	s := a.Snapshot()
	if s == nil {
		writeProblem(w, http.StatusServiceUnavailable, "not_ready", "No configuration is loaded.")
	}
	return s
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		writeProblem(w, http.StatusInternalServerError, string(filter.InternalError), err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

func writeProblem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	body, _ := json.Marshal(map[string]any{"title": http.StatusText(status), "status": status, "code": code, "detail": detail})
	_, _ = w.Write(append(body, '\n'))
}
