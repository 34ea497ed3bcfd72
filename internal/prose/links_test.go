package prose

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// Documents and comments cite files, folders and headings. What they cite must be there.

const root = "../.."

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	document = regexp.MustCompile(`[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*\.md\b`)
	inRepo   = regexp.MustCompile(`(?:^|[\s"'(\x60])((?:api|client|cmd|deploy|docs|examples|fsm|internal|jepsen|resp|scripts|shard|snapshot|store|transport)/[a-z][A-Za-z0-9_./-]*)`)
)

// text is what a file says to people: a document, or the comments of a program.
type text struct {
	path string // from the root
	said string
}

func (x text) dir() string { return path.Dir(x.path) }

// texts are all documents and all comments of the repository.
func texts(t *testing.T) (list []text) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || rel == "bin" {
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(name) {
		case ".md":
			b, err := os.ReadFile(name)
			list = append(list, text{rel, string(b)})
			return err
		case ".go":
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			var said strings.Builder
			for _, c := range file.Comments {
				said.WriteString(c.Text())
			}
			list = append(list, text{rel, said.String()})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// exists tells whether a path is there, from any of the folders.
func exists(name string, dirs ...string) bool {
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(dir), filepath.FromSlash(name))); err == nil {
			return true
		}
	}
	return false
}

// missing lists what x cites and the repository does not have.
func missing(x text) (list []string) {
	if path.Ext(x.path) == ".md" {
		for _, m := range link.FindAllStringSubmatch(x.said, -1) {
			if target := m[1]; !strings.Contains(target, "://") && !linked(x, target) {
				list = append(list, "link to "+target)
			}
		}
	}
	for _, name := range document.FindAllString(x.said, -1) {
		if name != "DESIGN.md" && !exists(name, ".", x.dir(), "docs") { // each folder may have that one
			list = append(list, name)
		}
	}
	for _, m := range inRepo.FindAllStringSubmatch(x.said, -1) {
		name := strings.TrimRight(strings.TrimSuffix(strings.TrimRight(m[1], ".-"), "/"), ".")
		if !exists(name, ".", x.dir()) && !exists(name+".go", ".") {
			list = append(list, name)
		}
	}
	return list
}

// linked tells whether a relative link leads to a file, and to a heading of it if it names one.
func linked(x text, target string) bool {
	name, anchor, _ := strings.Cut(target, "#")
	said := x.said
	if name != "" {
		if !exists(name, x.dir()) {
			return false
		}
		if anchor == "" || path.Ext(name) != ".md" {
			return true
		}
		b, err := os.ReadFile(filepath.Join(root, x.dir(), name))
		if err != nil {
			return false
		}
		said = string(b)
	}
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, "#") && anchorOf(strings.TrimLeft(line, "#")) == anchor {
			return true
		}
	}
	return false
}

// anchorOf is the name that GitHub gives a heading.
func anchorOf(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(heading)) {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			b.WriteRune(r)
		case r == ' ':
			b.WriteByte('-')
		}
	}
	return b.String()
}

func TestWhatIsCitedIsThere(t *testing.T) {
	for _, x := range texts(t) {
		for _, what := range missing(x) {
			t.Errorf("%s cites what is not there: %s", x.path, what)
		}
	}
}

func TestMissingIsFound(t *testing.T) {
	x := text{"docs/x.md", "# A `b`, c\n[a](locks.md) [b](locks.md#nowhere) [c](nowhere.md) [d](#a-b-c) [e](https://example.org/x.txt)\n" +
		"see DESIGN-2.md, consistency.md, `shard/raftlog`, `shard/raftlog/gone.go`, shard/gone/, store/DESIGN.md."}
	if got := missing(x); len(got) != 6 { // one of them as a link and as a document
		t.Errorf("found %d of 6: %q", len(got), got)
	}
}
