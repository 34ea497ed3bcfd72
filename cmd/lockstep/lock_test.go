package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/httpapi"
	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// newLockServer serves the HTTP API of a fake cluster.
func newLockServer(t testing.TB) http.Handler {
	t.Helper()
	table := rooms.Table()
	r := routertest.Open(t, routertest.New(table, routertest.Options{}), table, router.Config{})
	t.Cleanup(r.Wait)
	h, err := httpapi.New(httpapi.Options{Router: r})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestLostLockStopsTheCommand cuts the holder off: its command must have ended
// before the lock can be somebody else's.
func TestLostLockStopsTheCommand(t *testing.T) {
	var cut atomic.Bool
	api := newLockServer(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cut.Load() {
			_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client is gone
			<-r.Context().Done()
			return
		}
		api.ServeHTTP(w, r)
	}))
	defer server.Close()
	o := lockOptions{client: clientOptions{endpoints: []string{server.URL}, timeout: time.Minute}, ttl: 4 * time.Second, killAfter: 250 * time.Millisecond}
	c, err := newLockClient(o, "jobs")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.acquire(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	began := filepath.Join(t.TempDir(), "began")
	go func() { // the holder is cut off as soon as the command runs
		for {
			if _, err := os.Stat(began); err == nil || t.Context().Err() != nil {
				cut.Store(true)
				return
			}
			pauseFor(t.Context(), 10*time.Millisecond)
		}
	}()
	// The command ignores SIGTERM, so it takes SIGKILL.
	status, err := runHolding(c, o, "/bin/sh", []string{"sh", "-c", "trap '' TERM; : >" + began + "; while true; do sleep 0.01; done"})
	if exitCode(err) != exitLockLost || status != 0 {
		t.Fatalf("status %d, %v", status, err)
	}
	if over := time.Since(c.until); over > 10*time.Second || over < -50*time.Millisecond {
		t.Errorf("the command ended %v after the lock's time", over)
	}
}

func TestCommandOfALockThatIsGoneIsStopped(t *testing.T) {
	server := httptest.NewServer(newLockServer(t))
	defer server.Close()
	o := lockOptions{client: clientOptions{endpoints: []string{server.URL}, timeout: time.Minute}, ttl: 6 * time.Second, killAfter: 100 * time.Millisecond}
	c, err := newLockClient(o, "jobs")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.acquire(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	token := c.token
	c.token = "another" // as if the cluster had given the lock away
	_, err = runHolding(c, o, "/bin/sleep", []string{"sleep", "60"})
	if exitCode(err) != exitLockLost || !errors.Is(err, errLockGone) {
		t.Fatal(err)
	}
	c.token = token
	c.letGo(0)
}

func TestSignalsReachTheCommand(t *testing.T) {
	server := httptest.NewServer(newLockServer(t))
	defer server.Close()
	o := lockOptions{client: clientOptions{endpoints: []string{server.URL}, timeout: time.Minute}, ttl: time.Minute, killAfter: time.Second}
	c, err := newLockClient(o, "jobs")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.acquire(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	// The command signals its parent, which is this process, and gets it back.
	status, err := runHolding(c, o, "/bin/sh", []string{"sh", "-c", "trap 'exit 42' USR1; kill -USR1 $PPID; while true; do sleep 0.01; done"})
	if status != 42 || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
}

// TestHungNodeCostsNoLock: one endpoint takes requests and never answers, as a
// process that is stopped. Locks are taken and kept through the other one, whether
// there is a wait or not.
func TestHungNodeCostsNoLock(t *testing.T) {
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer hung.Close()
	good := httptest.NewServer(newLockServer(t))
	defer good.Close()
	for _, wait := range []time.Duration{0, time.Minute} {
		o := lockOptions{client: clientOptions{endpoints: []string{hung.URL, good.URL}, timeout: 6 * time.Second}, ttl: time.Minute, wait: wait}
		c, err := newLockClient(o, "jobs"+wait.String())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := c.acquire(context.Background(), o); err != nil {
			t.Fatalf("with a wait of %v: %v", wait, err)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("with a wait of %v it took %v", wait, took)
		}
		c.at = 0 // the node that answered hangs now, as it were
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
		if err := c.renew(ctx); err != nil {
			t.Errorf("renew: %v", err)
		}
		cancel()
	}
}
