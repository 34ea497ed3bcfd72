package router_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// sharing is a node's memory setting, which other nodes change too.
type sharing struct {
	mu       sync.Mutex
	inForce  router.Settings // guarded by mu
	names    [][]string
	shares   int
	onShare  func()
	onReload func()
}

func (s *sharing) Reload(_ context.Context, _, next router.Settings, names []string) error {
	s.mu.Lock()
	s.names = append(s.names, names)
	if slices.Contains(names, "maxmemory") {
		s.inForce.MaxMemory = next.MaxMemory
	}
	s.mu.Unlock()
	if s.onReload != nil {
		s.onReload()
	}
	return nil
}

func (s *sharing) Share(context.Context) {
	s.shares++
	if s.onShare != nil {
		s.onShare()
	}
}

func (s *sharing) current() router.Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inForce
}

func (s *sharing) elsewhere(maxMemory int64) {
	s.mu.Lock()
	s.inForce.MaxMemory = maxMemory
	s.mu.Unlock()
}

// What CONFIG GET shows is what is in force, whoever is told something at the same time.
func TestConfigGetShowsWhatIsInForce(t *testing.T) {
	node := &sharing{inForce: router.DefaultSettings(), onReload: func() {
		for range 20 {
			runtime.Gosched()
		}
	}}
	r, _, s := newRouter(t, routertest.Options{}, router.Config{Reloader: node})
	for i := range 300 {
		var both sync.WaitGroup
		both.Go(func() {
			node.elsewhere(int64(1000 + i))
			r.AdoptMemory(node.current)
		})
		name := []string{"timeout", "maxmemory"}[i%2]
		both.Go(func() { r.Do(context.Background(), s, cmd(fmt.Sprintf("CONFIG SET %s %d", name, 5000+i))) })
		both.Wait()
		if got, want := r.Settings().MaxMemory, node.current().MaxMemory; got != want {
			t.Fatalf("round %d: it shows %d, in force is %d", i, got, want)
		}
	}
}

// What other nodes were told is known before a setting is made, and they know it before it
// is acknowledged. All that is named counts as set, with the value that it has or another.
func TestConfigSetOfWhatNodesShare(t *testing.T) {
	node := &sharing{inForce: router.DefaultSettings()}
	r, _, s := newRouter(t, routertest.Options{}, router.Config{Reloader: node})
	node.onShare = func() {
		if node.shares == 1 {
			node.elsewhere(7000)
			r.AdoptMemory(node.current)
		}
	}
	script(t, r, s, `
		CONFIG SET MAXMEMORY-POLICY noeviction => +OK
		CONFIG GET maxmemory => [maxmemory 7000]
	`)
	if node.shares != 2 {
		t.Errorf("%d exchanges, want one before and one after it", node.shares)
	}
	script(t, r, s, "CONFIG SET timeout 5 slowlog-max-len 3 => +OK\n")
	if node.shares != 2 {
		t.Error("others were asked about what is this node's own")
	}
	script(t, r, s, "CONFIG SET maxmemory 7000 => +OK\n")
	var got []string
	for _, names := range node.names {
		got = append(got, strings.Join(names, " "))
	}
	if want := []string{"maxmemory-policy", "timeout slowlog-max-len", "maxmemory"}; !slices.Equal(got, want) {
		t.Errorf("set: %q, want %q", got, want)
	}
}
