package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// source is one parsed file of production code.
type source struct {
	name string // of its package, without the module
	set  *token.FileSet
	file *ast.File
}

func (s source) at(n ast.Node) string {
	at := s.set.Position(n.Pos())
	return fmt.Sprintf("%s/%s:%d", s.name, filepath.Base(at.Filename), at.Line)
}

// productionFiles are all Go files but tests, whatever their build tags.
func productionFiles(t *testing.T, p goPackage) (list []source) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range names {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, source{p.name(), set, file})
	}
	return list
}

// unwatched start goroutines and have no tests.
func unwatched() []string {
	return []string{"internal/bench/locks"}
}

// TestGoroutinesAreWatched: where production code starts a goroutine, the package's tests look for those that
// outlive them.
func TestGoroutinesAreWatched(t *testing.T) {
	for _, p := range listPackages(t) {
		if testOnly(p.name()) || slices.Contains(unwatched(), p.name()) {
			continue
		}
		for _, s := range productionFiles(t, p) {
			if at := startsGoroutine(s); at != "" && !testsMention(t, p.Dir, "goleak.") {
				t.Errorf("%s starts a goroutine, and no test of the package looks for leaked ones (goleak)", at)
				break
			}
		}
	}
}

// startsGoroutine is the place of a go statement, or of a call of a method Go, as of sync.WaitGroup.
func startsGoroutine(s source) (at string) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			at = s.at(n)
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Go" {
				at = s.at(n)
			}
		}
		return at == ""
	})
	return at
}

func testsMention(t *testing.T, dir, word string) bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), word) {
			return true
		}
	}
	return false
}

// maxFields is how many fields a struct has that needs no reason.
const maxFields = 20

var fieldsReason = regexp.MustCompile(`(?m)^(\d+) fields: \S`)

// TestLargeStructsHaveAReason: a struct of more than maxFields is two things, or its comment has a line
// "NN fields: why".
func TestLargeStructsHaveAReason(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, s := range productionFiles(t, p) {
			for _, mistake := range largeStructs(s) {
				t.Error(mistake)
			}
		}
	}
}

func largeStructs(s source) (mistakes []string) {
	for _, decl := range s.file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			typ, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			body, ok := typ.Type.(*ast.StructType)
			if !ok {
				continue
			}
			said := 0
			if m := fieldsReason.FindStringSubmatch(gen.Doc.Text() + typ.Doc.Text()); m != nil {
				said, _ = strconv.Atoi(m[1])
			}
			if n := body.Fields.NumFields(); n > maxFields && said != n || n <= maxFields && said > 0 {
				mistakes = append(mistakes, fmt.Sprintf("%s: %s has %d fields, and its comment gives a reason for %d", s.at(typ), typ.Name.Name, n, said))
			}
		}
	}
	return mistakes
}

// TestNoBuiltinIsShadowed: who reads len or max must not have to look whether it is the language's.
func TestNoBuiltinIsShadowed(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, s := range productionFiles(t, p) {
			for _, mistake := range shadowedBuiltins(s) {
				t.Error(mistake)
			}
		}
	}
}

func shadowedBuiltins(s source) (mistakes []string) {
	check := func(names ...*ast.Ident) {
		for _, name := range names {
			if name != nil && types.Universe.Lookup(name.Name) != nil {
				mistakes = append(mistakes, fmt.Sprintf("%s: %s is a word of the language", s.at(name), name.Name))
			}
		}
	}
	fields := func(lists ...*ast.FieldList) {
		for _, list := range lists {
			if list == nil {
				continue
			}
			for _, f := range list.List {
				check(f.Names...)
			}
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if fields(n.Recv); n.Recv == nil {
				check(n.Name)
			}
		case *ast.FuncType:
			fields(n.Params, n.Results, n.TypeParams)
		case *ast.TypeSpec:
			check(n.Name)
			fields(n.TypeParams)
		case *ast.ValueSpec:
			check(n.Names...)
		case *ast.ImportSpec:
			check(n.Name)
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				if name, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					check(name)
				}
			}
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if name, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					check(name)
				}
			}
		}
		return true
	})
	return mistakes
}

func TestWalkFindsWhatItLooksFor(t *testing.T) {
	const text = `package p
type small struct{ a, b int }
// one says nothing.
type one struct { ` + "a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u int" + ` }
// two is large.
// 21 fields: it is for a test.
type two struct { ` + "a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u int" + ` }
// three says too much.
// 21 fields: no.
type three struct { a int; len string }
func f(max int) (error error) {
	new := max
	for len := range new { print(len) }
	var g interface{ close(); append(copy int) }
	wg.Go(nil)
	return nil
}
func (s small) close() {}
`
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "p.go", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	s := source{"p", set, file}
	if got := largeStructs(s); len(got) != 2 {
		t.Errorf("large structs: found %d of 2: %v", len(got), got)
	}
	if got := shadowedBuiltins(s); len(got) != 5 {
		t.Errorf("shadowed builtins: found %d of 5: %v", len(got), got)
	}
	if startsGoroutine(s) != "p/p.go:15" {
		t.Errorf("the goroutine was found at %q", startsGoroutine(s))
	}
}
