// Package docs_test keeps the documentation true: examples are run, lists are complete, links lead somewhere.
package docs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/compile"
	"cardea.dev/cardea/internal/expr"
)

func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	pages := map[string]*document{}
	for _, d := range documents(t) {
		pages[d.path] = d
	}
	for _, d := range pages {
		for _, found := range link.FindAllStringSubmatch(d.prose(), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := d.path
			if target != "" {
				path = filepath.ToSlash(filepath.Join(filepath.Dir(d.path), target))
			}
			if _, err := os.Stat(root(path)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", d.path, found[1])
				continue
			}
			if page := pages[path]; page != nil && anchor != "" && !page.anchors()[anchor] {
				t.Errorf("%s: the link %s leads to no heading of %s", d.path, found[1], path)
			}
		}
	}
}

func TestEachErrorCodeHasItsPage(t *testing.T) {
	overview := read(t, "docs/manual/errors.md")
	known := map[string]bool{}
	for _, info := range filter.Codes() {
		known[string(info.Code)+".md"] = true
		page := read(t, "docs/manual/errors/"+string(info.Code)+".md")
		for _, want := range []string{
			fmt.Sprintf("# `%s`\n\nStatus %d, caused by the %s.\n", info.Code, info.Status, info.Source),
			"\n## What happened\n", "\n## Likely causes\n", "\n## What to do\n", "\n## How to look it up\n",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the page of %s has no %q", info.Code, want)
			}
		}
		if row := fmt.Sprintf("| [`%s`](errors/%s.md) | %d |", info.Code, info.Code, info.Status); !strings.Contains(overview, row) {
			t.Errorf("errors.md has no row %s", row)
		}
	}
	pages, err := os.ReadDir(root("docs/manual/errors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if !known[page.Name()] {
			t.Errorf("%s is the page of no code", page.Name())
		}
	}
}

func TestEachKindIsDescribed(t *testing.T) {
	kinds := compile.Builtin()
	policies, targets := read(t, "docs/manual/policies.md"), read(t, "docs/manual/targets.md")
	inStage := map[filter.Stage][]string{}
	for _, k := range kinds.Filters {
		if !strings.Contains(policies, "\n## `"+k.Name()+"`\n") {
			t.Errorf("policies.md does not describe %s", k.Name())
		}
		inStage[k.Stage()] = append(inStage[k.Stage()], fmt.Sprintf("[`%s`](#%s)", k.Name(), k.Name()))
	}
	for stage := filter.Observe; stage <= filter.Dispatch; stage++ {
		row := regexp.MustCompile(`(?m)^\| ` + stage.String() + ` \| [^|]+ \| ?(.*?) ?\|$`).FindStringSubmatch(policies)
		if row == nil || row[1] != strings.Join(inStage[stage], ", ") {
			t.Errorf("policies.md: the row of stage %s is %q, and the policies are %v", stage, row, inStage[stage])
		}
	}
	for _, k := range kinds.Targets {
		if !strings.Contains(targets, "\n## `"+k.Name()+"`\n") {
			t.Errorf("targets.md does not describe %s", k.Name())
		}
	}
}

func TestEachVariableIsDescribed(t *testing.T) {
	page := read(t, "docs/manual/expressions.md")
	for _, v := range expr.Variables() {
		if !strings.Contains(page, "| `"+v.Name+"` |") {
			t.Errorf("expressions.md does not describe %s", v.Name)
		}
	}
}

func TestConditionsOfTheManualCompile(t *testing.T) {
	expressions, err := expr.New()
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(read(t, "docs/manual/expressions.md"), "\n| condition | true when |\n| --- | --- |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	for row := range strings.SplitSeq(table, "\n") {
		source := strings.Split(row, "`")[1]
		if _, err := expressions.Condition(source); err != nil {
			t.Errorf("the condition %s does not compile: %v", source, err)
		}
	}
}

func TestEachEndpointOfTheAdminAPIIsDescribed(t *testing.T) {
	page := read(t, "docs/manual/operating.md")
	source := read(t, "internal/control/admin/admin.go")
	patterns := regexp.MustCompile(`mux\.Handle(?:Func)?\("(\w+) (/[^"]*)"`).FindAllStringSubmatch(source, -1)
	if len(patterns) < 10 {
		t.Fatalf("found only %d endpoints in the source", len(patterns))
	}
	for _, p := range patterns {
		method, path := p[1], strings.TrimSuffix(p[2], "{$}")
		if !strings.Contains(page, "`"+method+" "+path+"`") && !strings.Contains(page, "`"+path+"`") {
			t.Errorf("operating.md does not mention %s %s", method, path)
		}
	}
}

func TestEachCommandAndFlagIsDescribed(t *testing.T) {
	page := read(t, "docs/manual/operating.md")
	help := func(args ...string) string {
		out, err := exec.Command(program(t), append(args, "--help")...).CombinedOutput()
		if err != nil {
			t.Fatalf("cardea %v --help: %v\n%s", args, err, out)
		}
		return string(out)
	}
	_, commands, _ := strings.Cut(help(), "Available Commands:\n")
	commands, _, _ = strings.Cut(commands, "\n\n")
	flag := regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+)`)
	for line := range strings.SplitSeq(commands, "\n") {
		name := strings.Fields(line)[0]
		if name == "help" {
			continue
		}
		row := regexp.MustCompile("(?m)^\\| `cardea " + name + "\\b[^\n]*").FindString(page)
		if row == "" {
			t.Errorf("operating.md does not describe the command %s", name)
		}
		for _, f := range flag.FindAllStringSubmatch(help(name), -1) {
			if !slices.Contains([]string{"--help", "--json", "--log-level", "--log-format"}, f[1]) && !strings.Contains(row, f[1]) {
				t.Errorf("operating.md does not mention %s of cardea %s", f[1], name)
			}
			if !strings.Contains(page, f[1]) {
				t.Errorf("operating.md does not mention %s", f[1])
			}
		}
	}
}

func TestMakeTargetsAreThere(t *testing.T) {
	makefile := read(t, "Makefile")
	readme := read(t, "README.md")
	for _, want := range []string{"make run ", "make test "} {
		if !strings.Contains(readme, "\n"+want) {
			t.Errorf("README.md does not begin with the command %s", want)
		}
	}
	command := regexp.MustCompile("(?m)(?:^|`|&& )make ([a-z-]+)")
	for _, d := range documents(t) {
		for _, found := range command.FindAllStringSubmatch(d.text, -1) {
			if !strings.Contains(makefile, "\n"+found[1]+":") {
				t.Errorf("%s mentions make %s, which is no target of the Makefile", d.path, found[1])
			}
		}
	}
}

func TestEachMetricIsDescribed(t *testing.T) {
	g := start(t, `
tracing: http://127.0.0.1:1
log: {file: access.log}
upstreams: {users: "http://users:8080"}
bandwidth: 1MiB/s
coalesce: {}
validate: {request: {}}
cache: {use: ours}
caches: {ours: {shared: true, store: "redis://127.0.0.1:1"}}
fault: {delay: 1ms, share: 1%}
compress: {}
fallback: last_good
cors: "*"
deprecation: 2026-01-01
identity_headers: {token: {key: internal.pem, issuer: gateway}}
transform: {request: .}
guard: {}
concurrency: 10
rate_limit: {limits: 100/min, store: "redis://127.0.0.1:1"}
quota: {quotas: 100/day, file: off}
oidc: {issuer: "https://idp.example.com/", client_id: gateway, client_secret: a-secret-of-the-test}
external_auth: http://127.0.0.1:1/check
upstream_auth: {client_credentials: {token_url: "http://127.0.0.1:1/token", client_id: gateway, client_secret: a-secret-of-the-test}}
routes:
  - {match: /users/**, to: users, mirror: users}
  - {match: /sequence, sequence: {user: users/users/1}}
  - {match: /home, aggregate: {user: users}}
`)
	page := read(t, "docs/manual/observability.md")
	described := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(cardea_[a-z_]+)` \\| ([a-z, ]*)\\|").FindAllStringSubmatch(page, -1) {
		described[row[1]+"{"+strings.TrimSpace(row[2])+"}"] = true
	}
	for _, d := range g.Metrics.Definitions() {
		name := d.Name + "{" + strings.Join(d.Labels, ", ") + "}"
		if !described[name] && d.Name != "cardea_build_info" {
			t.Errorf("observability.md does not describe %s", name)
		}
		delete(described, name)
	}
	for name := range described {
		t.Errorf("observability.md describes %s, which there is not", name)
	}
}
