package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// holdingOf is the holding of a request that has been read.
func holdingOf(t *testing.T) (*api, *holding) {
	t.Helper()
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	a := &api{router: f.router, maxRaw: 64 << 20, held: newBudget(1 << 30)}
	h := a.hold(httptest.NewRequest("POST", "/", nil), nil)
	t.Cleanup(h.release)
	return a, h
}

// A body of small commands takes many times its size once it is decoded: the count is what the heap
// grows by.
func TestDecodedCommandsCountWhatTheyTake(t *testing.T) {
	for name, one := range map[string]string{
		"small":       `["GET","a"]`,
		"many words":  `["MGET"` + strings.Repeat(`,"k"`, 500) + `]`,
		"with base64": `["SET","k",{"value_base64":"` + strings.Repeat("QUFB", 500) + `"}]`,
		"escaped":     `["SET","k","\n` + strings.Repeat("v", 1000) + `"]`,
	} {
		t.Run(name, func(t *testing.T) {
			a, h := holdingOf(t)
			n := 8 << 20 / len(one)
			body := []byte("[" + strings.Repeat(one+",", n-1) + one + "]")
			before := heap()
			cmds, _, err := a.decodeCommands(body, h)
			if err != nil || len(cmds) != n {
				t.Fatal(len(cmds), err)
			}
			out := make([]resp.Value, len(cmds))
			grown, counted := float64(heap()-before), float64(h.mem.Total())
			runtime.KeepAlive(out)
			runtime.KeepAlive(cmds)
			runtime.KeepAlive(body)
			limit := 1.25
			if name == "with base64" || name == "escaped" {
				limit = 2.5 // as long as they are being decoded they are there twice
			}
			if counted < 0.9*grown || counted > limit*grown {
				t.Errorf("%d commands of %d bytes: counted %.0f, the heap grew by %.0f", n, len(one), counted, grown)
			}
		})
	}
}

// limited is a node whose clients may hold little.
func limited(t *testing.T, limit int64) fixture {
	set := router.DefaultSettings()
	set.MaxMemoryClients = limit
	return newFixture(t, routertest.Options{}, router.Config{Settings: set}, Options{})
}

func TestRequestsAreRefusedWhenClientsHoldTooMuch(t *testing.T) {
	f := limited(t, 1<<20)
	other := f.router.Memory().Open(nil)
	commands := "[" + strings.Repeat(`["SET","k","v"],`, 20_000) + `["SET","k","v"]]`
	for _, call := range [][2]string{
		{"PUT /v1/keys/k", `{"value":"` + strings.Repeat("v", 1_000_000) + `"}`},
		{"POST /v1/commands", commands}, // 320 KB, and several times as much when it is decoded
		{"POST /v1/transactions", `{"then":` + commands + `}`},
	} {
		method, path, _ := strings.Cut(call[0], " ")
		w := f.call(method, path, call[1])
		if p := checkProblem(t, w); p.Status != 413 || p.Code != "too_large" || p.Outcome != request.Refused { // it never will fit
			t.Errorf("%s: %+v", call[0], p)
		}
		if w := f.call("GET", "/v1/keys/k", ""); w.Code != 404 {
			t.Errorf("%s was refused and has done something: %s", call[0], w.Body)
		}
		if held := f.router.Memory().Figures().Total; held != 0 {
			t.Errorf("%s: %d bytes are still held", call[0], held)
		}
	}
	other.Add(clientmem.Query, 980<<10)
	w := f.call("PUT", "/v1/keys/k", `{"value":"`+strings.Repeat("v", 60_000)+`"}`)
	if p := checkProblem(t, w); p.Status != 503 || p.Code != "overloaded" || p.Outcome != request.Refused || w.Header().Get("Retry-After") == "" {
		t.Errorf("beside others that hold much: %+v", p)
	}
	other.Close()
	if w := f.call("PUT", "/v1/keys/k", `{"value":"`+strings.Repeat("v", 60_000)+`"}`); w.Code != 200 {
		t.Errorf("after they are gone: %d %s", w.Code, w.Body)
	}
	if n := f.router.Memory().Refused(); n != 4 {
		t.Errorf("%d counted as refused", n)
	}
	text := string(f.router.Do(context.Background(), f.router.NewSession("", router.KindHTTP), command.Args{[]byte("INFO"), []byte("memory")}).Str)
	if !strings.Contains(text, "mem_clients_normal:0\r\n") {
		t.Errorf("INFO: %s", text)
	}
}

// onPort runs f on a port, as a node does.
func onPort(t *testing.T, f fixture) string {
	_, addr := serve(t, ServerOptions{Handler: f, Memory: f.router.Memory()})
	return addr
}

func post(addr, path string, size int) string {
	return fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", path, addr, size)
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

// A body that has come in part makes room for others when it is what takes most. Nothing has happened, and
// the client is told so.
func TestLargeBodyMakesRoom(t *testing.T) {
	f := limited(t, 4<<20)
	mem, addr := f.router.Memory(), onPort(t, f)
	c := connect(t, addr)
	_, _ = io.WriteString(c, post(addr, "/v1/keys/k", 3<<20)+strings.Repeat("v", 2<<20))
	await(t, "the body counts", func() bool { return mem.Figures().Of[clientmem.Body] >= 2<<20 })
	other := mem.Open(func() { t.Error("the smaller one is ended") })
	defer other.Close()
	other.Add(clientmem.Query, 2<<20)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	var p problem
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil || p.Status != 503 || p.Code != "overloaded" || p.Outcome != request.Refused {
		t.Errorf("%+v, %v", p, err)
	}
	await(t, "nothing is held", func() bool { return mem.Figures().Of[clientmem.Body] == 0 })
	if w := f.call("GET", "/v1/keys/k", ""); w.Code != 404 || mem.Evicted() != 1 {
		t.Errorf("status %d, %d ended", w.Code, mem.Evicted())
	}
}

// A client that does not read its answer is closed when that is what takes most.
func TestAnswerThatIsNotReadMakesRoom(t *testing.T) {
	f := limited(t, 40<<20)
	mem, addr := f.router.Memory(), onPort(t, f)
	if w := f.call("PUT", "/v1/keys/k", strings.Repeat("v", 8<<20), "Content-Type: application/octet-stream"); w.Code != 200 {
		t.Fatal(w.Body)
	}
	c := connect(t, addr)
	_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
	_, _ = io.WriteString(c, "GET /v1/keys/k HTTP/1.1\r\nHost: "+addr+"\r\n\r\n")
	await(t, "the answer counts", func() bool { return mem.Figures().Of[clientmem.Reply] >= 8<<20 })
	other := mem.Open(func() { t.Error("the smaller one is ended") })
	defer other.Close()
	other.Add(clientmem.Query, 20<<20)
	if got, err := io.ReadAll(c); err == nil && len(got) >= 8<<20 {
		t.Error("the answer came as a whole")
	}
	await(t, "nothing is held", func() bool { return mem.Figures().Of[clientmem.Reply] == 0 })
	if mem.Evicted() != 1 {
		t.Errorf("%d ended", mem.Evicted())
	}
}

func TestIdleConnectionsCount(t *testing.T) {
	f := limited(t, 1<<30)
	addr := onPort(t, f)
	var conns []net.Conn
	for range 5 {
		conns = append(conns, connect(t, addr))
	}
	await(t, "they count", func() bool { return f.router.Memory().Figures().ByName()["connections"] == 5*connBytes })
	for _, c := range conns {
		_ = c.Close()
	}
	await(t, "they do not any more", func() bool { return f.router.Memory().Figures().Total == 0 })
}

// A request that runs is let alone: its client could not be told what has happened.
func TestRequestThatRunsIsLetAlone(t *testing.T) {
	a, h := holdingOf(t)
	mem := a.router.Memory()
	h.account().Add(clientmem.Body, 1<<20)
	mem.SetLimit(64 << 10)
	if h.mem.Doomed() {
		t.Fatal("ended while it runs")
	}
	h.answer(1 << 20)
	mem.SetLimit(32 << 10)
	if !h.mem.Doomed() || mem.Evicted() != 1 {
		t.Error("an answer is not ended")
	}
}

// Many commands are answered one result at a time, in the same form.
func TestManyResults(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{MaxBatchUnits: 100}, Options{})
	n := 1000
	w := f.call("POST", "/v1/commands", "["+strings.Repeat(`["INCR","n"], ["GET","n"],`, n)+`["PING"]]`)
	var out struct{ Results []any }
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || len(out.Results) != 2*n+1 || out.Results[2*n-1] != fmt.Sprint(n) {
		t.Errorf("%v: %d results, %.200s", err, len(out.Results), w.Body)
	}
	if !bytes.HasSuffix(w.Body.Bytes(), []byte(`"PONG"]}`+"\n")) {
		t.Errorf("ends with %q", w.Body.Bytes()[w.Body.Len()-20:])
	}
}

// What is taken apart here is what encoding/json makes of it.
func FuzzSplitJSON(f *testing.F) {
	for _, s := range []string{`[]`, `{}`, ` [ 1 , "a\"]" , {"x":[1,{"y":null}]} , [] , true ] `, `{"a":1,"b\u0041" : "x}" , "c":[{}]}`,
		`[[],[[]],{"":[]}]`, `{"a":{},"a":1}`, "[1,\n2\t]", `[-1.5e3,"\\"]`, `null`, `"x"`, `[{"value_base64":"QQ=="}]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if checkJSON(text) != nil {
			return
		}
		trimmed := bytes.TrimSpace(text)
		var list []json.RawMessage
		if isArray(trimmed) {
			if err := json.Unmarshal(text, &list); err != nil {
				return
			}
			i := 0
			for e := range elements(trimmed) {
				if i >= len(list) || !bytes.Equal(e, bytes.TrimSpace(list[i])) {
					t.Fatalf("element %d of %q: %q", i, text, e)
				}
				i++
			}
			if i != len(list) || countElements(trimmed) != i {
				t.Fatalf("%d elements of %d in %q", i, len(list), text)
			}
		}
		got, err := fields(text)
		if trimmed[0] != '{' {
			if err == nil {
				t.Fatalf("%q is an object", text)
			}
			return
		}
		want := map[string]json.RawMessage{}
		if json.Unmarshal(text, &want) != nil {
			return
		}
		if err != nil && !strings.Contains(err.Error(), "twice") {
			t.Fatalf("%q: %v", text, err)
		}
		if err == nil && len(got) != len(want) {
			t.Fatalf("%q: %v", text, got)
		}
		for name, v := range got {
			if !bytes.Equal(v, bytes.TrimSpace(want[name])) {
				t.Fatalf("%q: field %q is %q", text, name, v)
			}
		}
	})
}
