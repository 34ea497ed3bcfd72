package hashes

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
	"github.com/lockstepkv/lockstep/store/value/hash"
)

// Commands lists the commands on hashes.
func Commands(t *command.Table) []*command.Spec {
	t.Register(kind)
	return []*command.Spec{
		specHSet, specHMSet, specHSetNX, specHDel,
		specHGet, specHMGet, specHGetAll, specHKeys, specHVals, specHLen, specHStrlen, specHExists,
		specHIncrBy, specHIncrByFloat,
		specHRandField, specHScan,
	}
}

var kind = &command.Kind{
	Type: store.Hash, Words: 2,
	Whole: func(e *store.Entry) resp.Value {
		return resp.Map(allOp{names: true, values: true}.all(e.Hash())...)
	},
	Make: func(ctx *command.Ctx, words command.Args) (store.Collection, error) {
		h := hash.New()
		for i := 0; i < len(words); i += 2 {
			h.Set(words[i], words[i+1], ctx.Limits.Hash())
		}
		return h, nil
	},
}

// Errors about the value of a field.
var (
	errNotInteger = command.OfValue("ERR hash value is not an integer")
	errNotFloat   = command.OfValue("ERR hash value is not a float")
)

const (
	errNotFinite = resp.Error("ERR value is NaN or Infinity")
	errRange     = resp.Error("ERR value is out of range")
)

var acl = []string{"hash"}

// read returns the hash under key, nil for absent.
func read(ctx *command.Ctx, key []byte) (*hash.Hash, error) { return of(ctx.ReadOf(store.Hash, key)) }

// peek is read for ReplySize. What has another type is absent to it.
func peek(ctx *command.Ctx, key []byte) *hash.Hash {
	h, _ := of(command.OfType(store.Hash, ctx.Peek(key)))
	return h
}

func of(e *store.Entry, err error) (*hash.Hash, error) {
	if e == nil {
		return nil, err
	}
	return e.Hash(), nil
}

// replies makes replies of parts of one hash.
type replies struct {
	*hash.Hash
	copies command.Copies
}

func (r *replies) bulk(p []byte) resp.Value {
	if r.Lasting(p) {
		return resp.Bulk(p)
	}
	return r.copies.Bulk(p)
}

// set gives the hash under key, whose entry is e, fields with values; it is made if there is
// none. It returns how many fields are new.
func set(ctx *command.Ctx, key []byte, e *store.Entry, pairs command.Args) (added int64) {
	each := func(h *hash.Hash) {
		for i := 0; i < len(pairs); i += 2 {
			if isNew, _ := h.Set(pairs[i], pairs[i+1], ctx.Limits.Hash()); isNew {
				added++
			}
		}
	}
	if e == nil {
		h := hash.New()
		each(h)
		ctx.PutCollection(key, h, 0)
		return added
	}
	ctx.UpdateHash(e, func(h *hash.Hash, edits *effect.Edits) bool {
		each(h)
		edits.Say("HSET", pairs...)
		return true
	})
	return added
}
