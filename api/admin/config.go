package admin

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

const (
	paramRequirePass = "requirepass"

	// whyNotRequirePass is the answer to CONFIG SET requirepass.
	whyNotRequirePass = "it would hold on this node alone, and until its next start. " +
		"Passwords come from the file of --requirepass-file: replace it on every node, " +
		"it is read again within seconds or on SIGHUP. It may hold two passwords while clients change"
)

// shownPassword is what CONFIG GET tells: that there is one. Whoever came in
// with the old of two passwords must not learn the new one.
func (a *admin) shownPassword() string {
	if a.Facts.NeedsPassword() {
		return "(redacted)"
	}
	return ""
}

func (a *admin) configGet(_ context.Context, _ *router.Session, args command.Args) resp.Value {
	set := a.Settings.Load()
	all := maps.Clone(a.Facts.Static)
	for _, p := range params() {
		all[p.name] = p.get(set)
	}
	all[paramRequirePass] = a.shownPassword()
	names := make([]string, 0, len(all))
	for n := range all {
		names = append(names, n)
	}
	slices.Sort(names)
	var out []resp.Value
	for _, n := range names {
		if matchesAny(args[2:], n) {
			out = append(out, resp.BulkString(n), resp.BulkString(all[n]))
		}
	}
	return resp.Map(out...)
}

func matchesAny(patterns command.Args, name string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(strings.ToLower(string(p)), name); ok && err == nil {
			return true
		}
	}
	return false
}

func (a *admin) configSet(ctx context.Context, _ *router.Session, args command.Args) resp.Value {
	if len(args)%2 != 0 {
		return errSyntax
	}
	shares := sharesMemory(args[2:])
	if shares {
		a.Settings.Share(ctx) // so that this setting comes after what other nodes were told
	}
	reply := a.set(ctx, args[2:])
	if shares && !reply.IsError() {
		a.Settings.Share(ctx)
	}
	return reply
}

// sharesMemory reports whether parameters are named that all nodes have in common, or that
// go by one of these.
func sharesMemory(pairs command.Args) bool {
	for i := 0; i < len(pairs); i += 2 {
		name := strings.ToLower(string(pairs[i]))
		if strings.HasPrefix(name, "maxmemory") || strings.HasPrefix(name, "lfu-") || isLimit(name) {
			return true
		}
	}
	return false
}

// isLimit reports whether a parameter is a size up to which values are packed.
func isLimit(name string) bool {
	return slices.ContainsFunc(limitParams(), func(p param) bool { return p.name == name })
}

// set puts parameters in force, all of them or none.
func (a *admin) set(ctx context.Context, pairs command.Args) resp.Value {
	err := a.Settings.Change(ctx, func(next *router.Settings) (names []string, err error) {
		for i := 0; i < len(pairs); i += 2 {
			name := strings.ToLower(string(pairs[i]))
			if err := a.setParam(next, name, string(pairs[i+1]), names); err != nil {
				return nil, err
			}
			names = append(names, name)
		}
		named := func(name string) bool { return slices.Contains(names, name) }
		if (named("maxmemory") || named("maxmemory-clients")) && !next.ShareClients() {
			return nil, badParam("maxmemory-clients", "a percentage of maxmemory needs one, and it is 0: set maxmemory, or maxmemory-clients in bytes")
		}
		return names, nil
	})
	var refused request.Error
	switch {
	case err == nil:
		return resp.OK
	case errors.As(err, &refused):
		return refused.Reply()
	}
	return request.CodeError.Reply("CONFIG SET failed - " + err.Error())
}

// badParam is why a parameter cannot be set.
func badParam(name, why string) error {
	return request.Error{Code: request.CodeError, Text: "CONFIG SET failed (possibly related to argument '" + name + "') - " + why}
}

// setParam sets one parameter, when those seen were set before it.
func (a *admin) setParam(next *router.Settings, name, value string, seen []string) error {
	list := params()
	i := slices.IndexFunc(list, func(p param) bool { return p.name == name })
	if name == paramRequirePass {
		return badParam(name, whyNotRequirePass)
	}
	if i < 0 {
		if _, fixed := a.Facts.Static[name]; fixed {
			return badParam(name, "can't set immutable config")
		}
		return request.Error{Code: request.CodeError,
			Text: "Unknown option or number of arguments for CONFIG SET - '" + request.Clip([]byte(name), 128) + "'"}
	}
	if slices.Contains(seen, name) {
		return badParam(name, "duplicate parameter")
	}
	if wrong := list[i].set(next, value); wrong != "" {
		return badParam(name, wrong)
	}
	return nil
}

func (a *admin) configResetstat(_ context.Context, _ *router.Session, _ command.Args) resp.Value {
	a.Stats.Reset()
	a.Memory.ResetCounters()
	return resp.OK
}

func (a *admin) configRewrite(_ context.Context, _ *router.Session, _ command.Args) resp.Value {
	if a.Facts.ConfigFile == "" {
		return request.CodeError.Reply("The server is running without a config file")
	}
	return request.CodeError.Reply("Rewriting config file: a node does not write its own configuration")
}
