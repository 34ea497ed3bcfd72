package cluster

import (
	"context"
	"os"
	"testing"
	"time"
)

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	bin, err := Build(context.Background(), "../..", dir, "harness")
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{Binary: bin, Dir: dir, Nodes: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	t.Log(c.Net.Kind())
	start := time.Now()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := c.WaitWhole(ctx, 10*time.Second); err != nil {
		log, _ := os.ReadFile(c.Nodes[0].LogFile)
		t.Log(string(log))
		t.Fatal(err)
	}
	t.Log("whole after", time.Since(start))
	l, err := c.Leader(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Agree(ctx, 5*time.Second)
	t.Log(l.ID, d, err)
	cut := map[Pair]bool{}
	for _, o := range c.Others(l) {
		cut[Pair{l.Index, o.Index}] = true
		cut[Pair{o.Index, l.Index}] = true
	}
	if err := c.Net.Apply(Rules{Cut: cut}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	t.Log(c.Net.Dropped())
	l2, err := c.Leader(ctx, 0)
	t.Log(l2.ID, err)
	if err := c.Heal(); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitWhole(ctx, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := c.Nodes[0].SetClock(-700*time.Millisecond, 1.02); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	t.Log(c.Agree(ctx, 5*time.Second))
}
