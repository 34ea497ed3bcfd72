package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockstepkv/lockstep/client"
)

// onceClient sends one increment under an idempotency key to a node.
type onceClient func(n *Node, id string) (int64, error)

func onceOverRedis(clients map[*Node]*redis.Client) onceClient {
	return func(n *Node, id string) (int64, error) {
		return clients[n].Do(context.Background(), "ONCE", id, "INCR", "once:redis").Int64()
	}
}

func onceOverHTTP(n *Node, id string) (int64, error) {
	var answer struct {
		Value int64 `json:"value"`
	}
	_, err := n.client.JSON(context.Background(), client.Request{Method: "POST", Path: "/v1/keys/once:http/incr", Body: []byte(`{"by":1}`), Once: id}, &answer)
	return answer.Value, err
}

// Requests that are repeated under one idempotency key, at whichever node, happen
// once, while the nodes that took them are killed in turn.
func TestRetriesHappenOnce(t *testing.T) {
	c := StartCluster(t, Options{})
	clients := map[*Node]*redis.Client{}
	for _, n := range c.Nodes {
		clients[n] = n.Redis(8)
	}
	for name, send := range map[string]onceClient{"RESP": onceOverRedis(clients), "HTTP": onceOverHTTP} {
		t.Run(name, func(t *testing.T) { retriesHappenOnce(t, c, name, send) })
	}
}

func retriesHappenOnce(t *testing.T, c *Cluster, name string, send onceClient) {
	var stop atomic.Bool
	var repeated atomic.Int64
	var mu sync.Mutex
	var answers []int64
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop.Store(true)
	for worker := range 6 {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				id := fmt.Sprintf("%s worker %d request %d", name, worker, i)
				value, err := sendUntilAnswered(c, send, worker, id, &repeated)
				if err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				mu.Lock()
				answers = append(answers, value)
				mu.Unlock()
			}
		})
	}
	for round := range 3 {
		mu.Lock()
		want := len(answers) + 100
		mu.Unlock()
		Eventually(t, patience, func() error {
			mu.Lock()
			defer mu.Unlock()
			if len(answers) < want {
				return fmt.Errorf("%d answers", len(answers))
			}
			return nil
		})
		victim := c.Nodes[round%3]
		victim.Kill()
		victim.Start()
		c.WaitWhole()
	}
	stop.Store(true)
	wg.Wait()
	slices.Sort(answers)
	for i, value := range answers {
		if value != int64(i+1) {
			t.Fatalf("of %d increments number %d answered %d: one was lost or happened twice", len(answers), i+1, value)
		}
	}
	t.Logf("%d increments, %d repeated after an error, each happened once", len(answers), repeated.Load())
}

// sendUntilAnswered tries the nodes in turn.
func sendUntilAnswered(c *Cluster, send onceClient, first int, id string, repeated *atomic.Int64) (value int64, err error) {
	deadline := time.Now().Add(patience)
	for try := first; time.Now().Before(deadline); try++ {
		if value, err = send(c.Nodes[try%3], id); err == nil {
			return value, nil
		}
		repeated.Add(1)
	}
	return 0, fmt.Errorf("never answered: %w", err)
}

// Optimistic transactions stay atomic while leaders are killed: WATCH survives
// the change of leader and no increment that was confirmed is lost.
func TestWatchAcrossFailover(t *testing.T) {
	c := StartCluster(t, Options{})
	survivor := c.Nodes[0]
	var stop atomic.Bool
	var done, conflicts atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop.Store(true)
	for range 4 {
		r := survivor.Redis(1)
		wg.Go(func() {
			ctx := context.Background()
			for !stop.Load() {
				err := r.Watch(ctx, func(tx *redis.Tx) error {
					n, err := tx.Get(ctx, "watched").Int64()
					if err != nil && !errors.Is(err, redis.Nil) {
						return err
					}
					_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
						p.Set(ctx, "watched", n+1, 0)
						p.Incr(ctx, "witness")
						return nil
					})
					return err
				}, "watched")
				switch {
				case err == nil:
					done.Add(1)
				case errors.Is(err, redis.TxFailedErr):
					conflicts.Add(1)
				default:
					t.Errorf("transaction: %v", err)
					return
				}
			}
		})
	}
	for round := range 3 {
		want := done.Load() + 50
		Eventually(t, patience, func() error {
			if got := done.Load(); got < want {
				return fmt.Errorf("%d transactions", got)
			}
			return nil
		})
		victim := c.Nodes[1+round%2]
		c.MoveLeader(victim)
		victim.Kill()
		victim.Start()
		c.WaitWhole()
	}
	stop.Store(true)
	wg.Wait()
	r := survivor.Redis(1)
	watched, err1 := r.Get(context.Background(), "watched").Int64()
	witness, err2 := r.Get(context.Background(), "witness").Int64()
	if err := errors.Join(err1, err2); err != nil || watched != done.Load() || witness != watched {
		t.Errorf("%d transactions were confirmed, the keys hold %d and %d, %v", done.Load(), watched, witness, err)
	}
	t.Logf("%d transactions, %d conflicts", done.Load(), conflicts.Load())
}
