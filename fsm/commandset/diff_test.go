package commandset

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// pair is a real Redis and a store of ours that see the same commands.
type pair struct {
	t     *testing.T
	real  *commandtest.Conn
	other *commandtest.Conn // a second client of the real Redis
	ctx   *command.Ctx
	gen   *commandtest.Generator
	seen  map[string]int // replies compared, by command
	log   []string
	once  int

	ticked int64 // when our clock was moved last
	slack  int64 // the longest between two times, in milliseconds: so much may the servers' clocks differ
}

func newPair(t *testing.T, seed uint64) *pair {
	redis := commandtest.StartRedis(t)
	return &pair{
		t: t, real: redis.Main, other: redis.Dial(), ctx: commandtest.NewCtx(New()), gen: commandtest.NewGenerator(seed), seen: map[string]int{},
	}
}

// tick moves our clock to that of the real Redis.
func (p *pair) tick() {
	now := time.Now().UnixMilli()
	if p.ticked > 0 {
		p.slack = max(p.slack, now-p.ticked)
	}
	p.ticked = now
	p.ctx.Now = max(p.ctx.Now, now)
	p.ctx.Wall = p.ctx.Now
	p.ctx.Seed++
	p.ctx.Store.Advance(p.ctx.Now)
}

func (p *pair) fail(args command.Args, ours, theirs string) {
	p.t.Helper()
	from := max(0, len(p.log)-25)
	p.t.Fatalf("%s\nours  %q\nRedis %q\nafter\n%s", commandtest.Quote(args), ours, theirs, strings.Join(p.log[from:], "\n"))
}

func (p *pair) step() {
	args := p.gen.Command()
	name := p.name(args)
	p.log = append(p.log, commandtest.Quote(args))
	if name == "dbsize" || name == "randomkey" {
		p.settle()
	}
	uncache := p.cached(args, name)
	theirs := p.real.Do(args)
	raw := bytes.Clone(p.real.Raw.Bytes())
	uncache()
	p.tick()
	ours := p.exec(args, name)
	p.seen[name]++
	p.compare(args, name, ours, theirs, raw)
}

// cached returns what takes back that Redis's PFCOUNT stores its reply in the key.
func (p *pair) cached(args command.Args, name string) (uncache func()) {
	if name != "pfcount" || len(args) != 2 {
		return func() {}
	}
	was := p.real.Do(command.Args{[]byte("GETRANGE"), args[1], []byte("0"), []byte("15")})
	return func() {
		if cache, ok := bytes.CutPrefix(was.Str, []byte("HYLL")); ok && len(cache) == 12 {
			p.real.Do(command.Args{[]byte("SETRANGE"), args[1], []byte("8"), cache[4:]})
		}
	}
}

// name is the command's, or empty when args are none.
func (p *pair) name(args command.Args) string {
	if sp, err := p.ctx.Table.Check(args); err == nil {
		return sp.Name
	}
	return ""
}

// exec runs args, now and then within ONCE, whose reply must be the same.
func (p *pair) exec(args command.Args, name string) resp.Value {
	args, scribble := inBuffer(args)
	defer scribble()
	if name == "object|freq" || name == "object|idletime" {
		read := *p.ctx // these are never answered from the log
		read.InLog = false
		return p.ctx.Table.Exec(&read, args)
	}
	sp := p.ctx.Table.Lookup(args[0])
	if name == "" || !sp.Flags.Has(command.Write) || sp.Flags.Has(command.AllShards) || !p.gen.Chance(20) {
		return p.ctx.Table.Exec(p.ctx, args)
	}
	p.once++
	wrapped := append(command.Args{[]byte("once"), []byte("id" + strconv.Itoa(p.once))}, args...)
	first := p.ctx.Table.Exec(p.ctx, wrapped)
	if _, kept := p.ctx.Once.(commandtest.OnceMap)["id"+strconv.Itoa(p.once)]; kept {
		if again := p.ctx.Table.Exec(p.ctx, wrapped); !commandtest.Same(first, again) {
			p.fail(wrapped, commandtest.Show(again), commandtest.Show(first))
		}
	}
	return first
}

// inBuffer returns args in one buffer, as a log entry holds them. scribble
// destroys it: neither replies nor the store may point there.
func inBuffer(args command.Args) (copied command.Args, scribble func()) {
	buf := bytes.Join(args, nil)
	rest := buf
	for _, a := range args {
		copied = append(copied, rest[:len(a):len(a)])
		rest = rest[len(a):]
	}
	return copied, func() {
		for i := range buf {
			buf[i] = 0xAA
		}
	}
}

// settle makes the real Redis drop what has expired: it does so when a key is
// asked for by name.
func (p *pair) settle() {
	args := commandtest.Line("EXISTS")
	for _, k := range commandtest.AllKeys() {
		args = append(args, []byte(k))
	}
	p.real.Do(args)
}

func (p *pair) compare(args command.Args, name string, ours, theirs resp.Value, raw []byte) {
	p.t.Helper()
	ok := false
	switch {
	case theirs.IsError() || ours.IsError():
		ok = commandtest.Show(ours) == string(raw)
	case name == "ttl" || name == "pttl" || name == "expiretime" || name == "pexpiretime":
		ok = ours.Kind == theirs.Kind && p.near(name, ours.Int, theirs.Int)
	case name == "keys":
		ok = slices.Equal(sorted(ours), sorted(theirs))
	case name == "hkeys" || name == "hvals":
		ok = slices.Equal(sorted(ours), sorted(theirs))
	case name == "hgetall":
		ok = slices.Equal(sortedPairs(ours.Elems), sortedPairs(theirs.Elems))
	case name == "hrandfield":
		ok = p.randomSame(args, ours, theirs)
	case name == "scan":
		ok = p.scanSame(args, 1, ours, theirs)
	case name == "hscan":
		ok = p.scanSame(args, 2, ours, theirs)
	case name == "randomkey":
		ok = ours.IsNil() == theirs.IsNil() && (ours.IsNil() || p.real.Do(command.Args{[]byte("EXISTS"), ours.Str}).Int == 1)
	case name == "object|encoding":
		ok = commandtest.Show(ours) == string(raw) || p.wholeFloat(args[2], ours, theirs) || smallList(ours, theirs)
	case name == "object|refcount" || name == "memory|usage":
		ok = ours.Kind == theirs.Kind && (ours.Int > 0) == (theirs.Int > 0)
	case name == "object|idletime":
		// Redis's differ where keys share one integer object.
		ok = ours.Kind == theirs.Kind && ours.Int <= 1+p.slack/1000
	case name == "dump" && !theirs.IsNil():
		ok = ours.Kind == theirs.Kind && p.sameDump(ours.Str, theirs.Str)
	case name == "object|help" || name == "memory|help":
		ok = ours.Kind == theirs.Kind
	default:
		ok = commandtest.Show(ours) == string(raw)
	}
	if !ok {
		p.fail(args, commandtest.Show(ours), string(raw))
	}
}

// sameDump reports whether Redis makes the same of both dumps. Of a hash the order of its fields
// may differ.
func (p *pair) sameDump(ours, theirs []byte) bool {
	key := []byte("restored")
	reply := p.real.Do(command.Args{[]byte("RESTORE"), key, []byte("0"), ours, []byte("REPLACE")})
	again := p.real.Do(command.Args{[]byte("DUMP"), key})
	typ := p.real.Do(command.Args{[]byte("TYPE"), key})
	p.real.Do(command.Args{[]byte("DEL"), key})
	return !reply.IsError() && (string(typ.Str) != "string" || bytes.Equal(again.Str, theirs))
}

// near allows for the time between the two servers' answers, here and when the time was set.
func (p *pair) near(name string, a, b int64) bool {
	tolerance := 1 + 2*p.slack/1000
	if strings.HasPrefix(name, "p") {
		tolerance = 500 + 2*p.slack
	}
	if a < 0 || b < 0 {
		return a == b
	}
	return a-b <= tolerance && b-a <= tolerance
}

// wholeFloat is the documented difference of INCRBYFLOAT's whole numbers.
func (p *pair) wholeFloat(key []byte, ours, theirs resp.Value) bool {
	e := p.ctx.Peek(key)
	if e == nil {
		return false
	}
	_, whole := command.ParseInt(e.Bytes())
	return whole && string(ours.Str) == "int" && string(theirs.Str) == "embstr"
}

// smallList: Redis has a packed form for lists since 7.2.
func smallList(ours, theirs resp.Value) bool {
	return string(ours.Str) == "listpack" && string(theirs.Str) == "quicklist"
}

func sorted(v resp.Value) []string {
	out := texts(v, "")
	return out
}

// scanSame goes on with both scans to the end: over a whole iteration the same
// elements come out. The cursor is the argument at.
func (p *pair) scanSame(args command.Args, at int, ours, theirs resp.Value) bool {
	finish := func(v resp.Value, next func(command.Args) resp.Value) []string {
		var found []string
		a := slices.Clone(args)
		for {
			if at == 1 {
				found = append(found, sorted(v.Elems[1])...)
			} else {
				found = append(found, sortedPairs(v.Elems[1].Elems)...)
			}
			if string(v.Elems[0].Str) == "0" {
				break
			}
			a[at] = v.Elems[0].Str
			v = next(a)
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	a := finish(ours, func(a command.Args) resp.Value { return p.ctx.Table.Exec(p.ctx, a) })
	b := finish(theirs, p.real.Do)
	return slices.Equal(a, b)
}

// sortedPairs joins each two elements.
func sortedPairs(elems []resp.Value) []string {
	var out []string
	for i := 0; i+1 < len(elems); i += 2 {
		out = append(out, fmt.Sprintf("%q %q", elems[i].Str, elems[i+1].Str))
	}
	slices.Sort(out)
	return out
}

// randomSame holds HRANDFIELD to what does not depend on chance: as many as Redis has, of
// those that are there, and with a positive count each once.
func (p *pair) randomSame(args command.Args, ours, theirs resp.Value) bool {
	list, with := ours.Elems, len(args) == 4
	if len(args) == 2 {
		list = []resp.Value{ours}
		if ours.IsNil() {
			return theirs.IsNil()
		}
	}
	if len(list) != max(len(theirs.Elems), 1) && len(list) != len(theirs.Elems) {
		return false
	}
	seen := map[string]bool{}
	for i := 0; i < len(list); i++ {
		field := list[i].Str
		value := p.real.Do(command.Args{[]byte("HGET"), args[1], field})
		if value.IsNil() || len(args) > 2 && args[2][0] != '-' && seen[string(field)] {
			return false
		}
		seen[string(field)] = true
		if with {
			if i++; string(list[i].Str) != string(value.Str) {
				return false
			}
		}
	}
	return true
}

// lapse lets a key expire on both sides.
func (p *pair) lapse() {
	key := []byte(p.gen.Key())
	args := command.Args{[]byte("PEXPIRE"), key, []byte("3")}
	p.log = append(p.log, commandtest.Quote(args)+" and wait")
	p.real.Do(args)
	p.tick()
	p.ctx.Table.Exec(p.ctx, args)
	until := time.Now().Add(5 * time.Millisecond)
	commandtest.Poll(p.t, "the key expires", func() bool {
		return time.Now().After(until) && p.real.Do(command.Args{[]byte("PTTL"), key}).Int == -2
	})
}

// transaction runs a few commands as one unit, maybe under a watch that fails.
func (p *pair) transaction() {
	unit := command.Unit{Multi: true}
	p.tick()
	if p.gen.Chance(60) {
		key := []byte(p.gen.Key())
		p.real.Do(command.Args{[]byte("WATCH"), key})
		unit.Watches = append(unit.Watches, command.Watch{Key: key, Version: p.ctx.WatchVersion(key)})
		change := command.Args{[]byte("SET"), []byte(p.gen.Key()), []byte(p.gen.Value())}
		p.log = append(p.log, "WATCH "+commandtest.Quote(command.Args{key}), commandtest.Quote(change))
		p.other.Do(change)
		p.ctx.Table.Exec(p.ctx, change)
		if p.gen.Chance(40) { // the key comes and goes
			removal := command.Args{[]byte("DEL"), change[1]}
			p.log = append(p.log, commandtest.Quote(removal))
			p.other.Do(removal)
			p.ctx.Table.Exec(p.ctx, removal)
		}
	}
	p.real.Cmd("MULTI")
	for range 1 + p.gen.Rng.IntN(5) {
		args := p.gen.Command()
		switch name := p.name(args); name {
		case "", "scan", "hscan", "hrandfield", "keys", "pfcount", "dbsize", "randomkey", "object|freq", "object|idletime":
			continue // refused when it is queued, compared elsewhere, or not for transactions
		}
		p.log = append(p.log, "  queue "+commandtest.Quote(args))
		if got := commandtest.Show(p.real.Do(args)); got != commandtest.Show(resp.Queued) {
			p.fail(args, commandtest.Show(resp.Queued), got)
		}
		unit.Cmds = append(unit.Cmds, args)
	}
	theirs := p.real.Cmd("EXEC")
	raw := p.real.Raw.String()
	ours := p.ctx.Table.RunUnit(p.ctx, p.travel(unit))
	if ours.Kind != resp.KindArray || theirs.Kind != resp.KindArray {
		if commandtest.Show(ours) != raw {
			p.fail(commandtest.Line("EXEC"), commandtest.Show(ours), raw)
		}
		return
	}
	for i, args := range unit.Cmds {
		p.compare(args, p.name(args), ours.Elems[i], theirs.Elems[i], []byte(commandtest.Show(theirs.Elems[i])))
	}
}

// travel sends u through its encoding.
func (p *pair) travel(u command.Unit) *command.Unit {
	var b command.Batch
	b.AddMulti(u.Watches, u.Cmds)
	var r command.UnitReader
	r.Reset(b.Body)
	var out command.Unit
	if err := r.Next(&out); err != nil || !r.Done() {
		p.t.Fatalf("a unit does not survive its encoding: %v", err)
	}
	return &out
}

// sameData compares the data sets: keys, values, lifetimes, types, encodings.
func (p *pair) sameData() {
	p.t.Helper()
	p.settle()
	p.tick()
	keys := sorted(p.real.Cmd("KEYS *"))
	if ours := sorted(commandtest.Do(p.ctx, "KEYS *")); !slices.Equal(keys, ours) {
		p.fail(commandtest.Line("KEYS *"), fmt.Sprint(ours), fmt.Sprint(keys))
	}
	for _, k := range keys {
		for _, l := range []string{"GET", "HGETALL", "LRANGE", "PTTL", "TYPE", "OBJECT ENCODING"} {
			args := append(commandtest.Line(l), []byte(k))
			if l == "LRANGE" {
				args = append(args, []byte("0"), []byte("-1"))
			}
			theirs := p.real.Do(args)
			raw := bytes.Clone(p.real.Raw.Bytes())
			p.tick()
			p.compare(args, p.name(args), p.ctx.Table.Exec(p.ctx, args), theirs, raw)
		}
	}
}

func TestRandomCommandsAsRedis(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := newPair(t, seed)
			if seed%2 == 1 {
				p.ctx.Limits[store.ListSize] = 3 // so that there are large ones
			}
			for i := range 12_000 {
				switch {
				case i%400 == 399:
					p.lapse()
				case i%20 == 19:
					p.transaction()
				default:
					p.step()
				}
				if i%500 == 0 {
					p.sameData()
				}
			}
			p.sameData()
			p.everyCommandSeen()
		})
	}
}

// everyCommandSeen holds the generator to the table: a data command that Redis
// has must have been compared, and none may be missing from the templates.
func (p *pair) everyCommandSeen() {
	for _, sp := range p.ctx.Table.Specs() {
		for _, s := range append([]*command.Spec{sp}, sp.Sub...) {
			if s.Name == "pfselftest" { // takes Redis seconds
				continue
			}
			if s.IsData() && s.Group != "lockstep" && p.seen[s.Name] < 10 {
				p.t.Errorf("%s was compared %d times only", s.Name, p.seen[s.Name])
			}
		}
	}
}
