package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// document is a page of the documentation.
type document struct {
	path   string // from the root of the repository
	text   string
	blocks []block
}

// block is a fenced block of a page.
type block struct {
	language string
	mark     string // what the comment before it says: "fragment: route", "wrong"
	text     string
	line     int // of its first line in the page, from 1
}

// documents reads README.md, CHANGELOG.md and all pages below docs.
func documents(t *testing.T) []*document {
	t.Helper()
	paths := []string{"README.md", "CHANGELOG.md"}
	err := filepath.WalkDir(root("docs"), func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			below, _ := filepath.Rel(root("."), path)
			paths = append(paths, filepath.ToSlash(below))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all := make([]*document, len(paths))
	for i, path := range paths {
		text := read(t, path)
		all[i] = &document{path: path, text: text, blocks: fences(text)}
	}
	return all
}

// manual are the pages whose examples are tested.
func manual(t *testing.T) []*document {
	t.Helper()
	var pages []*document
	for _, d := range documents(t) {
		if d.path == "README.md" || strings.HasPrefix(d.path, "docs/manual/") {
			pages = append(pages, d)
		}
	}
	return pages
}

// root is a path from the root of the repository, as the tests see it.
func root(path string) string { return filepath.Join("..", filepath.FromSlash(path)) }

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(root(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var comment = regexp.MustCompile(`^<!-- (.*) -->$`)

// fences finds the fenced blocks of a page.
func fences(text string) []block {
	var blocks []block
	var open *block
	var body []string
	mark := ""
	for i, line := range strings.Split(text, "\n") {
		switch {
		case open != nil && line == "```":
			open.text = strings.Join(body, "\n")
			blocks = append(blocks, *open)
			open, body, mark = nil, nil, ""
		case open != nil:
			body = append(body, line)
		case strings.HasPrefix(line, "```"):
			open = &block{language: strings.TrimPrefix(line, "```"), mark: mark, line: i + 2}
		case comment.MatchString(line):
			mark = comment.FindStringSubmatch(line)[1]
		case line != "":
			mark = ""
		}
	}
	return blocks
}

// prose is the page without its fenced blocks.
func (d *document) prose() string {
	var kept []string
	fenced := false
	for line := range strings.SplitSeq(d.text, "\n") {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
			continue
		}
		if !fenced {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

var unfit = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchors are the names that links to parts of the page may use, as GitHub makes them of headings.
func (d *document) anchors() map[string]bool {
	found := map[string]bool{}
	for line := range strings.SplitSeq(d.prose(), "\n") {
		level, title, heading := strings.Cut(line, " ")
		if !heading || strings.Trim(level, "#") != "" || level == "" {
			continue
		}
		found[strings.ReplaceAll(unfit.ReplaceAllString(strings.ToLower(title), ""), " ", "-")] = true
	}
	return found
}
