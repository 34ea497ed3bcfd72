package admin

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

func (a *admin) command(_ context.Context, _ *router.Session, _ command.Args) resp.Value {
	var out []resp.Value
	for _, sp := range a.Table.Specs() {
		out = append(out, describeSpec(sp))
	}
	return resp.Array(out...)
}

func (a *admin) commandCount(_ context.Context, _ *router.Session, _ command.Args) resp.Value {
	return resp.Int(int64(len(a.Table.Specs())))
}

func (a *admin) commandInfo(ctx context.Context, s *router.Session, args command.Args) resp.Value {
	if len(args) == 2 {
		return a.command(ctx, s, args)
	}
	var out []resp.Value
	for _, name := range args[2:] {
		if c := a.Stats.Command(string(name)); c != nil {
			out = append(out, describeSpec(c.Spec))
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
	for _, a := range sp.Categories() {
		acl = append(acl, resp.Simple("@"+a))
	}
	for _, sub := range sp.Sub {
		subs = append(subs, describeSpec(sub))
	}
	k := sp.KeyRange()
	return resp.Array(
		resp.BulkString(sp.Name), resp.Int(int64(sp.Arity)), resp.Set(flags...),
		resp.Int(int64(k.First)), resp.Int(int64(k.Last)), resp.Int(int64(k.Step)),
		resp.Set(acl...), resp.EmptyArray, keySpecs(sp), resp.Array(subs...),
	)
}

// keySpecs describes the key positions in the form of Redis 7.
func keySpecs(sp *command.Spec) resp.Value {
	specs := make([]resp.Value, len(sp.Keys))
	for i, k := range sp.Keys {
		if k.Count > 0 {
			specs[i] = countedSpec(k.Use.Names(), k.Count)
			continue
		}
		last := k.Last
		if last > 0 {
			last -= k.First // Redis counts it from the first key here
		}
		specs[i] = keySpec(k.Use.Names(), k.First, last, k.Step)
	}
	return resp.Array(specs...)
}

func keySpec(use []string, first, last, step int) resp.Value {
	return keySpecAt(use, first, "range", numbers("lastkey", last, "keystep", step, "limit", 0))
}

// countedSpec is keySpec for keys behind their number.
func countedSpec(use []string, at int) resp.Value {
	return keySpecAt(use, at, "keynum", numbers("keynumidx", 0, "firstkey", 1, "keystep", 1))
}

func keySpecAt(use []string, index int, find string, spec resp.Value) resp.Value {
	part := func(kind string, spec resp.Value) resp.Value {
		return resp.Map(resp.BulkString("type"), resp.BulkString(kind), resp.BulkString("spec"), spec)
	}
	return resp.Map(resp.BulkString("flags"), flagSet(use), resp.BulkString("begin_search"), part("index", numbers("index", index)),
		resp.BulkString("find_keys"), part(find, spec))
}

// numbers is a map of names, each with a number.
func numbers(pairs ...any) resp.Value {
	out := make([]resp.Value, len(pairs))
	for i := range pairs {
		switch p := pairs[i].(type) {
		case string:
			out[i] = resp.BulkString(p)
		case int:
			out[i] = resp.Int(int64(p))
		}
	}
	return resp.Map(out...)
}

func flagSet(names []string) resp.Value {
	out := make([]resp.Value, len(names))
	for i, n := range names {
		out[i] = resp.Simple(n)
	}
	return resp.Set(out...)
}

func (a *admin) commandDocs(_ context.Context, _ *router.Session, args command.Args) resp.Value {
	var out []resp.Value
	if len(args) == 2 {
		for _, sp := range a.Table.Specs() {
			out = append(out, resp.BulkString(sp.Name), docsOf(sp))
		}
		return resp.Map(out...)
	}
	for _, name := range args[2:] {
		if c := a.Stats.Command(string(name)); c != nil {
			out = append(out, resp.BulkString(c.Name()), docsOf(c.Spec))
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
	if len(sp.Args) > 0 {
		out = append(out, resp.BulkString("arguments"), sp.Docs())
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

func (a *admin) commandList(_ context.Context, _ *router.Session, args command.Args) resp.Value {
	keep := func(*command.Spec) bool { return true }
	switch {
	case len(args) == 2:
		// Subcommands too, as in Redis.
	case len(args) != 5 || !command.IsWord(args[2], "FILTERBY"):
		return errSyntax
	case command.IsWord(args[3], "MODULE"):
		keep = func(*command.Spec) bool { return false }
	case command.IsWord(args[3], "ACLCAT"):
		keep = func(sp *command.Spec) bool { return slices.Contains(sp.Categories(), strings.ToLower(string(args[4]))) }
	case command.IsWord(args[3], "PATTERN"):
		keep = func(sp *command.Spec) bool {
			ok, err := path.Match(strings.ToLower(string(args[4])), sp.Name)
			return ok && err == nil
		}
	default:
		return errSyntax
	}
	var out []resp.Value
	for _, c := range a.Stats.Commands() {
		if keep(c.Spec) {
			out = append(out, resp.BulkString(c.Name()))
		}
	}
	return resp.Array(out...)
}

func (a *admin) commandGetkeys(_ context.Context, _ *router.Session, args command.Args) resp.Value {
	keys, _, refuse := a.keysOf(args[2:])
	if refuse.IsError() {
		return refuse
	}
	out := make([]resp.Value, len(keys))
	for i, k := range keys {
		out[i] = resp.Bulk(k)
	}
	return resp.Array(out...)
}

func (a *admin) commandGetkeysAndFlags(_ context.Context, _ *router.Session, args command.Args) resp.Value {
	keys, sp, refuse := a.keysOf(args[2:])
	if refuse.IsError() {
		return refuse
	}
	out := make([]resp.Value, len(keys))
	for i, k := range keys {
		out[i] = resp.Array(resp.Bulk(k), flagSet(sp.KeyUse(args[2:], i).Names()))
	}
	return resp.Array(out...)
}

// keysOf returns the keys of a whole command.
func (a *admin) keysOf(args command.Args) (keys [][]byte, sp *command.Spec, refuse resp.Value) {
	switch sp = a.find(args); {
	case sp == nil:
		return nil, nil, request.CodeError.Reply("Invalid command specified")
	case !sp.HasKeys():
		return nil, sp, request.CodeError.Reply("The command has no key arguments")
	case !sp.ArityOK(len(args)):
		return nil, sp, request.CodeError.Reply("Invalid number of arguments specified for command")
	}
	keys, err := sp.KeysOf(args)
	if err != nil {
		return nil, sp, request.CodeError.Reply("Invalid arguments specified for command")
	}
	return keys, sp, resp.Value{}
}

// find returns the command, or the subcommand, that a client means with args, or nil.
func (a *admin) find(args command.Args) *command.Spec {
	sp := a.Table.Lookup(args[0])
	switch {
	case sp == nil || sp.Flags.Has(command.Internal):
		return nil
	case len(sp.Sub) > 0 && len(args) > 1:
		return a.Table.LookupSub(sp, args[1])
	}
	return sp
}
