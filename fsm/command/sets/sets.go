package sets

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/set"
)

// Commands lists the commands on sets.
func Commands(t *command.Table) []*command.Spec {
	t.Register(kind)
	return []*command.Spec{
		specSAdd, specSRem, specSMove,
		specSCard, specSIsMember, specSMIsMember, specSMembers,
		specSPop, specSRandMember,
		specSInter, specSInterCard, specSInterStore, specSUnion, specSUnionStore, specSDiff, specSDiffStore,
		specSScan,
	}
}

var kind = &command.Kind{
	Type: store.Set, Words: 1,
	Whole: func(e *store.Entry) resp.Value { return resp.Set(all(e.Set())...) },
	Make: func(ctx *command.Ctx, words command.Args) (store.Collection, error) {
		return made(ctx, words), nil
	},
}

const (
	errPositive   = resp.Error("ERR value is out of range, must be positive")
	errNumKeys    = resp.Error("ERR numkeys should be greater than 0")
	errManyKeys   = resp.Error("ERR Number of keys can't be greater than number of args")
	errLimit      = resp.Error("ERR LIMIT can't be negative")
	smallEstimate = 1 << 20 // of a reply, up to which nobody needs to know it exactly
)

var acl = []string{"set"}

// made returns a new set.
func made(ctx *command.Ctx, members command.Args) *set.Set {
	lim := ctx.Limits.Sets()
	s := set.New(members[0], len(members), lim)
	for _, m := range members {
		s.Add(m, lim)
	}
	return s
}

// read returns the set under key, nil for absent.
func read(ctx *command.Ctx, key []byte) (*set.Set, error) { return of(ctx.ReadOf(store.Set, key)) }

func of(e *store.Entry, err error) (*set.Set, error) {
	if e == nil {
		return nil, err
	}
	return e.Set(), nil
}

// replies makes replies of members of one set.
type replies struct {
	*set.Set
	copies command.Copies
}

func (r *replies) bulk(p []byte) resp.Value {
	if r.Lasting(p) {
		return resp.Bulk(p)
	}
	return r.copies.Bulk(p)
}

// all answers every member.
func all(s *set.Set) []resp.Value {
	if s == nil {
		return nil
	}
	r, list := replies{Set: s}, make([]resp.Value, 0, s.Len())
	s.Each(func(member []byte) bool {
		list = append(list, r.bulk(member))
		return true
	})
	return list
}
