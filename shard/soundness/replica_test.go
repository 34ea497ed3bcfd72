package soundness

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"github.com/lockstepkv/lockstep/fsm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ring is a shard: replicas by name, whose keepers reach each other.
type ring map[string]*replica

// replica is everything around a keeper, without Raft, network or disk.
type replica struct {
	ring ring
	id   string
	k    *Keeper

	mu sync.Mutex // guards the rest

	// The state.
	data      string
	applied   uint64
	restores  uint64
	notes     []fsm.Note
	unnoted   bool
	made      map[fsm.Refusal]int
	rebuilds  error  // what becomes of a rebuilding
	onRebuild func() // is called in the middle of one
	onNotes   func() // is called when another asks

	// The shard and its peers.
	serving     bool
	quarantined bool
	commit      uint64
	opened      uint64
	away        bool // answers nobody
	saysWrong   bool // the others know that it is wrong
	asked       []string

	// What was written down, wanted, done and shown.
	diverged                    bool
	settled                     []fsm.Refusal
	settleErr, markErr          error
	snapshotErr                 error
	done                        []string
	compared                    uint64
	differing                   int
	condemned, refused, skipped int
	audits                      int
	fatal                       []error
}

// passing is a clock that goes with time.Now, in a bubble as well.
type passing struct{ since time.Time }

func (p passing) Mono() time.Duration { return time.Since(p.since) }
func (p passing) WallMillis() int64   { return time.Now().UnixMilli() }

var errAway = errors.New("away")

// newRing returns replicas whose states are equal and sound.
func newRing(ids ...string) ring {
	r := ring{}
	for _, id := range ids {
		p := &replica{ring: r, id: id, made: map[fsm.Refusal]int{}}
		r[id] = p
		p.start()
	}
	return r
}

// start gives the replica a new keeper, as a start of its node does.
func (p *replica) start() {
	p.k = New(Options{
		State: p, Log: p, Shard: p, Peers: p, Marks: marks{p}, Wants: wants{p}, Service: service{p}, Figures: figures{p},
		Clock: passing{time.Now()}, Logger: slog.New(slog.DiscardHandler),
		Fatal: func(err error) { p.with(func() { p.fatal = append(p.fatal, err) }) },
	})
}

func (p *replica) with(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
}

func (p *replica) did(what string) { p.with(func() { p.done = append(p.done, what) }) }

func get[T any](p *replica, v *T) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *v
}

// note gives replicas a note of the same index; what it says differs by letter.
func (r ring) note(index uint64, letters map[string]byte) {
	for id, letter := range letters {
		r[id].with(func() { r[id].notes = append(r[id].notes, fsm.Note{Index: index, Data: uint64(letter)}) })
	}
}

// State.

func (p *replica) Applied() uint64  { return get(p, &p.applied) }
func (p *replica) Restores() uint64 { return get(p, &p.restores) }

func (p *replica) Notes(after uint64) (list []fsm.Note) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.notes {
		if n.Index > after {
			list = append(list, n)
		}
	}
	return list
}

func (p *replica) Unnoted() (newest uint64, due bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.notes) > 0 {
		newest = p.notes[len(p.notes)-1].Index
	}
	return newest, p.unnoted
}

func (p *replica) Made(r fsm.Refusal) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made[r]
}

func (p *replica) WriteState(w io.Writer) (uint64, error) {
	_, err := io.WriteString(w, get(p, &p.data))
	return get(p, &p.applied), err
}

func (p *replica) Rebuild(r io.Reader, entry func(uint64) (*raft.Log, error)) error {
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		return err
	}
	if p.onRebuild != nil {
		p.onRebuild()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = append(p.done, "rebuild")
	if p.rebuilds == nil {
		p.data, p.notes = b.String(), nil
		p.restores++
	}
	return p.rebuilds
}

func (p *replica) GetLog(uint64, *raft.Log) error { return nil }

// Shard and Peers.

func (p *replica) Serving() bool       { return get(p, &p.serving) }
func (p *replica) Quarantined() bool   { return get(p, &p.quarantined) }
func (p *replica) CommitIndex() uint64 { return get(p, &p.commit) }
func (p *replica) OpenedWith() uint64  { return get(p, &p.opened) }

func (p *replica) Voters() (others []string, size int) {
	for id := range p.ring {
		if id != p.id {
			others = append(others, id)
		}
	}
	slices.Sort(others)
	return others, len(p.ring)
}

func (p *replica) Ask(ctx context.Context, peer string, q Question, msg []byte) ([]byte, error) {
	p.with(func() { p.asked = append(p.asked, peer) })
	to := p.ring[peer]
	if get(to, &to.away) {
		return nil, errAway
	}
	if q == AskNotes && to.onNotes != nil {
		to.onNotes()
	}
	return to.k.Answer(q, msg)
}

func (p *replica) Sound(peer string) bool {
	to := p.ring[peer]
	return !get(to, &to.away) && !get(to, &to.saysWrong)
}

// marks are what a replica has written down.
type marks struct{ *replica }

func (m marks) Diverged(int) (bool, error) { return get(m.replica, &m.diverged), nil }

func (m marks) SetDiverged(_ int, on bool) error {
	if m.markErr != nil {
		return m.markErr
	}
	m.with(func() { m.diverged = on })
	m.did(map[bool]string{true: "marked", false: "cleared"}[on])
	return nil
}

func (m marks) Settled(int) ([]fsm.Refusal, error) { return get(m.replica, &m.settled), nil }

func (m marks) Settle(_ int, r fsm.Refusal) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.settleErr == nil {
		m.settled = append(m.settled, r)
	}
	return m.settleErr
}

type wants struct{ *replica }

func (w wants) WantNote()  { w.did("note") }
func (w wants) WantAudit() { w.did("audit") }

func (w wants) ProposeNothing(context.Context) error {
	w.did("nothing")
	return nil
}

type service struct{ *replica }

func (s service) StepAside(context.Context) { s.did("aside") }

func (s service) ReplaceSnapshots(context.Context) error {
	s.did("snapshot")
	return s.snapshotErr
}

func (s service) Forget()  { s.did("forget") }
func (s service) Rebuilt() { s.did("rebuilt") }
func (s service) Settled() { s.did("settled") }

type figures struct{ *replica }

func (f figures) Compared(index uint64, differing int) {
	f.with(func() { f.compared, f.differing = index, differing })
}
func (f figures) Condemned()            { f.with(func() { f.condemned++ }) }
func (f figures) Audited(time.Duration) { f.with(func() { f.replica.audits++ }) }
func (f figures) Refused()              { f.with(func() { f.refused++ }) }
func (f figures) Skipped()              { f.with(func() { f.skipped++ }) }
