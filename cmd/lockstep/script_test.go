package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/client/clienttest"
	"github.com/lockstepkv/lockstep/internal/procs"
	"github.com/lockstepkv/lockstep/resp"
)

func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){"lockstep": func() { os.Exit(run()) }})
}

// leakless fails when a goroutine outlives the tests.
type leakless struct{ *testing.M }

func (m leakless) Run() int {
	code := m.M.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// TestScripts runs testdata/script/*.txtar: the command line as a user has it.
func TestScripts(t *testing.T) {
	server := httptest.NewServer(newFakeAPI())
	t.Cleanup(server.Close) // the scripts run in parallel, after this function
	locks := httptest.NewServer(newLockServer(t))
	t.Cleanup(locks.Close)
	redis, _ := startRedis(t)
	loading, loadingShards := startLoading(t, "cluster_enabled:0"), startLoading(t, "cluster_enabled:1")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("FAKE", server.URL)
			e.Setenv("LOCKS", locks.URL)
			e.Setenv("REDIS", redis)
			e.Setenv("CLOSED", clienttest.ClosedAddr(t))
			e.Setenv("LOADING", loading)
			e.Setenv("LOADING_SHARDS", loadingShards)
			return os.WriteFile(filepath.Join(e.WorkDir, "empty.rdb"), []byte("REDIS0010\xff\x00\x00\x00\x00\x00\x00\x00\x00"), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits CODE COMMAND ARGS... checks the exit code, which testscript does not.
// Standard output and error are left in the files out and err.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME")}
	path, err := exec.LookPath(args[1])
	if found := lookIn(ts.Getenv("PATH"), args[1]); found != "" {
		path, err = found, nil
	}
	ts.Check(err)
	cmd.Path, cmd.Err = path, nil
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	_ = cmd.Run() // its code is what counts
	if got := cmd.ProcessState.ExitCode(); got != code {
		ts.Fatalf("exit code %d, want %d\nstdout: %s\nstderr: %s", got, code, out.String(), errOut.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs("out"), []byte(out.String()), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs("err"), []byte(errOut.String()), 0o644))
}

func lookIn(path, name string) string {
	for _, dir := range filepath.SplitList(path) {
		full := filepath.Join(dir, name)
		if info, err := os.Stat(full); err == nil && !info.IsDir() {
			return full
		}
	}
	return ""
}

// freeAddr is an address that no other test is told of.
func freeAddr(t testing.TB) string {
	t.Helper()
	var ports procs.Ports
	t.Cleanup(ports.Close)
	addrs, err := ports.Addrs(1)
	if err != nil {
		t.Fatal(err)
	}
	return addrs[0]
}

// newFakeAPI answers as the HTTP API does, with fixed data: the key "there"
// exists, "gone" does not, others fail as their names say.
func newFakeAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/keys/{key}", func(w http.ResponseWriter, r *http.Request) {
		switch key := r.PathValue("key"); key {
		case "there", "a/b c":
			answerKey(w, r, key)
		case "binary":
			fmt.Fprintln(w, `{"key":"binary","type":"string","value_base64":"/wA=","version":3,"ttl_ms":null}`)
		case "doubt":
			fakeProblem(w, http.StatusGatewayTimeout, "in_doubt", "in_doubt")
		case "noleader":
			fakeProblem(w, http.StatusServiceUnavailable, "unavailable", "not_applied")
		case "taken":
			fakeProblem(w, http.StatusPreconditionFailed, "condition_failed", "not_applied")
		default:
			if r.Method == http.MethodDelete {
				fmt.Fprintln(w, `{"deleted":false}`)
				return
			}
			fakeProblem(w, http.StatusNotFound, "no_such_key", "not_applied")
		}
	})
	mux.HandleFunc("/v1/locks/loading", func(w http.ResponseWriter, _ *http.Request) {
		fakeProblem(w, http.StatusServiceUnavailable, "loading", "not_applied")
	})
	mux.HandleFunc("/v1/cluster", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer wrong" {
			fakeProblem(w, http.StatusUnauthorized, "unauthorized", "not_applied")
			return
		}
		fmt.Fprintln(w, `{"nodes":[{"id":"n1","http":"h:1","resp":"h:2","peer":"h:3","state":"up"},{"id":"n2","state":"down"}],
"shards":[{"id":0,"leader":"n1","replicas":["n1","n2"],"slots":[[0,8191]],"applied_index":5,"term":2},{"id":1,"leader":"","replicas":["n1","n2"],"slots":[[8192,16383]]}]}`)
	})
	return mux
}

func answerKey(w http.ResponseWriter, r *http.Request, key string) {
	switch r.Method {
	case http.MethodPut:
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			fakeProblem(w, http.StatusBadRequest, "bad_json", "not_applied")
			return
		}
		body["key"], body["version"] = key, 4
		body["once"] = r.Header.Get("Idempotency-Key")
		_ = json.NewEncoder(w).Encode(body)
	case http.MethodDelete:
		fmt.Fprintln(w, `{"deleted":true}`)
	default:
		fmt.Fprintf(w, `{"key":%q,"type":"string","value":"hello %s","version":3,"ttl_ms":null}`, key, r.URL.RawQuery)
	}
}

func fakeProblem(w http.ResponseWriter, status int, code, outcome string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "code": code, "outcome": outcome, "detail": "it is so"})
}

// startLoading answers as a node that is starting does: INFO, and LOADING to all else.
func startLoading(t *testing.T, info string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answerLoading(conn, info)
		}
	}()
	return l.Addr().String()
}

func answerLoading(conn net.Conn, info string) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		v, err := resp.ReadValue(r)
		if err != nil {
			return
		}
		reply := "-LOADING this node is starting\r\n"
		if string(v.Elems[0].Str) == "INFO" {
			reply = fmt.Sprintf("$%d\r\n%s\r\n", len(info), info)
		}
		if _, err := conn.Write([]byte(reply)); err != nil {
			return
		}
	}
}

// startRedis runs a real redis-server, which speaks the protocol that bench and
// restore use.
func startRedis(t *testing.T) (addr, dir string) {
	t.Helper()
	addr, dir = freeAddr(t), t.TempDir()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--enable-debug-command", "yes", "--dir", dir)
	if err := cmd.Start(); err != nil {
		t.Fatalf("redis-server (scripts/test installs it): %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	routertest.Eventually(t, "redis-server answers", func() bool { return pings(addr) })
	return addr, dir
}

func pings(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "+PONG")
}
