package soundness

import (
	"slices"

	"github.com/lockstepkv/lockstep/fsm"
)

// notesOf are a replica's notes: running ones, and those of audits. Each list is in the
// order of the indexes.
type notesOf struct {
	running, audits []fsm.Note
}

// Verdict is what a comparison has shown.
type Verdict struct {
	Index    uint64   // at which a difference was found, or the newest one compared; 0: none
	Wrong    bool     // this replica differs from a majority
	Majority []string // the others that agree with the majority, if this one does not
	Others   []string // that differ from the majority or, without one, from this replica
	Decided  bool     // there is a majority
}

// differs reports whether anything does.
func (v *Verdict) differs() bool { return v.Wrong || len(v.Others) > 0 }

// differing is how many replicas do.
func (v *Verdict) differing() int {
	if v.Wrong {
		return len(v.Others) + 1
	}
	return len(v.Others)
}

// graver is what to go by of the verdicts on running notes and on audits.
func graver(running, audits Verdict) Verdict {
	if audits.Wrong && !running.Wrong || audits.differs() && !running.differs() {
		return audits
	}
	return running
}

// judgeNotes compares this replica's notes with those of peers, who have votes. voters is how many
// voters there are, whether they answered or not, and votes says whether this replica is one: the
// note of one that is not makes no majority. It looks for the newest index at which a
// majority tells; at a newer one a replica that would decide may be missing.
func judgeNotes(own []fsm.Note, peers map[string][]fsm.Note, voters int, votes bool) Verdict {
	byIndex := make(map[string]map[uint64]fsm.Note, len(peers))
	for id, list := range peers {
		byIndex[id] = make(map[uint64]fsm.Note, len(list))
		for _, n := range list {
			byIndex[id][n.Index] = n
		}
	}
	newest := Verdict{}
	for i := len(own) - 1; i >= 0; i-- {
		noted := map[fsm.Note][]string{own[i]: {""}}
		for id, notes := range byIndex {
			if n, ok := notes[own[i].Index]; ok {
				noted[n] = append(noted[n], id)
			}
		}
		v := countVotes(own[i], noted, voters, votes)
		switch {
		case v.Index == 0: // nobody to compare with
		case v.Decided && v.differs():
			return v
		case newest.Index == 0 && !v.differs():
			return v
		case newest.Index == 0:
			newest = v
		case !v.differs():
			return newest // they were equal before
		}
	}
	return newest
}

// countVotes judges one index. noted has who noted what; "" stands for this replica.
func countVotes(own fsm.Note, noted map[fsm.Note][]string, voters int, votes bool) (v Verdict) {
	if len(noted) == 1 && len(noted[own]) == 1 {
		return v
	}
	v.Index = own.Index
	right := own
	for note, ids := range noted {
		n := len(ids)
		if note == own && !votes {
			n--
		}
		if n > voters/2 {
			right, v.Decided = note, true
		}
	}
	v.Wrong = right != own
	if v.Wrong {
		v.Majority = slices.Sorted(slices.Values(noted[right]))
	}
	for note, ids := range noted {
		if note != right {
			v.Others = append(v.Others, ids...)
		}
	}
	v.Others = slices.DeleteFunc(v.Others, func(id string) bool { return id == "" })
	slices.Sort(v.Others)
	return v
}
