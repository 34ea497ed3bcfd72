package commandset

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/snapshot/rdb"
	"github.com/lockstepkv/lockstep/store"
)

// TestSameHistoryWithSnapshotsAndRestarts: a replica that is snapshotted all the time, that
// starts again from an RDB file in the middle, and that takes back transactions, answers and
// ends as one that just runs. What a snapshot has seen stays as it was.
func TestSameHistoryWithSnapshotsAndRestarts(t *testing.T) {
	for seed := range uint64(3) {
		plain, busy := commandtest.NewCtx(New()), commandtest.NewCtx(New())
		gen := commandtest.NewGenerator(seed + 50)
		type kept struct {
			*store.Snapshot
			digest uint64
		}
		var snapshots []kept
		for i := range 6000 {
			args := gen.Command()
			if gen.Chance(10) { // within a transaction that fails, on one of the two alone
				undone := slices.Concat(commandtest.Line(fmt.Sprintf("LS.TXN IF 0 THEN 2 %d", len(args))), args,
					commandtest.Line("5 LS.PUT nobody v IFVERSION 123456789 ELSE 0"))
				busy.Table.Exec(busy, undone)
				busy.ReplyBytes = plain.ReplyBytes
			}
			for _, ctx := range []*command.Ctx{plain, busy} {
				ctx.Now = commandtest.Now + int64(i)
				ctx.Wall, ctx.Seed, ctx.ReplyBytes = ctx.Now, uint64(i+1), 0
			}
			if a, b := plain.Table.Exec(plain, args), busy.Table.Exec(busy, args); a.Kind != b.Kind || !tellsVersion(plain.Table, args) && !commandtest.Same(a, b) {
				t.Fatalf("seed %d, %d: %s = %.300q, with snapshots %.300q", seed, i, commandtest.Quote(args), commandtest.Show(a), commandtest.Show(b))
			}
			if gen.Chance(20) {
				sn := busy.Store.Freeze()
				snapshots = append(snapshots, kept{sn, sn.Digest()})
			}
			if len(snapshots) > 3 {
				if old := snapshots[0]; old.Snapshot.Digest() != old.digest {
					t.Fatalf("seed %d, %d: a snapshot has changed", seed, i)
				}
				snapshots[0].Release()
				snapshots = snapshots[1:]
			}
			if i%500 == 499 {
				busy.Store = restarted(t, busy.Store)
				snapshots = nil
			}
		}
		if plain.Store.Used() != busy.Store.Used() || plain.Store.Len() != busy.Store.Len() {
			t.Errorf("seed %d: %d bytes of %d keys, with snapshots %d of %d", seed, plain.Store.Used(), plain.Store.Len(), busy.Store.Used(), busy.Store.Len())
		}
	}
}

// tellsVersion: versions count what was taken back, too.
func tellsVersion(table *command.Table, args command.Args) bool {
	sp, err := table.Check(args)
	return err == nil && sp.Group == "lockstep"
}

// restarted returns what an RDB file of s is read as.
func restarted(t *testing.T, s *store.Store) *store.Store {
	t.Helper()
	var file bytes.Buffer
	sn := s.Freeze()
	defer sn.Release()
	if err := rdb.Write(&file, sn, nil, commandtest.Now); err != nil {
		t.Fatal(err)
	}
	again, _, err := rdb.Read(&file, store.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest() != s.Digest() || again.Sum() != s.Sum() || again.Used() != s.Used() {
		t.Fatal("a store that was read from its RDB file is another one")
	}
	return again
}
