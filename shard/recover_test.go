package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRecoveryFromTheOneWholeReplica: two of three logs are damaged at different
// places, so that no majority has its votes.
func TestRecoveryFromTheOneWholeReplica(t *testing.T) {
	for _, engine := range []string{"wal", "bolt"} {
		t.Run(engine, func(t *testing.T) {
			c := newCluster(t, 3, func(o *Options) { o.LogEngine = engine })
			for i := range 50 {
				c.want("n1", fmt.Sprintf("SET k%d %s", i, strings.Repeat("v", 100)), "+OK\r\n")
			}
			c.agree()
			dir := func(id string) string { return filepath.Join(c.dir, id) }
			if _, err := PlanRecovery(dir("n1"), dir("n2"), "", false, slog.Default()); !errors.Is(err, ErrDataDirInUse) {
				t.Errorf("while nodes run: %v", err)
			}
			c.stopAll()
			if _, err := PlanRecovery(dir("n1"), dir("n2"), "", false, slog.Default()); !errors.Is(err, ErrTargetWhole) {
				t.Errorf("a whole target: %v", err)
			}
			for _, id := range []string{"n2", "n3"} {
				if engine == "wal" {
					damage(t, filepath.Join(groupDir(dir(id), 0), "log"))
				} else if err := os.Truncate(filepath.Join(groupDir(dir(id), 0), "log", "raft.db"), 5000); err != nil {
					t.Fatal(err)
				}
			}
			c.mustNotServe()
			if _, err := PlanRecovery(dir("n2"), dir("n3"), "", false, slog.Default()); !errors.Is(err, ErrNotRecoverable) {
				t.Errorf("from a damaged source: %v", err)
			}
			r, err := PlanRecovery(dir("n1"), dir("n2"), "n2", false, slog.Default())
			if err != nil {
				t.Fatal(err)
			}
			if s, d := r.SourceShards[0], r.TargetShards[0]; s.LastIndex < 50 || d.Whole() {
				t.Errorf("source %+v, target %+v", s, d)
			}
			if err := r.Run(); err != nil {
				t.Fatal(err)
			}
			c.start(c.ids...)
			c.eventually(func() error {
				for _, id := range c.ids {
					if err := c.node(id).Ready(); err != nil {
						return err
					}
				}
				return nil
			})
			c.want("n3", "DBSIZE", ":50\r\n")
			c.want("n2", "SET more v", "+OK\r\n")
			c.agree()
		})
	}
}

// mustNotServe starts all nodes for a moment, with two that have no votes.
func (c *cluster) mustNotServe() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	opened := make(chan *Node, len(c.ids))
	for _, id := range c.ids {
		o := c.options(id)
		go func() {
			var err error
			if o.Listener, err = c.listen(id); err != nil {
				c.t.Error(err)
			}
			n, err := Open(ctx, o)
			if err != nil {
				n = nil
			}
			opened <- n
		}()
	}
	var nodes []*Node
	for range c.ids {
		nodes = append(nodes, <-opened)
	}
	<-ctx.Done()
	for _, n := range nodes {
		if n == nil {
			continue
		}
		if n.Groups()[0].Serving() {
			c.t.Error("a cluster without a majority of votes serves")
		}
		if err := n.Close(); err != nil {
			c.t.Error(err)
		}
	}
}

// TestRecoveryIntoAnEmptyDirectory takes the node's name from the command.
func TestRecoveryIntoAnEmptyDirectory(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.want("n1", "SET k v", "+OK\r\n")
	c.agree()
	c.stopAll()
	for _, id := range []string{"n2", "n3"} {
		if err := os.RemoveAll(filepath.Join(c.dir, id)); err != nil {
			t.Fatal(err)
		}
	}
	source, target := filepath.Join(c.dir, "n1"), filepath.Join(c.dir, "n2")
	if _, err := PlanRecovery(source, target, "", false, slog.Default()); !errors.Is(err, ErrNotRecoverable) {
		t.Errorf("without a name: %v", err)
	}
	for _, bad := range []string{"n1", "n9"} {
		if _, err := PlanRecovery(source, target, bad, false, slog.Default()); err == nil {
			t.Errorf("as %s: no error", bad)
		}
	}
	r, err := PlanRecovery(source, target, "n2", false, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(); err != nil {
		t.Fatal(err)
	}
	c.start(c.ids...)
	c.eventually(func() error { return c.node("n3").Ready() })
	c.want("n3", "GET k", "$1\r\nv\r\n")
}
