package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// lockAnswer has the fields of all answers about locks.
type lockAnswer struct {
	Name, Owner, Token, Holder, Code, Reason string
	Outcome                                  request.Outcome
	Fence                                    uint64
	ExpiresAt                                int64 `json:"expires_at_ms"`
	Held, Released                           bool
	Waiters                                  int
}

func answerOf(t testing.TB, text []byte) (a lockAnswer) {
	t.Helper()
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return a
}

// lockCall sends a request that must be answered with the given status.
func (f fixture) lockCall(t testing.TB, status int, method, path, body string, headers ...string) lockAnswer {
	t.Helper()
	w := f.call(method, path, body, headers...)
	if w.Code != status {
		t.Fatalf("%s %s %s: %d %s, want %d", method, path, body, w.Code, w.Body, status)
	}
	return answerOf(t, w.Body.Bytes())
}

func TestLockCalls(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	const path = "/v1/locks/jobs%2Fnight"
	if free := f.lockCall(t, 200, "GET", path, ""); free.Name != "jobs/night" || free.Held || free.Waiters != 0 {
		t.Errorf("a free lock: %+v", free)
	}
	got := f.lockCall(t, 200, "POST", path, `{"ttl_ms":60000,"owner":"me"}`)
	if got.Name != "jobs/night" || got.Owner != "me" || len(got.Token) != 32 || got.Fence == 0 || got.Fence >= 1<<53 || got.ExpiresAt == 0 {
		t.Errorf("a grant: %+v", got)
	}
	held := f.lockCall(t, 409, "POST", path, `{"ttl_ms":60000,"owner":"you"}`)
	if held.Code != "lock_held" || held.Outcome != request.Refused || held.Holder != "me" || held.Fence != got.Fence || held.ExpiresAt != got.ExpiresAt || held.Token != "" {
		t.Errorf("a lock that is held: %+v", held)
	}
	waited := f.lockCall(t, 409, "POST", path, `{"ttl_ms":60000,"wait_ms":5}`)
	if waited.Code != "lock_held" || waited.Holder != "me" || waited.Fence != got.Fence || waited.ExpiresAt != got.ExpiresAt {
		t.Errorf("after a wait: %+v", waited)
	}
	renewed := f.lockCall(t, 200, "PUT", path, fmt.Sprintf(`{"ttl_ms":120000,"token":%q}`, got.Token))
	if renewed.Fence != got.Fence || renewed.ExpiresAt < got.ExpiresAt+50000 {
		t.Errorf("renewed: %+v", renewed)
	}
	if info := f.lockCall(t, 200, "GET", path, ""); !info.Held || info.Owner != "me" || info.Fence != got.Fence || info.ExpiresAt != renewed.ExpiresAt || info.Token != "" {
		t.Errorf("a held lock: %+v", info)
	}
	token := fmt.Sprintf(`{"token":%q}`, got.Token)
	if lost := f.lockCall(t, 409, "DELETE", path, `{"token":"nonsense"}`); lost.Code != "lock_lost" {
		t.Errorf("release by a stranger: %+v", lost)
	}
	if done := f.lockCall(t, 200, "DELETE", path, token); !done.Released {
		t.Errorf("released: %+v", done)
	}
	for _, c := range []struct{ method, body string }{{"DELETE", token}, {"PUT", fmt.Sprintf(`{"ttl_ms":1000,"token":%q}`, got.Token)}} {
		if lost := f.lockCall(t, 409, c.method, path, c.body); lost.Code != "lock_lost" || lost.Outcome != request.Refused {
			t.Errorf("%s after the release: %+v", c.method, lost)
		}
	}
}

// TestLockCallsUnderAnIdempotencyKey are answered as the first of them was.
func TestLockCallsUnderAnIdempotencyKey(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	got := f.lockCall(t, 200, "POST", "/v1/locks/l", `{"ttl_ms":60000}`, "Idempotency-Key: one")
	if again := f.lockCall(t, 200, "POST", "/v1/locks/l", `{"ttl_ms":60000}`, "Idempotency-Key: one"); again != got {
		t.Errorf("%+v, then %+v", got, again)
	}
	if p := f.lockCall(t, 409, "POST", "/v1/locks/l", `{"ttl_ms":70000}`, "Idempotency-Key: one"); p.Code != "idempotency_key_reused" {
		t.Errorf("another request under the key: %+v", p)
	}
	f.lockCall(t, 409, "POST", "/v1/locks/l", `{"ttl_ms":60000}`, "Idempotency-Key: two")
	for range 2 {
		f.lockCall(t, 200, "DELETE", "/v1/locks/l", fmt.Sprintf(`{"token":%q}`, got.Token), "Idempotency-Key: three")
	}
}

func TestFencesInWrites(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	old := f.lockCall(t, 200, "POST", "/v1/locks/l", `{"ttl_ms":60000}`)
	f.lockCall(t, 200, "DELETE", "/v1/locks/l", fmt.Sprintf(`{"token":%q}`, old.Token))
	now := f.lockCall(t, 200, "POST", "/v1/locks/l", `{"ttl_ms":60000}`)
	for _, c := range []struct{ method, path, body string }{
		{"PUT", "/v1/keys/k", `{"value":"5","fence":{"lock":"l","fence":%d}}`},
		{"POST", "/v1/keys/k/incr", `{"by":1,"fence":{"lock":"l","fence":%d}}`},
		{"DELETE", "/v1/keys/k?fence_lock=l&fence=%d", ``},
		{"DELETE", "/v1/keys/k", `{"fence":{"lock":"l","fence":%d}}`},
	} {
		f.lockCall(t, 200, "PUT", "/v1/keys/k", `{"value":"1"}`)
		send := func(status int, fence uint64) lockAnswer {
			t.Helper()
			path, body := c.path, c.body
			if strings.Contains(path, "%d") {
				path = fmt.Sprintf(path, fence)
			} else {
				body = fmt.Sprintf(body, fence)
			}
			return f.lockCall(t, status, c.method, path, body)
		}
		if p := send(412, old.Fence); p.Code != "stale_fence" || p.Outcome != request.Refused {
			t.Errorf("%s %s late: %+v", c.method, c.path, p)
		}
		if w := f.call("GET", "/v1/keys/k", ""); !strings.Contains(w.Body.String(), `"value":"1"`) {
			t.Errorf("%s %s was applied late: %s", c.method, c.path, w.Body)
		}
		send(200, now.Fence)
		if w := f.call("GET", "/v1/keys/k", ""); strings.Contains(w.Body.String(), `"value":"1"`) {
			t.Errorf("%s %s was not applied: %s", c.method, c.path, w.Body)
		}
	}
}

// serveHTTP serves until the test ends, also when a request hangs.
func serveHTTP(t testing.TB, f fixture) *httptest.Server {
	server := httptest.NewServer(f)
	t.Cleanup(func() {
		f.router.Stop()
		server.CloseClientConnections()
		server.Close()
	})
	return server
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// TestLongPollOfAClientThatLeaves goes through real connections: whoever hangs up
// is skipped, and the next one gets the lock.
func TestLongPollOfAClientThatLeaves(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	server := serveHTTP(t, f)
	waiters := f.node.Shard(0).Waiters
	got := f.lockCall(t, 200, "POST", "/v1/locks/l", `{"ttl_ms":60000}`)
	poll := func(ctx context.Context) <-chan *http.Response {
		done, before := make(chan *http.Response, 1), waiters()
		req, err := http.NewRequestWithContext(ctx, "POST", server.URL+"/v1/locks/l", strings.NewReader(`{"ttl_ms":60000,"wait_ms":60000}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		go func() {
			resp, _ := http.DefaultClient.Do(req)
			done <- resp
		}()
		eventually(t, "a client waits", func() bool { return waiters() == before+1 })
		return done
	}
	ctx, hangUp := context.WithCancel(context.Background())
	left := poll(ctx)
	stays := poll(context.Background())
	hangUp()
	<-left
	eventually(t, "its place is given up", func() bool { return waiters() == 1 })
	f.lockCall(t, 200, "DELETE", "/v1/locks/l", fmt.Sprintf(`{"token":%q}`, got.Token))
	resp := <-stays
	defer resp.Body.Close()
	var next lockAnswer
	if err := json.NewDecoder(resp.Body).Decode(&next); err != nil || resp.StatusCode != 200 || next.Fence <= got.Fence {
		t.Errorf("the next one got %d %+v, %v", resp.StatusCode, next, err)
	}
}

// event is one of a stream.
type event struct {
	name, id string
	data     lockAnswer
}

// readEvents reads a stream to its end.
func readEvents(t testing.TB, resp *http.Response) <-chan event {
	events := make(chan event, 64)
	go func() {
		defer close(events)
		var e event
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				if err := json.Unmarshal([]byte(value), &e.data); err != nil || strings.Contains(value, "token") {
					t.Errorf("event %s: %s %v", e.name, value, err)
				}
			case "":
				events <- e
				e = event{}
			}
		}
	}()
	return events
}

func next(t testing.TB, events <-chan event) event {
	t.Helper()
	select {
	case e, ok := <-events:
		if !ok {
			t.Fatal("the stream ended")
		}
		return e
	case <-time.After(time.Minute):
		t.Fatal("no event")
		return event{}
	}
}

func TestWatchingALock(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	server := serveHTTP(t, f)
	first := f.lockCall(t, 200, "POST", "/v1/locks/l", `{"ttl_ms":60000,"owner":"one"}`)
	resp, err := http.Get(server.URL + "/v1/locks/l?watch=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" || resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, ct)
	}
	events := readEvents(t, resp)
	if e := next(t, events); e.name != "state" || e.id == "" || !e.data.Held || e.data.Owner != "one" || e.data.Fence != first.Fence {
		t.Fatalf("the first event is %+v", e)
	}
	// What happens to other locks is not shown.
	f.lockCall(t, 200, "POST", "/v1/locks/other", `{"ttl_ms":60000}`)
	f.lockCall(t, 200, "DELETE", "/v1/locks/l", fmt.Sprintf(`{"token":%q}`, first.Token))
	second := f.lockCall(t, 200, "POST", "/v1/locks/l", `{"ttl_ms":60000,"owner":"two"}`)
	if e := next(t, events); e.name != "lost" || e.data.Fence != first.Fence || e.data.Reason != "released" {
		t.Errorf("event %+v after the release", e)
	}
	if e := next(t, events); e.name != "granted" || e.data.Fence != second.Fence || e.data.Owner != "two" || e.data.ExpiresAt != second.ExpiresAt {
		t.Errorf("event %+v after the grant", e)
	}
}

// TestWatchEndsWithTheNode lets the server stop although a client watches.
func TestWatchEndsWithTheNode(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	server := serveHTTP(t, f)
	resp, err := http.Get(server.URL + "/v1/locks/l?watch=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	events := readEvents(t, resp)
	next(t, events)
	f.router.Stop()
	select {
	case e, ok := <-events:
		if ok {
			t.Errorf("event %+v", e)
		}
	case <-time.After(time.Minute):
		t.Fatal("the stream goes on")
	}
}

// TestWatchWithHEAD answers: nothing of a stream can be sent to it.
func TestWatchWithHEAD(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	server := serveHTTP(t, f)
	client := &http.Client{Timeout: 10 * time.Second}
	for range 2 { // over the same connection
		resp, err := client.Head(server.URL + "/v1/locks/l?watch=1")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" || resp.StatusCode != 200 {
			t.Errorf("%d %s", resp.StatusCode, ct)
		}
	}
}
