package store_test

import (
	"bytes"
	"container/list"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockstepkv/lockstep/store"
)

const (
	traceOps   = 160_000
	warmupOps  = traceOps / 4 // not counted
	batchOps   = 64           // GETs sent at once, then SETs of what was missed
	universe   = 100_000
	valueBytes = 128
	redisBytes = 3 << 20 // room for about a tenth of the universe
	tolerance  = 0.01    // how far below Redis a hit ratio may be
)

// TestHitRatioReachesRedis replays the same traces, cache-aside, through a real
// redis-server and through a Store that holds the same number of keys.
func TestHitRatioReachesRedis(t *testing.T) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("redis-server is needed (Debian package redis-server): %v", err)
	}
	client := startRedis(t, path)
	value := bytes.Repeat([]byte("x"), valueBytes)
	for _, tr := range []struct {
		name string
		keys []string
	}{{"zipf", zipfTrace(1)}, {"scan-heavy", scanTrace(2)}} {
		var best float64
		var capacity int
		for _, policy := range []store.Policy{store.AllKeysLRU, store.AllKeysLFU} {
			theirs := replayRedis(t, client, policy, tr.keys, value)
			ours := replayStore(policy, tr.keys, value, theirs)
			t.Logf("%-10s %-14s redis %.4f  lockstep %.4f  (%d keys, %v)",
				tr.name, policy, theirs.ratio, ours, theirs.keys, theirs.took.Round(time.Millisecond))
			if ours < theirs.ratio-tolerance {
				t.Errorf("%s, %v: %.4f is more than %.2f below Redis's %.4f", tr.name, policy, ours, tolerance, theirs.ratio)
			}
			best, capacity = max(best, theirs.ratio), theirs.keys
			if policy == store.AllKeysLRU {
				exact := exactLRU(tr.keys, theirs.keys)
				t.Logf("%-10s %-14s %.4f", tr.name, "exact LRU", exact)
				if ours < exact-0.02 {
					t.Errorf("%s: %.4f is far from exact LRU's %.4f", tr.name, ours, exact)
				}
			}
		}
		same := redisRun{keys: capacity, took: 2 * time.Second}
		sieve := replayStore(store.AllKeysSieve, tr.keys, value, same)
		random := replayStore(store.AllKeysRandom, tr.keys, value, same)
		t.Logf("%-10s allkeys-sieve  lockstep %.4f, allkeys-random lockstep %.4f, best of Redis %.4f", tr.name, sieve, random, best)
		if sieve < random {
			t.Errorf("%s: SIEVE is worse than chance", tr.name)
		}
	}
}

// zipfTrace draws keys with probability proportional to 1/rank^0.9.
func zipfTrace(seed uint64) []string {
	rng := rand.New(rand.NewPCG(seed, 1))
	cdf := make([]float64, universe)
	sum := 0.0
	for i := range cdf {
		sum += math.Pow(float64(i+1), -0.9)
		cdf[i] = sum
	}
	keys := make([]string, traceOps)
	for i := range keys {
		keys[i] = fmt.Sprintf("key:%08d", sort.SearchFloat64s(cdf, rng.Float64()*sum))
	}
	return keys
}

// scanTrace is a Zipf trace in which every other thousand accesses read keys
// one after the other that are never read again.
func scanTrace(seed uint64) []string {
	keys := zipfTrace(seed)
	for i := range keys {
		if i/1000%2 == 1 {
			keys[i] = fmt.Sprintf("scan:%08d", i)
		}
	}
	return keys
}

type redisRun struct {
	ratio float64
	keys  int // held on average once it was full
	took  time.Duration
}

func startRedis(t *testing.T, path string) *redis.Client {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(path, "--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "",
		"--appendonly", "no", "--daemonize", "no")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: socket, PoolSize: 1, MaxRetries: -1, ReadTimeout: time.Minute})
	t.Cleanup(func() {
		_ = client.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		err := client.Ping(context.Background()).Err()
		if err == nil {
			return client
		}
		if time.Now().After(deadline) {
			t.Fatalf("redis-server does not answer: %v", err)
		}
	}
}

func replayRedis(t *testing.T, client *redis.Client, policy store.Policy, keys []string, value []byte) redisRun {
	ctx := context.Background()
	must := func(err error) {
		if err != nil && err != redis.Nil {
			t.Fatal(err)
		}
	}
	must(client.FlushAll(ctx).Err())
	must(client.ConfigSet(ctx, "maxmemory", fmt.Sprint(redisBytes)).Err())
	must(client.ConfigSet(ctx, "maxmemory-policy", policy.String()).Err())
	hits, held, looks, start := 0, int64(0), int64(0), time.Now()
	for i := 0; i < len(keys); i += batchOps {
		batch := keys[i:min(i+batchOps, len(keys))]
		gets := make([]*redis.StringCmd, len(batch))
		var size *redis.IntCmd
		_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for j, k := range batch {
				gets[j] = p.Get(ctx, k)
			}
			size = p.DBSize(ctx)
			return nil
		})
		must(err)
		if i >= warmupOps {
			held, looks = held+size.Val(), looks+1
		}
		_, err = client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for j, k := range batch {
				if gets[j].Err() == redis.Nil {
					p.Set(ctx, k, value, 0)
				} else if i >= warmupOps {
					hits++
				}
			}
			return nil
		})
		must(err)
	}
	return redisRun{ratio: counted(hits), keys: int(held / looks), took: time.Since(start)}
}

func counted(hits int) float64 { return float64(hits) / (traceOps - warmupOps) }

// replayStore does the same with a Store. Time passes as it did for Redis.
func replayStore(policy store.Policy, keys []string, value []byte, like redisRun) float64 {
	o := store.DefaultOptions()
	o.Policy = policy
	s, pick := store.New(o), store.NewPicker()
	limit := int64(like.keys) * store.SizeOf(len(keys[0]), len(value), false)
	const epochMillis = 1_700_000_000_000
	hits, missed := 0, make([]string, 0, batchOps)
	for i := 0; i < len(keys); i += batchOps {
		now := epochMillis + like.took.Milliseconds()*int64(i)/int64(len(keys))
		s.Advance(now)
		missed = missed[:0]
		for _, k := range keys[i:min(i+batchOps, len(keys))] {
			e := s.Get([]byte(k))
			if e == nil {
				missed = append(missed, k)
				continue
			}
			s.Touch(e, now)
			if i >= warmupOps {
				hits++
			}
		}
		for _, k := range missed {
			s.Put([]byte(k), value, 0, false)
			for over := s.Used() - limit; over > 0; over = s.Used() - limit {
				for _, v := range s.Victims(now, over, pick) {
					s.Evict([]byte(v.Key), v.Version)
				}
			}
		}
	}
	return counted(hits)
}

// exactLRU returns the hit ratio of a true LRU cache of capacity keys. Redis's
// clock ticks once a second, so in a short replay it falls behind this one.
func exactLRU(keys []string, capacity int) float64 {
	order, at, hits := list.New(), map[string]*list.Element{}, 0
	for i, k := range keys {
		if el := at[k]; el != nil {
			order.MoveToFront(el)
			if i >= warmupOps {
				hits++
			}
			continue
		}
		at[k] = order.PushFront(k)
		if order.Len() > capacity {
			delete(at, order.Remove(order.Back()).(string))
		}
	}
	return counted(hits)
}
