package fsm

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
)

// formerEntry encodes an entry as versions did that had other sizes of keys.
func formerEntry(stamp, oomLimit int64, b Batch) []byte {
	dst := []byte{FormatVersion, kindBatches}
	for _, v := range [...]int64{stamp, stamp, oomLimit, 0} {
		dst = binary.AppendUvarint(dst, uint64(v))
	}
	dst = append(dst, 0, 0, 1) // evictions, settings, batches
	return b.AppendTo(dst)
}

// TestLimitsOfOlderEntriesAreByOlderSizes: what was refused for want of memory is refused again when
// the log is read by a version with other sizes. Its client was told that nothing happened, and a
// replica whose snapshot is newer does not read it again.
func TestLimitsOfOlderEntriesAreByOlderSizes(t *testing.T) {
	const limit = 150 // a key of 16 bytes with a value of 64 was 176, and is 134
	set := func(seq uint64) Batch {
		key := strings.Repeat("k", 15) + string(rune('a'+seq))
		return batch("n1", 1, seq, seq-1, "SET "+key+" "+strings.Repeat("v", 64))
	}
	r := &replica{f: newTestFSM()}
	for i, c := range []struct {
		entry []byte
		code  string
	}{
		{formerEntry(1, limit, set(1)), ""},
		{formerEntry(2, limit, set(2)), command.CodeOOM},
		{(&Entry{StampMillis: 3, MonoMillis: 3, OOMLimit: limit, Batches: []Batch{set(3)}}).AppendTo(nil), ""},
		{(&Entry{StampMillis: 4, MonoMillis: 4, OOMLimit: limit, Batches: []Batch{set(4)}}).AppendTo(nil), command.CodeOOM},
		{formerEntry(5, 2*176, set(5)), ""},
		{formerEntry(6, 2*176, set(6)), command.CodeOOM},
	} {
		if i == 4 {
			r = restored(t, r)
		}
		if got := codeOf(r.apply(c.entry)[0].Replies[0]); got != c.code {
			t.Errorf("entry %d: %q, want %q", i+1, got, c.code)
		}
	}
}

// The mark of the sizes is in every entry with a limit, and costs no memory of its own.
func TestMarkOfSizesIsNotAllocated(t *testing.T) {
	dst := make([]byte, 0, 1<<10)
	e := Entry{OOMLimit: 1 << 20, Settings: []SettingChange{{SettingLeaseMillis, 7}}}
	if n := testing.AllocsPerRun(100, func() { e.AppendTo(dst) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
