package detector

import (
	"errors"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/wire"
)

// maxNumber is the highest index and term that is taken from a peer.
const maxNumber = 1 << 62

var errMalformed = errors.New("malformed message from a peer")

// Claim is what a replica that wants to lead shows: the end of its log.
type Claim struct {
	Term      uint64 // the replica's own
	LastTerm  uint64 // of the newest entry
	LastIndex uint64
}

// beats reports whether c's log is at least as new as o's. Of two equal ones the larger name
// decides.
func (c Claim) beats(o Claim, name, other string) bool {
	if c.LastTerm != o.LastTerm {
		return c.LastTerm > o.LastTerm
	}
	if c.LastIndex != o.LastIndex {
		return c.LastIndex > o.LastIndex
	}
	return name > other
}

// holds reports whether c's log has all that o's has, as far as votes go.
func (c Claim) holds(o Claim) bool {
	return c.LastTerm > o.LastTerm || c.LastTerm == o.LastTerm && c.LastIndex >= o.LastIndex
}

// claim returns this replica's.
func (d *Detector) claim() Claim {
	c := Claim{Term: d.opt.Raft.CurrentTerm(), LastIndex: d.opt.Raft.LastIndex()}
	var l raft.Log
	if d.opt.Log.GetLog(c.LastIndex, &l) == nil {
		c.LastTerm = l.Term
	} else if list, err := d.opt.Snapshots.List(); err == nil && len(list) > 0 {
		c.LastTerm = list[0].Term
	}
	return c
}

func appendClaim(dst []byte, c Claim) []byte {
	return wire.AppendUvarints(dst, c.Term, c.LastTerm, c.LastIndex)
}

func decodeClaim(msg []byte) (c Claim, err error) {
	for _, v := range [...]*uint64{&c.Term, &c.LastTerm, &c.LastIndex} {
		var ok bool
		if *v, msg, ok = wire.CutUvarint(msg); !ok {
			return Claim{}, errMalformed
		}
	}
	if len(msg) > 0 || max(c.Term, c.LastTerm, c.LastIndex) > maxNumber {
		return Claim{}, errMalformed
	}
	return c, nil
}
