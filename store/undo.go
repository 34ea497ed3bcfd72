package store

import "slices"

// undo has what changed since Begin, the first change first.
type undo struct{ changes []undone }

// undone is what a key was before a change; nil for absent.
type undone struct {
	key string
	was *Entry
}

// note remembers a change; nothing when nobody may take it back.
func (u *undo) note(key string, was *Entry) {
	if u != nil {
		u.changes = append(u.changes, undone{key, was})
	}
}

// Begin makes the changes that follow such that Rollback can take them back. Commit or
// Rollback ends that. It does not nest.
func (s *Store) Begin() {
	s.undo = new(undo)
	s.valueEpoch++ // old entries keep their collections
}

// Commit keeps the changes since Begin.
func (s *Store) Commit() { s.undo = nil }

// Rollback gives every key the value, version, expiry time and access data that it had
// at Begin. The revision goes on from where it is: no version is given twice, and whoever
// asks RemovedSince may be told of removals that were taken back.
func (s *Store) Rollback() {
	u := s.undo
	s.undo = nil
	for _, c := range slices.Backward(u.changes) {
		if c.was != nil {
			s.put(s.again(c.was))
		} else if e := s.get(c.key); e != nil {
			s.Delete(e)
		}
	}
}

// again makes an entry as e was before it was replaced or deleted, without its places in
// the indexes.
func (s *Store) again(e *Entry) ref {
	r := s.remake(e, e.ExpireAt())
	n := s.mem.at(r)
	n.version = e.version
	n.access.Store(e.access.Load())
	return r
}
