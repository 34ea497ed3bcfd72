package rooms

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/resp"
)

// redisSpec is an element of COMMAND INFO.
type redisSpec struct {
	name              string
	arity             int64
	flags             []string
	first, last, step int64
	acl               []string
	keyUses           [][]string
	subs              map[string]redisSpec
}

func parseRedisSpec(v resp.Value) redisSpec {
	e := v.Elems
	s := redisSpec{
		name: string(e[0].Str), arity: e[1].Int, flags: commandtest.Texts(e[2], ""),
		first: e[3].Int, last: e[4].Int, step: e[5].Int, acl: commandtest.Texts(e[6], "@"),
		subs: map[string]redisSpec{},
	}
	for _, key := range e[8].Elems {
		s.keyUses = append(s.keyUses, commandtest.Texts(fields(key)["flags"], ""))
	}
	for _, sub := range e[9].Elems {
		p := parseRedisSpec(sub)
		s.subs[p.name] = p
	}
	return s
}

// specExceptions are the flags in which Lockstep differs from Redis, and why.
func specExceptions() map[string]struct {
	flags  []string
	reason string
} {
	return map[string]struct {
		flags  []string
		reason string
	}{
		"object|help": {[]string{"readonly"}, "any shard answers it like a read"},
		"memory|help": {[]string{"readonly"}, "any shard answers it like a read"},
		"pfselftest":  {[]string{"readonly"}, "any shard answers it like a read"},
	}
}

func TestSpecsAreThoseOfRedis(t *testing.T) {
	redis := commandtest.StartRedis(t)
	known := 0
	for _, sp := range Table().Specs() {
		v := redis.Main.Do(command.Args{[]byte("COMMAND"), []byte("INFO"), []byte(sp.Name)})
		if len(v.Elems) != 1 || v.Elems[0].IsNil() {
			if sp.Group != "lockstep" {
				t.Errorf("%s: Redis does not know it", sp.Name)
			}
			continue
		}
		known++
		real := parseRedisSpec(v.Elems[0])
		compareSpec(t, sp, real)
		for _, sub := range sp.Sub {
			if r, ok := real.subs[sub.Name]; ok {
				compareSpec(t, sub, r)
			} else if sub.Since <= "7.0.0" {
				t.Errorf("%s: Redis does not know it", sub.Name)
			}
		}
		compareDocs(t, redis, sp)
	}
	if known < 60 {
		t.Errorf("only %d commands were compared", known)
	}
}

func compareSpec(t *testing.T, sp *command.Spec, real redisSpec) {
	t.Helper()
	if int64(sp.Arity) != real.arity && !arityOf72(sp.Name) {
		t.Errorf("%s: arity %d, Redis %d", sp.Name, sp.Arity, real.arity)
	}
	if k := sp.KeyRange(); int64(k.First) != real.first || int64(k.Last) != real.last || int64(k.Step) != real.step {
		t.Errorf("%s: keys %+v, Redis %d %d %d", sp.Name, k, real.first, real.last, real.step)
	}
	for i, use := range real.keyUses {
		if len(sp.Keys) != len(real.keyUses) || !slices.Equal(slices.Sorted(slices.Values(sp.Keys[i].Use.Names())), use) {
			t.Errorf("%s: uses its keys as %+v, Redis %v", sp.Name, sp.Keys, real.keyUses)
		}
	}
	ours := sp.Flags.Names()
	for _, extra := range specExceptions()[sp.Name].flags {
		ours = slices.DeleteFunc(ours, func(s string) bool { return s == extra })
	}
	slices.Sort(ours)
	if !slices.Equal(ours, real.flags) {
		t.Errorf("%s: flags %v, Redis %v", sp.Name, ours, real.flags)
	}
	acl := slices.Sorted(slices.Values(sp.Categories()))
	if !slices.Equal(acl, real.acl) {
		t.Errorf("%s: ACL %v, Redis %v", sp.Name, acl, real.acl)
	}
}

// arityOf72 reports whether Redis 7.2 has another arity than 7.0.
func arityOf72(name string) bool { return name == "zrank" || name == "zrevrank" }

// compareDocs compares since and group with COMMAND DOCS.
func compareDocs(t *testing.T, redis *commandtest.Redis, sp *command.Spec) {
	t.Helper()
	v := redis.Main.Do(command.Args{[]byte("COMMAND"), []byte("DOCS"), []byte(sp.Name)})
	doc := fields(v.Elems[1])
	check := func(sp *command.Spec, doc map[string]resp.Value) {
		if got := string(doc["since"].Str); got != sp.Since {
			t.Errorf("%s: since %s, Redis %s", sp.Name, sp.Since, got)
		}
		if got := string(doc["group"].Str); got != sp.Group {
			t.Errorf("%s: group %s, Redis %s", sp.Name, sp.Group, got)
		}
		ours, theirs := tree(sp.Docs()), tree(doc["arguments"])
		for _, own := range ownArguments(sp.Name) {
			ours = slices.DeleteFunc(ours, func(line string) bool { return strings.Contains(line, own) })
		}
		if !slices.Equal(ours, theirs) {
			t.Errorf("%s: arguments %q, Redis %q", sp.Name, ours, theirs)
		}
	}
	check(sp, doc)
	subs := fields(doc["subcommands"])
	for _, sub := range sp.Sub {
		if d, ok := subs[sub.Name]; ok {
			check(sub, fields(d))
		}
	}
}

// ownArguments are the arguments that Redis does not know or, of 7.0, does not tell of.
func ownArguments(name string) []string {
	switch name {
	case "set":
		return []string{"comparison-value string IFEQ"} // from Valkey
	case "zrank", "zrevrank":
		return []string{"withscore pure-token"} // from Redis 7.2
	case "hscan":
		return []string{"novalues pure-token"} // from Redis 7.4
	case "command|getkeys", "command|getkeysandflags":
		return []string{"command string ", "arg string "}
	}
	return nil
}

// tree shows arguments, one a line.
func tree(args resp.Value) []string {
	var lines []string
	var walk func(v resp.Value, indent string)
	walk = func(v resp.Value, indent string) {
		for _, e := range v.Elems {
			a := fields(e)
			index := ""
			if i, ok := a["key_spec_index"]; ok {
				index = strconv.FormatInt(i.Int, 10)
			}
			lines = append(lines, fmt.Sprintln(indent, string(a["name"].Str), string(a["type"].Str), string(a["token"].Str), commandtest.Texts(a["flags"], ""), index))
			walk(a["arguments"], indent+"  ")
		}
	}
	walk(args, "")
	return lines
}

// fields reads a flattened map.
func fields(v resp.Value) map[string]resp.Value {
	m := map[string]resp.Value{}
	for i := 0; i+1 < len(v.Elems); i += 2 {
		m[string(v.Elems[i].Str)] = v.Elems[i+1]
	}
	return m
}

func TestKeysOfAsRedis(t *testing.T) {
	redis := commandtest.StartRedis(t)
	table := Table()
	for _, l := range []string{
		"get a", "set a b NX", "mset a 1 b 2", "mget a b c", "del a", "copy a b REPLACE", "rename a b", "getrange k 0 1",
		"object freq k", "memory usage k SAMPLES 5", "expire k 1 NX", "touch a b", "msetnx a 1", "watch a b", "hset h f v",
		"sintercard 2 a b LIMIT 1", "sinterstore d a b", "smove a b m",
		"zunion 2 a b WITHSCORES", "zinterstore d 2 a b WEIGHTS 1 2", "zmpop 1 a MIN", "zrangestore a b 0 1",
	} {
		args := commandtest.Line(l)
		sp, err := table.Check(args)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := sp.KeysOf(args)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, e := range redis.Main.Do(append(commandtest.Line("COMMAND GETKEYS"), args...)).Elems {
			want = append(want, string(e.Str))
		}
		var got []string
		for _, k := range keys {
			got = append(got, string(k))
		}
		if !slices.Equal(got, want) {
			t.Errorf("keys of %q = %q, Redis %q", l, got, want)
		}
	}
}
