package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/locks"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
)

// Judge knows what clients were told, and finds what contradicts it. All its methods
// may be called from any goroutine.
type Judge struct {
	c *Cluster

	mu      sync.Mutex
	told    map[string]int64          // guarded by mu; greatest value of a counter, or fence of a lock
	added   map[string]map[int64]bool // guarded by mu; values that increments made
	acked   map[string]int64          // guarded by mu; increments
	doubt   map[string]int64          // guarded by mu
	terms   map[uint64]string         // guarded by mu; who served
	digests map[uint64]string         // guarded by mu; by index
	suspect string                    // guarded by mu; the node whose data were made wrong
	wrongAt uint64                    // guarded by mu; the index at which they were
	healed  int                       // guarded by mu; how often such a node was like the others again
	Ops     int                       // guarded by mu; that succeeded
	errs    []error                   // guarded by mu
}

// NewJudge returns a judge who has seen nothing.
func NewJudge(c *Cluster) *Judge {
	return &Judge{
		c: c, told: map[string]int64{}, added: map[string]map[int64]bool{}, acked: map[string]int64{},
		doubt: map[string]int64{}, terms: map[uint64]string{}, digests: map[uint64]string{},
	}
}

// Err returns what was found.
func (j *Judge) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return errors.Join(j.errs...)
}

func (j *Judge) failLocked(format string, args ...any) {
	if len(j.errs) < 5 {
		err := fmt.Errorf(format, args...)
		j.errs = append(j.errs, err)
		j.c.Note("VIOLATION: %v", err)
	}
}

// floor is what any answer to a question about name that is asked now must show.
func (j *Judge) floor(name string) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.told[name]
}

// tell notes that a client was told of a value of name, who had asked when the floor
// was least.
func (j *Judge) tell(name, who string, value, least int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if value < least {
		j.failLocked("%s: %s was told %d, and %d had been told before it asked", name, who, value, least)
	}
	j.told[name] = max(j.told[name], value)
	j.Ops++
}

// add notes what became of an increment. The value is 0 when it is not known.
func (j *Judge) add(name, who string, value, least int64, err error) {
	if err == nil {
		j.tell(name, who, value, least+1)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case err == nil:
		if j.added[name] == nil {
			j.added[name] = map[int64]bool{}
		}
		if j.added[name][value] {
			j.failLocked("%s: two increments made %d", name, value)
		}
		j.added[name][value] = true
		j.acked[name]++
	case errors.Is(err, command.ErrInDoubt):
		j.doubt[name]++
	}
}

// Total compares the last value of a counter with the increments.
func (j *Judge) Total(name string, value int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if low, high := j.acked[name], j.acked[name]+j.doubt[name]; value < low || value > high {
		j.failLocked("%s: %d in the end, %d increments were acknowledged and %d are in doubt", name, value, low, high-low)
	}
}

// Suspect says that the data of a node are about to go wrong. It refuses while those of
// another may be.
func (j *Judge) Suspect(id string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.suspect != "" || j.c.Node(id).Group(0) == nil {
		return false
	}
	j.suspect, j.wrongAt = id, j.c.Node(id).Group(0).Digest().Index
	return true
}

// Suspected reports whether the data of a node may still be wrong, and how often such a
// node has become like the others again.
func (j *Judge) Suspected() (id string, healed int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.suspect, j.healed
}

// Look checks what must hold at any moment.
func (j *Judge) Look() {
	quorum := len(j.c.Holders())/2 + 1
	newest, applied := uint64(0), map[string]uint64{}
	for _, id := range j.c.Up() {
		n := j.c.Node(id)
		if n == nil || n.Group(0) == nil {
			continue
		}
		g := n.Group(0)
		info, digest := g.Info(), g.Digest()
		applied[id] = digest.Index
		newest = max(newest, digest.Index)
		j.mu.Lock()
		if info.Serving {
			if other := j.terms[info.Term]; other != "" && other != id && info.Leader == id {
				j.failLocked("%s and %s serve in term %d", other, id, info.Term)
			} else if info.Leader == id {
				j.terms[info.Term] = id
			}
		}
		is := fmt.Sprintf("%d keys %x %x", digest.Keys, digest.Sum, digest.State)
		if id == j.suspect {
			// What it has counts for nothing until it is like another one's again.
			if j.digests[digest.Index] == is && digest.Index > j.wrongAt {
				j.suspect = ""
				j.healed++
				j.c.Note("the data of %s are like the others'", id)
			}
			j.mu.Unlock()
			continue
		}
		if was := j.digests[digest.Index]; was != "" && was != is {
			j.failLocked("%s has %s at index %d, another replica had %s", id, is, digest.Index, was)
		}
		j.digests[digest.Index] = is
		j.mu.Unlock()
	}
	have := 0
	for _, id := range j.c.Holders() {
		first, last := j.c.Disk(id).Range()
		if last >= newest || first > newest {
			have++
		}
	}
	if newest > 0 && have < quorum {
		j.mu.Lock()
		j.failLocked("index %d is applied, and on %d disks only", newest, have)
		j.mu.Unlock()
	}
	j.comparePrefixes(applied)
}

// comparePrefixes compares the newest entries that two nodes have both applied.
func (j *Judge) comparePrefixes(applied map[string]uint64) {
	for a, upA := range applied {
		for b, upB := range applied {
			for i, left := min(upA, upB), 20; a < b && i > 0 && left > 0; i, left = i-1, left-1 {
				ea, okA := j.c.Disk(a).Entry(i)
				eb, okB := j.c.Disk(b).Entry(i)
				if okA && okB && (ea.Term != eb.Term || string(ea.Data) != string(eb.Data)) {
					j.mu.Lock()
					j.failLocked("%s and %s have applied different entries at %d", a, b, i)
					j.mu.Unlock()
				}
			}
		}
	}
}

// Client does random things to a few counters and locks until ctx ends.
type Client struct {
	ID  int
	C   *Cluster
	J   *Judge
	rng *rand.Rand
	n   int
}

// requestTimeout is that of every request.
const requestTimeout = 3 * time.Second

// Run is the client's life.
func (cl *Client) Run(ctx context.Context) {
	cl.rng = rand.New(rand.NewPCG(cl.C.opt.Seed, uint64(100+cl.ID)))
	for ctx.Err() == nil {
		if up := cl.C.Up(); len(up) > 0 {
			id := up[cl.rng.IntN(len(up))]
			if n := cl.C.Node(id); n != nil {
				cl.step(ctx, id, WayOf(n))
			}
		}
		time.Sleep(time.Duration(cl.rng.IntN(8)) * time.Millisecond)
	}
}

func (cl *Client) step(ctx context.Context, node string, g Way) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	counter := "c" + strconv.Itoa(cl.rng.IntN(2))
	who := fmt.Sprintf("client %d at %s", cl.ID, node)
	switch n := cl.rng.IntN(20); {
	case n < 6:
		cl.increment(ctx, g, counter, who)
	case n < 17:
		cl.read(ctx, g, counter, who)
	case n < 19:
		cl.lock(ctx, g, "l"+strconv.Itoa(cl.rng.IntN(2)), who)
	default:
		cl.lockInfo(ctx, g, "l"+strconv.Itoa(cl.rng.IntN(2)), who)
	}
}

func words(list ...string) command.Args {
	var args command.Args
	for _, w := range list {
		args = append(args, []byte(w))
	}
	return args
}

// propose runs one command through a node.
func propose(ctx context.Context, g Way, list ...string) (resp.Value, error) {
	var b command.Batch
	b.Add(words(list...))
	replies, err := g.Propose(ctx, b)
	if err != nil {
		return resp.Value{}, err
	}
	return replies[0], nil
}

// Get reads a counter through a node.
func Get(ctx context.Context, g Way, key string) (value int64, err error) {
	v, err := g.ask(ctx, words("GET", key))
	if err != nil || v.IsNil() {
		return 0, err
	}
	return strconv.ParseInt(string(v.Str), 10, 64)
}

func (cl *Client) increment(ctx context.Context, g Way, key, who string) {
	least := cl.J.floor(key)
	v, err := propose(ctx, g, "INCR", key)
	cl.J.add(key, who, v.Int, least, err)
}

func (cl *Client) read(ctx context.Context, g Way, key, who string) {
	least := cl.J.floor(key)
	if v, err := Get(ctx, g, key); err == nil {
		cl.J.tell(key, who, v, least)
	}
}

// lock takes a lock, waiting for it, and gives it back. What it is told of its grant
// counts, however it is told.
func (cl *Client) lock(ctx context.Context, g Way, name, who string) {
	cl.n++
	token := fmt.Sprintf("t%d.%d", cl.ID, cl.n)
	outcome, stop := g.Watch(lock.Outcome(token))
	defer stop()
	node, boot := g.Origin()
	v, err := propose(ctx, g, "LS.LOCK", name, "400", "o", "1500", token, node, strconv.FormatUint(boot, 10))
	if err != nil || len(v.Elems) < 5 {
		return
	}
	fence := v.Elems[1].Int
	if v.Elems[0].Int != locks.Granted {
		select {
		case told := <-outcome:
			e, _ := told.What.(lock.Event) // none when events were missed
			if e.Kind != lock.EventGranted {
				return
			}
			fence = int64(e.Fence)
		case <-ctx.Done():
			return
		}
	}
	cl.J.tell(name, who+" (grant)", fence, 0)
	cl.lockInfo(ctx, g, name, who)
	_, _ = propose(ctx, g, "UNLOCK", name, token) // else its time is over soon
}

// lockInfo reads a lock: one that is held must not have an older fence than was told.
func (cl *Client) lockInfo(ctx context.Context, g Way, name, who string) {
	least := cl.J.floor(name)
	v, err := g.ask(ctx, words("LOCKINFO", name))
	if err != nil {
		return
	}
	for i := 0; i+1 < len(v.Elems); i += 2 {
		if fence := v.Elems[i+1].Int; string(v.Elems[i].Str) == "fence" && fence != 0 {
			cl.J.tell(name, who+" (look)", fence, least)
		}
	}
}
