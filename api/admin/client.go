package admin

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// clientCommands shows and controls client connections.
func clientCommands() []router.Command[*admin] {
	return []router.Command[*admin]{
		{
			Spec: command.Spec{
				Name: "client", Group: "connection", Arity: -2, Since: "2.4.0",
				Flags:   command.Connection,
				Summary: "Shows and controls client connections.",
			},
			Sub: []router.Command[*admin]{
				{
					Spec: command.Spec{
						Name: "client|getname", Group: "connection", Arity: 2, Since: "2.6.9",
						Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
						Summary: "Answers the name of this connection.",
					},
					Run: (*admin).clientGetname, Inline: true,
				},
				{
					Spec: command.Spec{
						Name: "client|help", Group: "connection", Arity: 2, Since: "5.0.0",
						Flags: command.Connection | command.Loading | command.StaleOK | command.Help, ACL: []string{"connection"},
						Summary: "Answers this overview.",
					},
				},
				{
					Spec: command.Spec{
						Name: "client|id", Group: "connection", Arity: 2, Since: "5.0.0",
						Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
						Summary: "Answers the number of this connection.",
					},
					Run: (*admin).clientID, Inline: true,
				},
				{
					Spec: command.Spec{
						Name: "client|info", Group: "connection", Arity: 2, Since: "6.2.0",
						Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
						Summary: "Describes this connection.",
					},
					Run: (*admin).clientInfo, Inline: true,
				},
				{
					Spec: command.Spec{
						Name: "client|kill", Group: "connection", Arity: -3, Since: "2.4.0",
						Flags: command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
						Summary: "Closes connections.",
						Args: []command.Arg{command.OneOf("filter", command.String("ip:port").As("address"), command.Many(command.OneOf("new-format",
							command.Opt(command.Integer("client-id").As("id").After("ID")),
							command.Opt(typeArg("normal_master_slave_pubsub", "NORMAL", "MASTER", "SLAVE", "REPLICA", "PUBSUB")),
							command.Opt(command.String("username").After("USER")),
							command.Opt(command.String("ip:port").As("address").After("ADDR")),
							command.Opt(command.String("ip:port").As("address").After("LADDR")),
							command.Opt(command.String("yes/no").As("YES | NO").After("SKIPME")),
						)).Line("[ID id] [TYPE type] [ADDR address] [LADDR address] [USER username] [SKIPME YES | NO]"))},
					},
					Run: (*admin).clientKill,
				},
				{
					Spec: command.Spec{
						Name: "client|list", Group: "connection", Arity: -2, Since: "2.4.0",
						Flags: command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
						Summary: "Describes all connections of this node.",
						Args: []command.Arg{
							command.Opt(typeArg("normal_master_replica_pubsub", "NORMAL", "MASTER", "REPLICA", "PUBSUB")),
							command.Opt(command.Block("id", command.Many(command.Integer("client-id").As("id"))).After("ID")),
						},
					},
					Run: (*admin).clientList, Inline: true,
				},
				{
					Spec: command.Spec{
						Name: "client|no-evict", Group: "connection", Arity: 3, Since: "7.0.0",
						Flags: command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
						Summary: "Keeps this connection from being closed when clients hold more than maxmemory-clients.",
						Args:    []command.Arg{command.OneOf("enabled", command.Token("ON"), command.Token("OFF"))},
					},
					Run: (*admin).clientNoEvict,
				},
				{
					Spec: command.Spec{
						Name: "client|no-touch", Group: "connection", Arity: 3, Since: "7.2.0",
						Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
						Summary: "Lets reads of this connection leave no trace in the eviction order.",
						Args:    []command.Arg{command.OneOf("enabled", command.Token("ON"), command.Token("OFF"))},
					},
					Run: (*admin).clientNoTouch,
				},
				{
					Spec: command.Spec{
						Name: "client|reply", Group: "connection", Arity: 3, Since: "3.2.0",
						Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
						Summary: "Turns replies off or on.",
						Args:    []command.Arg{command.OneOf("on_off_skip", command.Token("ON"), command.Token("OFF"), command.Token("SKIP"))},
					},
					Run: (*admin).clientReply, Alone: true, Replies: true,
				},
				{
					Spec: command.Spec{
						Name: "client|setinfo", Group: "connection", Arity: 4, Since: "7.2.0",
						Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
						Summary: "Takes the name and version of the client library.",
						Args:    []command.Arg{command.OneOf("attr", command.String("libname").As("name").After("LIB-NAME"), command.String("libver").As("version").After("LIB-VER"))},
					},
					Run: (*admin).clientSetinfo, Inline: true,
				},
				{
					Spec: command.Spec{
						Name: "client|setname", Group: "connection", Arity: 3, Since: "2.6.9",
						Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
						Summary: "Names this connection, for CLIENT LIST; at most 1024 bytes.",
						Args:    []command.Arg{command.String("connection-name").As("name")},
					},
					Run: (*admin).clientSetname, Inline: true,
				},
			},
		},
	}
}

// typeArg is a kind of client.
func typeArg(name string, kinds ...string) command.Arg {
	var words []command.Arg
	for _, kind := range kinds {
		words = append(words, command.Token(kind))
	}
	return command.OneOf(name, words...).As("type").After("TYPE")
}

func (a *admin) clientSetname(_ context.Context, s *router.Session, args command.Args) resp.Value {
	if refuse := router.RefuseName(args[2]); refuse.IsError() {
		return refuse
	}
	s.SetName(string(args[2]))
	return resp.OK
}

func (a *admin) clientGetname(_ context.Context, s *router.Session, _ command.Args) resp.Value {
	if name := s.Name(); name != "" {
		return resp.BulkString(name)
	}
	return resp.Nil
}

func (a *admin) clientID(_ context.Context, s *router.Session, _ command.Args) resp.Value {
	return resp.Int(s.ID())
}

// clientSetinfo takes what newer clients tell of themselves. CLIENT LIST of the
// announced version has no place for it.
func (a *admin) clientSetinfo(_ context.Context, _ *router.Session, args command.Args) resp.Value {
	if !command.IsWord(args[2], "LIB-NAME") && !command.IsWord(args[2], "LIB-VER") {
		return request.CodeError.Reply("Unrecognized option '" + request.Clip(args[2], 128) + "'")
	}
	if !router.ValidName(args[3]) {
		return request.CodeError.Reply(strings.ToLower(string(args[2])) + " cannot contain spaces, newlines or special characters.")
	}
	return resp.OK
}

func (a *admin) clientReply(_ context.Context, s *router.Session, args command.Args) resp.Value {
	switch {
	case command.IsWord(args[2], "ON"):
		s.SetReplies(router.RepliesOn)
	case command.IsWord(args[2], "OFF"):
		s.SetReplies(router.RepliesOff)
	case command.IsWord(args[2], "SKIP"):
		s.SetReplies(router.RepliesSkipNext)
	default:
		return errSyntax
	}
	return resp.OK
}

func (a *admin) clientNoEvict(_ context.Context, s *router.Session, args command.Args) resp.Value {
	on, ok := onOff(args[2])
	if !ok {
		return errSyntax
	}
	s.SetNoEvict(on)
	return resp.OK
}

func (a *admin) clientNoTouch(_ context.Context, s *router.Session, args command.Args) resp.Value {
	on, ok := onOff(args[2])
	if !ok {
		return errSyntax
	}
	s.SetNoTouch(on)
	return resp.OK
}

func onOff(arg []byte) (on, ok bool) {
	return command.IsWord(arg, "ON"), command.IsWord(arg, "ON") || command.IsWord(arg, "OFF")
}

func (a *admin) clientInfo(_ context.Context, s *router.Session, _ command.Args) resp.Value {
	return resp.Verbatim(a.describe(s.Info()) + "\n")
}

// describe is one line of CLIENT LIST. It has the fields of router.RedisVersion and no
// others: clients refuse what they do not know. Those that have no meaning here
// have the value that they have in Redis when nothing happens.
func (a *admin) describe(c router.ClientInfo) string {
	now := a.Facts.Now()
	flags := ""
	for _, f := range []struct {
		on     bool
		letter string
	}{{c.Queued >= 0, "x"}, {c.Readonly, "r"}, {c.NoEvict, "e"}, {c.NoTouch, "T"}} {
		if f.on {
			flags += f.letter
		}
	}
	if flags == "" {
		flags = "N"
	}
	m := c.Memory
	if m == nil {
		m = new(clientmem.Account)
	}
	query, reply := m.Of(clientmem.Query), m.Of(clientmem.Reply)
	filled := min(m.Filled.Load(), query)
	multi := m.Of(clientmem.Queue) + m.Of(clientmem.Watch)
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=0 name=%s age=%d idle=%d flags=%s db=0 sub=0 psub=0 ssub=0 multi=%d "+
		"qbuf=%d qbuf-free=%d argv-mem=%d multi-mem=%d rbs=%d rbp=%d obl=0 oll=%d omem=%d tot-mem=%d events=r cmd=%s user=default redir=-1 resp=%d",
		c.ID, c.Addr, c.LocalAddr, c.Name, int64(now.Sub(c.Created).Seconds()), int64(now.Sub(c.LastSeen).Seconds()), flags,
		c.Queued, filled, query-filled, m.Args.Load(), multi, reply, reply, m.Pieces.Load(), m.Of(clientmem.Unread)+m.Of(clientmem.Push), m.Total(), c.Command, c.Proto)
}

func (a *admin) clientList(_ context.Context, _ *router.Session, args command.Args) resp.Value {
	keep := func(int64) bool { return true }
	switch {
	case len(args) == 4 && command.IsWord(args[2], "TYPE"):
		normal, ok := clientType(args[3])
		if !ok {
			return request.CodeError.Reply("Unknown client type '" + request.Clip(args[3], 128) + "'")
		}
		keep = func(int64) bool { return normal }
	case len(args) > 3 && command.IsWord(args[2], "ID"):
		wanted := make(map[int64]bool)
		for _, a := range args[3:] {
			id, err := strconv.ParseInt(string(a), 10, 64)
			if err != nil || id < 1 {
				return request.CodeError.Reply("Invalid client ID")
			}
			wanted[id] = true
		}
		keep = func(id int64) bool { return wanted[id] }
	case len(args) != 2:
		return errSyntax
	}
	var b strings.Builder
	for _, s := range a.Sessions.List() {
		if keep(s.ID()) {
			b.WriteString(a.describe(s.Info()))
			b.WriteByte('\n')
		}
	}
	return resp.Verbatim(b.String())
}

// clientType reports whether name is a type that Redis knows, and whether it
// is that of our clients.
func clientType(name []byte) (normal, ok bool) {
	switch strings.ToLower(string(name)) {
	case "normal":
		return true, true
	case "master", "replica", "slave", "pubsub":
		return false, true
	}
	return false, false
}

// killFilter is what CLIENT KILL asks for. What is nil was not given: an empty
// address is one that no client has, not every client's.
type killFilter struct {
	id          *int64
	addr, laddr *string
	normal      *bool // the type was that of our clients
	skipMe      bool
}

func (f *killFilter) matches(c router.ClientInfo) bool {
	return (f.id == nil || c.ID == *f.id) && isAddr(f.addr, c.Addr) && isAddr(f.laddr, c.LocalAddr) && (f.normal == nil || *f.normal)
}

// isAddr reports whether a client's address is the one asked for. One that is not
// known is none.
func isAddr(want *string, has string) bool { return want == nil || has != "" && has == *want }

func (a *admin) clientKill(_ context.Context, me *router.Session, args command.Args) resp.Value {
	if len(args) == 3 {
		addr := string(args[2])
		if a.killSessions(me, &killFilter{addr: &addr}) == 0 {
			return request.CodeError.Reply("No such client")
		}
		return resp.OK
	}
	if len(args)%2 != 0 {
		return errSyntax
	}
	f := &killFilter{skipMe: true}
	for i := 2; i < len(args); i += 2 {
		if refuse := f.add(args[i], args[i+1]); refuse.IsError() {
			return refuse
		}
	}
	return resp.Int(a.killSessions(me, f))
}

// add takes over one word of CLIENT KILL with its value. As in Redis the last
// one of a kind counts.
func (f *killFilter) add(word, arg []byte) (refuse resp.Value) {
	val := string(arg)
	switch strings.ToUpper(string(word)) {
	case "ID":
		id, err := strconv.ParseInt(val, 10, 64)
		if err != nil || id < 1 {
			return request.CodeError.Reply("client-id should be greater than 0")
		}
		f.id = &id
	case "ADDR":
		f.addr = &val
	case "LADDR":
		f.laddr = &val
	case "TYPE":
		normal, ok := clientType(arg)
		if !ok {
			return request.CodeError.Reply("Unknown client type '" + request.Clip(arg, 128) + "'")
		}
		f.normal = &normal
	case "USER":
		if val != router.DefaultUser {
			return request.CodeError.Reply("No such user '" + request.Clip(arg, 128) + "'")
		}
	case "SKIPME":
		on, ok := yesOrNo(arg)
		if !ok {
			return errSyntax
		}
		f.skipMe = on
	default:
		return errSyntax
	}
	return refuse
}

func yesOrNo(arg []byte) (yes, ok bool) {
	return command.IsWord(arg, "YES"), command.IsWord(arg, "YES") || command.IsWord(arg, "NO")
}

// killSessions ends the sessions that f names. A client that kills itself gets
// its reply first.
func (a *admin) killSessions(me *router.Session, f *killFilter) int64 {
	var n int64
	for _, s := range a.Sessions.List() {
		switch {
		case !f.matches(s.Info()), s == me && f.skipMe:
			continue
		case s == me:
			s.CloseAfterReplies()
		default:
			s.Kill()
		}
		n++
	}
	return n
}
