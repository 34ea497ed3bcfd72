package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/commandset"
)

// otherWords are names of commands that mean something else where they are compared: a
// field of a request, a word of an option.
func otherWords() map[string]string {
	return map[string]string{
		"api/httpapi/fence.go: lock":          "a field of JSON",
		"api/httpapi/put.go: type":            "a field of JSON",
		"api/httpapi/elements.go: type":       "a field of JSON",
		"api/httpapi/locks.go: watch":         "a parameter of a URL",
		"api/httpapi/transactions.go: exists": "a field of JSON",
		"api/admin/client.go: type":           "an option of CLIENT KILL",
		"shard/raftlog/hclog.go: time":        "a field of a log line",
	}
}

// TestNoNameSteers: what is special about a command is in its Spec. Code elsewhere neither
// compares its name nor looks it up; the tables of handlers in api/router and api/admin are
// lists, no decisions.
func TestNoNameSteers(t *testing.T) {
	names := commandNames()
	used := map[string]bool{}
	for _, p := range listPackages(t) {
		if !servesCommands(p.name()) {
			continue
		}
		for _, file := range p.GoFiles {
			for _, m := range comparedNames(t, filepath.Join(p.Dir, file), nil, names) {
				key := p.name() + "/" + file + ": " + m.word
				used[key] = true
				if otherWords()[key] == "" {
					t.Errorf("%s: the name %q of a command decides here; say it in its Spec", m.at, m.word)
				}
			}
		}
	}
	for key := range otherWords() {
		if !used[key] {
			t.Errorf("the exception %s is not needed", key)
		}
	}
}

// servesCommands tells the packages that a command passes on its way, but for those that
// define commands.
func servesCommands(name string) bool {
	if name == "fsm/command" {
		return true
	}
	if strings.HasPrefix(name, "fsm/command") || testOnly(name) {
		return false
	}
	for _, room := range []string{"api", "fsm", "shard", "snapshot", "transport", "cmd/lockstep"} {
		if name == room || strings.HasPrefix(name, room+"/") {
			return true
		}
	}
	return false
}

func commandNames() map[string]bool {
	names := map[string]bool{}
	for _, sp := range commandset.New().Specs() {
		names[sp.Name] = true
		for _, sub := range sp.Sub {
			names[sub.Name] = true
		}
	}
	return names
}

type comparedName struct{ at, word string }

// comparedNames finds comparisons with, switches over and look-ups of names.
func comparedNames(t *testing.T, path string, source any, names map[string]bool) []comparedName {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []comparedName
	check := func(list ...ast.Expr) {
		for _, e := range list {
			if word := strings.ToLower(textOf(e)); names[word] {
				found = append(found, comparedName{files.Position(e.Pos()).String(), word})
			}
		}
	}
	assigned := map[*ast.IndexExpr]bool{} // a field of a reply, say: no look-up
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				check(n.X, n.Y)
			}
		case *ast.CaseClause:
			check(n.List...)
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				if index, ok := e.(*ast.IndexExpr); ok {
					assigned[index] = true
				}
			}
		case *ast.IndexExpr:
			if !assigned[n] {
				check(n.Index)
			}
		case *ast.CallExpr:
			if compares(n) {
				check(n.Args...)
			}
		}
		return true
	})
	return found
}

// compares tells calls that compare text. IsWord does so with a name if it is asked about the
// first word of a command; else the words are those of options.
func compares(call *ast.CallExpr) bool {
	name := ""
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		name = fun.Name
	case *ast.SelectorExpr:
		name = fun.Sel.Name
	}
	switch name {
	case "IsWord":
		index, ok := call.Args[0].(*ast.IndexExpr)
		if !ok {
			return false
		}
		lit, ok := index.Index.(*ast.BasicLit)
		return ok && lit.Value == "0"
	case "Equal", "EqualFold", "Contains", "HasPrefix", "HasSuffix", "Compare", "lookup", "Lookup", "LookupSub", "byFullName":
		return true
	}
	return false
}

// textOf is a string that stands in the code: a literal, a constant of the file, or bytes
// made of either.
func textOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return s
		}
	case *ast.ParenExpr:
		return textOf(e.X)
	case *ast.CallExpr:
		if len(e.Args) == 1 {
			return textOf(e.Args[0])
		}
	case *ast.Ident:
		if e.Obj == nil || e.Obj.Kind != ast.Con {
			return ""
		}
		if spec, ok := e.Obj.Decl.(*ast.ValueSpec); ok {
			for i, name := range spec.Names {
				if name.Name == e.Name && i < len(spec.Values) {
					return textOf(spec.Values[i])
				}
			}
		}
	}
	return ""
}

func TestComparedNamesAreFound(t *testing.T) {
	const source = `package p
const nameExec = "exec"
func f(name string, m map[string]int) bool {
	switch name {
	case "get", "other":
	}
	return name == nameExec || "SET" != name || m["config|get"] > 0 || slices.Contains(list, "del") || send("del") ||
		command.IsWord(args[0], "GET") || command.IsWord(args[1], "TYPE")
}
`
	if got := comparedNames(t, "p.go", source, commandNames()); len(got) != 6 {
		t.Errorf("found %d of 6: %v", len(got), got)
	}
}
