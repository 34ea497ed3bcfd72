package commandtest

import (
	"maps"
	"sort"
	"strings"
)

// templates has one maker of arguments for every data command that Redis knows.
// A subcommand's maker adds to its container's name.
func (g *Generator) templates() map[string]func() string {
	j := func(parts ...func() string) func() string {
		return func() string {
			out := make([]string, len(parts))
			for i, p := range parts {
				out[i] = p()
			}
			return strings.Join(out, sep)
		}
	}
	k, v, n := g.Key, g.Value, g.integer
	with := func(head func() string, most int, option func() string) func() string {
		return func() string { return head() + g.words(most, option) }
	}
	nothing := func() string { return none }
	pairs := func() string {
		s := k() + sep + v() + g.words(2, j(k, v))
		if g.Chance(10) {
			s += sep + k()
		}
		return s
	}
	scanOption := func() string {
		return g.One("MATCH"+sep+g.pattern(), "COUNT"+sep+g.One("1", "3", "100", "0", "-1", "x", "9223372036854775807"), "TYPE"+sep+g.One("string", "STRING", "hash", "list", "foo"), "foo", "MATCH")
	}
	cursor := func() string {
		return g.One("0", "0", "0", "0", "00", "x", "-", "1x", " 0", "99999999999999999999", "")
	}
	flush := func() string { return g.One(none, "ASYNC", "sync", "foo", "ASYNC"+sep+"SYNC") }
	copyOption := func() string {
		return g.One("REPLACE", "replace", "DB"+sep+"0", "DB"+sep+g.One("1", "-1", "x", "99999999999", "2147483647"), "DB", "foo")
	}
	all := g.withLists(g.withHashes(map[string]func() string{
		"set": with(j(k, v), 3, g.setOption), "setnx": j(k, v), "setex": j(k, g.seconds, v), "psetex": j(k, g.millis, v),
		"getset": j(k, v), "mset": pairs, "msetnx": pairs,
		"get": k, "getex": with(k, 2, g.getexOption), "getdel": k, "mget": g.keys, "strlen": k,
		"getrange": j(k, n, n), "substr": j(k, n, n), "append": j(k, v), "setrange": j(k, g.offset, v),
		"incr": k, "decr": k, "incrby": j(k, n), "decrby": j(k, n), "incrbyfloat": j(k, g.Float),
		"del": g.keys, "unlink": g.keys, "exists": g.keys, "touch": g.keys, "type": k,
		"rename": j(k, k), "renamenx": j(k, k), "copy": with(j(k, k), 2, copyOption),
		"keys": g.pattern, "scan": with(cursor, 2, scanOption), "randomkey": nothing, "dbsize": nothing,
		"flushall": flush, "flushdb": flush,
		"expire": with(j(k, g.seconds), 2, g.expireOption), "pexpire": with(j(k, g.millis), 2, g.expireOption),
		"expireat": with(j(k, g.unixSeconds), 2, g.expireOption), "pexpireat": with(j(k, g.unixMillis), 2, g.expireOption),
		"persist": k, "ttl": k, "pttl": k, "expiretime": k, "pexpiretime": k,
		"object" + sep + "encoding": k, "object" + sep + "freq": k, "object" + sep + "idletime": k, "object" + sep + "refcount": k,
		"object" + sep + "help": nothing, "memory" + sep + "help": nothing,
		"memory" + sep + "usage": with(k, 1, func() string { return g.One("SAMPLES"+sep+n(), "SAMPLES", "foo"+sep+"1") }),
	}))
	maps.Copy(all, g.stringTemplates())
	maps.Copy(all, g.bitTemplates())
	maps.Copy(all, g.hllTemplates())
	return all
}

// offset keeps SETRANGE from making large strings, and looks past its limit.
func (g *Generator) offset() string {
	if g.Chance(30) {
		return g.One("-1", "536870912", "536870913", "9223372036854775807", "-9223372036854775808", "x", "", "9223372036854775808")
	}
	return g.One("0", "1", "5", "10", "45", "200")
}

// templateNames lists the templates, the ones that empty the database rarely.
func templateNames() []string {
	var names []string
	for name := range (&Generator{}).templates() {
		if strings.HasPrefix(name, "flush") {
			continue
		}
		for range 4 {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return append(names, "flushall", "flushdb")
}
