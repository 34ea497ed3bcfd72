package fsm

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/heapuse"
	"github.com/lockstepkv/lockstep/resp"
)

// TestEntriesOfOtherVersionsAreRefused: by the version, not as damage.
func TestEntriesOfOtherVersionsAreRefused(t *testing.T) {
	var e Entry
	err := DecodeEntry([]byte{1, 1, 5, 7, 0, 0, 0}, &e)
	if err == nil || !strings.Contains(err.Error(), "format version 1") {
		t.Errorf("%v", err)
	}
}

// TestValueLimitTravelsWithTheEntry: how long a value may grow is decided by the
// entry, not by the replica that applies it; nor does it outlast the entry.
func TestValueLimitTravelsWithTheEntry(t *testing.T) {
	r := &replica{f: newTestFSM()}
	limited := Entry{StampMillis: 1, ValueLimit: 1024, Batches: []Batch{
		batch("n1", 1, 1, 0, "SETRANGE k 1023 x", "APPEND k y", "SETRANGE k 1024 y", "SETRANGE k 536870911 y", "STRLEN k")}}
	tooLong := resp.ErrorReply(resp.ClassedError{Text: "ERR string exceeds maximum allowed size (proto-max-bulk-len)", Class: resp.ClassTooLarge})
	replies := r.apply(limited.AppendTo(nil))[0].Replies
	for i, want := range []resp.Value{resp.Int(1024), tooLong, tooLong, tooLong, resp.Int(1024)} {
		if got := replies[i]; got.Int != want.Int || string(got.Str) != string(want.Str) {
			t.Errorf("command %d answered %d %q", i, got.Int, got.Str)
		}
	}
	if got := r.apply(entryOf(2, batch("n1", 1, 2, 1, "APPEND k y")))[0].Replies[0]; got.Int != 1025 {
		t.Errorf("without a limit: %d %q", got.Int, got.Str)
	}
}

// What decoding may take in memory for each byte of its input: a batch of batchBytes
// becomes a Batch in a list that grew, a session of four bytes a map.
const (
	entryFactor = 64
	stateFactor = 256
)

// A number of things that are not there claims no memory, and the first failure ends
// the reading.
func TestEntriesTakeMemoryForWhatIsThere(t *testing.T) {
	const n = 8 << 20
	filler := bytes.Repeat([]byte{0xff}, n)
	head := []byte{FormatVersion, kindBatches, 1, 1, 0, 0}
	lie := func(zeros int) []byte {
		b := append(bytes.Clone(head), make([]byte, zeros)...)
		return append(binary.AppendUvarint(b, n/batchBytes), filler...)
	}
	for name, data := range map[string][]byte{"evictions": lie(0), "settings": lie(1), "batches": lie(2)} {
		var err error
		used := heapuse.Of(func() { err = DecodeEntry(data, new(Entry)) })
		if err == nil || used > 1<<20 {
			t.Errorf("%s: %d bytes allocated, %v", name, used, err)
		}
	}
}

func TestStatesTakeMemoryForWhatIsThere(t *testing.T) {
	const n = 8 << 20
	// One session, with one batch that has n replies.
	b := append([]byte{formerVersion}, make([]byte, 8)...)
	b = append(b, 1, 1, 'n', 1, 0, 1, 1)
	b = append(binary.AppendUvarint(b, n), bytes.Repeat([]byte{0xff}, n)...)
	fresh := newTestFSM()
	var err error
	used := heapuse.Of(func() { err = fresh.decodeState(b) })
	if err == nil || used > 1<<20 {
		t.Errorf("%d bytes allocated, %v", used, err)
	}
}

// The first fragment of an entry tells how long the whole one is: that alone takes
// no memory.
func TestFragmentsTakeMemoryForWhatIsThere(t *testing.T) {
	first := []byte{FormatVersion, kindFragment, 1, 0}
	first = append(binary.AppendUvarint(first, maxAssembled), 1, 'x')
	r := &replica{f: newTestFSM()}
	used := heapuse.Of(func() { r.f.Apply(&raft.Log{Type: raft.LogCommand, Index: 1, Term: 1, Data: first}) })
	if used > 1<<20 || len(r.f.partial.data) != 1 {
		t.Errorf("%d bytes allocated, %d bytes kept", used, len(r.f.partial.data))
	}
}

func FuzzDecodeBatch(f *testing.F) {
	b := batch("n1", 1, 2, 1, "SET a b", "ONCE id GET a")
	f.Add(b.AppendTo(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b Batch
		var err error
		used := heapuse.Exceeds(len(data), entryFactor, func() {
			if b, err = DecodeBatch(data); err == nil {
				err = b.Check()
			}
		})
		if used > 0 {
			t.Fatalf("%d bytes allocated for %d", used, len(data))
		}
		if err != nil {
			return
		}
		if _, err := DecodeBatch(b.AppendTo(nil)); err != nil {
			t.Fatalf("what was decoded and encoded does not decode: %v", err)
		}
	})
}

// A batch in parts is, cut or whole, what it is in one piece; its long arguments are not copied.
func TestBatchInParts(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789abcdef"), command.ReferenceBytes/16)
	var b command.Batch
	b.AddMulti([]command.Watch{{Key: []byte("w"), Version: 1}}, []command.Args{{[]byte("SET"), long, long}, {[]byte("GET"), []byte("k")}})
	b.Add(command.Args{[]byte("SET"), []byte("k"), long, []byte("NX")})
	if len(b.Parts) != 6 || &b.Parts[1][0] != &long[0] || b.Size() < 3*len(long) {
		t.Fatalf("%d parts of %d bytes", len(b.Parts), b.Size())
	}
	parts := Batch{Node: "n1", Boot: 1, Seq: 2, Acked: 1, Units: b.N, Parts: b.Parts, Body: b.Body}
	whole := parts
	whole.Parts, whole.Body = nil, slices.Concat(append(b.Parts, b.Body)...)
	want := whole.AppendTo(nil)
	for name, got := range map[string][]byte{"AppendTo": parts.AppendTo(nil), "Encoded": slices.Concat(parts.Encoded(nil)...)} {
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d", name, len(got), len(want))
		}
	}
	back, err := DecodeBatch(want)
	if err != nil || back.Check() != nil {
		t.Fatal(err, back.Check())
	}
	e := Entry{StampMillis: 1, MonoMillis: 1, Batches: []Batch{parts}}
	r := &replica{f: newTestFSM()}
	var results []BatchResult
	for c := Cut(&e, 1); !c.Done(); {
		results = r.apply(c.Next())
	}
	if len(results) != 1 || len(results[0].Replies) != 2 {
		t.Fatalf("%v", results)
	}
}

// What there is of a large entry is not copied when the state is frozen, under the lock.
func TestUnfinishedEntryIsNotCopied(t *testing.T) {
	b := batch("n1", 1, 1, 0)
	var u command.Batch
	u.Add(command.Args{[]byte("SET"), []byte("k"), make([]byte, 64<<20)})
	b.Units, b.Parts, b.Body = u.N, u.Parts, u.Body
	e := Entry{StampMillis: 1, MonoMillis: 1, Batches: []Batch{b}}
	r := &replica{f: newTestFSM()}
	c := Cut(&e, 1)
	for range 200 {
		r.apply(c.Next())
	}
	var z *frozen
	if used := heapuse.Of(func() { z, _ = r.f.freeze() }); used > 4<<20 {
		t.Errorf("freezing a state with 50 MiB of an entry takes %d bytes", used)
	}
	var file bytes.Buffer
	if err := z.Persist(sink{&file}); err != nil {
		t.Fatal(err)
	}
	z.Release()
	other := &replica{f: newTestFSM(), index: r.index}
	if err := other.f.RestoreFrom(&file); err != nil {
		t.Fatal(err)
	}
	var results []BatchResult
	for !c.Done() {
		next := c.Next()
		r.apply(next)
		results = other.apply(next)
	}
	if len(results) != 1 || r.f.Digest() != other.f.Digest() {
		t.Errorf("%v: %v, want %v", results, other.f.Digest(), r.f.Digest())
	}
}

type sink struct{ *bytes.Buffer }

func (sink) Close() error  { return nil }
func (sink) Cancel() error { return nil }
func (sink) ID() string    { return "" }

// A value that was deleted is not kept by what the state machine uses again.
func TestDeletedLargeValueIsLetGo(t *testing.T) {
	var u command.Batch
	u.Add(command.Args{[]byte("SET"), []byte("k"), make([]byte, 64<<20)})
	e := Entry{StampMillis: 1, MonoMillis: 1, Batches: []Batch{{Node: "n1", Boot: 1, Seq: 1, Units: 1, Parts: u.Parts, Body: u.Body}}}
	r := &replica{f: newTestFSM()}
	for c := Cut(&e, 1); !c.Done(); {
		r.apply(c.Next())
	}
	u, e = command.Batch{}, Entry{}
	r.apply(entryOf(2, batch("n1", 1, 2, 1, "DEL k")))
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 48<<20 {
		t.Errorf("%d MiB are held", m.HeapAlloc>>20)
	}
	runtime.KeepAlive(r)
}
