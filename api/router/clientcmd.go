package router

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

var errBadClientName = resp.Err("ERR Client names cannot contain spaces, newlines or special characters.")

// maxNameBytes bounds what each line of CLIENT LIST says of a client's own choice. Redis has
// no bound, and so a few clients with long names make a reply of any size.
const maxNameBytes = 1024

var errLongClientName = resp.Err("ERR Client names are limited to " + strconv.Itoa(maxNameBytes) + " bytes")

// refuseName is why a client name cannot stand in CLIENT LIST, or no error.
func refuseName(name []byte) resp.Value {
	switch {
	case len(name) > maxNameBytes:
		return errLongClientName
	case !validName(name):
		return errBadClientName
	}
	return resp.Value{}
}

// validName reports whether a client name can be told apart from what follows it.
func validName(name []byte) bool {
	for _, c := range name {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}

func doClientSetname(_ *Router, _ context.Context, s *Session, args command.Args) resp.Value {
	if refuse := refuseName(args[2]); refuse.IsError() {
		return refuse
	}
	s.setName(string(args[2]))
	return resp.OK
}

func doClientGetname(_ *Router, _ context.Context, s *Session, _ command.Args) resp.Value {
	if name := s.getName(); name != "" {
		return resp.BulkString(name)
	}
	return resp.Nil
}

func doClientID(_ *Router, _ context.Context, s *Session, _ command.Args) resp.Value {
	return resp.Int(s.id)
}

// doClientSetinfo takes what newer clients tell of themselves. CLIENT LIST of the
// announced version has no place for it.
func doClientSetinfo(_ *Router, _ context.Context, _ *Session, args command.Args) resp.Value {
	if !command.IsWord(args[2], "LIB-NAME") && !command.IsWord(args[2], "LIB-VER") {
		return resp.Err("ERR Unrecognized option '" + clip(args[2], 128) + "'")
	}
	if !validName(args[3]) {
		return resp.Err("ERR " + strings.ToLower(string(args[2])) + " cannot contain spaces, newlines or special characters.")
	}
	return resp.OK
}

func doClientReply(_ *Router, _ context.Context, s *Session, args command.Args) resp.Value {
	switch {
	case command.IsWord(args[2], "ON"):
		s.replies, s.muted = repliesOn, false
	case command.IsWord(args[2], "OFF"):
		s.replies, s.muted = repliesOff, true
	case command.IsWord(args[2], "SKIP"):
		if s.replies != repliesOff {
			s.replies = repliesSkipNext
		}
		s.muted = true
	default:
		return errSyntax
	}
	return resp.OK
}

func doClientNoEvict(_ *Router, _ context.Context, s *Session, args command.Args) resp.Value {
	on, ok := onOff(args[2])
	if !ok {
		return errSyntax
	}
	s.setNoEvict(on)
	return resp.OK
}

func doClientNoTouch(_ *Router, _ context.Context, s *Session, args command.Args) resp.Value {
	on, ok := onOff(args[2])
	if !ok {
		return errSyntax
	}
	s.noTouch.Store(on)
	return resp.OK
}

func onOff(arg []byte) (on, ok bool) {
	return command.IsWord(arg, "ON"), command.IsWord(arg, "ON") || command.IsWord(arg, "OFF")
}

func doClientInfo(r *Router, _ context.Context, s *Session, _ command.Args) resp.Value {
	return resp.Verbatim(r.describe(s) + "\n")
}

// describe is one line of CLIENT LIST. It has the fields of redisVersion and no
// others: clients refuse what they do not know. Those that have no meaning here
// have the value that they have in Redis when nothing happens.
func (r *Router) describe(s *Session) string {
	now := r.now()
	flags := "N"
	if s.queued.Load() >= 0 {
		flags = "x"
	}
	if s.readonlyOn.Load() {
		flags = strings.TrimPrefix(flags+"r", "N")
	}
	if s.noEvict.Load() {
		flags = strings.TrimPrefix(flags+"e", "N")
	}
	if s.noTouch.Load() {
		flags = strings.TrimPrefix(flags+"T", "N")
	}
	cmd := "NULL"
	if p := s.last.Load(); p != nil {
		cmd = p.name
	}
	m := s.mem
	if m == nil {
		m = new(clientmem.Account)
	}
	query, reply := m.Of(clientmem.Query), m.Of(clientmem.Reply)
	filled := min(m.Filled.Load(), query)
	multi := m.Of(clientmem.Queue) + m.Of(clientmem.Watch)
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=0 name=%s age=%d idle=%d flags=%s db=0 sub=0 psub=0 ssub=0 multi=%d "+
		"qbuf=%d qbuf-free=%d argv-mem=%d multi-mem=%d rbs=%d rbp=%d obl=0 oll=%d omem=%d tot-mem=%d events=r cmd=%s user=default redir=-1 resp=%d",
		s.id, s.addr, s.laddr, s.getName(), int64(now.Sub(s.created).Seconds()), int64(now.Sub(s.LastSeen()).Seconds()), flags,
		s.queued.Load(), filled, query-filled, m.Args.Load(), multi, reply, reply, m.Pieces.Load(), m.Of(clientmem.Unread)+m.Of(clientmem.Push), m.Total(), cmd, s.protoSeen.Load())
}

func doClientList(r *Router, _ context.Context, _ *Session, args command.Args) resp.Value {
	keep := func(*Session) bool { return true }
	switch {
	case len(args) == 4 && command.IsWord(args[2], "TYPE"):
		normal, ok := clientType(args[3])
		if !ok {
			return resp.Err("ERR Unknown client type '" + clip(args[3], 128) + "'")
		}
		keep = func(*Session) bool { return normal }
	case len(args) > 3 && command.IsWord(args[2], "ID"):
		wanted := make(map[int64]bool)
		for _, a := range args[3:] {
			id, err := strconv.ParseInt(string(a), 10, 64)
			if err != nil || id < 1 {
				return resp.Err("ERR Invalid client ID")
			}
			wanted[id] = true
		}
		keep = func(s *Session) bool { return wanted[s.id] }
	case len(args) != 2:
		return errSyntax
	}
	var b strings.Builder
	for _, s := range r.sessions.list() {
		if keep(s) {
			b.WriteString(r.describe(s))
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

func (f *killFilter) matches(s *Session) bool {
	return (f.id == nil || s.id == *f.id) && isAddr(f.addr, s.addr) && isAddr(f.laddr, s.laddr) && (f.normal == nil || *f.normal)
}

// isAddr reports whether a client's address is the one asked for. One that is not
// known is none.
func isAddr(want *string, has string) bool { return want == nil || has != "" && has == *want }

func doClientKill(r *Router, _ context.Context, me *Session, args command.Args) resp.Value {
	if len(args) == 3 {
		addr := string(args[2])
		if r.killSessions(me, &killFilter{addr: &addr}) == 0 {
			return resp.Err("ERR No such client")
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
	return resp.Int(r.killSessions(me, f))
}

// add takes over one word of CLIENT KILL with its value. As in Redis the last
// one of a kind counts.
func (f *killFilter) add(word, arg []byte) (refuse resp.Value) {
	val := string(arg)
	switch strings.ToUpper(string(word)) {
	case "ID":
		id, err := strconv.ParseInt(val, 10, 64)
		if err != nil || id < 1 {
			return resp.Err("ERR client-id should be greater than 0")
		}
		f.id = &id
	case "ADDR":
		f.addr = &val
	case "LADDR":
		f.laddr = &val
	case "TYPE":
		normal, ok := clientType(arg)
		if !ok {
			return resp.Err("ERR Unknown client type '" + clip(arg, 128) + "'")
		}
		f.normal = &normal
	case "USER":
		if val != defaultUser {
			return resp.Err("ERR No such user '" + clip(arg, 128) + "'")
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
func (r *Router) killSessions(me *Session, f *killFilter) int64 {
	var n int64
	for _, s := range r.sessions.list() {
		switch {
		case !f.matches(s), s == me && f.skipMe:
			continue
		case s == me:
			s.closing.Store(true)
		default:
			s.killed()
		}
		n++
	}
	return n
}
