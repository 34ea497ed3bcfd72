package router_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

func TestPassword(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{Passwords: []string{"s3cret"}})
	script(t, r, s, `
		GET a => -NOAUTH Authentication required.
		NOPE => -ERR unknown command 'NOPE', with args beginning with: 
		AUTH s3cre => -WRONGPASS invalid username-password pair or user is disabled.
		AUTH root s3cret => -WRONGPASS invalid username-password pair or user is disabled.
		AUTH s3cret => +OK
		GET a => nil
		RESET => +RESET
		GET a => -NOAUTH Authentication required.
		AUTH default s3cret => +OK
		GET a => nil
	`)
	if s.NeedsAuth() {
		t.Error("the session still asks for a password")
	}
	script(t, r, r.NewSession("", router.KindRESP), `
		HELLO 3 AUTH default wrong => -WRONGPASS invalid username-password pair or user is disabled.
		GET a => -NOAUTH Authentication required.
		HELLO 3 AUTH default s3cret SETNAME me => [server redis version 7.0.15 proto 3 id 2 mode standalone role master modules []]
		CLIENT GETNAME => me
	`)
}

// Many guesses at a time from one address are refused unseen, and counted like
// those that were seen; another address is not concerned.
func TestGuessingIsSlow(t *testing.T) {
	reg := prometheus.NewRegistry()
	r, _, _ := newRouter(t, routertest.Options{}, router.Config{Passwords: []string{"s3cret"}, Registerer: reg})
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // nobody waits for the answers
	outcomes, began := make(map[string]int), time.Now()
	for range 100 {
		outcomes[show(r.Do(ctx, r.NewSession("10.0.0.1:1", router.KindRESP), cmd("AUTH wrong")))]++
	}
	wrong, refused := outcomes["-WRONGPASS invalid username-password pair or user is disabled."],
		outcomes["-TRYAGAIN too many failed logins from this address, the password was not looked at"]
	most := 50 + 32*int(time.Since(began)/time.Second) // on a busy machine the answers of the first are given meanwhile
	if wrong+refused != 100 || wrong < 32 || wrong > most {
		t.Errorf("%v, at most %d", outcomes, most)
	}
	if got := show(r.Do(ctx, r.NewSession("10.0.0.1:1", router.KindRESP), cmd("HELLO 3 AUTH default wrong"))); !strings.HasPrefix(got, "-TRYAGAIN") {
		t.Errorf("HELLO: %s", got)
	}
	if got := r.Login(ctx, "10.0.0.2:1", router.KindHTTP, []byte("default"), []byte("wrong")); got != router.LoginWrong {
		t.Errorf("another address: %v", got)
	}
	started := time.Now()
	if got := r.Login(context.Background(), "10.0.0.2:1", router.KindHTTP, []byte("default"), []byte("wrong")); got != router.LoginWrong || time.Since(started) < 50*time.Millisecond {
		t.Errorf("%v after %v", got, time.Since(started))
	}
	script(t, r, r.NewSession("10.0.0.2:1", router.KindRESP), "AUTH s3cret => +OK\n")
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if strings.HasSuffix(f.GetName(), "_logins_total") {
				seen[f.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if seen["lockstep_failed_logins_total resp"] != float64(wrong) || seen["lockstep_failed_logins_total http"] != 2 ||
		seen["lockstep_refused_logins_total resp"] != float64(refused+1) {
		t.Errorf("%v", seen)
	}
}

// Two passwords are valid while clients change from one to the next. Who came in
// with the old one is not told the new one, and nobody changes one node alone.
func TestTwoPasswords(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{Passwords: []string{"old"}})
	script(t, r, s, "AUTH old => +OK\n")
	r.SetPasswords([]string{"new", "old"})
	for _, p := range []string{"new", "old"} {
		script(t, r, r.NewSession("", router.KindRESP), `
			GET a => -NOAUTH Authentication required.
			AUTH newold => -WRONGPASS invalid username-password pair or user is disabled.
			AUTH `+p+` => +OK
			CONFIG GET requirepass => [requirepass (redacted)]
			CONFIG SET requirepass other => -ERR CONFIG SET failed (possibly related to argument 'requirepass') - `+whyNoPassword+`
		`)
	}
	r.SetPasswords([]string{"new"})
	script(t, r, r.NewSession("", router.KindRESP), `
		AUTH old => -WRONGPASS invalid username-password pair or user is disabled.
		AUTH other => -WRONGPASS invalid username-password pair or user is disabled.
		AUTH new => +OK
	`)
	script(t, r, s, "GET a => nil\n") // a connection that has shown one stays
	r.SetPasswords(nil)
	script(t, r, r.NewSession("", router.KindRESP), "CONFIG GET requirepass => [requirepass ]\n")
}

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
	if len(l.seen) != 1 || l.seen[0].MaxMemory != 1<<20 || l.seen[0].MaxMemoryPolicy != "allkeys-sieve" {
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
