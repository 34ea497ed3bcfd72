package nemesis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/cluster"
)

// transfer hands leaderships over, several times in a row. Single handovers may
// fail among other faults; one must have succeeded.
func transfer(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	shard := rng.IntN(n.opt.Cluster.Shards)
	wanted := 1 + rng.IntN(4)
	var moved []string
	last := errors.New("nobody took over")
	for try := 0; try < 12 && len(moved) < wanted && ctx.Err() == nil; try++ {
		from := n.leader(ctx, rng)
		others := n.opt.Cluster.Others(from)
		to := others[rng.IntN(len(others))]
		asked := n.nodes[rng.IntN(len(n.nodes))] // any node passes it on
		if err := asked.Transfer(ctx, shard, to.ID); err != nil {
			last = err
		} else if v, err := to.View(ctx); err == nil && v.Shards[shard].Leader == to.ID {
			moved = append(moved, to.ID)
		}
		sleep(ctx, time.Duration(100+rng.IntN(300))*time.Millisecond)
	}
	heal := func(context.Context) (string, error) {
		if len(moved) == 0 {
			return "", fmt.Errorf("%w: no handover succeeded: %w", errNoChance, last)
		}
		return fmt.Sprintf("leaders in turn: %s", strings.Join(moved, " ")), nil
	}
	return fmt.Sprintf("shard %d", shard), heal, nil
}

// MaxClockJump is how far a clock is set wrong at most. It is further than
// --max-clock-offset allows, and still less than the lives of keys and locks:
// what a node with a wrong clock may do while nobody can tell is bounded by it.
const MaxClockJump = 900 * time.Millisecond

// clockJump sets the wall clock of a minority wrong, sometimes by more than
// --max-clock-offset allows.
func clockJump(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	offset := 100*time.Millisecond + time.Duration(rng.Int64N(int64(MaxClockJump-100*time.Millisecond)))
	offset = offset.Truncate(time.Millisecond)
	if rng.IntN(2) == 0 {
		offset = -offset
	}
	return n.distort(ctx, rng, offset, 1)
}

// clockDrift lets the clock of a minority run too fast or too slow, within what
// leases allow for.
func clockDrift(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	return n.distort(ctx, rng, 0, []float64{0.96, 0.98, 1.02, 1.04}[rng.IntN(4)])
}

// clockWord is what a node logs when its clock was changed; a harness build does.
const clockWord = "clock changed by the harness"

func (n *Nemesis) distort(ctx context.Context, rng *rand.Rand, offset time.Duration, rate float64) (string, healFunc, error) {
	node := n.leader(ctx, rng)
	if rng.IntN(3) == 0 {
		node = n.some(rng, 1)[0]
	}
	before := countInLog(node, clockWord)
	err := node.SetClock(offset, rate)
	heal := func(context.Context) (string, error) {
		seen := countInLog(node, clockWord) > before
		if err := node.SetClock(0, 1); err != nil {
			return "", err
		}
		if !seen {
			return "", fmt.Errorf("%w: %s (%s) did not notice", errNoChance, node.ID, node.State())
		}
		return "the node logged the change", nil
	}
	return fmt.Sprintf("%s: offset %v, rate %g", node.ID, offset, rate), heal, err
}

func countInLog(node *cluster.Node, word string) int {
	text, err := os.ReadFile(node.LogFile)
	if err != nil {
		return 0
	}
	return bytes.Count(text, []byte(word))
}

// bitflip turns over one bit in a log or snapshot file of a node that is down.
// A bit of a written part is chosen, not of the empty rest of a file.
func bitflip(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	node := n.some(rng, 1)[0]
	if err := n.claim(ctx, node); err != nil {
		return "", nil, err
	}
	defer n.deprived()
	n.touch([]*cluster.Node{node})
	if err := node.Kill(); err != nil {
		return node.ID, nil, err
	}
	file, offset, err := flipBit(node.DataDir, rng)
	if err != nil {
		return node.ID, nil, errors.Join(err, node.Start())
	}
	before := countInLog(node, "set aside")
	heal := func(ctx context.Context) (string, error) {
		if err := node.Start(); err != nil {
			return "", err
		}
		repaired := waitReady(ctx, node)
		if countInLog(node, "set aside") > before {
			return "the node found the damage" + repaired, nil
		}
		return "one bit of the file was changed; the node noticed no damage", nil
	}
	return fmt.Sprintf("%s: %s at %d", node.ID, file, offset), heal, nil
}

// flipBit changes one bit below dir and returns where.
func flipBit(dir string, rng *rand.Rand) (file string, offset int64, err error) {
	var files []string
	err = filepath.WalkDir(filepath.Join(dir, "shards"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return "", 0, err
	}
	slices.Sort(files)
	rng.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", 0, err
		}
		written := len(bytes.TrimRight(text, "\x00"))
		if written < 64 {
			continue
		}
		at := rng.IntN(written)
		text[at] ^= 1 << rng.IntN(8)
		name, _ := filepath.Rel(dir, path)
		return name, int64(at), overwrite(path, int64(at), text[at:at+1])
	}
	return "", 0, errors.New("no file has anything in it")
}

func overwrite(path string, at int64, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, at)
	return errors.Join(err, f.Close())
}
