package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// maxFields: a struct of more is two things.
const maxFields = 20

// TestStructsOfAPIAreSmall counts what a struct has of its own: an embedded one counts once.
func TestStructsOfAPIAreSmall(t *testing.T) {
	for _, p := range listPackages(t) {
		if !strings.HasPrefix(p.name(), "api/") || testOnly(p.name()) {
			continue
		}
		for _, file := range p.GoFiles {
			tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				spec, ok := n.(*ast.TypeSpec)
				if !ok {
					return true
				}
				if s, ok := spec.Type.(*ast.StructType); ok && s.Fields.NumFields() > maxFields {
					t.Errorf("%s.%s has %d fields, more than %d", p.name(), spec.Name.Name, s.Fields.NumFields(), maxFields)
				}
				return true
			})
		}
	}
}
