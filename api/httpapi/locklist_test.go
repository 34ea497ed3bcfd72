package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

type lockPage struct {
	Locks []struct {
		Name, Owner string
		NameBase64  []byte `json:"name_base64"`
		Held        bool
		Fence       uint64
		TTL         int64 `json:"ttl_ms"`
		ExpiresAt   int64 `json:"expires_at_ms"`
		Waiters     int
	}
	Cursor *string
	Count  *int
}

func (f fixture) locks(t *testing.T, query string) (p lockPage) {
	t.Helper()
	w := f.call("GET", "/v1/locks"+query, "")
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 200 {
		t.Fatalf("%s: %d %s", query, w.Code, w.Body)
	}
	if p.Count == nil && w.Header().Get(indexHeader) == "" {
		t.Errorf("%s: no index", query)
	}
	return p
}

func TestListLocks(t *testing.T) {
	for _, shards := range []int{1, 4} {
		f := newFixture(t, routertest.Options{Shards: shards, Led: func(int) string { return "n2" }}, router.Config{}, Options{})
		for i := range 50 {
			f.lockCall(t, 200, "POST", fmt.Sprintf("/v1/locks/a:%02d", i), `{"ttl_ms":60000,"owner":"alice"}`)
			f.lockCall(t, 200, "POST", fmt.Sprintf("/v1/locks/b:%02d", i), `{"ttl_ms":60000}`)
		}
		f.call("POST", "/v1/commands", `["LOCK",{"value_base64":"/wA="},60000]`)
		seen := map[string]bool{}
		for cursor := ""; ; {
			p := f.locks(t, "?prefix=a%3A&limit=7"+cursor)
			if len(p.Locks) > 7 {
				t.Fatalf("%d locks on a page of 7", len(p.Locks))
			}
			for _, l := range p.Locks {
				if seen[l.Name] || !strings.HasPrefix(l.Name, "a:") || l.Owner != "alice" || !l.Held || l.Fence == 0 || l.TTL <= 0 || l.TTL > 60000 || l.ExpiresAt == 0 || l.Waiters != 0 {
					t.Fatalf("%+v", l)
				}
				seen[l.Name] = true
			}
			if p.Cursor == nil {
				break
			}
			cursor = "&cursor=" + url.QueryEscape(*p.Cursor)
		}
		if len(seen) != 50 {
			t.Errorf("%d shards: %d locks listed, want 50", shards, len(seen))
		}
		for query, want := range map[string]int{"?count=true": 101, "?prefix=a%3A&count=1": 50, "?prefix=&count=true": 101, "?prefix=%FF&count=true": 1, "?prefix=c&count=true": 0} {
			if p := f.locks(t, query); p.Count == nil || *p.Count != want {
				t.Errorf("%d shards: %s: %+v, want %d", shards, query, p, want)
			}
		}
		found := false
		for cursor := ""; ; {
			p := f.locks(t, "?prefix=%FF&consistency=stale&min_index=1"+cursor)
			for _, l := range p.Locks {
				found = string(l.NameBase64) == "\xff\x00"
			}
			if p.Cursor == nil {
				break
			}
			cursor = "&cursor=" + *p.Cursor
		}
		if !found {
			t.Errorf("%d shards: a binary name was not listed", shards)
		}
	}
}

func TestListsOfLocksThatAreRefused(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	for _, q := range []string{
		"?limit=0", "?limit=10001", "?limit=x", "?cursor=x", "?cursor=1", "?cursor=0.%2B", "?cursor=", "?count=maybe", "?count=true&limit=1",
		"?count=true&cursor=0", "?prefix=a&prefix=b", "?max_staleness_ms=1",
	} {
		if p := checkProblem(t, f.call("GET", "/v1/locks"+q, "")); p.Status != 400 || p.Code != "bad_parameter" {
			t.Errorf("%s: %+v", q, p)
		}
	}
	if p := checkProblem(t, f.call("GET", "/v1/locks?values=true", "")); p.Code != "unknown_parameter" {
		t.Errorf("%+v", p)
	}
	if w := f.call("POST", "/v1/locks", ""); w.Code != 405 {
		t.Errorf("%d", w.Code)
	}
}

func TestForcedRelease(t *testing.T) {
	var log bytes.Buffer
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	const path, force = "/v1/locks/deploy", "/v1/locks/deploy?force=true&reason=its+holder+hangs"
	if p := checkProblem(t, f.call("DELETE", force, "")); p.Status != 409 || p.Code != "lock_not_held" || p.Outcome != request.Refused {
		t.Errorf("a free lock: %+v", p)
	}
	alice := f.lockCall(t, 200, "POST", path, `{"ttl_ms":60000,"owner":"alice"}`)
	bob := make(chan lockAnswer, 1)
	go func() {
		bob <- answerOf(t, f.call("POST", path, `{"ttl_ms":60000,"wait_ms":20000,"owner":"bob"}`).Body.Bytes())
	}()
	eventually(t, "bob waits", func() bool { return f.lockCall(t, 200, "GET", path, "").Waiters == 1 })
	if p := checkProblem(t, f.call("DELETE", fmt.Sprintf("%s&fence=%d", force, alice.Fence+1), "")); p.Code != "lock_not_held" {
		t.Errorf("another grant: %+v", p)
	}
	done := f.lockCall(t, 200, "DELETE", fmt.Sprintf("%s&fence=%d", force, alice.Fence), "")
	if !done.Released || done.Name != "deploy" || done.Owner != "alice" || done.Fence != alice.Fence || done.Waiters != 1 {
		t.Errorf("%+v", done)
	}
	if got := <-bob; got.Owner != "bob" || got.Fence <= alice.Fence {
		t.Errorf("the next one got %+v", got)
	}
	for _, c := range []struct{ method, body string }{{"PUT", `{"ttl_ms":1000,"token":%q}`}, {"DELETE", `{"token":%q}`}} {
		if p := f.lockCall(t, 409, c.method, path, fmt.Sprintf(c.body, alice.Token)); p.Code != "lock_lost" {
			t.Errorf("%s of the old holder: %+v", c.method, p)
		}
	}
	if w := f.call("PUT", "/v1/keys/k", fmt.Sprintf(`{"value":"late","fence":{"lock":"deploy","fence":%d}}`, alice.Fence)); w.Code != 412 {
		t.Errorf("a late write: %d %s", w.Code, w.Body)
	}
	text := log.String()
	for _, part := range []string{`released by force`, `lock=deploy`, `reason="its holder hangs"`, `client=`, `holder=alice`, fmt.Sprintf("fence=%d", alice.Fence)} {
		if !strings.Contains(text, part) {
			t.Errorf("the log does not have %s: %s", part, text)
		}
	}
}

// TestForcedReleaseHappensOnce: a repeated request does not end the next grant.
func TestForcedReleaseHappensOnce(t *testing.T) {
	f := newFixture(t, routertest.Options{Shards: 4}, router.Config{}, Options{})
	f.call("POST", "/v1/commands", `["LOCK",{"value_base64":"/w=="},60000]`)
	const force = "/v1/locks/%FF?force=true&reason=r"
	first := f.lockCall(t, 200, "DELETE", force, "", "Idempotency-Key: once")
	f.call("POST", "/v1/commands", `["LOCK",{"value_base64":"/w=="},60000]`)
	again := f.lockCall(t, 200, "DELETE", force, "", "Idempotency-Key: once")
	if first.Fence == 0 || again.Fence != first.Fence || *f.locks(t, "?count=true").Count != 1 {
		t.Errorf("first %+v, then %+v", first, again)
	}
}

func TestForcedReleasesThatAreRefused(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	f.lockCall(t, 200, "POST", "/v1/locks/l", `{"ttl_ms":60000}`)
	for _, c := range []struct{ query, body, code string }{
		{"?force=true", "", "bad_reason"},
		{"?force=true&reason=+", "", "bad_reason"},
		{"?force=true&reason=a%0Ab", "", "bad_reason"},
		{"?force=true&reason=" + strings.Repeat("r", 257), "", "bad_reason"},
		{"?force=true&reason=", "", "bad_parameter"},
		{"?force=false&reason=r", "", "bad_parameter"},
		{"?reason=r", "", "bad_parameter"},
		{"?force=true&reason=r&fence=0", "", "bad_parameter"},
		{"?force=true&reason=r&fence=x", "", "bad_parameter"},
		{"?force=true&reason=r&token=x", "", "unknown_parameter"},
		{"?force=true&reason=r", `{"token":"x"}`, "unexpected_body"},
	} {
		if p := checkProblem(t, f.call("DELETE", "/v1/locks/l"+c.query, c.body)); p.Status != 400 || p.Code != c.code {
			t.Errorf("%s: %+v", c.query, p)
		}
	}
	if info := f.lockCall(t, 200, "GET", "/v1/locks/l", ""); !info.Held {
		t.Error("a release that was refused released the lock")
	}
}
