package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/hashicorp/raft"
)

// image is a log directory in memory: what a damage test changes and writes out again.
type image map[string][]byte

func takeImage(t testing.TB, dir string) image {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	im := image{}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		im[f.Name()] = b
	}
	return im
}

func (im image) write(t testing.TB, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, b := range im {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// with returns a copy in which one file differs.
func (im image) with(name string, change func([]byte) []byte) image {
	out := maps.Clone(im)
	out[name] = change(slices.Clone(im[name]))
	return out
}

func (im image) without(name string) image {
	out := maps.Clone(im)
	delete(out, name)
	return out
}

// builtLog is a closed log with several segments and its contents.
type builtLog struct {
	o    Options
	all  []*raft.Log
	lens []int // entries per batch
	im   image
	// beforeLast is the log as it was before the last batch, for its watermark.
	beforeLast image
}

func (b *builtLog) lastBatch() int { return b.lens[len(b.lens)-1] }

// buildLog writes batches of different shapes; the directory is closed in between so that both images
// are complete.
func buildLog(t testing.TB, engine string, batches int) *builtLog {
	t.Helper()
	b := &builtLog{o: Options{Dir: filepath.Join(t.TempDir(), "log"), Engine: engine, SegmentBytes: 6 << 10, CacheBytes: -1}}
	s := mustOpen(t, b.o)
	next := uint64(1)
	for i := range batches {
		if i == batches-1 {
			mustClose(t, s)
			b.beforeLast = takeImage(t, b.o.Dir)
			s = mustOpen(t, b.o)
		}
		n := 1 + i%3
		logs := batch(next, n, []int{0, 30, 700, 1500, 5}[i%5])
		mustStore(t, s, logs...)
		b.all, b.lens = append(b.all, logs...), append(b.lens, n)
		next += uint64(n)
	}
	if err := s.SetUint64([]byte("CurrentTerm"), 7); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	b.im = takeImage(t, b.o.Dir)
	return b
}

// segments are the wal files, oldest first.
func (im image) segments() []string {
	var out []string
	for name := range im {
		if filepath.Ext(name) == ".wal" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// tryOpen opens a damaged log. It returns the number of entries if it opened, and demands that they are
// the log's first ones, readable also after a reopen; otherwise the error must be a CorruptError.
func (b *builtLog) tryOpen(t *testing.T, im image, what string) (entries int, damage *CorruptError) {
	t.Helper()
	im.write(t, b.o.Dir)
	s, err := Open(b.o)
	if err != nil {
		if !errors.As(err, &damage) || damage.File == "" {
			t.Fatalf("%s: not a CorruptError with a file: %v", what, err)
		}
		return 0, damage
	}
	defer s.Close()
	_, last := s.bounds()
	for i := range last {
		var l raft.Log
		if err := s.GetLog(i+1, &l); err != nil {
			if errors.As(err, &damage) && damage.File != "" {
				return 0, damage
			}
			t.Fatalf("%s: entry %d: %v", what, i+1, err)
		}
		if !sameEntry(&l, b.all[i]) {
			t.Fatalf("%s: entry %d is silently wrong: %+v", what, i+1, l)
		}
	}
	// Damage of it must have been found by Open: a node repairs what that reports.
	if term, err := s.GetUint64([]byte("CurrentTerm")); err != nil || term != 7 && term != 0 {
		t.Fatalf("%s: term %d, %v", what, term, err)
	}
	return int(last), nil
}

// mustKeepAll demands all entries or a CorruptError.
func (b *builtLog) mustKeepAll(t *testing.T, im image, what string) (reported bool) {
	t.Helper()
	n, damage := b.tryOpen(t, im, what)
	if damage != nil && filepath.Base(damage.File) == boltFile && damage.Offset < 0 {
		t.Fatalf("%s: reported without an offset: %v", what, damage)
	}
	if damage == nil && n != len(b.all) {
		t.Fatalf("%s: opened with %d of %d acknowledged entries", what, n, len(b.all))
	}
	return damage != nil
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte { b[at] ^= 1 << (at % 8); return b }
}

func cut(at int) func([]byte) []byte { return func(b []byte) []byte { return b[:at] } }

func zeroSector(at int) func([]byte) []byte {
	return func(b []byte) []byte { clear(b[at:min(at+sectorLen, len(b))]); return b }
}

func damageReported(t *testing.T, engine string) {
	b := buildLog(t, engine, 14)
	for name, content := range b.im {
		used := int(lastNonZero(content)) + 1
		step := max(1, used/97)
		var flips, reported int
		for at := 0; at < min(used+64, len(content)); at += step {
			flips++
			if b.mustKeepAll(t, b.im.with(name, flip(at)), fmt.Sprintf("bit flipped in %s at %d", name, at)) {
				reported++
			}
		}
		for at := 0; at < used; at += max(sectorLen, used/40) {
			b.mustKeepAll(t, b.im.with(name, cut(at)), fmt.Sprintf("%s cut to %d bytes", name, at))
			b.mustKeepAll(t, b.im.with(name, zeroSector(at)), fmt.Sprintf("sector of %s zeroed at %d", name, at))
		}
		t.Logf("%s: %d of %d flipped bits reported, the others harmless", name, reported, flips)
		if filepath.Ext(name) == ".wal" && reported < flips*9/10 {
			t.Errorf("%s: only %d of %d flipped bits reported", name, reported, flips)
		}
	}
}

// TestDamagedStableValueIsReportedByOpen: every bit of every one.
func TestDamagedStableValueIsReportedByOpen(t *testing.T) {
	b := buildLog(t, EngineBolt, 3)
	content := b.im[boltFile]
	at := int(locateBolt(bytes.NewReader(content), int64(len(content)), boltStable, []byte("CurrentTerm")))
	if at < 0 {
		t.Fatal("the term is not in the file")
	}
	for i := range 8 + 4 + len("CurrentTerm") { // value, checksum, name
		if _, damage := b.tryOpen(t, b.im.with(boltFile, flip(at+i)), "bit flipped in the term"); damage == nil || damage.Offset < 0 {
			t.Errorf("byte %d: reported as %v", i, damage)
		}
	}
}

// Damage within an entry is reported with the file, the index, and the place of that entry in the file.
func TestDamagedEntryIsReportedWithItsOffset(t *testing.T) {
	for _, engine := range []string{EngineWAL, EngineBolt} { // plain has one checksum for all
		t.Run(engine, func(t *testing.T) { damagedEntryHasItsOffset(t, engine) })
	}
}

func damagedEntryHasItsOffset(t *testing.T, engine string) {
	b := buildLog(t, engine, 14)
	reported := 0
	for _, want := range b.all {
		if len(want.Data) < 30 {
			continue
		}
		for name, content := range b.im {
			at := bytes.Index(content, want.Data)
			if at < 0 || name == watermarkFile {
				continue
			}
			_, damage := b.tryOpen(t, b.im.with(name, flip(at+20)), "bit flipped in an entry")
			if damage != nil {
				reported++
			}
			switch {
			case damage == nil && engine == EngineBolt: // a page that is not in use any more
			case damage == nil:
				t.Errorf("damage of entry %d at %d is not reported", want.Index, at+20)
			case engine == EngineBolt && damage.Index != want.Index:
				t.Errorf("damage of entry %d is reported for %d", want.Index, damage.Index)
			case filepath.Base(damage.File) != name || damage.Offset < int64(at-sectorLen) || damage.Offset > int64(at+len(want.Data)):
				t.Errorf("damage of entry %d at %d of %s is reported as %v", want.Index, at+20, name, damage)
			}
		}
	}
	if reported < 5 {
		t.Errorf("only %d damaged entries reported", reported)
	}
}

func TestMissingFileIsReported(t *testing.T) {
	b := buildLog(t, EngineWAL, 14)
	for name := range b.im {
		reported := b.mustKeepAll(t, b.im.without(name), "without "+name)
		if !reported && name != watermarkFile {
			t.Errorf("nothing said about missing %s", name)
		}
	}
}

// Without a usable watermark the log's own contents must tell damage in any batch but the last.
func TestDamageBeforeLastBatchIsReportedWithoutWatermark(t *testing.T) {
	b := buildLog(t, EngineWAL, 14)
	segs := b.im.segments()
	tail := segs[len(segs)-1]
	before := b.beforeLast[tail]
	if before == nil {
		t.Fatal("the last batch began a segment")
	}
	plain := b.im.without(watermarkFile)
	end := int(lastNonZero(before)) + 1
	for at := range end {
		b.mustKeepAll(t, plain.with(tail, flip(at)), fmt.Sprintf("bit flipped at %d of %d", at, end))
	}
	for at := 0; at < end; at += 64 {
		change := func(c []byte) []byte { clear(c[at:min(at+64, end)]); return c }
		b.mustKeepAll(t, plain.with(tail, change), fmt.Sprintf("zeroed at %d of %d", at, end))
	}
	// A torn last batch behind the damage must not hide it.
	torn := plain.with(tail, func(c []byte) []byte { n := int(lastNonZero(c)); clear(c[n-15:]); return c })
	for at := 0; at < end; at += 3 {
		if !b.mustKeepAll(t, torn.with(tail, flip(at)), fmt.Sprintf("torn, and bit flipped at %d of %d", at, end)) {
			t.Fatalf("damage at %d not reported", at)
		}
	}
}

// A crash leaves any subset of the sectors of the write that it interrupts.
func TestTornLastBatchIsRemoved(t *testing.T) {
	for _, batches := range []int{1, 8, 13} {
		t.Run(fmt.Sprint(batches, " batches"), func(t *testing.T) {
			b := buildLog(t, EngineWAL, batches)
			segs := b.im.segments()
			tail := segs[len(segs)-1]
			old := bytes.Clone(b.beforeLast[tail])
			if old == nil {
				t.Fatal("the last batch began a segment")
			}
			full := b.im[tail]
			old = append(old, make([]byte, len(full)-len(old))...)
			crashed := maps.Clone(b.im)
			crashed[watermarkFile] = b.beforeLast[watermarkFile]
			from := int(lastNonZero(old)+1) / sectorLen
			to := int(lastNonZero(full))/sectorLen + 1
			for subset := range 1 << (to - from) {
				content := bytes.Clone(full)
				for sector := range to - from {
					if subset&(1<<sector) != 0 {
						at := (from + sector) * sectorLen
						copy(content[at:min(at+sectorLen, len(full))], old[at:])
					}
				}
				b.checkTorn(t, crashed.with(tail, func([]byte) []byte { return content }), fmt.Sprintf("sectors %b lost", subset))
			}
			from = int(lastNonZero(old)) + 1
			for at := from; at < to*sectorLen && at < len(full); at += 29 {
				b.checkTorn(t, crashed.with(tail, cut(at)), fmt.Sprintf("cut at %d", at))
			}
			// A frame may have its header alone, whose last bytes are zeros.
			for at := (from + frameLen - 1) / frameLen * frameLen; at < to*sectorLen && at < len(full); at += frameLen {
				b.checkTorn(t, crashed.with(tail, cut(at)), fmt.Sprintf("cut at %d", at))
			}
		})
	}
}

// checkTorn demands the acknowledged prefix or everything, and a log that works and stays so.
func (b *builtLog) checkTorn(t *testing.T, im image, what string) {
	t.Helper()
	n, damage := b.tryOpen(t, im, what)
	prefix := len(b.all) - b.lastBatch()
	if damage != nil || n != prefix && n != len(b.all) {
		t.Fatalf("%s: %d entries of %d (%d acknowledged), %v", what, n, len(b.all), prefix, damage)
	}
	s := mustOpen(t, b.o)
	if s.Recovery().TornBytes != 0 {
		t.Fatalf("%s: remains are still there", what)
	}
	want := append(slices.Clone(b.all[:n]), entry(uint64(n+1), 3, 40), entry(uint64(n+2), 3, 0))
	mustStore(t, s, want[n:]...)
	mustClose(t, s)
	s = mustOpen(t, b.o)
	checkEntries(t, s, want...)
	mustClose(t, s)
}

// An entry whose data looks like log frames must not confuse recovery.
func TestDataThatLooksLikeALogIsNotTakenForOne(t *testing.T) {
	b := buildLog(t, EngineWAL, 8)
	segs := b.im.segments()
	payload := b.im[segs[len(segs)-1]][:3000]
	other := builtLog{o: Options{Dir: filepath.Join(t.TempDir(), "log"), SegmentBytes: 32 << 10, CacheBytes: -1}}
	s := mustOpen(t, other.o)
	other.all = []*raft.Log{entry(1, 1, 100), {Index: 2, Term: 1, Data: payload}}
	other.lens = []int{1, 1}
	mustStore(t, s, other.all[0])
	mustClose(t, s)
	other.beforeLast = takeImage(t, other.o.Dir)
	s = mustOpen(t, other.o)
	mustStore(t, s, other.all[1])
	mustClose(t, s)
	im := takeImage(t, other.o.Dir)
	im[watermarkFile] = other.beforeLast[watermarkFile]
	tail := im.segments()[0]
	for _, at := range []int{0, 512, 1024, 1536} {
		other.checkTorn(t, im.with(tail, zeroSector(at+sectorLen)), fmt.Sprint("sector lost at ", at+sectorLen))
	}
}

// A rotation that a crash cut short must be finished: else every later write fails.
func TestSealedTailIsUsableAfterCrashBeforeRotation(t *testing.T) {
	o := Options{Dir: filepath.Join(t.TempDir(), "log"), SegmentBytes: 4 << 10, CacheBytes: -1}
	s := mustOpen(t, o)
	mustStore(t, s, batch(1, 2, 800)...)
	mustClose(t, s)
	before := takeImage(t, o.Dir)
	s = mustOpen(t, o)
	mustStore(t, s, batch(3, 3, 800)...)
	mustClose(t, s)
	crashed := takeImage(t, o.Dir)
	segs := crashed.segments()
	if len(segs) != 2 {
		t.Fatalf("%d segments, want a rotation", len(segs))
	}
	crashed = crashed.without(segs[1])
	crashed[walMetaFile] = before[walMetaFile]
	crashed.write(t, o.Dir)
	s = mustOpen(t, o)
	want := append(batch(1, 5, 800), entry(6, 1, 10))
	mustStore(t, s, want[5])
	mustClose(t, s)
	checkEntries(t, mustOpen(t, o), want...)
}

// A deletion right behind the write that seals a segment must not make the rotation seal the wrong one. One
// processor keeps the rotation from running in between.
func TestDeletionBeforeRotation(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	o := Options{Dir: t.TempDir(), SegmentBytes: 4 << 10, CacheBytes: -1}
	s := mustOpen(t, o)
	for _, step := range []error{
		s.engine.append(batch(1, 10, 500)), s.engine.deleteRange(4, 10), s.engine.append(batch(4, 3, 500)),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	mustClose(t, s)
	checkEntries(t, mustOpen(t, o), batch(1, 6, 500)...)
}

// A crash leaves zeros, never flipped bits: even the last batch, and without a watermark.
func TestFlippedBitInLastBatchIsNotTakenForCrash(t *testing.T) {
	b := buildLog(t, EngineWAL, 8)
	segs := b.im.segments()
	tail := segs[len(segs)-1]
	plain := b.im.without(watermarkFile)
	from, to := int(lastNonZero(b.beforeLast[tail]))+1, int(lastNonZero(b.im[tail]))+1
	reported := 0
	for at := from; at < to; at++ {
		if _, damage := b.tryOpen(t, plain.with(tail, flip(at)), fmt.Sprintf("bit flipped at %d", at)); damage != nil {
			reported++
		}
	}
	// A damaged length can look like a batch whose end is missing.
	if reported < (to-from)*98/100 {
		t.Fatalf("%d of %d flipped bits reported", reported, to-from)
	}
}
