package snapshot

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockstepkv/lockstep/store"
)

// One operation saves a million keys to disk and loads them, first redis-server,
// then Lockstep, so that both see the same machine.
func BenchmarkMillionKeysBesideRedis(b *testing.B) {
	ctx := context.Background()
	dir := b.TempDir()
	c, _ := startRedis(b, dir, "--rdbcompression", "no")
	if err := c.Do(ctx, "DEBUG", "POPULATE", 1_000_000, "key", 64).Err(); err != nil {
		b.Fatal(err)
	}
	s := store.New(store.DefaultOptions())
	fill(s, 1_000_000, 64)
	snaps, err := NewStore(filepath.Join(dir, "snapshots"), 1, nil)
	if err != nil {
		b.Fatal(err)
	}
	var spent [4]time.Duration
	timed := func(i int, do func() error) {
		start := time.Now()
		if err := do(); err != nil {
			b.Fatal(err)
		}
		spent[i] += time.Since(start)
	}
	index := uint64(0)
	for b.Loop() {
		index++
		timed(0, func() error { return c.Save(ctx).Err() })
		timed(1, func() error { return saveTo(snaps, s, index) })
		timed(2, func() error { return reload(ctx, c) })
		timed(3, func() error { return loadNewest(snaps) })
	}
	for i, name := range []string{"redis-save-s", "save-s", "redis-load-s", "load-s"} {
		b.ReportMetric(spent[i].Seconds()/float64(b.N), name)
	}
	if err := os.RemoveAll(dir); err != nil {
		b.Fatal(err)
	}
}

func reload(ctx context.Context, c *redis.Client) error {
	return c.Do(ctx, "DEBUG", "RELOAD", "NOSAVE").Err()
}

func saveTo(snaps *Store, s *store.Store, index uint64) error {
	k, err := snaps.Create(1, index, 1, servers(), 1, nil)
	if err != nil {
		return err
	}
	sn := s.Freeze()
	defer sn.Release()
	if err := Write(k, sn, nil, testNow); err != nil {
		return err
	}
	return k.Close()
}

func loadNewest(snaps *Store) error {
	list, err := snaps.List()
	if err != nil {
		return err
	}
	_, r, err := snaps.Open(list[0].ID)
	if err != nil {
		return err
	}
	defer r.Close()
	_, _, err = Read(r, store.DefaultOptions())
	return err
}
