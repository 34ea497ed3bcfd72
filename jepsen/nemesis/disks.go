package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/cluster"
	"github.com/lockstepkv/lockstep/jepsen/faultfs"
)

// HangingFsync is the fault for which nodes have a short patience with their disks in
// some runs.
const HangingFsync = "hungfsync"

// powerMinority cuts the power of a minority, powerAll of every node at once.
func powerMinority(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	nodes := n.some(rng, max(n.minority(), 1))
	if rng.IntN(2) == 0 {
		nodes[0] = n.leader(ctx, rng)
		nodes = nodes[:1]
	}
	return n.powerOff(ctx, nodes, rng)
}

func powerAll(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	return n.powerOff(ctx, n.nodes, rng)
}

// powerDying lets the fsyncs of every disk fail for a moment before the power goes.
func powerDying(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	for _, node := range n.nodes {
		node.Disk.Set(faultfs.Trouble{FsyncFails: true, FirstPass: rng.IntN(3)})
	}
	sleep(ctx, time.Duration(100+rng.IntN(400))*time.Millisecond)
	return n.loseUnsynced(n.nodes, rng)
}

// powerOff cuts the power of nodes. Their disks are slow for a moment before, so
// that there is something under way.
func (n *Nemesis) powerOff(ctx context.Context, nodes []*cluster.Node, rng *rand.Rand) (string, healFunc, error) {
	for _, node := range nodes {
		node.Disk.Set(faultfs.Trouble{FsyncDelay: time.Duration(20+rng.IntN(80)) * time.Millisecond})
	}
	sleep(ctx, time.Duration(100+rng.IntN(300))*time.Millisecond)
	return n.loseUnsynced(nodes, rng)
}

// loseUnsynced kills nodes and takes from their disks what was not synced.
func (n *Nemesis) loseUnsynced(nodes []*cluster.Node, rng *rand.Rand) (string, healFunc, error) {
	detail, heal, err := n.kill(nodes)
	var total faultfs.Lost
	for _, node := range nodes {
		node.Disk.Set(faultfs.Trouble{})
		lost, failed := node.PowerOff(rng)
		total.Pages, total.Torn, total.Names = total.Pages+lost.Pages, total.Torn+lost.Torn, total.Names+lost.Names
		err = errors.Join(err, failed)
	}
	return detail, func(ctx context.Context) (string, error) {
		shows, err := heal(ctx)
		if err == nil && total.Nothing() {
			err = fmt.Errorf("%w: everything had been synced", errNoChance)
		}
		return fmt.Sprintf("lost %d pages, %d of them in part, and %d names; %s", total.Pages, total.Torn, total.Names, shows), err
	}, err
}

// failingFsync lets writes and fsyncs of one node fail with EIO, fullDisk with
// ENOSPC. The node must end itself rather than go on.
func failingFsync(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	t := faultfs.Trouble{FsyncFails: true, FirstPass: rng.IntN(3)}
	if rng.IntN(3) == 0 {
		t.WriteFails = true
	}
	return n.disturb(ctx, rng, t)
}

func fullDisk(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	return n.disturb(ctx, rng, faultfs.Trouble{Full: true})
}

// hungFsync lets fsyncs of one node hang until the fault is healed.
func hungFsync(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	return n.disturb(ctx, rng, faultfs.Trouble{FsyncHangs: true})
}

// slowDisk makes each fsync of one node take longer.
func slowDisk(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	return n.disturb(ctx, rng, faultfs.Trouble{FsyncDelay: time.Duration(10+rng.IntN(200)) * time.Millisecond})
}

// disturb makes the disk of one node fail, a leader's more often than not.
func (n *Nemesis) disturb(ctx context.Context, rng *rand.Rand, t faultfs.Trouble) (string, healFunc, error) {
	node := n.leader(ctx, rng)
	if rng.IntN(3) == 0 {
		node = n.some(rng, 1)[0]
	}
	node.Disk.Seen()
	node.Disk.Set(t)
	heal := func(context.Context) (string, error) {
		node.Disk.Set(faultfs.Trouble{})
		shows, ok := felt(t, node.Disk.Seen())
		if !ok {
			return "", fmt.Errorf("%w: %s (%s) felt nothing of it: %s", errNoChance, node.ID, node.State(), shows)
		}
		return shows, nil
	}
	return fmt.Sprintf("%s: %+v", node.ID, t), heal, nil
}

// felt says what calls of a node met, and whether each kind of trouble was met
// for which its disk was set: another kind is what another fault left.
func felt(t faultfs.Trouble, s faultfs.Seen) (shows string, ok bool) {
	var list []string
	ok = true
	for _, kind := range []struct {
		set   bool
		times int
		what  string
	}{
		{t.FsyncFails || t.WriteFails, s.Failed, "failed"},
		{t.Full, s.Full, "found no space"},
		{t.FsyncHangs, s.Hung, "hung"},
		{t.FsyncDelay > 0, s.Delayed, "were slow"},
	} {
		if kind.set || kind.times > 0 {
			list = append(list, fmt.Sprintf("%d calls %s", kind.times, kind.what))
		}
		ok = ok && (!kind.set || kind.times > 0)
	}
	return strings.Join(list, ", "), ok
}
