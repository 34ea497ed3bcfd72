package httpapi

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryCodeIsDocumented compares the codes in the source with the table in
// docs/http-api.md, both ways.
func TestEveryCodeIsDocumented(t *testing.T) {
	inSource := regexp.MustCompile(`(?:badRequest\(|Code: +|\.Code(?:, [a-zA-Z.]+)? = |http\.Status[A-Za-z]+, )"([a-z_]+)"`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range inSource.FindAllStringSubmatch(string(text), -1) {
			codes = append(codes, m[1])
		}
	}
	doc, err := os.ReadFile("../../docs/http-api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(doc), "| status | when | codes |")
	table, _, _ = strings.Cut(table, "\n\n")
	var documented []string
	for line := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[3], -1) {
			documented = append(documented, m[1])
		}
	}
	if len(codes) < 50 {
		t.Errorf("only %d codes found in the source", len(codes))
	}
	for _, c := range codes {
		if !slices.Contains(documented, c) {
			t.Errorf("the code %q is not in docs/http-api.md", c)
		}
	}
	for _, c := range documented {
		if !slices.Contains(codes, c) {
			t.Errorf("docs/http-api.md has the code %q, the source has not", c)
		}
	}
}
