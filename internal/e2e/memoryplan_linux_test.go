package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// memoryOf reads what a node says it holds, in MiB: the parts that have limits, the heap that was live at
// the last collection, and what the system gave to the process.
func memoryOf(t *testing.T, n *Node) (parts map[string]float64, sum, live, resident float64) {
	t.Helper()
	parts = map[string]float64{}
	var next, percent float64 // when the next collection comes, and how much more than what was live that is
	for line := range strings.Lines(n.Dial().Do("INFO", "memory")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if bytes, err := strconv.ParseFloat(value, 64); err == nil {
			parts[name] = bytes / (1 << 20)
		}
	}
	for line := range strings.Lines(page(t, "http://"+n.HTTP+"/metrics", 200)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		bytes, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case strings.HasPrefix(name, "lockstep_shard_once_bytes"):
			parts["once"] += bytes / (1 << 20)
		case name == "go_memstats_next_gc_bytes":
			next = bytes / (1 << 20)
		case name == "go_gc_gogc_percent":
			percent = bytes
		}
	}
	sum = parts["used_memory"] + parts["mem_clients_normal"] + parts["mem_log_cache"] + parts["once"]
	return parts, sum, next / (1 + percent/100), parts["used_memory_rss"]
}

// pipeline sends n requests, a part at a time, and wants no error.
func pipeline(t *testing.T, w *Wire, n int, request func(i int) string) {
	t.Helper()
	for i := 0; i < n; {
		var b strings.Builder
		part := min(500, n-i)
		for range part {
			b.WriteString(request(i))
			i++
		}
		w.SendRaw(b.String())
		for range part {
			if reply := w.Reply(); strings.HasPrefix(reply, "-") {
				t.Fatal(reply)
			}
		}
	}
}

// What docs/operations.md says of a node's memory holds: the parts that have limits are what the process takes,
// with the headroom of the garbage collector.
func TestMemoryOfANodeIsWhatItSays(t *testing.T) {
	const logCache, clients = 16, 64
	c := StartCluster(t, Options{Nodes: 1, Flags: []string{"--shards", "2", "--redirect", "forward", "--cluster-protocol", "off", "--maxmemory", "128mb",
		"--log-cache", fmt.Sprint(logCache, "mb"), "--max-value-size", "1mb", "--maxmemory-clients", fmt.Sprint(clients, "mb"), "--snapshot-log-bytes", "16mb"}})
	n := c.Nodes[0]
	w, value := n.Dial(), strings.Repeat("v", 1000)
	fill := func() {
		pipeline(t, w, 40_000, func(i int) string { return Request("SET", fmt.Sprint("key:", i), value) })
	}
	fill()
	queue := n.Dial()
	queue.Do("MULTI")
	pipeline(t, queue, 200_000, func(int) string { return Request("GET", "k") })
	pipeline(t, w, 20_000, func(i int) string { return Request("ONCE", fmt.Sprint("id:", i), "SET", "once", "1") })
	fill() // garbage, so that the collector looks at what there is now
	deadline := time.Now().Add(patience)
	for {
		parts, sum, live, resident := memoryOf(t, n)
		missing := parts["used_memory"] < 40 || parts["mem_clients_normal"] < 15 || parts["mem_log_cache"] < logCache/2 || parts["once"] < 3
		switch {
		case parts["mem_log_cache"] > logCache || parts["mem_clients_normal"] > clients:
			t.Fatalf("more than the limits: %v", parts)
		case !missing && live > 0.7*sum-10 && live < 1.35*sum+20 && resident < 2.2*sum+60:
			t.Logf("sum %.0f MiB, live heap %.0f, resident %.0f: %v", sum, live, resident, parts)
			return
		case time.Now().After(deadline) && missing:
			t.Fatalf("not everything counts: %v", parts)
		case time.Now().After(deadline):
			t.Fatalf("the parts take %.0f MiB together, the live heap %.0f, the process %.0f: %v", sum, live, resident, parts)
		}
		pipeline(t, w, 5000, func(i int) string { return Request("SET", fmt.Sprint("key:", i), value) })
	}
}

// A client that holds more than all may is closed, over a real network, and the others never notice.
func TestNodeClosesTheClientThatHoldsMost(t *testing.T) {
	c := StartCluster(t, Options{Nodes: 1, Flags: []string{"--max-value-size", "1mb", "--maxmemory-clients", "8mb"}})
	n := c.Nodes[0]
	w, greedy := n.Dial(), n.Dial()
	// Commands that are queued are refused at half of the limit; a pipeline whose replies are not read is not.
	greedy.Do("MULTI")
	refused := false
	for range 20 {
		refused = refused || strings.HasPrefix(greedy.Do("SET", "k", strings.Repeat("v", 900_000)), "-ERR transaction is too large")
	}
	if !refused || w.Do("PING") != "+PONG" {
		t.Error("a queue of 18 MB is taken")
	}
	greedy.Do("DISCARD")
	w.Do("SET", "big", strings.Repeat("v", 1000_000))
	greedy.SendRaw(strings.Repeat(Request("GET", "big"), 100))
	for deadline := time.Now().Add(patience); !strings.Contains(w.Do("INFO", "stats"), "\r\nevicted_clients:1\r\n"); {
		if time.Now().After(deadline) {
			t.Fatal("nobody is closed:", w.Do("INFO", "memory"))
		}
	}
	if got := w.Do("GET", "big"); len(got) != 1000_000 {
		t.Errorf("the other client reads %d bytes", len(got))
	}
}
