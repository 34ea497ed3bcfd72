package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/resp"
)

// pinning are the ways of writing a value together with others.
type pinning struct {
	name  string
	round func(c *roundClient, kept string, others []string) error
}

const (
	pinRounds = 3
	pinOthers = 10
)

// ofLongValues are MSET's words: one value that stays, and many that are deleted.
func ofLongValues(kept string, others []string) []string {
	words := []string{"MSET", kept, strings.Repeat("a", 1_300_000)}
	for _, k := range others {
		words = append(words, k, strings.Repeat("b", 1_050_000))
	}
	return words
}

func pinnings() []pinning {
	return []pinning{
		{"MSET", func(c *roundClient, kept string, others []string) error {
			return c.run(ofLongValues(kept, others))
		}},
		{"MULTI", func(c *roundClient, kept string, others []string) error {
			return c.run([]string{"MULTI"}, ofLongValues(kept, others), []string{"EXEC"})
		}},
		{"MULTI of SETs", func(c *roundClient, kept string, others []string) error {
			all := [][]string{{"MULTI"}}
			for w := ofLongValues(kept, others)[1:]; len(w) > 0; w = w[2:] {
				all = append(all, []string{"SET", w[0], w[1]})
			}
			return c.run(append(all, []string{"EXEC"})...)
		}},
		{"pipeline", func(c *roundClient, kept string, others []string) error {
			var all [][]string
			for w := ofLongValues(kept, others)[1:]; len(w) > 0; w = w[2:] {
				all = append(all, []string{"SET", w[0], w[1]})
			}
			return c.run(all...)
		}},
		{"ONCE", func(c *roundClient, kept string, others []string) error {
			return c.run(append([]string{"ONCE", "id" + kept}, ofLongValues(kept, others)...))
		}},
		{"LS.TXN", func(c *roundClient, kept string, others []string) error {
			words := ofLongValues(kept, others)
			txn := []string{"LS.TXN", "IF", "0", "THEN", "1", fmt.Sprint(len(words))}
			return c.run(append(append(txn, words...), "ELSE", "0"))
		}},
		{"transaction over HTTP", func(c *roundClient, kept string, others []string) error {
			return c.post(ofLongValues(kept, others))
		}},
	}
}

// TestWhatIsDeletedIsFree: a value that was written together with others keeps no memory but its
// own when they are gone, however they came.
func TestWhatIsDeletedIsFree(t *testing.T) {
	c := startNode(t)
	var others []string
	for i := range pinOthers {
		others = append(others, fmt.Sprint("t", i))
	}
	for _, p := range pinnings() {
		t.Run(p.name, func(t *testing.T) {
			before := inUse()
			for i := range pinRounds {
				if err := p.round(c, fmt.Sprint("kept", i), others); err != nil {
					t.Fatal(err)
				}
				if err := c.run(append([]string{"DEL"}, others...)); err != nil {
					t.Fatal(err)
				}
			}
			c.atMost(t, before+pinRounds*1_300_000+(16<<20))
			if err := c.run([]string{"FLUSHALL"}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// roundClient talks to a node that runs in this process.
type roundClient struct {
	conn *respConn
	http string
}

// startNode runs a node until the test ends.
func startNode(t *testing.T) *roundClient {
	t.Helper()
	web, redis, peer := freeAddr(t), freeAddr(t), freeAddr(t)
	cfg, err := load(t, "--data-dir", t.TempDir(), "--http", web, "--resp", redis, "--peer", peer,
		"--initial-cluster", "n1="+peer, "--log-cache", "0", "--maxmemory", "200mb", "--maxmemory-policy", "allkeys-lru")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- runServe(ctx, cfg, slog.New(slog.DiscardHandler), nil) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	c := &roundClient{http: "http://" + web}
	routertest.Eventually(t, "the node serves", func() bool {
		conn, err := dialRESP(ctx, respOptions{addrs: []string{redis}, timeout: time.Minute}, redis)
		if err != nil {
			return false
		}
		if v, err := conn.command(ctx, "SET", "ready", "1"); err != nil || v.IsError() {
			_ = conn.close()
			return false
		}
		t.Cleanup(func() { _ = conn.close() })
		c.conn = conn
		return true
	})
	return c
}

// run sends commands at once, and reads their replies.
func (c *roundClient) run(cmds ...[]string) error {
	var b []byte
	for _, words := range cmds {
		args := make([][]byte, len(words))
		for i, w := range words {
			args[i] = []byte(w)
		}
		b = resp.AppendCommand(b, args)
	}
	sent := make(chan error, 1)
	go func() { sent <- c.conn.send(b) }()
	var failed error
	for _, words := range cmds {
		v, err := c.conn.receive()
		if err != nil {
			return err
		}
		for _, e := range append([]resp.Value{v}, v.Elems...) {
			if e.IsError() {
				failed = fmt.Errorf("%s: %s", words[0], e.Str)
			}
		}
	}
	if err := <-sent; err != nil {
		return err
	}
	return failed
}

// post runs a command as a transaction over HTTP.
func (c *roundClient) post(words []string) error {
	var b bytes.Buffer
	for _, w := range words[1:] {
		fmt.Fprintf(&b, `,{"value_base64":%q}`, base64.StdEncoding.EncodeToString([]byte(w)))
	}
	answer, err := http.Post(c.http+"/v1/transactions", "application/json", strings.NewReader(`{"then":[["`+words[0]+`"`+b.String()+`]]}`))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return err
}

// atMost waits until so much of the heap is in use.
func (c *roundClient) atMost(t *testing.T, bytes int64) {
	t.Helper()
	routertest.Eventually(t, fmt.Sprintf("no more than %d MiB are in use", bytes>>20), func() bool {
		n := inUse()
		if n > bytes {
			t.Logf("%d MiB are in use", n>>20)
		}
		return n <= bytes
	})
}
