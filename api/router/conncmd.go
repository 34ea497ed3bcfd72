package router

import (
	"context"
	"strconv"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// RedisVersion is the version of Redis whose commands and words this one
// follows; clients use it to choose features.
const RedisVersion = "7.0.15"

// connectionCommands concern one client connection.
func connectionCommands() []Command[*Router] {
	return []Command[*Router]{
		{
			Spec: command.Spec{
				Name: "ping", Group: "connection", Arity: -1, Since: "1.0.0",
				Flags: command.Connection | command.Fast, ACL: []string{"connection"},
				Summary: "Answers PONG, or the message.",
				Args:    []command.Arg{command.Opt(command.String("message"))},
			},
			Run: doPing, Inline: true,
		},
		{
			Spec: command.Spec{
				Name: "echo", Group: "connection", Arity: 2, Since: "1.0.0",
				Flags: command.Connection | command.Loading | command.StaleOK | command.Fast, ACL: []string{"connection"},
				Summary: "Answers the message.",
				Args:    []command.Arg{command.String("message")},
			},
			Run: doEcho, Inline: true,
		},
		{
			Spec: command.Spec{
				Name: "hello", Group: "connection", Arity: -1, Since: "6.0.0",
				Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.NoAuth | command.AllowBusy, ACL: []string{"connection"},
				Summary: "Chooses the protocol version, 2 or 3, and answers facts about the server.",
				Secret: func(args command.Args, i int) bool {
					return i > 2 && (command.IsWord(args[i-1], "AUTH") || i > 3 && command.IsWord(args[i-2], "AUTH"))
				},
				Args: []command.Arg{command.Opt(command.Block("arguments", command.Integer("protover"), command.Opt(command.Block("username_password", command.String("username"), command.String("password")).After("AUTH")), command.Opt(command.String("clientname").As("name").After("SETNAME"))))},
			},
			Run: doHello, Alone: true,
		},
		{
			Spec: command.Spec{
				Name: "auth", Group: "connection", Arity: -2, Since: "1.0.0",
				Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.NoAuth | command.AllowBusy, ACL: []string{"connection"},
				Summary: "Authenticates the connection.",
				Secret:  func(_ command.Args, i int) bool { return i > 0 },
				Args:    []command.Arg{command.Opt(command.String("username")), command.String("password")},
			},
			Run: doAuth, Inline: true,
		},
		{
			Spec: command.Spec{
				Name: "select", Group: "connection", Arity: 2, Since: "1.0.0",
				Flags: command.Connection | command.Loading | command.StaleOK | command.Fast, ACL: []string{"connection"},
				Summary: "Chooses a database; there is only 0.",
				Args:    []command.Arg{command.Integer("index")},
			},
			Run: doSelect, Inline: true,
		},
		{
			Spec: command.Spec{
				Name: "quit", Group: "connection", Arity: -1, Since: "1.0.0",
				Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.NoAuth | command.AllowBusy | command.NoQueue, ACL: []string{"connection"},
				Summary: "Closes the connection.",
			},
			Run: doQuit, Alone: true,
		},
		{
			Spec: command.Spec{
				Name: "reset", Group: "connection", Arity: 1, Since: "6.2.0",
				Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.NoAuth | command.AllowBusy | command.NoQueue, ACL: []string{"connection"},
				Summary: "Puts the connection back to its first state.",
			},
			Run: doReset, Alone: true,
		},
		{
			Spec: command.Spec{
				Name: "readonly", Group: "cluster", Arity: 1, Since: "3.0.0",
				Flags: command.Connection | command.Loading | command.StaleOK | command.Fast, ACL: []string{"connection"},
				Summary: "Allows this connection reads that may be stale, from any node.",
			},
			Run: doReadonly,
		},
		{
			Spec: command.Spec{
				Name: "readwrite", Group: "cluster", Arity: 1, Since: "3.0.0",
				Flags: command.Connection | command.Loading | command.StaleOK | command.Fast, ACL: []string{"connection"},
				Summary: "Ends READONLY.",
			},
			Run: doReadwrite,
		},
	}
}

func doPing(_ *Router, _ context.Context, _ *Session, args command.Args) resp.Value {
	switch len(args) {
	case 1:
		return resp.Pong
	case 2:
		return resp.Bulk(args[1])
	}
	return errArity("ping")
}

func doEcho(_ *Router, _ context.Context, _ *Session, args command.Args) resp.Value {
	return resp.Bulk(args[1])
}

func doSelect(r *Router, _ context.Context, _ *Session, args command.Args) resp.Value {
	n, err := strconv.ParseInt(string(args[1]), 10, 64)
	switch {
	case err != nil:
		return errNotInteger
	case n != int64(int32(n)):
		return resp.Err("ERR value is out of range, value must between -2147483648 and 2147483647")
	case n != 0 && r.cluster:
		return resp.Err("ERR SELECT is not allowed in cluster mode")
	case n != 0:
		return resp.Err("ERR DB index is out of range")
	}
	return resp.OK
}

func doQuit(_ *Router, _ context.Context, s *Session, _ command.Args) resp.Value {
	s.closing.Store(true)
	return resp.OK
}

func doReset(_ *Router, _ context.Context, s *Session, _ command.Args) resp.Value {
	s.reset()
	return resp.Simple("RESET")
}

func doReadonly(_ *Router, _ context.Context, s *Session, _ command.Args) resp.Value {
	s.change(func(v *View) { v.Readonly = true })
	return resp.OK
}

func doReadwrite(_ *Router, _ context.Context, s *Session, _ command.Args) resp.Value {
	s.change(func(v *View) { v.Readonly = false })
	return resp.OK
}

func doAuth(r *Router, ctx context.Context, s *Session, args command.Args) resp.Value {
	user, pass := []byte(DefaultUser), args[len(args)-1]
	switch {
	case len(args) > 3:
		return errSyntax
	case len(args) == 3:
		user = args[1]
	case !r.NeedsPassword():
		return resp.Err("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
	}
	if refuse := r.login(ctx, s, user, pass); refuse.IsError() {
		return refuse
	}
	return resp.OK
}

// doHello is HELLO [protover [AUTH user pass] [SETNAME name]].
func doHello(r *Router, ctx context.Context, s *Session, args command.Args) resp.Value {
	h, refuse := parseHello(args)
	if refuse.IsError() {
		return refuse
	}
	if h.auth != nil {
		if refuse := r.login(ctx, s, h.auth[0], h.auth[1]); refuse.IsError() {
			return refuse
		}
	}
	if !s.authed {
		return request.CodeNoAuth.Reply("HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
	}
	s.change(func(v *View) {
		if h.setName {
			v.Name = h.name
		}
		if h.proto != 0 {
			v.Proto = h.proto
		}
	})
	return resp.Map(
		resp.BulkString("server"), resp.BulkString("redis"),
		resp.BulkString("version"), resp.BulkString(RedisVersion),
		resp.BulkString("proto"), resp.Int(int64(s.Proto())),
		resp.BulkString("id"), resp.Int(s.id),
		resp.BulkString("mode"), resp.BulkString(r.mode()),
		resp.BulkString("role"), resp.BulkString("master"),
		resp.BulkString("modules"), resp.EmptyArray,
	)
}

type helloArgs struct {
	proto   int // 0: keep
	auth    command.Args
	setName bool
	name    string
}

func parseHello(args command.Args) (h helloArgs, refuse resp.Value) {
	if len(args) < 2 {
		return h, refuse
	}
	n, err := strconv.ParseInt(string(args[1]), 10, 64)
	switch {
	case err != nil:
		return h, resp.Err("ERR Protocol version is not an integer or out of range")
	case n != 2 && n != 3:
		return h, request.CodeNoProto.Reply("unsupported protocol version")
	}
	h.proto = int(n)
	for i := 2; i < len(args); i++ {
		switch left := len(args) - i - 1; {
		case command.IsWord(args[i], "AUTH") && left >= 2:
			h.auth = args[i+1 : i+3]
			i += 2
		case command.IsWord(args[i], "SETNAME") && left >= 1:
			h.name, h.setName = string(args[i+1]), true
			if refuse := RefuseName(args[i+1]); refuse.IsError() {
				return h, refuse
			}
			i++
		default:
			return h, resp.Err("ERR Syntax error in HELLO option '" + request.Clip(args[i], 128) + "'")
		}
	}
	return h, refuse
}

// ModeCluster is the redis_mode of INFO where a node shows itself as one of a Redis Cluster.
const ModeCluster = "cluster"

// mode is redis_mode of INFO.
func (r *Router) mode() string {
	if r.cluster {
		return ModeCluster
	}
	return "standalone"
}
