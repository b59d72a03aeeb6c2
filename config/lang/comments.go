package lang

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// ReadComments reads the comments of all struct types and their fields from Go source. The packages are directories by import
// path. A comment's key is "import/path.Type" or "import/path.Type.Field".
//
// A generator calls it; its result is committed as a file, for a binary has no source.
func ReadComments(packages map[string]string) (map[string]string, error) {
	comments := map[string]string{}
	for path, dir := range packages {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			return nil, fmt.Errorf("cannot read the comments of %s: no Go file in %s", path, dir)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			if err := readFileComments(comments, path, file); err != nil {
				return nil, fmt.Errorf("cannot read the comments of %s: %w", path, err)
			}
		}
	}
	return comments, nil
}

// readFileComments adds the comments of one file.
func readFileComments(comments map[string]string, path, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, decl := range parsed.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.TYPE {
			continue
		}
		for _, spec := range gen.Specs {
			t := spec.(*ast.TypeSpec)
			doc := t.Doc
			if doc == nil && len(gen.Specs) == 1 {
				doc = gen.Doc
			}
			addTypeComments(comments, path+"."+t.Name.Name, doc, t.Type)
		}
	}
	return nil
}

// addTypeComments adds the comments of a type and of its fields.
func addTypeComments(comments map[string]string, key string, doc *ast.CommentGroup, t ast.Expr) {
	if text := commentText(doc); text != "" {
		comments[key] = text
	}
	s, ok := t.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range s.Fields.List {
		text := commentText(f.Doc)
		if text == "" {
			text = commentText(f.Comment)
		}
		for _, name := range f.Names {
			if text != "" && name.IsExported() {
				comments[key+"."+name.Name] = text
			}
		}
	}
}

// commentText is a comment's text with its paragraphs.
func commentText(c *ast.CommentGroup) string {
	if c == nil {
		return ""
	}
	return strings.TrimSpace(c.Text())
}

// commentKey is the key of a type's comment, or of a field's.
func commentKey(t reflect.Type, field string) string {
	key := t.PkgPath() + "." + t.Name()
	if field != "" {
		key += "." + field
	}
	return key
}

// plainComment prepares a comment for the manual: lines joined within paragraphs, and the Go name at its beginning
// replaced by the key.
func plainComment(text, goName, key string) string {
	if goName != "" {
		if rest, ok := strings.CutPrefix(text, goName+" "); ok {
			text = key + " " + rest
		}
	}
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if !strings.HasPrefix(p, "\t") && !strings.HasPrefix(p, " ") {
			paragraphs[i] = strings.Join(strings.Fields(p), " ")
		}
	}
	return strings.Join(paragraphs, "\n\n")
}
