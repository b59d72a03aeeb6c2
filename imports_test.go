package cardea_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// module is the import path that all packages of the project begin with.
const module = "cardea.dev/cardea"

// rule says what packages may never import, and why. Paths are below the module; "x/..." is x and all below it. "!x" takes x out again.
type rule struct {
	from  []string
	never []string
	but   []string // exceptions among never
	why   string
}

var dataPlane = []string{
	"internal/engine/...", "internal/http1/...", "internal/router/...", "internal/upstream/...", "internal/expr/...", "internal/keep/...",
	"internal/answer/...", "internal/cache/...", "internal/cacheable/...", "internal/call/...", "internal/coalesce/...", "internal/consumers/...", "internal/convert/...", "internal/document/...", "internal/folder/...", "internal/fresh/...", "internal/geoip/...", "internal/handout/...", "internal/issuer/...", "internal/journal/...", "internal/jq/...", "internal/limit/...",
	"internal/line/...", "internal/oauth/...", "internal/openapi/...", "internal/overload/...", "internal/pace/...", "internal/pathtemplate/...", "internal/password/...", "internal/place/...",
	"internal/schema/...", "internal/seal/...", "internal/shape/...",
	"internal/quota/...", "internal/qvalue/...", "internal/redis/...", "internal/repeat/...", "internal/sharedlimit/...",
	"internal/signingkey/...", "internal/socket/...", "internal/stored/...", "internal/token/...",
	"filters/...", "targets/...", "filter", "target", "observe",
}

var rules = []rule{
	{[]string{"config/..."}, []string{"..."}, nil, "config is data; what it means is decided by those that import it"},
	{[]string{"..."}, []string{"config/lang"}, []string{"config"}, "config passes on what others need of the language"},
	{
		dataPlane,
		[]string{"internal/control/...", "internal/cli/...", "internal/compile/...", "gatewaytest/..."},
		nil,
		"the request path must not know where configuration comes from, nor who looks on",
	},
	{[]string{"..."}, []string{"internal/cli/..."}, []string{"."}, "flags live in cli alone"},
	{
		[]string{"internal/upstream/..."},
		[]string{"internal/engine/...", "internal/router/...", "filters/...", "targets/..."},
		nil,
		"upstreams are unaware of routes",
	},
	{[]string{"internal/router/..."}, []string{"..."}, nil, "the router is a mechanism with input types of its own"},
	{[]string{"internal/jq/..."}, []string{"..."}, nil, "jq is a mechanism on plain values, of any document"},
	{[]string{"internal/document/..."}, []string{"internal/...", "filters/...", "targets/...", "filter", "target"}, nil, "documents know no HTTP and no policy"},
	{[]string{"internal/seal/..."}, []string{"..."}, nil, "seals are a mechanism on bytes"},
	{[]string{"internal/journal/..."}, []string{"...", "!internal/folder"}, nil, "a journal is a mechanism on bytes"},
	{[]string{"internal/folder/..."}, []string{"..."}, nil, "folders are a mechanism that policies and targets may share"},
	{[]string{"internal/line/..."}, []string{"..."}, nil, "lines are a mechanism that upstreams and policies may share"},
	{
		[]string{"internal/convert/..."},
		[]string{"filter", "target", "filters/...", "targets/..."},
		nil,
		"conversions know formats, not exchanges",
	},
	{[]string{"internal/http1/..."}, []string{"...", "!internal/http1", "!internal/socket"}, nil, "http1 speaks net/http's types and nothing else"},
	{[]string{"internal/socket/..."}, []string{"..."}, nil, "sockets are a mechanism below every protocol"},
	{
		[]string{"internal/engine/..."},
		[]string{"filters/...", "targets/...", "internal/upstream/...", "internal/expr/..."},
		nil,
		"the engine knows no kind of policy or target, and opens no upstream connection",
	},
	{
		[]string{"filters/...", "targets/..."},
		[]string{"internal/engine/...", "internal/http1/...", "internal/router/...", "internal/socket/...", "internal/upstream/..."},
		nil,
		"policies and targets know the vocabulary, not the machine: they could live outside of this repository",
	},
	{
		[]string{"internal/engine/...", "internal/control/...", "internal/upstream/..."},
		[]string{"filters/...", "targets/..."},
		nil,
		"only compile knows the kinds",
	},
	{[]string{"..."}, []string{"filter/filtertest", "internal/http1/http1test", "internal/porttest", "internal/redis/redistest"}, []string{"internal/redis/redistest"}, "it is for tests alone"},
}

// outside are foreign packages that the request path may never import.
var outside = []struct{ prefix, why string }{
	{"database/sql", "losing a database must never take down proxying"},
	{"k8s.io/", "the gateway's binary stays free of Kubernetes"},
	{"google.golang.org/grpc", "gRPC is proxied, not spoken"},
	{"github.com/mholt/acmez", "certificates are asked for by control alone"},
	{"github.com/spf13/cobra", "flags live in cli alone"},
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			below, ours := strings.CutPrefix(imported, module+"/")
			if !ours {
				checkOutside(t, p.name(), imported)
				continue
			}
			for _, r := range rules {
				if within(p.name(), r.from) && within(below, r.never) && !within(p.name(), r.but) && below != p.name() && !isChild(below, p.name()) {
					t.Errorf("%s imports %s: %s", p.name(), below, r.why)
				}
			}
			if siblings(p.name(), below) {
				t.Errorf("%s imports its sibling %s: what both need belongs above them, or in the vocabulary", p.name(), below)
			}
		}
	}
}

func checkOutside(t *testing.T, from, imported string) {
	if !within(from, dataPlane) {
		return
	}
	for _, o := range outside {
		if strings.HasPrefix(imported, o.prefix) {
			t.Errorf("%s imports %s: %s", from, imported, o.why)
		}
	}
}

// siblings says whether two packages stand in the same folder, other than those in which packages stand on each other.
func siblings(a, b string) bool {
	layered := []string{".", "internal"}
	i, j := strings.LastIndex(a, "/"), strings.LastIndex(b, "/")
	return i > 0 && j > 0 && a[:i] == b[:j] && a != b && !slices.Contains(layered, a[:i])
}

func isChild(child, parent string) bool { return strings.HasPrefix(child, parent+"/") }

func within(name string, patterns []string) bool {
	if slices.Contains(patterns, "!"+name) {
		return false
	}
	return slices.ContainsFunc(patterns, func(p string) bool {
		if p == "..." {
			return true
		}
		tree, all := strings.CutSuffix(p, "/...")
		return name == tree || all && isChild(name, tree)
	})
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func (p pkg) name() string {
	if p.ImportPath == module {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, module+"/")
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("cannot list the packages: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
