package router_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/api/rooms"
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

// TestSessionsCountWhatTheyTake compares the count with the heap: a queued command of 7 bytes takes
// many times that.
func TestSessionsCountWhatTheyTake(t *testing.T) {
	many := cmd("MGET")
	for range 500_000 {
		many = append(many, []byte("k"))
	}
	keys := cmd("WATCH")
	for i := range 150_000 {
		keys = append(keys, fmt.Appendf(nil, "key:%d", i))
	}
	long := append(cmd("WATCH"), []byte(strings.Repeat("k", 3<<20)))
	for _, tc := range []struct {
		name, before string
		args         command.Args
		times        int
	}{
		{"small commands", "MULTI", cmd("GET abcd"), 200_000},
		{"many small arguments", "MULTI", many, 4},
		{"one long argument", "MULTI", command.Args{[]byte("SET"), []byte("k"), make([]byte, 5<<20)}, 2},
		{"several long arguments", "MULTI", command.Args{[]byte("MSET"), make([]byte, 300_000), make([]byte, 3<<20), []byte("k"), make([]byte, 2<<20)}, 3},
		{"many watched keys", "PING", keys, 1},
		{"a long watched key", "PING", long, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, _, s := newRouter(t, routertest.Options{}, router.Config{RequestTimeout: time.Minute})
			r.Do(context.Background(), s, cmd(tc.before))
			before := heap()
			for range tc.times {
				if v := r.Do(context.Background(), s, tc.args); v.IsError() {
					t.Fatalf("%s", v.Str)
				}
			}
			grown, counted := float64(heap()-before), float64(s.Memory().Total())
			if counted < 0.8*grown || counted > 1.25*grown {
				t.Errorf("counted %.0f bytes, the heap grew by %.0f", counted, grown)
			}
			r.Do(context.Background(), s, cmd("RESET"))
			if n := s.Memory().Total(); n != 0 {
				t.Errorf("%d bytes are held after RESET", n)
			}
		})
	}
}

// TestTransactionCountsUntilItHasRun: EXEC takes the queue with it, and gives it back at its end.
func TestTransactionCountsUntilItHasRun(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	script(t, r, s, "WATCH w => +OK\nMULTI => +OK\nSET a 1 => +QUEUED\nCLIENT GETNAME => +QUEUED\n")
	if s.Memory().Of(clientmem.Queue) < 100 || s.Memory().Of(clientmem.Watch) < 40 {
		t.Errorf("queue %d, watch %d", s.Memory().Of(clientmem.Queue), s.Memory().Of(clientmem.Watch))
	}
	script(t, r, s, "EXEC => [+OK nil]\n")
	for _, line := range []string{"MULTI => +OK\nGET a => +QUEUED\nDISCARD => +OK\n", "MULTI => +OK\nNOSUCH => -ERR unknown command 'NOSUCH', with args beginning with: \n" +
		"EXEC => -EXECABORT Transaction discarded because of previous errors.\n"} {
		if n := ofTx(s); n != 0 {
			t.Errorf("%d bytes are held after EXEC", n)
		}
		script(t, r, s, line)
	}
	out := r.DoPipeline(context.Background(), s, [][][]byte{cmd("MULTI"), cmd("GET a"), cmd("EXEC"), cmd("MULTI"), cmd("GET b")}, nil)
	if len(out) != 5 || ofTx(s) == 0 {
		t.Fatalf("%d replies, %d bytes held", len(out), ofTx(s))
	}
	script(t, r, s, "EXEC => [nil]\n")
	if n := ofTx(s); n != 0 {
		t.Errorf("%d bytes are held after the last EXEC", n)
	}
}

// ofTx is what a transaction holds.
func ofTx(s *router.Session) int64 {
	return s.Memory().Of(clientmem.Queue) + s.Memory().Of(clientmem.Watch)
}

// TestClientIsRefusedMoreThanItsShare: what can be told as an error is not answered by closing.
func TestClientIsRefusedMoreThanItsShare(t *testing.T) {
	set := router.DefaultSettings()
	set.MaxMemoryClients = 2 << 20
	r, _, s := newRouter(t, routertest.Options{}, router.Config{Settings: set})
	key := strings.Repeat("k", 400_000)
	script(t, r, s, "WATCH "+key+" => +OK\nWATCH "+key+"2 => -ERR too many keys are watched, none was added: a client may hold half of maxmemory-clients\n")
	script(t, r, s, "MULTI => +OK\nSET a "+key+" => -ERR transaction is too large\nEXEC => -EXECABORT Transaction discarded because of previous errors.\n")
	script(t, r, s, "MULTI => +OK\nSET a "+key+" => +QUEUED\nEXEC => [+OK]\n")
	if r.Memory().Evicted() != 0 || r.Memory().Refused() != 2 {
		t.Errorf("closed %d, refused %d", r.Memory().Evicted(), r.Memory().Refused())
	}
}

func (p *peer) info(field string) string {
	p.t.Helper()
	_, rest, _ := strings.Cut(string(p.do("INFO").Str), "\r\n"+field+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

func (p *peer) gone() bool {
	p.t.Helper()
	_, err := io.ReadAll(p.br)
	return err == nil || strings.Contains(err.Error(), "reset")
}

// hold makes the client hold twice so many bytes, for a request of which half has come, and waits until that
// counts.
func (p *peer) hold(watcher *peer, bytes int) {
	p.t.Helper()
	before, _ := strconv.Atoi(watcher.info("mem_clients_normal"))
	p.send("*2\r\n$4\r\nECHO\r\n$" + strconv.Itoa(2*bytes) + "\r\n" + strings.Repeat("v", bytes))
	for deadline := time.Now().Add(time.Minute); ; {
		now, err := strconv.Atoi(watcher.info("mem_clients_normal"))
		if err != nil || time.Now().After(deadline) {
			p.t.Fatalf("mem_clients_normal went from %d to %d, %v", before, now, err)
		}
		if now >= before+2*bytes {
			return
		}
	}
}

// TestClientsThatHoldMostAreClosed: as in Redis (maxmemory-clients), the largest first.
func TestClientsThatHoldMostAreClosed(t *testing.T) {
	set := router.DefaultSettings()
	set.MaxMemoryClients = 13 << 20
	addr := serve(t, routertest.New(rooms.Table(), routertest.Options{}), router.Config{Settings: set})
	watcher, small, large, safe := dialPeer(t, addr), dialPeer(t, addr), dialPeer(t, addr), dialPeer(t, addr)
	safe.do("CLIENT NO-EVICT ON")
	safe.hold(watcher, 2500<<10)
	large.hold(watcher, 2<<20)
	small.hold(watcher, 1<<20)
	if n := watcher.info("evicted_clients"); n != "0" {
		t.Fatalf("%s closed within the limit", n)
	}
	// A fourth one takes what is left: that is too much, and the largest that may go has to.
	more := dialPeer(t, addr)
	more.send("*2\r\n$4\r\nECHO\r\n$3000000\r\n" + strings.Repeat("v", 1500<<10))
	if !large.gone() {
		t.Fatal("the largest was not closed")
	}
	if n := watcher.info("evicted_clients"); n != "1" {
		t.Errorf("evicted_clients: %s", n)
	}
	small.send(strings.Repeat("v", 1<<20) + "\r\n")
	if v, err := resp.ReadValue(small.br); err != nil || len(v.Str) != 2<<20 {
		t.Errorf("a smaller client was not served: %v", err)
	}
	if v := watcher.do("CONFIG SET maxmemory-clients 7mb"); show(v) != "+OK" {
		t.Fatal(show(v))
	}
	if !more.gone() || watcher.info("maxmemory_clients") != "7340032" {
		t.Error("a lower limit closes nobody")
	}
	safe.send(strings.Repeat("v", 2500<<10) + "\r\n")
	if v, err := resp.ReadValue(safe.br); err != nil || len(v.Str) != 5000<<10 {
		t.Errorf("a client with NO-EVICT was not served: %v", err)
	}
}

// TestUnreadRepliesCount: a client that reads nothing is closed before others are, and what it held is free.
func TestUnreadRepliesCount(t *testing.T) {
	set := router.DefaultSettings()
	set.MaxMemoryClients = 4 << 20
	addr := serve(t, routertest.New(rooms.Table(), routertest.Options{}), router.Config{Settings: set})
	watcher, lazy := dialPeer(t, addr), dialPeer(t, addr)
	one := string(resp.AppendCommand(nil, command.Args{[]byte("ECHO"), make([]byte, 8000)}))
	go func() { _, _ = lazy.nc.Write([]byte(strings.Repeat(one, 5000))) }()
	for deadline := time.Now().Add(time.Minute); watcher.info("evicted_clients") != "1"; {
		if time.Now().After(deadline) {
			t.Fatalf("not closed: %s bytes unread", watcher.info("mem_clients_output"))
		}
	}
	for deadline := time.Now().Add(time.Minute); watcher.info("mem_clients_output") != "0"; {
		if time.Now().After(deadline) {
			t.Fatalf("%s bytes are still held", watcher.info("mem_clients_output"))
		}
	}
}

// TestLimitsOfClientsInConfig: names and forms are Redis's.
func TestLimitsOfClientsInConfig(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	bad := " => -ERR CONFIG SET failed (possibly related to argument 'client-output-buffer-limit') - "
	script(t, r, s, `
		CONFIG GET maxmemory-clients => [maxmemory-clients 0]
		CONFIG SET maxmemory-clients 100mb => +OK
		CONFIG GET maxmemory-clients => [maxmemory-clients 104857600]
		CONFIG SET maxmemory-clients lots => -ERR CONFIG SET failed (possibly related to argument 'maxmemory-clients') - argument must be a memory or percent value
		CONFIG GET client-output-buffer-limit => [client-output-buffer-limit normal 134217728 0 0 slave 0 0 0 pubsub 0 0 0]
	`)
	limit := func(value string) string {
		return show(r.Do(context.Background(), s, command.Args{[]byte("CONFIG"), []byte("SET"), []byte("client-output-buffer-limit"), []byte(value)}))
	}
	for value, want := range map[string]string{
		"normal 64mb 0 0": "+OK", "normal 2mb 0 0 pubsub 0 0 0": "+OK",
		"normal 64mb 0":      bad + "Wrong number of arguments in buffer limit configuration.",
		"":                   bad + "Wrong number of arguments in buffer limit configuration.",
		"normal x 0 0":       bad + "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
		"master 1mb 0 0":     bad + "Invalid client class specified in buffer limit configuration.",
		"normal 0 0 0":       bad + "the hard limit of normal clients must be 1mb or more",
		"normal 2mb 1mb 9":   bad + "there are no soft limits: at the hard limit a client is waited for, and closed when it reads nothing for 10 s",
		"pubsub 32mb 8mb 60": bad + "there are no clients of class pubsub, its limits must be 0",
	} {
		if got := limit(value); got != strings.TrimPrefix(want, " => ") {
			t.Errorf("%q: %s", value, got)
		}
	}
	limit("normal 2mb 0 0")
	if got := r.Settings().ClientOutputLimit; got != 2<<20 {
		t.Errorf("the limit is %d", got)
	}
	theirs := newPair(t, r, startRedis(t))
	for _, name := range []string{"maxmemory-clients", "client-output-buffer-limit"} {
		if _, redis := theirs.do(t, cmd("CONFIG GET "+name)); !strings.Contains(redis, name) {
			t.Errorf("Redis does not know %s: %q", name, redis)
		}
	}
	for _, field := range []string{"evicted_clients:", "mem_clients_normal:", "mem_clients_slaves:"} {
		ours, redis := theirs.do(t, cmd("INFO"))
		if !strings.Contains(ours, field) || !strings.Contains(redis, field) {
			t.Errorf("INFO has %s here: %v, in Redis: %v", field, strings.Contains(ours, field), strings.Contains(redis, field))
		}
	}
}
