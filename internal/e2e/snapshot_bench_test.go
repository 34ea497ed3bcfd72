package e2e

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// BenchmarkWritesBesideSnapshot reports the longest and the usual write of one
// client to three nodes with a million keys, while a snapshot is being written and
// while none is:
//
//	go test -run - -bench WritesBesideSnapshot -benchtime 1x -timeout 20m ./internal/e2e
func BenchmarkWritesBesideSnapshot(b *testing.B) {
	const keys, wanted = 1_000_000, 6 // snapshots of the leader
	c := StartCluster(b, Options{Flags: []string{"--snapshot-log-bytes", "1mb"}})
	leader := c.Leader(0)
	r := leader.Redis(1)
	ctx, value := context.Background(), strings.Repeat("v", 64)
	for from := 0; from < keys; from += 5000 {
		pipe := r.Pipeline()
		for i := range 5000 {
			pipe.Set(ctx, fmt.Sprintf("key:%012d", from+i), value, 0)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	var writes []write
	began, big := time.Now(), strings.Repeat("v", 64<<10)
	var snaps []span
	for time.Since(began) < 5*time.Minute && len(snaps) < wanted {
		start := time.Now()
		if err := r.Set(ctx, fmt.Sprintf("big:%d", len(writes)%100), big, 0).Err(); err != nil {
			b.Fatal(err)
		}
		writes = append(writes, write{start, time.Now()})
		if len(writes)%200 == 0 {
			snaps = snapshotsSince(b, leader, began)
		}
	}
	if len(snaps) < wanted {
		b.Fatalf("%d snapshots in %v", len(snaps), time.Since(began))
	}
	report(b, writes, snaps)
}

type (
	span  struct{ from, to time.Time }
	write = span // the time that one took
)

// report splits the writes by whether they met a snapshot.
func report(b *testing.B, writes []write, snaps []span) {
	var longest [2]time.Duration
	var sum [2]time.Duration
	var n [2]int
	for _, w := range writes {
		beside := 0
		for _, s := range snaps {
			if w.from.Before(s.to) && s.from.Before(w.to) {
				beside = 1
			}
		}
		took := w.to.Sub(w.from)
		longest[beside], sum[beside], n[beside] = max(longest[beside], took), sum[beside]+took, n[beside]+1
	}
	var writing time.Duration
	for _, s := range snaps {
		writing += s.to.Sub(s.from)
	}
	b.ReportMetric(0, "ns/op")
	for i, when := range []string{"alone", "beside"} {
		b.ReportMetric(float64(longest[i].Milliseconds()), "ms-longest-"+when)
		b.ReportMetric(float64(sum[i].Microseconds())/float64(max(n[i], 1))/1000, "ms-mean-"+when)
	}
	b.ReportMetric(float64(writing.Milliseconds())/float64(len(snaps)), "ms-snapshot")
}

var snapshotTaken = regexp.MustCompile(`time=(\S+) .*msg="snapshot taken".* took=(\S+)`)

// snapshotsSince reads from the node's log when it wrote snapshots.
func snapshotsSince(b *testing.B, n *Node, since time.Time) (list []span) {
	text, err := os.ReadFile(n.LogFile)
	if err != nil {
		b.Fatal(err)
	}
	for _, m := range snapshotTaken.FindAllStringSubmatch(string(text), -1) {
		to, err1 := time.Parse(time.RFC3339Nano, m[1])
		took, err2 := time.ParseDuration(m[2])
		if err1 != nil || err2 != nil {
			b.Fatalf("%s: %v, %v", m[0], err1, err2)
		}
		if from := to.Add(-took); from.After(since) {
			list = append(list, span{from, to})
		}
	}
	return list
}
