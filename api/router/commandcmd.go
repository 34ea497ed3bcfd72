package router

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

func doCommand(r *Router, _ context.Context, _ *Session, _ command.Args) resp.Value {
	var out []resp.Value
	for _, sp := range r.table.Specs() {
		out = append(out, describeSpec(sp))
	}
	return resp.Array(out...)
}

func doCommandCount(r *Router, _ context.Context, _ *Session, _ command.Args) resp.Value {
	return resp.Int(int64(len(r.table.Specs())))
}

func doCommandInfo(r *Router, ctx context.Context, s *Session, args command.Args) resp.Value {
	if len(args) == 2 {
		return doCommand(r, ctx, s, args)
	}
	var out []resp.Value
	for _, name := range args[2:] {
		if p := r.byFullName(string(name)); p != nil {
			out = append(out, describeSpec(p.spec))
		} else {
			out = append(out, resp.Nil)
		}
	}
	return resp.Array(out...)
}

// describeSpec is one element of COMMAND's reply.
func describeSpec(sp *command.Spec) resp.Value {
	var flags, acl, subs []resp.Value
	for _, f := range sp.Flags.Names() {
		flags = append(flags, resp.Simple(f))
	}
	for _, a := range sp.ACL {
		acl = append(acl, resp.Simple("@"+a))
	}
	for _, sub := range sp.Sub {
		subs = append(subs, describeSpec(sub))
	}
	k := sp.Keys
	return resp.Array(
		resp.BulkString(sp.Name), resp.Int(int64(sp.Arity)), resp.Set(flags...),
		resp.Int(int64(k.First)), resp.Int(int64(k.Last)), resp.Int(int64(k.Step)),
		resp.Set(acl...), resp.EmptyArray, keySpecs(sp), resp.Array(subs...),
	)
}

// keySpecs describes the key positions in the form of Redis 7: one range, or one
// key each where the keys are used in different ways.
func keySpecs(sp *command.Spec) resp.Value {
	k := sp.Keys
	if k.First == 0 {
		return resp.Array()
	}
	last := k.Last
	if last > 0 {
		last -= k.First // Redis counts it from the first key here
	}
	uses := sp.KeyUses()
	if len(uses) > 1 {
		last = 0
	}
	specs := make([]resp.Value, len(uses))
	for i, use := range uses {
		specs[i] = keySpec(use, k.First+i*k.Step, last, k.Step)
	}
	return resp.Array(specs...)
}

func keySpec(use []string, first, last, step int) resp.Value {
	pair := func(name string, v resp.Value) []resp.Value { return []resp.Value{resp.BulkString(name), v} }
	begin := resp.Map(slices.Concat(pair("type", resp.BulkString("index")),
		pair("spec", resp.Map(pair("index", resp.Int(int64(first)))...)))...)
	find := resp.Map(slices.Concat(pair("type", resp.BulkString("range")), pair("spec", resp.Map(slices.Concat(
		pair("lastkey", resp.Int(int64(last))), pair("keystep", resp.Int(int64(step))), pair("limit", resp.Zero))...)))...)
	return resp.Map(slices.Concat(pair("flags", flagSet(use)), pair("begin_search", begin), pair("find_keys", find))...)
}

func flagSet(names []string) resp.Value {
	out := make([]resp.Value, len(names))
	for i, n := range names {
		out[i] = resp.Simple(n)
	}
	return resp.Set(out...)
}

func doCommandDocs(r *Router, _ context.Context, _ *Session, args command.Args) resp.Value {
	var out []resp.Value
	if len(args) == 2 {
		for _, sp := range r.table.Specs() {
			out = append(out, resp.BulkString(sp.Name), docsOf(sp))
		}
		return resp.Map(out...)
	}
	for _, name := range args[2:] {
		if p := r.byFullName(string(name)); p != nil {
			out = append(out, resp.BulkString(p.name), docsOf(p.spec))
		}
	}
	return resp.Map(out...)
}

func docsOf(sp *command.Spec) resp.Value {
	out := []resp.Value{
		resp.BulkString("summary"), resp.BulkString(sp.Summary),
		resp.BulkString("since"), resp.BulkString(sp.Since),
		resp.BulkString("group"), resp.BulkString(sp.Group),
	}
	if sp.Syntax != "" {
		out = append(out, resp.BulkString("arguments"), docsArguments(sp.Syntax))
	}
	if len(sp.Sub) > 0 {
		var subs []resp.Value
		for _, sub := range sp.Sub {
			subs = append(subs, resp.BulkString(sub.Name), docsOf(sub))
		}
		out = append(out, resp.BulkString("subcommands"), resp.Map(subs...))
	}
	return resp.Map(out...)
}

// docsArguments turns a line of syntax into the arguments of COMMAND DOCS. A
// group in brackets is one optional argument under its own text, which is how
// redis-cli then shows it.
func docsArguments(syntax string) resp.Value {
	var out []resp.Value
	for _, word := range topLevelWords(syntax) {
		optional := strings.HasPrefix(word, "[")
		text := strings.TrimSuffix(strings.TrimPrefix(word, "["), "]")
		arg := []resp.Value{
			resp.BulkString("name"), resp.BulkString(text),
			resp.BulkString("type"), resp.BulkString("string"),
			resp.BulkString("display_text"), resp.BulkString(text),
		}
		if optional {
			arg = append(arg, resp.BulkString("flags"), resp.Array(resp.Simple("optional")))
		}
		out = append(out, resp.Map(arg...))
	}
	return resp.Array(out...)
}

// topLevelWords splits at spaces that are not within brackets.
func topLevelWords(s string) []string {
	var words []string
	depth, start := 0, 0
	for i := 0; i <= len(s); i++ {
		if i == len(s) || s[i] == ' ' && depth == 0 {
			if i > start {
				words = append(words, s[start:i])
			}
			start = i + 1
			continue
		}
		switch s[i] {
		case '[':
			depth++
		case ']':
			depth--
		}
	}
	return words
}

func doCommandList(r *Router, _ context.Context, _ *Session, args command.Args) resp.Value {
	keep := func(*plan) bool { return true }
	switch {
	case len(args) == 2:
		// Subcommands too, as in Redis.
	case len(args) != 5 || !isWord(args[2], "FILTERBY"):
		return errSyntax
	case isWord(args[3], "MODULE"):
		keep = func(*plan) bool { return false }
	case isWord(args[3], "ACLCAT"):
		keep = func(p *plan) bool { return slices.Contains(p.spec.ACL, strings.ToLower(string(args[4]))) }
	case isWord(args[3], "PATTERN"):
		keep = func(p *plan) bool {
			ok, err := path.Match(strings.ToLower(string(args[4])), p.name)
			return ok && err == nil
		}
	default:
		return errSyntax
	}
	var out []resp.Value
	for _, p := range r.all {
		if keep(p) {
			out = append(out, resp.BulkString(p.name))
		}
	}
	return resp.Array(out...)
}

func doCommandGetkeys(r *Router, _ context.Context, _ *Session, args command.Args) resp.Value {
	keys, _, refuse := r.keysOf(args[2:])
	if refuse.IsError() {
		return refuse
	}
	out := make([]resp.Value, len(keys))
	for i, k := range keys {
		out[i] = resp.Bulk(k)
	}
	return resp.Array(out...)
}

func doCommandGetkeysAndFlags(r *Router, _ context.Context, _ *Session, args command.Args) resp.Value {
	keys, p, refuse := r.keysOf(args[2:])
	if refuse.IsError() {
		return refuse
	}
	out := make([]resp.Value, len(keys))
	for i, k := range keys {
		out[i] = resp.Array(resp.Bulk(k), flagSet(p.spec.KeyUse(args[2:], i)))
	}
	return resp.Array(out...)
}

func (r *Router) keysOf(args command.Args) (keys [][]byte, p *plan, refuse resp.Value) {
	switch p = r.find(args); {
	case p == nil:
		return nil, nil, resp.Err("ERR Invalid command specified")
	case p.spec.FindKeys == nil && p.spec.Keys.First == 0:
		return nil, p, resp.Err("ERR The command has no key arguments")
	case !p.arityOK(len(args)):
		return nil, p, resp.Err("ERR Invalid number of arguments specified for command")
	}
	keys, err := p.spec.KeysOf(args)
	if err != nil {
		return nil, p, resp.Err("ERR Invalid arguments specified for command")
	}
	return keys, p, resp.Value{}
}
