package batch

import (
	"slices"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/shard/session"
	"github.com/lockstepkv/lockstep/store"
)

// pack is the content of one entry on its way.
type pack struct {
	session  *session.Session
	entry    fsm.Entry
	remote   []*incoming
	inFlight []*session.InFlight
	units    int
	tick     bool // it is wanted even if it holds nothing
}

func (pk *pack) empty() bool {
	return len(pk.remote)+len(pk.inFlight)+len(pk.entry.Settings) == 0 && !pk.tick
}

// hold makes the batches those of the entry.
func (pk *pack) hold() {
	pk.entry.Batches, pk.units = nil, 0
	for _, in := range pk.remote {
		pk.entry.Batches = append(pk.entry.Batches, in.batch)
		pk.units += in.batch.Units
	}
	for _, f := range pk.inFlight {
		pk.entry.Batches = append(pk.entry.Batches, f.Batch)
		pk.units += f.Batch.Units
	}
}

// refuse takes batches out for which disks have no room.
func (pk *pack) refuse(which func(*fsm.Batch) bool) {
	pk.remote = slices.DeleteFunc(pk.remote, func(in *incoming) bool {
		no := which(&in.batch)
		if no {
			in.err = session.ErrFull
			close(in.done)
		}
		return no
	})
	pk.inFlight = slices.DeleteFunc(pk.inFlight, func(f *session.InFlight) bool {
		no := which(&f.Batch)
		if no {
			pk.session.Refuse(f, session.ErrFull)
		}
		return no
	})
	pk.hold()
}

// collect takes what waits, up to the size of an entry.
func (p *Packer) collect() *pack {
	pk := &pack{session: p.opt.Session}
	room := fsm.MaxEntryBytes
	p.mu.Lock()
	n := 0
	for n < len(p.queue) && (n == 0 || p.queue[n].batch.Size() <= room) {
		room -= p.queue[n].batch.Size()
		n++
	}
	pk.remote = append(pk.remote, p.queue[:n]...)
	clear(p.queue[:n])
	p.queue = p.queue[n:]
	p.mu.Unlock()
	for _, in := range pk.remote {
		p.queued.Add(-int64(in.batch.Units))
	}
	for room > 0 {
		f := p.opt.Session.Take(room)
		if f == nil {
			break
		}
		pk.inFlight = append(pk.inFlight, f)
		room -= f.Batch.Size()
	}
	settings := p.opt.Shard.Settings()
	if p.audit.Swap(false) {
		settings = append(settings, fsm.SettingChange{Setting: fsm.Audit})
	}
	if p.note.Swap(false) {
		settings = append(settings, fsm.SettingChange{Setting: fsm.TakeNote})
	}
	pk.entry.Settings, pk.tick = settings, p.tick.Swap(false)
	if pk.empty() {
		return nil
	}
	p.fill(pk)
	return pk
}

// fill completes the entry: stamp, limit, evictions, batches.
func (p *Packer) fill(pk *pack) {
	e := &pk.entry
	e.ValueLimit = p.opt.ValueLimit
	limit, evicts := p.opt.Shard.MemoryLimit()
	now, newest := p.opt.Shard.Stamp(), p.opt.State.Stamp()
	p.lastStamp.Wall = max(p.lastStamp.Wall, newest.Wall, now.Wall)
	p.lastStamp.Mono = max(p.lastStamp.Mono, newest.Mono, now.Mono)
	p.opt.State.Inspect(func(s *store.Store, _ int64) {
		if limit == 0 {
			return
		}
		over := s.Used() - limit
		if evicts && over > 0 {
			freed := int64(0)
			for _, v := range s.Victims(p.lastStamp.Wall, over, p.picker) {
				e.Evictions = append(e.Evictions, fsm.Eviction{Key: []byte(v.Key), Version: v.Version})
				freed += v.Size
			}
			if freed >= over {
				return
			}
		}
		e.OOMLimit = limit
	})
	if p.opt.Disks.Tight() {
		e.OOMLimit = command.NoDisk // for what could not be refused before: a retry under an idempotency key must get the first outcome
	}
	e.StampMillis, e.MonoMillis = p.lastStamp.Wall, p.lastStamp.Mono
	pk.hold()
}

// withdrawn reports whether nobody waits any more for a large batch.
func (pk *pack) withdrawn() bool {
	for _, in := range pk.remote {
		if !in.until.IsZero() && time.Now().After(in.until) {
			return true
		}
	}
	return len(pk.inFlight) == 1 && pk.inFlight[0].Withdrawn()
}

// unread are the results of the batches of an entry that could not be read.
func (pk *pack) unread() []fsm.BatchResult {
	return slices.Repeat([]fsm.BatchResult{{Err: session.ErrUnread}}, len(pk.entry.Batches))
}

// deliver gives every batch its result.
func (pk *pack) deliver(results []fsm.BatchResult, err error) {
	for i, in := range pk.remote {
		if err == nil {
			in.result = results[i]
		}
		in.err = err
		close(in.done)
	}
	for i, f := range pk.inFlight {
		if err == nil {
			pk.session.Resolve(f, results[len(pk.remote)+i])
		} else {
			pk.session.Fail(f, err == session.ErrDoubt)
		}
	}
}
