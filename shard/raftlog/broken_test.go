package raftlog

import (
	"slices"
	"testing"

	"github.com/hashicorp/raft"
)

// brokenEngine is engine plain with one promise broken.
type brokenEngine struct {
	*plainEngine
	breakage
}

// breakage overrides calls; nil: as they should be.
type breakage struct {
	append      func(e *plainEngine, logs []*raft.Log) error
	get         func(e *plainEngine, index uint64, l *raft.Log) error
	deleteRange func(e *plainEngine, min, max uint64) error
	setStable   func(e *plainEngine, key, val []byte) error
	getStable   func(e *plainEngine, key []byte) ([]byte, error)
	opening     func(o *opening)
}

func (e brokenEngine) append(logs []*raft.Log) error {
	if e.breakage.append != nil {
		return e.breakage.append(e.plainEngine, logs)
	}
	return e.plainEngine.append(logs)
}

func (e brokenEngine) get(index uint64, l *raft.Log) error {
	if e.breakage.get != nil {
		return e.breakage.get(e.plainEngine, index, l)
	}
	return e.plainEngine.get(index, l)
}

func (e brokenEngine) deleteRange(low, high uint64) error {
	if e.breakage.deleteRange != nil {
		return e.breakage.deleteRange(e.plainEngine, low, high)
	}
	return e.plainEngine.deleteRange(low, high)
}

func (e brokenEngine) setStable(key, val []byte) error {
	if e.breakage.setStable != nil {
		return e.breakage.setStable(e.plainEngine, key, val)
	}
	return e.plainEngine.setStable(key, val)
}

func (e brokenEngine) getStable(key []byte) ([]byte, error) {
	if e.breakage.getStable != nil {
		return e.breakage.getStable(e.plainEngine, key)
	}
	return e.plainEngine.getStable(key)
}

// The contract's test must notice each of these.
func TestContractNoticesABrokenEngine(t *testing.T) {
	for name, b := range map[string]breakage{
		"keeps the caller's memory": {append: func(e *plainEngine, logs []*raft.Log) error {
			if err := e.append(logs); err != nil {
				return err
			}
			for i, l := range logs { // as long as it runs
				e.now.Logs[len(e.now.Logs)-len(logs)+i] = *l
			}
			return nil
		}},
		"changes the caller's entry": {append: func(e *plainEngine, logs []*raft.Log) error {
			err := e.append(logs)
			logs[0].Extensions = append(logs[0].Extensions, 0)
			return err
		}},
		"forgets in a crash": {append: func(e *plainEngine, logs []*raft.Log) error {
			for _, l := range logs {
				e.now.Logs = append(e.now.Logs, copyOf(*l))
			}
			return nil
		}},
		"forgets the time": {append: func(e *plainEngine, logs []*raft.Log) error {
			var changed []*raft.Log
			for _, l := range logs {
				c := *l
				c.AppendedAt = c.AppendedAt.Truncate(1000)
				changed = append(changed, &c)
			}
			return e.append(changed)
		}},
		"hands out its own memory": {get: func(e *plainEngine, index uint64, l *raft.Log) error {
			if err := e.get(index, l); err != nil {
				return err
			}
			*l = e.now.Logs[index-e.now.Logs[0].Index]
			return nil
		}},
		"leaves what was in the entry": {get: func(e *plainEngine, index uint64, l *raft.Log) error {
			data := l.Data
			err := e.get(index, l)
			if l.Data == nil {
				l.Data = data
			}
			return err
		}},
		"has an error of its own": {get: func(e *plainEngine, index uint64, l *raft.Log) error {
			if e.get(index, l) != nil {
				return errRemains
			}
			return nil
		}},
		"removes one too many": {deleteRange: func(e *plainEngine, low, high uint64) error { return e.deleteRange(low, high+1) }},
		"removes nothing":      {deleteRange: func(*plainEngine, uint64, uint64) error { return nil }},
		"loses values with the log": {deleteRange: func(e *plainEngine, low, high uint64) error {
			e.now.Stable = map[string][]byte{}
			return e.deleteRange(low, high)
		}},
		"sets the first value only": {setStable: func(e *plainEngine, key, val []byte) error {
			if e.now.Stable[string(key)] != nil {
				return nil
			}
			return e.setStable(key, val)
		}},
		"an empty value is none": {getStable: func(e *plainEngine, key []byte) ([]byte, error) {
			return slices.Clip(append([]byte(nil), e.now.Stable[string(key)]...)), nil
		}},
		"no value is an empty one": {getStable: func(e *plainEngine, key []byte) ([]byte, error) {
			return append([]byte{}, e.now.Stable[string(key)]...), nil
		}},
		"does not look at the watermark": {opening: func(o *opening) { o.watermark = 0 }},
		"tells of nothing":               {opening: func(o *opening) { o.onEntry = func(uint64, raft.LogType, int64) {} }},
	} {
		t.Run(name, func(t *testing.T) {
			kind, err := kindOf(enginePlain)
			if err != nil {
				t.Fatal(err)
			}
			kind.open = func(o opening) (engine, error) {
				if b.opening != nil {
					b.opening(&o)
				}
				e, err := openPlain(o)
				if err != nil {
					return nil, err
				}
				return brokenEngine{e.(*plainEngine), b}, nil
			}
			for _, c := range clauses() {
				if c.name == "room" || c.name == "one owner" { // slow, and no breakage is for them
					continue
				}
				if err := runClause(c, kind, t.TempDir()); err != nil {
					t.Logf("%s: %v", c.name, err)
					return
				}
			}
			t.Error("no clause notices it")
		})
	}
}
