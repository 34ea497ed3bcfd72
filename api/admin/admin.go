package admin

import (
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// admin runs the commands about this node and its clients.
type admin struct {
	router.Services
	slowlog slowlog
	latency latencyMonitor
}

// New is a router.Room.
func New(s router.Services) router.Offer {
	a := &admin{Services: s}
	return router.Offer{Slow: a, Handlers: map[string]router.Handler{
		"client|getname":  {Run: a.clientGetname, Inline: true},
		"client|id":       {Run: a.clientID, Inline: true},
		"client|info":     {Run: a.clientInfo, Inline: true},
		"client|kill":     {Run: a.clientKill},
		"client|list":     {Run: a.clientList, Inline: true},
		"client|no-evict": {Run: a.clientNoEvict},
		"client|no-touch": {Run: a.clientNoTouch},
		"client|reply":    {Run: a.clientReply, Alone: true, Replies: true},
		"client|setinfo":  {Run: a.clientSetinfo, Inline: true},
		"client|setname":  {Run: a.clientSetname, Inline: true},

		"command":                 {Run: a.command, Inline: true},
		"command|count":           {Run: a.commandCount, Inline: true},
		"command|docs":            {Run: a.commandDocs, Inline: true},
		"command|getkeys":         {Run: a.commandGetkeys, Inline: true},
		"command|getkeysandflags": {Run: a.commandGetkeysAndFlags, Inline: true},
		"command|info":            {Run: a.commandInfo, Inline: true},
		"command|list":            {Run: a.commandList, Inline: true},

		"config|get":       {Run: a.configGet},
		"config|resetstat": {Run: a.configResetstat},
		"config|rewrite":   {Run: a.configRewrite},
		"config|set":       {Run: a.configSet},

		"latency|doctor":    {Run: a.latencyDoctor},
		"latency|graph":     {Run: a.latencyGraph},
		"latency|histogram": {Run: a.latencyHistogram},
		"latency|history":   {Run: a.latencyHistory},
		"latency|latest":    {Run: a.latencyLatest},
		"latency|reset":     {Run: a.latencyReset},

		"slowlog|get":   {Run: a.slowlogGet},
		"slowlog|len":   {Run: a.slowlogLen},
		"slowlog|reset": {Run: a.slowlogReset},

		"info": {Run: a.info},
		"time": {Run: a.time},
		"wait": {Run: a.wait},
	}}
}

// Errors in Redis's words.
var (
	errSyntax     = resp.ErrorReply(command.ErrSyntax)
	errNotInteger = resp.ErrorReply(command.ErrNotInteger)
)

func arity(name string) resp.Value { return resp.ErrorReply(command.ErrArity(name)) }
