package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNobodyReadsErrorText: an error has a type, a code, a class and an outcome (package
// api/request). What it says is for people, and nothing depends on it.
func TestNobodyReadsErrorText(t *testing.T) {
	for _, p := range listPackages(t) {
		if p.name() != "client" && (!strings.HasPrefix(p.name(), "api/") || testOnly(p.name())) {
			continue
		}
		for _, file := range p.GoFiles {
			for _, at := range readsOfErrorText(t, filepath.Join(p.Dir, file), nil) {
				t.Errorf("%s: the text of an error is searched here; its code, class or outcome says it (package api/request)", at)
			}
		}
	}
}

// readsOfErrorText finds where a function searches or compares the text of an error, also by
// way of a variable. The text of a reply counts where words in capitals are looked for, such
// as codes have.
func readsOfErrorText(t *testing.T, path string, source any) (found []string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := importNames(file)
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		texts := map[string]bool{} // variables that hold one
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for i, right := range n.Rhs {
					if name, ok := n.Lhs[min(i, len(n.Lhs)-1)].(*ast.Ident); ok && isErrorText(right, texts) {
						texts[name.Name] = true
					}
				}
			case *ast.CallExpr:
				if searches(n, names) && slices.ContainsFunc(n.Args, func(a ast.Expr) bool { return isErrorText(a, texts) }) {
					found = append(found, files.Position(n.Pos()).String())
				}
			case *ast.BinaryExpr:
				if (n.Op == token.EQL || n.Op == token.NEQ) && (isErrorText(n.X, texts) || isErrorText(n.Y, texts)) {
					found = append(found, files.Position(n.Pos()).String())
				}
			}
			return true
		})
	}
	return found
}

// searches tells calls of packages strings, bytes and regexp that look into a text.
func searches(call *ast.CallExpr, names map[string]string) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	if pkg, ok := f.X.(*ast.Ident); !ok || !slices.Contains([]string{"strings", "bytes", "regexp"}, names[pkg.Name]) {
		return false
	}
	for _, verb := range []string{"Contains", "Has", "Trim", "Cut", "Index", "LastIndex", "Replace", "Split", "Fields", "Equal", "Match"} {
		if strings.HasPrefix(f.Sel.Name, verb) {
			// Blanks around a text and line ends in it are form, not meaning.
			return f.Sel.Name != "TrimSpace" && f.Sel.Name != "ContainsAny"
		}
	}
	return false
}

// isErrorText tells err.Error(), resp.Error(...) and variables that hold such a text, with
// conversions and concatenations around them.
func isErrorText(e ast.Expr, texts map[string]bool) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return texts[e.Name]
	case *ast.ParenExpr:
		return isErrorText(e.X, texts)
	case *ast.BinaryExpr:
		return e.Op == token.ADD && (isErrorText(e.X, texts) || isErrorText(e.Y, texts))
	case *ast.SelectorExpr:
		return e.Sel.Name == "Str" && holdsError(e.X)
	case *ast.CallExpr:
		switch f := e.Fun.(type) {
		case *ast.SelectorExpr:
			if f.Sel.Name == "Error" {
				return true
			}
		case *ast.Ident, *ast.ArrayType:
			return len(e.Args) == 1 && isErrorText(e.Args[0], texts) // string(...), []byte(...)
		}
	}
	return false
}

// holdsError goes by the names that replies have where they may be errors.
func holdsError(e ast.Expr) bool {
	name := ""
	switch e := e.(type) {
	case *ast.Ident:
		name = e.Name
	case *ast.SelectorExpr:
		name = e.Sel.Name
	}
	return slices.Contains([]string{"v", "reply", "Reply", "refuse", "refused", "Err", "err", "why", "first"}, name)
}

func TestReadsOfErrorTextAreFound(t *testing.T) {
	const source = `package p
import "strings"
func f(err error, v Value, m map[string]Value) {
	_ = strings.Contains(err.Error(), "refused")
	_ = strings.HasPrefix(string(v.Str), "INDOUBT")
	text := "x: " + err.Error()
	_, _ = strings.CutPrefix(text, "no")
	_ = err.Error() == "EOF"
	_ = strings.TrimSpace(err.Error())
	_ = strings.Contains(string(m["owner"].Str), "x")
	_ = strings.Contains(name, "x")
}
`
	if got := readsOfErrorText(t, "p.go", source); len(got) != 4 {
		t.Errorf("found %d of 4: %v", len(got), got)
	}
}
