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
	"syscall"

	"github.com/lockstepkv/lockstep/jepsen/cluster"
)

// What a node logs when it has found damage: in what it needs, or in a snapshot
// that a newer one has replaced.
const (
	asideWord = "set aside"
	oldWord   = "is damaged and removed"
)

// bitflip turns over one bit in a file of a node that is down. It took effect when
// the node noticed: not every bit of every file is in use.
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
	if errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) {
		err = fmt.Errorf("%w: %w", errNoChance, err) // the disk has a fault of its own
	}
	if err != nil {
		return node.ID, nil, errors.Join(err, node.Start())
	}
	noticed := func() int { return countInLog(node, asideWord) + countInLog(node, oldWord) }
	before := noticed()
	heal := func(ctx context.Context) (string, error) {
		if err := node.Start(); err != nil {
			return "", err
		}
		repaired := waitReady(ctx, node)
		if noticed() == before {
			return "", fmt.Errorf("%w: one bit was changed and the node noticed no damage%s", errNoChance, repaired)
		}
		return "the node found the damage" + repaired, nil
	}
	return fmt.Sprintf("%s: %s at %d", node.ID, file, offset), heal, nil
}

// flipBit changes one bit below dir and returns where: of log segments and
// snapshots mostly, every byte of which has a checksum, sometimes of any file.
func flipBit(dir string, rng *rand.Rand) (file string, offset int64, err error) {
	var live, files []string
	err = filepath.WalkDir(filepath.Join(dir, "shards"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
			if isLog(path) || filepath.Ext(path) == ".rdb" {
				live = append(live, path)
			}
		}
		return err
	})
	if err != nil {
		return "", 0, err
	}
	if len(live) == 0 || rng.IntN(6) == 0 {
		live = files
	}
	slices.Sort(live)
	rng.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
	for _, path := range live {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", 0, err
		}
		written := len(bytes.TrimRight(text, "\x00"))
		if written < 64 {
			continue
		}
		if isLog(path) {
			// Damage at the very end looks like a write that a crash cut short.
			written -= written / 4
		}
		at := rng.IntN(written)
		text[at] ^= 1 << rng.IntN(8)
		name, _ := filepath.Rel(dir, path)
		return name, int64(at), overwrite(path, int64(at), text[at:at+1])
	}
	return "", 0, errors.New("no file has anything in it")
}

// isLog reports whether a file has entries of the log, of either engine.
func isLog(path string) bool {
	return filepath.Ext(path) == ".wal" || strings.HasPrefix(filepath.Base(path), "raft.")
}

func overwrite(path string, at int64, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, at)
	return errors.Join(err, f.Close())
}
