package snapshot

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sys/unix"

	"github.com/lockstepkv/lockstep/snapshot/rdb"
	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
)

// One operation saves a million keys to disk and loads them, first redis-server,
// then Lockstep, so that both see the same machine.
func BenchmarkMillionKeysBesideRedis(b *testing.B) {
	ctx := context.Background()
	dir := b.TempDir()
	c, _ := rdbtest.StartRedis(b, dir, "--rdbcompression", "no")
	if err := c.Do(ctx, "DEBUG", "POPULATE", 1_000_000, "key", 64).Err(); err != nil {
		b.Fatal(err)
	}
	s := store.New(store.DefaultOptions())
	rdbtest.Fill(s, 1_000_000, 64)
	snaps, err := NewStore(filepath.Join(dir, "snapshots"), 1, nil)
	if err != nil {
		b.Fatal(err)
	}
	var spent, cpu [4]time.Duration
	timed := func(i int, do func() error) {
		start, startCPU := time.Now(), cpuTime(b, c, i%2 == 0)
		if err := do(); err != nil {
			b.Fatal(err)
		}
		spent[i] += time.Since(start)
		cpu[i] += cpuTime(b, c, i%2 == 0) - startCPU
	}
	index := uint64(0)
	for b.Loop() {
		index++
		timed(0, func() error { return c.Save(ctx).Err() })
		timed(1, func() error { return saveTo(snaps, s, index) })
		timed(2, func() error { return reload(ctx, c) })
		timed(3, func() error { return loadNewest(snaps) })
	}
	for i, name := range []string{"redis-save", "save", "redis-load", "load"} {
		b.ReportMetric(spent[i].Seconds()/float64(b.N), name+"-s")
		b.ReportMetric(cpu[i].Seconds()/float64(b.N), name+"-cpu-s")
	}
	if err := os.RemoveAll(dir); err != nil {
		b.Fatal(err)
	}
}

// cpuTime returns what the server or this process has used of the processors:
// unlike the time that passes, it does not depend on who else is at work.
func cpuTime(b *testing.B, c *redis.Client, server bool) time.Duration {
	b.Helper()
	if !server {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	info, err := c.InfoMap(context.Background(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	var total float64
	for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
		n, err := strconv.ParseFloat(info["CPU"][name], 64)
		if err != nil {
			b.Fatal(err)
		}
		total += n
	}
	return time.Duration(total * float64(time.Second))
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
	if err := rdb.Write(k, sn, nil, rdbtest.Now); err != nil {
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
	_, _, err = rdb.Read(r, store.DefaultOptions())
	return err
}
