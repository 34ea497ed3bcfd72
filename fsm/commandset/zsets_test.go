package commandset

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
)

// TestZSetsAsRedis compares commands on sorted sets only, of some hundred members.
func TestZSetsAsRedis(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := newPair(t, seed+100)
			p.gen.Prefix, p.gen.Numbered = "z", 400
			for i := range 4000 {
				if i%250 == 0 {
					p.fillZSets()
				}
				if i%20 == 19 {
					p.transaction()
				} else {
					p.step()
				}
				if i%250 == 249 {
					p.sameData()
				}
			}
		})
	}
}

// fillZSets makes two large sorted sets, and the one for ranges by lex.
func (p *pair) fillZSets() {
	for _, key := range []string{"k0", "k1", commandtest.LexKey} {
		for from := 0; from < 400; from += 50 {
			args := command.Args{[]byte("ZADD"), []byte(key)}
			for i := range 50 {
				args = append(args, p.someScore(key), fmt.Append(nil, "m", from+i))
			}
			theirs := p.real.Do(args)
			raw := p.real.Raw.String()
			p.log = append(p.log, commandtest.Quote(args))
			p.tick()
			p.compare(args, "zadd", p.ctx.Table.Exec(p.ctx, args), theirs, []byte(raw))
		}
	}
}

func (p *pair) someScore(key string) []byte {
	switch {
	case key == commandtest.LexKey:
		return []byte("0")
	case p.gen.Chance(50):
		return fmt.Append(nil, p.gen.Rng.IntN(50))
	}
	return strconv.AppendFloat(nil, p.gen.Rng.NormFloat64(), 'g', -1, 64)
}
