package http1_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cardea.dev/cardea/internal/http1/http1test"
)

var update = flag.Bool("update", false, "write what servers and clients really do into the page")

const strictnessPage = "../../docs/manual/strictness.md"

// TestStrictnessPage shows every message of the tables to Cardea, net/http and nginx, and compares the page with what they do. With
// another nginx than that of the page, or none, its column is not compared.
func TestStrictnessPage(t *testing.T) {
	if testing.Short() {
		t.Skip("runs servers and clients of three kinds")
	}
	text, err := os.ReadFile(strictnessPage)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	program, version := nginxProgram()
	noted := between(page, "nginx")
	if program == "" || !*update && noted != "nginx "+version {
		t.Logf("nginx %q is not that of the page, %q: its column is not compared", version, noted)
		program = ""
	}
	if program == "" {
		page = lastColumn.ReplaceAllString(page, "")
	}
	want := ""
	for try := 1; try <= 3 && want != page; try++ { // on a busy machine others may notice too late what comes unasked
		want = replace(replace(page, "requests", requestTables(t, program)), "answers", answerTables(t, program))
	}
	if *update && program != "" {
		want = replace(replace(want, "nginx", "nginx "+version), "net/http", runtimeVersion())
		if err := os.WriteFile(strictnessPage, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	compareLines(t, want, page)
}

// runtimeVersion is the version of Go, without the patch.
func runtimeVersion() string {
	return "Go " + regexp.MustCompile(`\d+\.\d+`).FindString(runtime.Version())
}

var lastColumn = regexp.MustCompile(`(?m) [^|\n]*(\\\|[^|\n]*)*\|$`)

// compareLines says which lines of the page are not true.
func compareLines(t *testing.T, want, page string) {
	t.Helper()
	there := map[string]bool{}
	for line := range strings.SplitSeq(page, "\n") {
		there[line] = true
	}
	for line := range strings.SplitSeq(want, "\n") {
		if !there[line] {
			t.Errorf("the page does not have this line, which go test ./internal/http1 -run StrictnessPage -update writes:\n%s", line)
		}
	}
	if !t.Failed() && want != page {
		t.Error("the page has lines that are not true any more: go test ./internal/http1 -run StrictnessPage -update rewrites it")
	}
}

// requestTables are the tables of requests.
func requestTables(t *testing.T, nginx string) string {
	addresses, recorders := servers(t, nginx)
	verdicts := make([][]string, len(addresses))
	var all sync.WaitGroup
	for by, address := range addresses {
		all.Go(func() {
			for _, row := range strictness {
				verdicts[by] = append(verdicts[by], show(t, address, recorders[by], row.in+following).verdict(row))
			}
		})
	}
	all.Wait()
	var b strings.Builder
	i := 0
	for _, g := range requestGroups {
		heading(&b, g.title, nginx)
		for _, row := range g.rows {
			cells := []string{row.name, example(row.in), either(row.rfc, g.rfc)}
			for by := range addresses {
				cells = append(cells, verdicts[by][i])
			}
			fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
			if ours := verdicts[0][i]; row.status > 0 && ours != strconv.Itoa(row.status) || row.status == 0 && !strings.HasPrefix(ours, "taken") {
				t.Errorf("%s: the server makes of it %q, the parser %d", row.name, ours, row.status)
			}
			i++
		}
	}
	return b.String()
}

// answerTables are the tables of answers.
func answerTables(t *testing.T, nginx string) string {
	var cases []http1test.Case
	for _, g := range http1test.AnswerGroups() {
		cases = append(cases, g.Cases...)
	}
	verdicts := answerVerdicts(t, cases, nginx)
	var b strings.Builder
	i := 0
	for _, g := range http1test.AnswerGroups() {
		heading(&b, g.Title, nginx)
		for _, c := range g.Cases {
			cells := append([]string{c.Name, example(c.Answer), either(c.RFC, g.RFC)}, verdicts[i]...)
			fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
			if refused := c.Want.Kind != "" && c.Want.Status == 0; refused != (verdicts[i][0] == "refused") {
				t.Errorf("%s: the client makes of it %q, not %+v", c.Name, verdicts[i][0], c.Want)
			}
			i++
		}
	}
	return b.String()
}

func heading(b *strings.Builder, title, nginx string) {
	fmt.Fprintf(b, "\n### %s\n\n| what | bytes | the RFCs say | Cardea | net/http |", title)
	if nginx != "" {
		b.WriteString(" nginx |")
	}
	b.WriteString("\n| --- | --- | --- | --- | --- |")
	if nginx != "" {
		b.WriteString(" --- |")
	}
	b.WriteString("\n")
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// example shows bytes, what is long cut short.
func example(s string) string {
	for _, head := range []string{chunkedHead, http1test.OK + "Transfer-Encoding: chunked\r\n\r\n"} {
		if rest, ok := strings.CutPrefix(s, head); ok {
			s = "…" + rest
		}
	}
	return code(strings.ReplaceAll(s, http1test.Meanwhile, " … "))
}

// short cuts text short.
func short(s string) string {
	if len(s) > 200 {
		s = s[:80] + "…" + s[len(s)-20:]
	}
	return s
}

// code shows text in a cell.
func code(s string) string {
	quoted := strconv.Quote(short(s))
	quoted = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	return "`" + strings.ReplaceAll(quoted, "|", `\|`) + "`"
}

// between is the text between the marks of a name.
func between(page, name string) string {
	_, rest, _ := strings.Cut(page, "<!-- "+name+" -->")
	text, _, _ := strings.Cut(rest, "<!-- end -->")
	return text
}

// replace puts text between the marks of a name.
func replace(page, name, text string) string {
	before, rest, ok := strings.Cut(page, "<!-- "+name+" -->")
	_, after, ended := strings.Cut(rest, "<!-- end -->")
	if !ok || !ended {
		panic("the page has no marks for " + name)
	}
	return before + "<!-- " + name + " -->" + text + "<!-- end -->" + after
}
