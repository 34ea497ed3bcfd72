package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// The contract of engine.go, clause by clause, for every engine of the table. The clauses about a single call
// are asked of the engine itself; those about whole histories run through a Store, which hides nothing of the
// engine when it has no cache.

// clause is one promise. test says how an engine breaks it.
type clause struct {
	name string
	test func(c *trial) error
}

func clauses() []clause {
	return []clause{
		{"an empty log", emptyLog},
		{"entries are as they were appended", entriesAsAppended},
		{"memory is not shared", memoryNotShared},
		{"stable values stay", stableValuesStay},
		{"a head goes", func(c *trial) error { return c.deletes(1, 4) }},
		{"a tail goes and others follow", func(c *trial) error { return c.deletes(6, 9) }},
		{"a log continues anywhere", continuesAnywhere},
		{"one owner", oneOwner},
		{"an earlier end is damage", earlierEndIsDamage},
		{"a reader changes nothing", readerChangesNothing},
		{"room", roomIsBounded},
	}
}

func TestContract(t *testing.T) {
	for _, kind := range engineKinds {
		t.Run(kind.name, func(t *testing.T) {
			for _, c := range clauses() {
				t.Run(c.name, func(t *testing.T) {
					if err := runClause(c, kind, t.TempDir()); err != nil {
						t.Fatal(err)
					}
				})
			}
			for name, test := range map[string]func(*testing.T, string){
				"histories match a model":     historiesMatchModel,
				"power failures":              powerFailures,
				"damage is reported":          damageReported,
				"reopening":                   storeAndReopen,
				"a truncated tail is durable": truncatedTailReopened,
				"other engines are refused":   othersRefused,
				"what a reader sees":          readerSees,
			} {
				t.Run(name, func(t *testing.T) { test(t, kind.name) })
			}
		})
	}
}

func runClause(c clause, kind engineKind, dir string) error {
	tr := &trial{kind: kind, dir: filepath.Join(dir, "log")}
	if err := os.Mkdir(tr.dir, 0o700); err != nil {
		return err
	}
	err := c.test(tr)
	for _, e := range tr.engines {
		err = errors.Join(err, e.close())
	}
	return err
}

// trial is a log of one engine.
type trial struct {
	kind      engineKind
	dir       string
	free      int64 // what Free says; 0: a lot
	watermark uint64
	engines   []engine // that are open
	told      []uint64 // what the last open said of entries
}

// open opens the log, after closing it if it is open.
func (c *trial) open() (engine, error) {
	if err := c.close(); err != nil {
		return nil, err
	}
	return c.openBeside()
}

func (c *trial) close() error {
	var err error
	for _, e := range c.engines {
		err = errors.Join(err, e.close())
	}
	c.engines = nil
	return err
}

func (c *trial) openBeside() (engine, error) {
	o := Options{Dir: c.dir, Engine: c.kind.name, SegmentBytes: 1 << 20}
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	o.Free = func() (int64, error) {
		if c.free > 0 {
			return c.free, nil
		}
		return 1 << 40, nil
	}
	c.told = nil
	e, err := c.kind.open(opening{
		Options: o, watermark: c.watermark, recovery: &Recovery{},
		onEntry: func(index uint64, _ raft.LogType, _ int64) { c.told = append(c.told, index) },
	})
	if err == nil {
		c.engines = append(c.engines, e)
	}
	return e, err
}

// holds demands exactly these entries of e, and nothing beside them.
func holds(e engine, want ...*raft.Log) error {
	first, last, err := e.bounds()
	if err != nil {
		return err
	}
	if len(want) == 0 {
		if first != 0 || last != 0 {
			return fmt.Errorf("%d to %d in an empty log", first, last)
		}
		return absent(e, 0, 1, math.MaxUint64)
	}
	if first != want[0].Index || last != want[len(want)-1].Index {
		return fmt.Errorf("entries %d to %d, want %d to %d", first, last, want[0].Index, want[len(want)-1].Index)
	}
	for _, w := range want {
		got := raft.Log{Term: 99, Data: []byte("from before"), Extensions: []byte("from before")}
		if err := e.get(w.Index, &got); err != nil {
			return fmt.Errorf("entry %d: %v", w.Index, err)
		}
		if !sameEntry(&got, w) || got.Data != nil && len(got.Data) == 0 || got.Extensions != nil && len(got.Extensions) == 0 {
			return fmt.Errorf("entry %d: %+v, want %+v", w.Index, got, *w)
		}
	}
	return absent(e, 0, first-1, last+1, last+1000)
}

func absent(e engine, indexes ...uint64) error {
	for _, i := range indexes {
		var l raft.Log
		if err := e.get(i, &l); err != raft.ErrLogNotFound {
			return fmt.Errorf("entry %d, which is not there: %v", i, err)
		}
	}
	return nil
}

// keeps demands the entries now and after each of two more starts, and that open tells of each.
func (c *trial) keeps(e engine, want ...*raft.Log) error {
	for range 2 {
		err := holds(e, want...)
		if err != nil {
			return err
		}
		if e, err = c.open(); err != nil {
			return fmt.Errorf("open again: %v", err)
		}
		if !slices.EqualFunc(c.told, want, func(got uint64, w *raft.Log) bool { return got == w.Index }) {
			return fmt.Errorf("open told of %v", c.told)
		}
	}
	return holds(e, want...)
}

// filled opens a log and appends entries 1 to 9.
func (c *trial) filled() (engine, []*raft.Log, error) {
	e, err := c.open()
	if err != nil {
		return nil, nil, err
	}
	logs := batch(1, 9, 300)
	for i := range 3 {
		if err := e.append(logs[3*i : 3*i+3]); err != nil {
			return nil, nil, err
		}
	}
	return e, logs, nil
}

func emptyLog(c *trial) error {
	e, err := c.open()
	if err != nil {
		return err
	}
	if !c.kind.in(c.dir) {
		return fmt.Errorf("no %s after the first open", c.kind.marker)
	}
	if val, err := e.getStable([]byte("vote")); val != nil || err != nil {
		return fmt.Errorf("a value that was never set: %q, %v", val, err)
	}
	return c.keeps(e)
}

func entriesAsAppended(c *trial) error {
	e, err := c.open()
	if err != nil {
		return err
	}
	logs := []*raft.Log{
		{Index: 7, Term: 1},
		{Index: 8, Term: 1, Type: raft.LogConfiguration, Data: []byte("d")},
		{Index: 9, Term: math.MaxUint64, Type: raft.LogBarrier, Extensions: []byte("e")},
		{Index: 10, Term: 2, Data: []byte{}, Extensions: []byte{}, AppendedAt: time.Unix(0, 1)},
		{Index: 11, Term: 2, Data: make([]byte, 3<<20), AppendedAt: time.Now()},
		{Index: 12, Term: 2, Data: []byte("d"), Extensions: make([]byte, 100_000)},
	}
	if err := errors.Join(e.append(logs[:4]), e.append(logs[4:5]), e.append(logs[5:])); err != nil {
		return err
	}
	return c.keeps(e, logs...)
}

func memoryNotShared(c *trial) error {
	e, logs, err := c.filled()
	if err != nil {
		return err
	}
	mine := entry(10, 1, 300)
	before := *mine
	key, val := []byte("vote"), []byte("n1")
	if err := errors.Join(e.append([]*raft.Log{mine}), e.setStable(key, val)); err != nil {
		return err
	}
	if !sameEntry(mine, &before) || string(key) != "vote" || string(val) != "n1" {
		return errors.New("the caller's memory was changed")
	}
	want := entry(10, 1, 300)
	clear(mine.Data) // the caller's again
	clear(mine.Extensions)
	clear(val)
	for range 2 {
		var got raft.Log
		if err := e.get(10, &got); err != nil || !sameEntry(&got, want) {
			return fmt.Errorf("the caller's memory was kept: %+v, %v", got, err)
		}
		clear(got.Data)
		clear(got.Extensions)
		stable, err := e.getStable([]byte("vote"))
		if err != nil || string(stable) != "n1" {
			return fmt.Errorf("the caller's memory was kept: vote %q, %v", stable, err)
		}
		clear(stable)
	}
	return c.keeps(e, append(logs, want)...)
}

func stableValuesStay(c *trial) error {
	e, logs, err := c.filled()
	if err != nil {
		return err
	}
	want := map[string]string{}
	for i := range 40 { // more than fits one page of a B+ tree
		key, val := fmt.Sprint("key", i), string(bytes.Repeat([]byte{byte(i)}, i*10))
		if err := errors.Join(e.setStable([]byte(key), []byte("old")), e.setStable([]byte(key), []byte(val))); err != nil {
			return err
		}
		want[key] = val
	}
	if err := e.deleteRange(1, 9); err != nil {
		return err
	}
	for range 2 {
		for key := range maps.Keys(want) {
			if val, err := e.getStable([]byte(key)); err != nil || val == nil || string(val) != want[key] {
				return fmt.Errorf("%s is %q, %v", key, val, err)
			}
		}
		if val, err := e.getStable([]byte("key")); val != nil || err != nil {
			return fmt.Errorf("a value that was never set: %q, %v", val, err)
		}
		if e, err = c.open(); err != nil {
			return err
		}
	}
	return errors.Join(e.append(logs), c.keeps(e, logs...))
}

// deletes removes a head or a tail of 1 to 9, and appends behind what is left.
func (c *trial) deletes(low, high uint64) error {
	e, logs, err := c.filled()
	if err != nil {
		return err
	}
	if err := e.deleteRange(low, high); err != nil {
		return err
	}
	left := slices.DeleteFunc(logs, func(l *raft.Log) bool { return l.Index >= low && l.Index <= high })
	if err := c.keeps(e, left...); err != nil {
		return err
	}
	e = c.engines[0]
	for i := range uint64(8) { // at the old indexes, of another term
		next := entry(left[len(left)-1].Index+1, 2+i, 20)
		if err := e.append([]*raft.Log{next}); err != nil {
			return err
		}
		left = append(left, next)
	}
	return c.keeps(e, left...)
}

func continuesAnywhere(c *trial) error {
	e, _, err := c.filled()
	if err != nil {
		return err
	}
	for _, from := range []uint64{1000, 3, 1 << 40} {
		first, last, err := e.bounds()
		if err := errors.Join(err, e.deleteRange(first, last)); err != nil {
			return err
		}
		if err := c.keeps(e); err != nil {
			return err
		}
		e = c.engines[0]
		logs := batch(from, 5, 100)
		if err := errors.Join(e.append(logs[:2]), e.append(logs[2:])); err != nil {
			return err
		}
		if err := c.keeps(e, logs...); err != nil {
			return err
		}
		e = c.engines[0]
	}
	return nil
}

func oneOwner(c *trial) error {
	e, logs, err := c.filled()
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err := c.openBeside(); !errors.Is(err, ErrLocked) {
		return fmt.Errorf("a second owner: %v", err)
	}
	if _, err := c.kind.read(c.dir, 0); !errors.Is(err, ErrLocked) {
		return fmt.Errorf("a reader beside the owner: %v", err)
	}
	if took := time.Since(began); took > 10*lockTimeout {
		return fmt.Errorf("being refused took %v", took)
	}
	return c.keeps(e, logs...)
}

func earlierEndIsDamage(c *trial) error {
	if _, _, err := c.filled(); err != nil {
		return err
	}
	c.watermark = 9
	if _, err := c.open(); err != nil {
		return err
	}
	if err := c.close(); err != nil {
		return err
	}
	c.watermark = 10
	var damage *CorruptError
	if _, err := c.open(); !errors.As(err, &damage) || damage.File == "" {
		return fmt.Errorf("a log that ends at 9 of 10: %v", err)
	}
	if _, err := c.kind.read(c.dir, 10); !errors.As(err, &damage) || damage.File == "" {
		return fmt.Errorf("a reader of a log that ends at 9 of 10: %v", err)
	}
	return nil
}

func readerChangesNothing(c *trial) error {
	_, logs, err := c.filled()
	if err := errors.Join(err, c.close()); err != nil {
		return err
	}
	before, err := filesOf(c.dir)
	if err != nil {
		return err
	}
	r, err := c.kind.read(c.dir, 9)
	if err != nil {
		return err
	}
	var got []*raft.Log
	err = r.Each(0, func(l *raft.Log) error { got = append(got, l); return nil })
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if !slices.EqualFunc(got, logs, sameEntry) {
		return fmt.Errorf("a reader sees %d entries of %d", len(got), len(logs))
	}
	after, err := filesOf(c.dir)
	if err != nil {
		return err
	}
	if !maps.EqualFunc(before, after, bytes.Equal) {
		return errors.New("a reader changed a file")
	}
	return nil
}

func filesOf(dir string) (map[string][]byte, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, f := range files {
		if all[f.Name()], err = os.ReadFile(filepath.Join(dir, f.Name())); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// others are the files that an engine needs beside what it takes in advance.
const others = 128 << 10

func roomIsBounded(c *trial) error {
	for _, free := range []int64{0, 400 << 10} {
		if err := errors.Join(c.close(), os.RemoveAll(c.dir), os.Mkdir(c.dir, 0o700)); err != nil {
			return err
		}
		c.free = free
		e, err := c.open()
		if err != nil {
			return err
		}
		bound := c.kind.room(1 << 20)
		if free > 0 {
			bound = min(bound, free/4)
		}
		files, err := filesOf(c.dir)
		if err != nil {
			return err
		}
		sum := int64(0)
		for _, b := range files {
			sum += int64(len(b))
		}
		if sum > bound+others {
			return fmt.Errorf("an empty log takes %d bytes of %d that are free", sum, free)
		}
		var all []*raft.Log
		for i := range 20 { // more than a segment
			next := batch(uint64(i*10+1), 10, 10_000)
			if err := e.append(next); err != nil {
				return err
			}
			all = append(all, next...)
		}
		if err := c.keeps(e, all...); err != nil {
			return err
		}
	}
	return nil
}
