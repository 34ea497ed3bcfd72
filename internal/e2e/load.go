package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// clientTimeout is longer than any request may take.
const clientTimeout = patience

// Client is a connection for the load: one request at a time, never repeated.
type Client interface {
	Set(key, value string) error
	Incr(key string) (int64, error)
}

// Redis returns a go-redis client of the node that never retries.
func (n *Node) Redis(connections int) *redis.Client {
	r := redis.NewClient(&redis.Options{
		Addr: n.RESP, Password: n.bearer, MaxRetries: -1, PoolSize: connections, DialerRetries: 1,
		ReadTimeout: clientTimeout, WriteTimeout: clientTimeout, PoolTimeout: clientTimeout, DialTimeout: patience,
	})
	n.t.Cleanup(func() { r.Close() })
	return r
}

// RedisClient is a Client over the Redis protocol.
type RedisClient struct{ R redis.UniversalClient }

// Set implements Client.
func (c RedisClient) Set(key, value string) error {
	return c.R.Set(context.Background(), key, value, 0).Err()
}

// Incr implements Client.
func (c RedisClient) Incr(key string) (int64, error) {
	return c.R.Incr(context.Background(), key).Result()
}

// HTTPClient is a Client over HTTP.
type HTTPClient struct{ N *Node }

// Set implements Client.
func (c HTTPClient) Set(key, value string) error {
	status, body, err := c.N.Do("PUT", "/v1/keys/"+key, fmt.Sprintf(`{"value":%q}`, value))
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("PUT %s: %d %s", key, status, body)
	}
	return err
}

// Incr implements Client.
func (c HTTPClient) Incr(key string) (int64, error) {
	status, body, err := c.N.Do("POST", "/v1/keys/"+key+"/incr", `{"by":1}`)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("incr %s: %d %s", key, status, body)
	}
	if err != nil {
		return 0, err
	}
	var answer struct {
		Value int64 `json:"value"`
	}
	return answer.Value, json.Unmarshal(body, &answer)
}

// Load is a set of writers. Each writes keys of its own and increments a counter
// of its own, and notes what was acknowledged.
type Load struct {
	writers []*writer
	stop    atomic.Bool
	wg      sync.WaitGroup

	mu   sync.Mutex
	acks []time.Time // guarded by mu
	errs []error     // guarded by mu
}

// writer counts what it sent: number i is SET <name>:<i> and one INCR of
// <name>:count. Only its goroutine writes until the load has stopped.
type writer struct {
	name    string
	client  Client
	sets    []int // acknowledged
	incrs   int64 // acknowledged
	doubted int64 // increments that failed: each may have happened
}

// StartLoad starts a writer per client. A writer ends at its first error; what
// it then was doing is in doubt.
func StartLoad(name string, clients ...Client) *Load {
	l := &Load{}
	for i, c := range clients {
		w := &writer{name: fmt.Sprintf("%s:%d", name, i), client: c}
		l.writers = append(l.writers, w)
		l.wg.Go(func() { l.run(w) })
	}
	return l
}

func (l *Load) run(w *writer) {
	for i := 0; !l.stop.Load(); i++ {
		if err := w.client.Set(w.key(i), w.value(i)); err != nil {
			l.fail(fmt.Errorf("%s: SET: %w", w.key(i), err))
			return
		}
		w.sets = append(w.sets, i)
		l.acked()
		value, err := w.client.Incr(w.name + ":count")
		if err != nil {
			w.doubted++
			l.fail(fmt.Errorf("%s: INCR: %w", w.name, err))
			return
		}
		w.incrs++
		l.acked()
		if value != w.incrs {
			l.fail(fmt.Errorf("%s: increment number %d answered %d: one was lost or happened twice", w.name, w.incrs, value))
			return
		}
	}
}

func (w *writer) key(i int) string   { return fmt.Sprintf("%s:%d", w.name, i) }
func (w *writer) value(i int) string { return fmt.Sprintf("value %d of %s", i, w.name) }

func (l *Load) acked() {
	l.mu.Lock()
	l.acks = append(l.acks, time.Now())
	l.mu.Unlock()
}

func (l *Load) fail(err error) {
	l.mu.Lock()
	l.errs = append(l.errs, err)
	l.mu.Unlock()
}

// Stop ends the writers and returns their errors.
func (l *Load) Stop() error {
	l.stop.Store(true)
	l.wg.Wait()
	return errors.Join(l.errs...)
}

// Acks returns how many writes were acknowledged so far.
func (l *Load) Acks() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acks)
}

// WaitAcks waits for more acknowledged writes.
func (l *Load) WaitAcks(t testing.TB, more int) {
	t.Helper()
	want := l.Acks() + more
	Eventually(t, patience, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.errs) == 0 && len(l.acks) < want {
			return fmt.Errorf("%d of %d writes acknowledged", len(l.acks), want)
		}
		return nil
	})
}

// Gap returns the longest time without an acknowledged write since a moment.
func (l *Load) Gap(since time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortFunc(l.acks, time.Time.Compare)
	longest, last := time.Duration(0), since
	for _, at := range l.acks {
		if at.After(since) {
			longest = max(longest, at.Sub(last))
			last = at
		}
	}
	return longest
}

// Check reads everything back and compares it with what was acknowledged.
func (l *Load) Check(t testing.TB, r redis.UniversalClient) {
	t.Helper()
	for _, w := range l.writers {
		w.check(t, r)
	}
}

func (w *writer) check(t testing.TB, r redis.UniversalClient) {
	t.Helper()
	ctx := context.Background()
	for part := range slices.Chunk(w.sets, 500) {
		pipe := r.Pipeline()
		for _, i := range part {
			pipe.Get(ctx, w.key(i))
		}
		replies, err := pipe.Exec(ctx)
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Fatalf("%s: %v", w.name, err)
		}
		var lost []string
		for j, i := range part {
			if got, err := replies[j].(*redis.StringCmd).Result(); err != nil || got != w.value(i) {
				lost = append(lost, fmt.Sprintf("%s is %q, %v", w.key(i), got, err))
			}
		}
		if len(lost) > 0 {
			t.Errorf("%s: %d acknowledged writes are lost: %s", w.name, len(lost), strings.Join(lost[:min(len(lost), 5)], "; "))
		}
	}
	count, err := r.Get(ctx, w.name+":count").Int64()
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	if err != nil || count < w.incrs || count > w.incrs+w.doubted {
		t.Errorf("%s: the counter is %d, %v; %d increments were acknowledged and %d are in doubt", w.name, count, err, w.incrs, w.doubted)
	}
}
