package admin_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/lockstepkv/lockstep/api/clientmem"
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

// TestClientsMemoryInPercent: as in Redis, but for a percentage of no limit.
func TestClientsMemoryInPercent(t *testing.T) {
	clients := clientmem.New(0)
	r, _, s := newRouter(t, routertest.Options{}, router.Config{Clients: clients, MinClientMemory: 1 << 20})
	const bad = "-ERR CONFIG SET failed (possibly related to argument 'maxmemory-clients') - "
	const none = bad + "a percentage of maxmemory needs one, and it is 0: set maxmemory, or maxmemory-clients in bytes"
	for _, c := range []struct {
		set, want, shown string
		limit            int64
	}{
		{"maxmemory-clients 5%", none, "0", 0},
		{"maxmemory-clients 10% maxmemory 100mb", "+OK", "10%", 10 << 20},
		{"maxmemory 200mb", "+OK", "10%", 20 << 20},
		{"maxmemory 0", none, "10%", 20 << 20},
		{"maxmemory-clients 101%", bad + "percentage argument must be less or equal to 100", "10%", 20 << 20},
		{"maxmemory-clients 5.5%", bad + "argument must be a memory or percent value", "10%", 20 << 20},
		{"maxmemory-clients -5%", bad + "argument must be a memory or percent value", "10%", 20 << 20},
		{"maxmemory-clients +5%", bad + "argument must be a memory or percent value", "10%", 20 << 20},
		{"maxmemory-clients %", bad + "argument must be a memory or percent value", "10%", 20 << 20},
		{"maxmemory-clients 100%", "+OK", "100%", 200 << 20},
		{"maxmemory-clients 8mb maxmemory 0", "+OK", "8388608", 8 << 20},
		{"maxmemory 4000000000000000000 maxmemory-clients 50%", "+OK", "50%", 2000000000000000000},
		{"maxmemory-clients 0%", "+OK", "0", 0},
		{"maxmemory-clients 10% maxmemory 100mb", "+OK", "10%", 10 << 20},
	} {
		if got := show(r.Do(context.Background(), s, cmd("CONFIG SET "+c.set))); got != c.want {
			t.Errorf("%s: %s", c.set, got)
		}
		shown := show(r.Do(context.Background(), s, cmd("CONFIG GET maxmemory-clients")))
		if want := "[maxmemory-clients " + c.shown + "]"; shown != want || clients.Limit() != c.limit {
			t.Errorf("after %s: %s and a limit of %d, want %s and %d", c.set, shown, clients.Limit(), want, c.limit)
		}
	}
	// What another node was told.
	for _, c := range []struct {
		memory, limit int64
		shown         string
	}{{50 << 20, 5 << 20, "10%"}, {0, 5 << 20, "5242880"}, {5 << 20, 1 << 20, "1048576"}, {100 << 20, 10 << 20, "10%"}} {
		m := r.Settings()
		m.MaxMemory = c.memory
		r.AdoptMemory(func() router.Settings { return m })
		script(t, r, s, `
			CONFIG SET timeout 5 maxmemory-policy allkeys-lru => +OK
			CONFIG GET maxmemory-clients => [maxmemory-clients `+c.shown+`]
			CONFIG GET maxmemory => [maxmemory `+strconv.FormatInt(c.memory, 10)+`]
		`)
		if clients.Limit() != c.limit {
			t.Errorf("maxmemory %d elsewhere: a limit of %d, want %d", c.memory, clients.Limit(), c.limit)
		}
	}
}

// TestLimitsOfPackedValues have two names each, and Redis's bounds.
func TestLimitsOfPackedValues(t *testing.T) {
	node := &sharing{inForce: router.DefaultSettings()}
	r, _, s := newRouter(t, routertest.Options{}, router.Config{Reloader: node})
	script(t, r, s, `
		CONFIG GET hash-max-listpack-entries => [hash-max-listpack-entries 512]
		CONFIG SET hash-max-ziplist-entries 5 list-max-listpack-size -3 => +OK
		CONFIG GET hash-max-*-entries => [hash-max-listpack-entries 5 hash-max-ziplist-entries 5]
		CONFIG GET list-max-ziplist-size => [list-max-ziplist-size -3]
		CONFIG SET set-max-intset-entries -1 => -ERR CONFIG SET failed (possibly related to argument 'set-max-intset-entries') - argument must be between 0 and 2147483647 inclusive
	`)
	if node.shares != 3 { // before and after the one, before the other
		t.Errorf("%d exchanges with other nodes", node.shares)
	}
}
