package raftlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/disk"
)

// BenchmarkStoreAgainstBareFile writes to a Store and to a file of its own in turn, so that both meet the same
// disk in the same moments, and reports the ratio of the median times.
func BenchmarkStoreAgainstBareFile(b *testing.B) {
	for _, size := range []int{200, 4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := mustOpen(b, Options{Dir: b.TempDir(), StallTimeout: time.Second, OnStall: func(string, time.Duration) {}})
			bare, err := os.Create(filepath.Join(b.TempDir(), "bare"))
			if err == nil {
				err = disk.Preallocate(bare, DefaultSegmentBytes)
			}
			if err != nil {
				b.Fatal(err)
			}
			defer bare.Close()
			at := int64(0)
			store := [2]func(*raft.Log) error{s.StoreLog, func(l *raft.Log) error {
				at = (at + int64(len(l.Data))) % DefaultSegmentBytes
				_, err := bare.WriteAt(l.Data, at)
				return errors.Join(err, bare.Sync())
			}}
			times := [2][]time.Duration{}
			index := uint64(0)
			for b.Loop() {
				index++
				l := entry(index, 1, size)
				for i := range 2 {
					which := (i + int(index)) % 2
					began := time.Now()
					if err := store[which](l); err != nil {
						b.Fatal(err)
					}
					times[which] = append(times[which], time.Since(began))
				}
			}
			for i := range times {
				slices.Sort(times[i])
			}
			ours, theirs := times[0][len(times[0])/2], times[1][len(times[1])/2]
			b.ReportMetric(float64(ours.Microseconds()), "store-us")
			b.ReportMetric(float64(theirs.Microseconds()), "bare-us")
			b.ReportMetric(float64(ours)/float64(theirs), "ratio")
			b.ReportMetric(float64(times[0][len(times[0])*99/100].Microseconds()), "store-p99-us")
			b.ReportMetric(float64(times[1][len(times[1])*99/100].Microseconds()), "bare-p99-us")
		})
	}
}

// nullEngine shows what the Store itself costs.
type nullEngine struct{ engine }

func (nullEngine) append([]*raft.Log) error { return nil }
func (nullEngine) close() error             { return nil }

func BenchmarkStoreWithoutDisk(b *testing.B) {
	s := mustOpen(b, Options{Dir: b.TempDir(), StallTimeout: time.Second, OnStall: func(string, time.Duration) {}})
	if err := s.engine.close(); err != nil {
		b.Fatal(err)
	}
	s.engine = nullEngine{}
	data := make([]byte, 1000)
	logs := []*raft.Log{{}}
	l := logs[0]
	b.ReportAllocs()
	for b.Loop() {
		*l = raft.Log{Index: l.Index + 1, Data: data}
		if err := s.StoreLogs(logs); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen is the price of a restart: every byte is read and verified.
func BenchmarkOpen(b *testing.B) {
	for _, engine := range Engines() {
		for _, size := range []int{200, 20 << 10} {
			b.Run(fmt.Sprintf("%s/%d", engine, size), func(b *testing.B) {
				o := Options{Dir: b.TempDir(), Engine: engine}
				s := mustOpen(b, o)
				for s.BytesAfter(0) < 32<<20 {
					_, last := s.bounds()
					mustStore(b, s, batch(last+1, 64, size)...)
				}
				b.SetBytes(s.BytesAfter(0))
				mustClose(b, s)
				for b.Loop() {
					s := mustOpen(b, o)
					mustClose(b, s)
				}
			})
		}
	}
}

func BenchmarkGetLog(b *testing.B) {
	for _, cached := range []bool{true, false} {
		for _, engine := range Engines() {
			for _, size := range []int{200, 20 << 10} {
				b.Run(fmt.Sprintf("cached=%v/%s/%d", cached, engine, size), func(b *testing.B) {
					o := Options{Dir: b.TempDir(), Engine: engine, CacheBytes: -1}
					if cached {
						o.CacheBytes = 1 << 30
					}
					s := mustOpen(b, o)
					for s.BytesAfter(0) < 4<<20 {
						_, last := s.bounds()
						mustStore(b, s, batch(last+1, 64, size)...)
					}
					first, last := s.bounds()
					b.SetBytes(int64(size))
					b.ReportAllocs()
					index := first
					var l raft.Log
					for b.Loop() {
						if err := s.GetLog(index, &l); err != nil {
							b.Fatal(err)
						}
						if index++; index > last {
							index = first
						}
					}
				})
			}
		}
	}
}
