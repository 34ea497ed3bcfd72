package admin_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/store"
)

const whyNoPassword = "it would hold on this node alone, and until its next start. Passwords come from the file of --requirepass-file: " +
	"replace it on every node, it is read again within seconds or on SIGHUP. It may hold two passwords while clients change"

// reloader refuses what it is told to.
type reloader struct {
	refuse error
	seen   []router.Settings
}

func (l *reloader) Reload(_ context.Context, _, next router.Settings, _ []string) error {
	l.seen = append(l.seen, next)
	return l.refuse
}

func (l *reloader) Share(context.Context) {}

func TestConfigSetReloads(t *testing.T) {
	l := new(reloader)
	r, _, s := newRouter(t, routertest.Options{}, router.Config{Reloader: l})
	script(t, r, s, "CONFIG SET maxmemory 1mb maxmemory-policy allkeys-sieve => +OK\n")
	if len(l.seen) != 1 || l.seen[0].MaxMemory != 1<<20 || l.seen[0].MaxMemoryPolicy != store.AllKeysSieve {
		t.Errorf("the reloader saw %+v", l.seen)
	}
	l.refuse = errors.New("no")
	script(t, r, s, `
		CONFIG SET maxmemory 2mb => -ERR CONFIG SET failed - no
		CONFIG GET maxmemory => [maxmemory 1048576]
		CONFIG SET maxmemory-samples 65 => -ERR CONFIG SET failed (possibly related to argument 'maxmemory-samples') - argument must be between 1 and 64 inclusive
		CONFIG SET port 1 redirect x => -ERR Unknown option or number of arguments for CONFIG SET - 'port'
		CONFIG SET redirect x => -ERR CONFIG SET failed (possibly related to argument 'redirect') - can't set immutable config
	`)
}

func TestWhatTheServerTellsAboutItself(t *testing.T) {
	reg := prometheus.NewRegistry()
	r, _, s := newRouter(t, routertest.Options{}, router.Config{Registerer: reg})
	script(t, r, s, `
		CONFIG SET slowlog-log-slower-than 0 latency-monitor-threshold 1 => +OK
		SET k v => +OK
		GET k => v
		GET none => nil
		INCR k => -ERR value is not an integer or out of range
		GET => -ERR wrong number of arguments for 'get' command
		MULTI => +OK
		GET k => +QUEUED
		EXEC => [v]
		CONFIG SET timeout 0 masterauth secret => -ERR Unknown option or number of arguments for CONFIG SET - 'masterauth'
		CONFIG SET timeout 0 RequirePass secret => -ERR CONFIG SET failed (possibly related to argument 'requirepass') - `+whyNoPassword+`
	`)
	info := show(r.Do(context.Background(), s, cmd("INFO everything")))
	for _, want := range []string{
		"redis_version:7.0.15\r\n", "connected_clients:1\r\n", "db0:keys=1,expires=0,avg_ttl=0\r\n", "role:master\r\n",
		"keyspace_hits:2\r\n", "keyspace_misses:1\r\n", "errorstat_ERR:count=4\r\n", "shard0:leader=n1,", "# CPU\r\n",
		"cmdstat_get:calls=3,", "rejected_calls=1,failed_calls=0", "cmdstat_incr:calls=1,", "cluster_enabled:0\r\n",
	} {
		if !strings.Contains(info, want) {
			t.Errorf("INFO lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(info)
	}
	log := show(r.Do(context.Background(), s, cmd("SLOWLOG GET -1")))
	for _, want := range []string{"[SET k v]", "[GET k]", "[CONFIG SET slowlog-log-slower-than 0 latency-monitor-threshold 1]", "[CONFIG SET timeout 0 RequirePass (redacted)]", "[CONFIG SET timeout 0 masterauth (redacted)]"} {
		if !strings.Contains(log, want) {
			t.Errorf("SLOWLOG lacks %q: %s", want, log)
		}
	}
	if h := show(r.Do(context.Background(), s, cmd("LATENCY HISTOGRAM set"))); !strings.HasPrefix(h, "[set [calls 1 histogram_usec [") {
		t.Errorf("LATENCY HISTOGRAM: %s", h)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, f := range families {
		found = found || f.GetName() == "lockstep_command_duration_seconds"
	}
	if !found {
		t.Error("no lockstep_command_duration_seconds among the metrics")
	}
}

// TestFiguresOfInfo are those that Redis's monitoring tools draw.
func TestFiguresOfInfo(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	r, node, s := newRouter(t, routertest.Options{}, router.Config{Now: func() time.Time { return now }})
	node.SetFigures(0, router.ShardInfo{Evicted: 3, Expired: 5, UsedPeak: 1 << 20})
	script(t, r, s, `
		SET forever v => +OK
		SET a v PX 3600000 => +OK
		SET b v PX 7200000 => +OK
	`)
	now = now.Add(time.Second)
	info := show(r.Do(context.Background(), s, cmd("INFO")))
	for _, want := range []string{
		"evicted_keys:3\r\n", "expired_keys:5\r\n", "instantaneous_ops_per_sec:3\r\n",
		"used_memory_peak:1048576\r\n", "used_memory_peak_human:1.00M\r\n", "mem_fragmentation_ratio:", "db0:keys=3,expires=2,avg_ttl=5",
	} {
		if !strings.Contains(info, want) {
			t.Errorf("INFO lacks %q", want)
		}
	}
	now = now.Add(time.Minute)
	if info := show(r.Do(context.Background(), s, cmd("INFO stats"))); !strings.Contains(info, "instantaneous_ops_per_sec:0\r\n") {
		t.Errorf("after a minute without commands: %s", info)
	}
	if t.Failed() {
		t.Log(info)
	}
}

func TestClientKill(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	killed := 0
	other := r.NewSession("10.0.0.1:5", router.KindRESP, router.WithKill(func() { killed++ }))
	defer other.Close()
	script(t, r, s, `
		CLIENT KILL '' => -ERR No such client
		CLIENT KILL ADDR '' => 0
		CLIENT KILL ADDR '' SKIPME no => 0
		CLIENT KILL TYPE pubsub => 0
	`)
	if killed != 0 || other.Closing() || s.Closing() {
		t.Fatalf("an empty address closed connections: killed %d times, closing %v and %v", killed, other.Closing(), s.Closing())
	}
	script(t, r, s, `
		CLIENT KILL ADDR 10.0.0.1:5 => 1
		CLIENT KILL 10.0.0.1:5 => +OK
		CLIENT KILL ID 1 => 0
		CLIENT KILL ID 1 SKIPME no => 1
	`)
	if killed != 1 || !other.Closing() || !s.Closing() {
		t.Errorf("killed %d times, closing %v and %v", killed, other.Closing(), s.Closing())
	}
}
