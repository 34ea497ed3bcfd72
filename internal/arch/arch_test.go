package arch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	module       = "github.com/lockstepkv/lockstep"
	raft         = "github.com/hashicorp/raft"
	maxFileLines = 700
)

// mayImport is the import table: what a package may import of ours, directly. docs/architecture.md
// has the rooms in an order in which imports point down.
func mayImport() map[string][]string {
	table := map[string][]string{
		"resp":                {"internal/bulk", "internal/wire"},
		"internal/bulk":       {},
		"store":               {"internal/bulk", "store/keyslot", "store/value/hash", "store/value/list"},
		"store/effect":        {"store"},
		"store/keyslot":       {},
		"store/value/hash":    {},
		"store/value/list":    {},
		"store/value/bits":    {},
		"store/value/hll":     {},
		"internal/accept":     {},
		"internal/linger":     {},
		"internal/hangup":     {},
		"internal/clock":      {},
		"internal/heapuse":    {}, // for tests alone
		"internal/bytesize":   {},
		"internal/config":     {"api/router", "internal/bytesize", "store", "transport", "shard/raftlog"},
		"internal/disk":       {},
		"internal/histogram":  {},
		"internal/failpoint":  {},
		"internal/invariant":  {},
		"internal/arch":       {},
		"internal/e2e":        {"client", "internal/procs"}, // real processes, through public interfaces only
		"internal/procs":      {"client"},
		"internal/prose":      {}, // for tests alone
		"internal/wire":       {},
		"internal/readme":     {},
		"fsm/wait":            {},
		"fsm/lock":            {"fsm/wait", "store/keyslot"},
		"fsm/command":         {"fsm/lock", "internal/bulk", "resp", "store", "store/effect", "store/keyslot", "store/value/hash", "store/value/list"},
		"snapshot":            {"internal/disk", "snapshot/rdb"},
		"snapshot/rdb":        {"store", "store/value/hash", "store/value/list"},
		"snapshot/aof":        {"internal/disk", "snapshot/rdb", "store/effect", "store", "store/value/hash", "store/value/list"},
		"transport":           {"internal/bulk", "internal/clock", "internal/hangup"},
		"shard/raftlog":       {"internal/disk", "internal/failpoint", "internal/invariant"},
		"fsm/commandset":      append(commandGroups(), "fsm/command"),
		"fsm":                 {"fsm/command", "fsm/lock", "internal/bulk", "internal/failpoint", "internal/wire", "resp", "snapshot", "snapshot/aof", "snapshot/rdb", "store", "store/effect", "store/keyslot"},
		"shard/logclock":      {},
		"shard/notify":        {"fsm/lock", "fsm/wait", "internal/clock"},
		"shard/session":       {"fsm", "internal/clock", "fsm/command", "internal/invariant", "resp"},
		"shard/batch":         {"shard/session", "fsm", "fsm/command", "internal/clock", "store"},
		"shard/readindex":     {"internal/failpoint", "shard/session", "fsm", "fsm/command", "internal/clock"},
		"shard":               {"fsm", "fsm/command", "fsm/commandset", "fsm/lock", "fsm/wait", "internal/clock", "internal/disk", "internal/failpoint", "internal/wire", "resp", "shard/batch", "shard/logclock", "shard/notify", "shard/raftlog", "shard/readindex", "shard/view", "snapshot", "snapshot/aof", "snapshot/rdb", "store", "transport", "shard/session", "store/effect"},
		"shard/sim":           {"fsm/command", "fsm/command/locks", "fsm/commandset", "fsm/lock", "resp", "shard", "shard/raftlog"}, // for tests alone
		"shard/view":          {"store/keyslot"},
		"api/clientmem":       {},
		"api/waiting":         {"api/request", "fsm/command", "fsm/command/locks", "fsm/lock", "fsm/wait", "resp", "store/keyslot"}, // LOCK's handler logs LS.LOCK
		"api/router":          {"api/clientmem", "api/request", "api/stats", "api/waiting", "fsm/command", "fsm/command/locks", "fsm/lock", "fsm/wait", "internal/bulk", "resp", "store", "store/keyslot"},
		"api/httpapi":         {"api/clientmem", "api/request", "api/router", "api/waiting", "fsm/command", "fsm/command/locks", "fsm/lock", "fsm/wait", "internal/bulk", "internal/linger", "resp"},
		"api/respapi":         {"api/clientmem", "api/request", "api/router", "internal/hangup", "internal/linger", "resp"},
		"client":              {"resp", "store/keyslot"},
		"jepsen":              {"client", "internal/procs", "resp"},
		"cmd/lockstep":        {"api/admin", "api/clientmem", "api/httpapi", "api/respapi", "api/router", "client", "fsm", "fsm/command", "fsm/command/locks", "fsm/commandset", "fsm/lock", "fsm/wait", "internal/accept", "internal/bulk", "internal/clock", "internal/config", "internal/disk", "internal/histogram", "resp", "shard", "shard/raftlog", "store", "transport", "internal/bytesize", "shard/view", "snapshot/rdb"},
		"api/request":         {"fsm/command", "resp"},
		"api/stats":           {"fsm/command", "internal/histogram", "resp"},
		"api/admin":           {"api/router", "api/clientmem", "api/request", "api/stats", "fsm/command", "internal/bytesize", "resp", "store"},
		"cmd/lockstep-jepsen": {"jepsen"},

		"cmd/lockstep-cluster": {"client", "internal/procs"},

		"internal/bench/locks": {"client", "resp"}, // a client like any other
	}
	for _, group := range commandGroups() {
		table[group] = []string{"fsm/command", "fsm/lock", "resp", "store"} // never each other
	}
	table["fsm/command/hashes"] = append(table["fsm/command/hashes"], "store/effect", "store/value/hash")
	table["fsm/command/lists"] = append(table["fsm/command/lists"], "store/effect", "store/value/list")
	table["fsm/command/bits"] = append(table["fsm/command/bits"], "store/value/bits")
	table["fsm/command/hll"] = append(table["fsm/command/hll"], "store/value/hll")
	table["fsm/command/keys"] = append(table["fsm/command/keys"], "snapshot/rdb") // DUMP, RESTORE
	return table
}

// commandGroups are the packages of commands. Who needs all of them asks fsm/commandset.
func commandGroups() []string {
	var groups []string
	for _, name := range []string{
		"strings", "hashes", "lists", "bits", "hll", "keys", "versions", "locks", "compound", "connection", "server", "cluster", "transactions",
	} {
		groups = append(groups, "fsm/command/"+name)
	}
	return groups
}

// roomOf returns the entry of the table that a package belongs to: the harness
// is one room of several packages.
func roomOf(name string) string {
	if strings.HasPrefix(name, "jepsen/") {
		return "jepsen"
	}
	return name
}

// seesRaft lists who may import hashicorp/raft.
func seesRaft() []string {
	return []string{"shard", "shard/batch", "shard/readindex", "shard/raftlog", "shard/sim", "fsm", "snapshot", "transport"}
}

// pure lists the packages that run inside the replicated state machine: every
// replica must compute the same from the same log.
func pure() []string {
	return append(commandGroups(), "snapshot/rdb", "store", "store/effect", "store/keyslot", "store/value/hash", "store/value/bits", "store/value/hll", "fsm/command", "fsm/commandset", "fsm/lock", "fsm/wait")
}

type goPackage struct {
	ImportPath string
	Dir        string
	Imports    []string
	Deps       []string
	GoFiles    []string
}

func (p goPackage) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// ours are the imports from this module, by their short names.
func (p goPackage) ours() []string {
	var list []string
	for _, path := range p.Imports {
		if rest, ok := strings.CutPrefix(path, module+"/"); ok {
			list = append(list, rest)
		}
	}
	return list
}

func repositoryRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// listPackages asks go list, once for all tests.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	list, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var packages = sync.OnceValues(func() (list []goPackage, err error) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Imports,Deps,GoFiles", "./...")
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
})

// testOnly packages hold helpers for the tests of the room that they lie in.
func testOnly(name string) bool { return strings.HasSuffix(name, "test") }

func TestImportsFollowTheTable(t *testing.T) {
	table := mayImport()
	for _, p := range listPackages(t) {
		if testOnly(p.name()) {
			continue
		}
		allowed, known := table[roomOf(p.name())]
		if !known {
			t.Errorf("package %s is not in the table of this test and of docs/architecture.md", p.name())
			continue
		}
		for _, imported := range p.ours() {
			if room := roomOf(imported); room != roomOf(p.name()) && !slices.Contains(allowed, room) {
				t.Errorf("%s imports %s; it may import %v", p.name(), imported, allowed)
			}
		}
	}
}

// TestImportsPointDown holds docs/architecture.md to its word: its first table has the rooms in an order
// in which each imports only what stands below.
func TestImportsPointDown(t *testing.T) {
	rows := documentedRooms(t)
	row := func(name string) int {
		at := -1
		for i, patterns := range rows {
			for _, pattern := range patterns {
				if ok, _ := path.Match(pattern, name); ok && (at < 0 || pattern == name) {
					at = i
				}
			}
		}
		return at
	}
	for _, p := range listPackages(t) {
		if testOnly(p.name()) {
			continue
		}
		from := row(roomOf(p.name()))
		if from < 0 {
			t.Errorf("docs/architecture.md does not name %s", p.name())
			continue
		}
		for _, imported := range p.ours() {
			if to := row(roomOf(imported)); to < from {
				t.Errorf("%s imports %s, which stands above it in docs/architecture.md", p.name(), imported)
			}
		}
	}
}

// documentedRooms are the patterns of package names in the first column, row by row.
func documentedRooms(t *testing.T) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repositoryRoot(t), "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "| `"):
			var patterns []string
			for _, m := range quoted.FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
				patterns = append(patterns, m[1])
			}
			rows = append(rows, patterns)
		case len(rows) > 0:
			return rows
		}
	}
	t.Fatal("docs/architecture.md has no table")
	return nil
}

// TestRoomsDoNotHoldTheRouter: a room of the router works with the narrow views that it is
// given (router.Services).
func TestRoomsDoNotHoldTheRouter(t *testing.T) {
	for _, p := range listPackages(t) {
		if p.name() != "api/admin" {
			continue
		}
		for _, file := range p.GoFiles {
			path := filepath.Join(p.Dir, file)
			tree, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Router" {
					t.Errorf("%s: %s holds a router", path, p.name())
				}
				return true
			})
		}
	}
}

func TestOnlyReplicationSeesRaft(t *testing.T) {
	for _, p := range listPackages(t) {
		// Who serves clients must not reach Raft even through others.
		paths, what := p.Imports, "imports"
		if strings.HasPrefix(p.name(), "api/") || p.name() == "client" || slices.Contains(pure(), p.name()) {
			paths, what = p.Deps, "depends on"
		}
		for _, path := range paths {
			if (path == raft || strings.HasPrefix(path, raft+"-")) && !slices.Contains(seesRaft(), p.name()) {
				t.Errorf("%s %s %s; only %v may", p.name(), what, path, seesRaft())
			}
		}
	}
}

func TestStateMachineIsPure(t *testing.T) {
	forbidden := []string{"net", "net/http", "os", "os/exec", "syscall", "golang.org/x/sys/unix", "internal/clock"}
	for _, p := range listPackages(t) {
		if !slices.Contains(pure(), p.name()) {
			continue
		}
		for _, path := range append(p.Imports, p.ours()...) {
			if slices.Contains(forbidden, path) {
				t.Errorf("%s imports %s", p.name(), path)
			}
		}
		for _, file := range p.GoFiles {
			for _, mistake := range impurities(t, filepath.Join(p.Dir, file)) {
				t.Error(mistake)
			}
		}
	}
}

// impurities are uses of the clock and of goroutines.
func impurities(t *testing.T, path string) []string {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return findImpurities(t, path, source)
}

func findImpurities(t *testing.T, path string, source []byte) []string {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := importNames(file)
	var found []string
	report := func(n ast.Node, what string) {
		found = append(found, files.Position(n.Pos()).String()+": "+what+" in the state machine")
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			report(n, "goroutine")
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok {
				return true
			}
			if names[pkg.Name] == "time" && slices.Contains(clockReaders(), n.Sel.Name) {
				report(n, "time."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}

func clockReaders() []string {
	return []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
}

// importNames maps the name that a file uses for a package to its path.
func importNames(file *ast.File) map[string]string {
	names := map[string]string{}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		name := path[strings.LastIndex(path, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = path
	}
	return names
}

func TestImpuritiesAreFound(t *testing.T) {
	const source = `package p
import clock "time"
func f() { go f(); _ = clock.Now(); var _ clock.Duration }
`
	if got := findImpurities(t, "p.go", []byte(source)); len(got) != 2 {
		t.Errorf("found %d of 2: %v", len(got), got)
	}
}

// The folders of the top level form a graph without circles too. Those of internal count
// each by itself: some lie below everything, some above.
func TestNoCircleBetweenFolders(t *testing.T) {
	folder := func(name string) string {
		first, rest, _ := strings.Cut(name, "/")
		if second, _, _ := strings.Cut(rest, "/"); first == "internal" {
			return first + "/" + second
		}
		return first
	}
	graph := map[string]map[string]bool{}
	for _, p := range listPackages(t) {
		for _, imported := range p.ours() {
			from, to := folder(p.name()), folder(imported)
			if from == to || testOnly(p.name()) {
				continue
			}
			if graph[from] == nil {
				graph[from] = map[string]bool{}
			}
			graph[from][to] = true
		}
	}
	for start := range graph {
		if path := pathBack(graph, start, start, map[string]bool{}); path != nil {
			t.Errorf("circle: %s", strings.Join(append([]string{start}, path...), " -> "))
		}
	}
}

// pathBack is a path from node to target of at least one edge, or nil.
func pathBack(graph map[string]map[string]bool, node, target string, seen map[string]bool) []string {
	for next := range graph[node] {
		if next == target {
			return []string{next}
		}
		if seen[next] {
			continue
		}
		seen[next] = true
		if rest := pathBack(graph, next, target, seen); rest != nil {
			return append([]string{next}, rest...)
		}
	}
	return nil
}

func TestFilesAreSmall(t *testing.T) {
	root := repositoryRoot(t)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		lines, err := countLines(path)
		if lines > maxFileLines {
			t.Errorf("%s has %d lines, more than %d", path, lines, maxFileLines)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func countLines(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, scanner := 0, bufio.NewScanner(f)
	scanner.Buffer(nil, 4<<20)
	for scanner.Scan() {
		n++
	}
	return n, scanner.Err()
}

// TestAbandonedModulesStayOut: what nobody mends any more, and scanners report.
func TestAbandonedModulesStayOut(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, path := range p.Deps {
			if strings.HasPrefix(path, "github.com/coreos/") {
				t.Errorf("%s depends on %s; shard/raftlog/DESIGN.md says how it was kept out", p.name(), path)
			}
		}
	}
}
