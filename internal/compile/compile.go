package compile

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/consumers"
	"cardea.dev/cardea/internal/engine"
	"cardea.dev/cardea/internal/expr"
	"cardea.dev/cardea/internal/keep"
	"cardea.dev/cardea/internal/redis"
	"cardea.dev/cardea/internal/upstream"
	"cardea.dev/cardea/observe"
)

// Options are what a configuration is compiled with.
type Options struct {
	Kinds      Kinds
	Keeper     *keep.Keeper
	Metrics    *observe.Metrics
	Log        *slog.Logger
	Version    string
	Quarantine bool              // leave out routes that are wrong, and report them, instead of refusing all
	Dir        string            // where relative file names start
	Found      error             // what reading the configuration has found wrong already, as config.Errors
	Offline    bool              // the snapshot is only looked at: nothing is begun that Start would not begin
	Watch      func(file string) // takes note of each file that policies and targets have read; nil: nobody does
}

// Build makes a snapshot of a configuration. The errors are all that is wrong with it, each with its place; there is no
// snapshot then. Warnings say what is probably not meant.
func Build(cfg *config.Config, o Options) (snapshot *engine.Snapshot, warnings config.Errors, err error) {
	expressions, err := expr.New()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot prepare expressions: %w", err)
	}
	c := &compiler{Options: o, cfg: cfg, scope: o.Keeper.Scope(), expr: expressions, upstreams: map[string]*upstream.Cluster{}}
	if c.empty, err = config.ParseTree("", []byte("{}"), config.Options{}); err != nil {
		return nil, nil, err
	}
	c.kinds()
	if !c.sortFound() {
		return nil, nil, c.errs
	}
	callers, errs := consumers.New(cfg.Consumers, cfg.Self.Field("consumers"))
	c.consumers, c.errs = callers, append(c.errs, errs...)
	c.consumerFiles()
	c.findStore()
	c.checkCaches()
	snapshot = &engine.Snapshot{Config: cfg, Held: c.scope, Answers: c.answers(), Start: c.start}
	c.buildUpstreams()
	c.buildTracer(snapshot)
	c.buildRoutes(snapshot)
	snapshot.Unmatched = c.unmatched()
	c.watchOpenAPI()
	c.unusedUpstreams()
	c.unusedCaches()
	c.checkEmpty(snapshot)
	c.errs = append(c.errs, c.found...) // those that belong to nothing that could be read
	snapshot.Left = c.left
	for _, name := range slices.Sorted(maps.Keys(c.upstreams)) {
		snapshot.Upstreams = append(snapshot.Upstreams, clusterView{c.upstreams[name]})
	}
	if err := c.errs.Err(); err != nil {
		_ = snapshot.Discard()
		return nil, nil, err
	}
	return snapshot, c.warnings.Sorted(), nil
}

// consumerFiles adds the consumers of files.
func (c *compiler) consumerFiles() {
	for i, name := range c.cfg.ConsumerFiles {
		if !filepath.IsAbs(name) {
			name = filepath.Join(c.Dir, name)
		}
		if err := c.consumers.AddFile(name); err != nil {
			c.errs = append(c.errs, c.cfg.Self.Locate(config.FieldErrorf(fmt.Sprintf("consumer_files[%d]", i), "%w", err))...)
		}
	}
}

// findStore checks the root's store, whether a policy uses it or not. Policies are not told of one that is wrong: it is said once.
func (c *compiler) findStore() {
	c.store = c.cfg.Store
	if c.store == "" || c.store == "local" {
		return
	}
	if _, err := redis.New(c.store.Reveal()); err != nil {
		c.store = ""
		c.errs = append(c.errs, c.cfg.Self.Locate(config.FieldErrorf("store", "%w", err))...)
	}
}

// compiler is the work on one configuration.
type compiler struct {
	Options
	cfg         *config.Config
	scope       *keep.Scope
	expr        *expr.Expressions
	consumers   *consumers.Consumers
	store       config.Secret
	empty       config.Node // an object that says nothing: all defaults
	filters     map[string]filter.Kind
	order       []filter.Kind  // by stage
	scopes      map[string]int // how many places with policies were called so
	upstreams   map[string]*upstream.Cluster
	broken      map[string]bool // upstreams that are wrong
	wrongCaches map[string]bool
	usedCaches  map[string]bool
	cacheDirs   map[string]string           // by cache, absolute
	adrift      error                       // which upstream or cache that is wrong the route that is being built uses, as a reason why that cannot run
	parameters  map[config.Node]*parameters // those that a policy or target can ask for
	found       config.Errors               // about routes, from reading them; each goes to its route
	used        map[string]bool             // upstreams that something refers to
	doubted     bool                        // a document was asked whose severity is "warning"
	lenient     bool                        // nothing is wrong by such documents
	errs        config.Errors
	warnings    config.Errors
	left        []engine.LeftOut
}

// kinds orders the kinds of policies by stage.
func (c *compiler) kinds() {
	c.filters, c.used, c.broken, c.scopes = map[string]filter.Kind{}, map[string]bool{}, map[string]bool{}, map[string]int{}
	for _, k := range c.Kinds.Filters {
		c.filters[k.Name()] = k
	}
	c.order = slices.Clone(c.Kinds.Filters)
	slices.SortStableFunc(c.order, func(a, b filter.Kind) int { return cmp.Compare(a.Stage(), b.Stage()) })
}

// env is what a policy or target of a route is built with.
func (c *compiler) env(route *filter.Route) *filter.Env {
	return &filter.Env{
		Route: route, Dir: c.Dir, Log: c.Log, Metrics: c.Metrics, Expr: c.expr, Keeper: c.scope,
		Upstream: c.upstream, OpenAPI: c.openAPI, Store: c.store, Cache: c.cache, Consumers: c.consumers, Offline: c.Offline, Watch: c.Watch,
	}
}

// upstream returns the upstream with a name.
func (c *compiler) upstream(name string) (filter.Upstream, error) {
	c.used[name] = true
	if u, ok := c.upstreams[name]; ok {
		return u, nil
	}
	if c.broken[name] {
		c.adrift = fmt.Errorf("upstream %q is wrong", name)
		return standIn(name), nil
	}
	if strings.Contains(name, "://") {
		return nil, fmt.Errorf("%q is an address, and not the name of an upstream; give it one under `upstreams`", name)
	}
	names := slices.Sorted(maps.Keys(c.cfg.Upstreams))
	if near := config.Suggest(name, names); near != "" {
		return nil, fmt.Errorf("there is no upstream %q; did you mean %q?", name, near)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there is no upstream %q; none is configured", name)
	}
	more := ""
	if extra := len(names) - maxListed; extra > 0 {
		names, more = names[:maxListed], fmt.Sprintf(" and %d more", extra)
	}
	return nil, fmt.Errorf("there is no upstream %q; there are %s%s", name, strings.Join(names, ", "), more)
}

// cache returns the settings of the cache with a name.
func (c *compiler) cache(name string) (config.Cache, error) {
	c.usedCaches[name] = true
	if settings, ok := c.cfg.Caches[name]; ok && !c.wrongCaches[name] {
		if settings.Disk != nil {
			own := *settings.Disk
			own.Path = c.cacheDirs[name]
			settings.Disk = &own
		}
		return settings, nil
	}
	if c.wrongCaches[name] || c.saidBelow("caches") && len(c.cfg.Caches) == 0 {
		c.adrift = fmt.Errorf("cache %q is wrong", name)
		return defaultCache(), nil
	}
	if name == "default" {
		return defaultCache(), nil
	}
	names := slices.Sorted(maps.Keys(c.cfg.Caches))
	if near := config.Suggest(name, names); near != "" {
		return config.Cache{}, fmt.Errorf("there is no cache %q; did you mean %q?", name, near)
	}
	return config.Cache{}, fmt.Errorf("there is no cache %q; name it under `caches`", name)
}

func defaultCache() (settings config.Cache) {
	settings.Default()
	return settings
}

// maxListed is how many names an error lists.
const maxListed = 20

// standIn stands for an upstream that is wrong, so that what else is wrong with a route can be found. It never runs.
type standIn string

// Name is the upstream's name.
func (s standIn) Name() string { return string(s) }

// Do refuses.
func (s standIn) Do(*filter.Exchange, *http.Request) (*http.Response, error) {
	return nil, filter.Reject(filter.UpstreamUnavailable, "")
}

func (c *compiler) buildUpstreams() {
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Upstreams)) {
		settings := c.cfg.Upstreams[name]
		node := c.cfg.Self.Field("upstreams").Field(name)
		errs := c.foundBelow(node.Path())
		if len(errs) == 0 {
			cluster, err := upstream.Kept(name, &settings, c.upstreamEnv())
			if err == nil {
				err = c.checkOpenAPI(settings.OpenAPI.File)
			}
			if err == nil {
				c.upstreams[name] = cluster
				continue
			}
			errs = node.Locate(err)
		}
		c.broken[name] = true
		c.refuse("upstream", name, node, errs.Err())
	}
}

// refuse leaves out what is wrong, or refuses the whole configuration for it.
func (c *compiler) refuse(kind, name string, node config.Node, err error) {
	if !c.Quarantine {
		c.errs = append(c.errs, node.Locate(err)...)
		return
	}
	c.leaveOut(kind, name, node, err)
}

// leaveOut notes what is left out, and why.
func (c *compiler) leaveOut(kind, name string, node config.Node, err error) {
	c.left = append(c.left, engine.LeftOut{Kind: kind, Name: name, Where: node.Pos().String(), Error: err, Text: err.Error()})
}

// sortFound takes in what reading the configuration has found wrong. It says whether there is a configuration to go on with.
func (c *compiler) sortFound() bool {
	var found config.Errors
	if c.Found == nil {
		return true
	}
	if !errors.As(c.Found, &found) || c.cfg == nil {
		c.errs = config.Errors{{Message: c.Found.Error()}}
		if found != nil {
			c.errs = found
		}
		return false
	}
	for _, e := range found {
		if strings.HasPrefix(e.Path, "routes[") || strings.HasPrefix(e.Path, "upstreams.") || strings.HasPrefix(e.Path, "upstreams[") {
			c.found = append(c.found, e)
		} else {
			c.errs = append(c.errs, e)
		}
	}
	return true
}

// foundBelow takes the errors that reading has found at a place, and below it but for its inner routes.
func (c *compiler) foundBelow(path string) (errs config.Errors) {
	c.found = slices.DeleteFunc(c.found, func(e *config.Error) bool {
		below, ok := strings.CutPrefix(e.Path, path)
		if !ok || path == "" || below != "" && below[0] != '.' && below[0] != '[' || strings.HasPrefix(below, ".routes[") {
			return false
		}
		errs = append(errs, e)
		return true
	})
	return errs
}

func (c *compiler) unusedUpstreams() {
	for name := range c.cfg.Upstreams {
		if !c.used[name] {
			w := c.cfg.Self.Field("upstreams").Key(name).Errorf("nothing uses upstream %q", name)
			w.Warning = true
			c.warnings = append(c.warnings, w)
		}
	}
}

// checkEmpty warns of a configuration without routes: an empty file perhaps, or one in the wrong place.
func (c *compiler) checkEmpty(s *engine.Snapshot) {
	if s.RouteCount() == 0 && len(c.left) == 0 {
		w := c.cfg.Self.Errorf("there are no routes: every request gets a 404")
		w.Warning = true
		c.warnings = append(c.warnings, w)
	}
}

// start begins what runs by itself.
func (c *compiler) start() {
	for _, u := range c.upstreams {
		u.Start()
	}
}
