package router

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// param is one parameter that CONFIG SET may change.
type param struct {
	name string
	get  func(*Settings) string
	set  func(*Settings, string) string // returns what is wrong with the value, or ""
}

// params lists the reloadable parameters under Redis's names.
func params() []param {
	return []param{
		intParam("latency-monitor-threshold", func(s *Settings) *int64 { return &s.LatencyMonitorThreshold }),
		intParam("lfu-decay-time", func(s *Settings) *int { return &s.LFUDecayTime }),
		intParam("lfu-log-factor", func(s *Settings) *int { return &s.LFULogFactor }),
		intParam("maxclients", func(s *Settings) *int { return &s.MaxClients }),
		memoryParam("maxmemory", func(s *Settings) *int64 { return &s.MaxMemory }),
		{name: "maxmemory-clients", get: clientsMemory, set: setClientsMemory},
		{name: "client-output-buffer-limit", get: outputLimits, set: setOutputLimits},
		{
			name: "maxmemory-policy",
			get:  func(s *Settings) string { return s.MaxMemoryPolicy },
			set: func(s *Settings, v string) string {
				v = strings.ToLower(v)
				if !slices.Contains(store.PolicyNames(), v) {
					return "argument(s) must be one of the following: " + strings.Join(store.PolicyNames(), ", ")
				}
				s.MaxMemoryPolicy = v
				return ""
			},
		},
		intParam("maxmemory-samples", func(s *Settings) *int { return &s.MaxMemorySamples }),
		intParam("slowlog-log-slower-than", func(s *Settings) *int64 { return &s.SlowlogLogSlowerThan }),
		intParam("slowlog-max-len", func(s *Settings) *int { return &s.SlowlogMaxLen }),
		intParam("tcp-keepalive", func(s *Settings) *int { return &s.TCPKeepalive }),
		intParam("timeout", func(s *Settings) *int { return &s.Timeout }),
	}
}

func memoryParam(name string, field func(*Settings) *int64) param {
	return param{
		name: name,
		get:  func(s *Settings) string { return strconv.FormatInt(*field(s), 10) },
		set: func(s *Settings, v string) string {
			n, ok := parseMemory(v)
			if !ok {
				return "argument must be a memory value"
			}
			*field(s) = n
			return ""
		},
	}
}

func intParam[T int | int64](name string, field func(*Settings) *T) param {
	return param{
		name: name,
		get:  func(s *Settings) string { return strconv.FormatInt(int64(*field(s)), 10) },
		set: func(s *Settings, v string) string {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return "argument couldn't be parsed into an integer"
			}
			bounds := s.bounds()
			b := bounds[slices.IndexFunc(bounds, func(b bound) bool { return b.name == name })]
			if n < b.min || n > b.max {
				return "argument must be between " + strconv.FormatInt(b.min, 10) + " and " + strconv.FormatInt(b.max, 10) + " inclusive"
			}
			*field(s) = T(n)
			return ""
		},
	}
}

// parseMemory parses a size as Redis does: k, m, g are powers of ten, kb, mb,
// gb powers of two.
func parseMemory(s string) (int64, bool) {
	s = strings.ToLower(s)
	units := []struct {
		suffix string
		factor int64
	}{{"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}, {"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"b", 1}}
	factor := int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			s, factor = rest, u.factor
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/factor {
		return 0, false
	}
	return n * factor, true
}

// static returns the parameters that cannot change while the node runs. Those
// of Redis that have one possible value here are answered with it, because
// tools ask for them.
func (r *Router) static() map[string]string {
	out := map[string]string{
		"appendfsync": "always", "appendonly": "yes", "save": "", "databases": "1",
		"cluster-enabled": yesNo(r.cluster), "cluster-protocol": string(r.cfg.Cluster), "redirect": string(r.cfg.Redirect),
		"proto-max-bulk-len": strconv.Itoa(512 << 20),
	}
	for k, v := range r.cfg.Static {
		out[k] = v
	}
	return out
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func doConfigGet(r *Router, _ context.Context, _ *Session, args command.Args) resp.Value {
	set := r.settings.Load()
	all := r.static()
	for _, p := range params() {
		all[p.name] = p.get(set)
	}
	all[paramRequirePass] = r.shownPassword()
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

func doConfigSet(r *Router, ctx context.Context, _ *Session, args command.Args) resp.Value {
	if len(args)%2 != 0 {
		return errSyntax
	}
	shares := r.cfg.Reloader != nil && sharesMemory(args[2:])
	if shares {
		r.cfg.Reloader.Share(ctx) // so that this setting comes after what other nodes were told
	}
	reply := r.configSet(ctx, args[2:])
	if shares && !reply.IsError() {
		r.cfg.Reloader.Share(ctx)
	}
	return reply
}

// sharesMemory reports whether parameters are named that all nodes have in common, or that
// go by one of these.
func sharesMemory(pairs command.Args) bool {
	for i := 0; i < len(pairs); i += 2 {
		name := strings.ToLower(string(pairs[i]))
		if strings.HasPrefix(name, "maxmemory") || strings.HasPrefix(name, "lfu-") {
			return true
		}
	}
	return false
}

func (r *Router) configSet(ctx context.Context, pairs command.Args) resp.Value {
	r.settingsMu.Lock()
	defer r.settingsMu.Unlock()
	old := *r.settings.Load()
	next := old
	var names []string
	for i := 0; i < len(pairs); i += 2 {
		name := strings.ToLower(string(pairs[i]))
		if refuse := r.setParam(&next, name, string(pairs[i+1]), names); refuse.IsError() {
			return refuse
		}
		names = append(names, name)
	}
	named := func(name string) bool { return slices.Contains(names, name) }
	if (named("maxmemory") || named("maxmemory-clients")) && !next.shareClients() {
		return resp.Err("ERR CONFIG SET failed (possibly related to argument 'maxmemory-clients') - " +
			"a percentage of maxmemory needs one, and it is 0: set maxmemory, or maxmemory-clients in bytes")
	}
	if r.cfg.Reloader != nil {
		if err := r.cfg.Reloader.Reload(ctx, old, next, names); err != nil {
			return resp.Err("ERR CONFIG SET failed - " + request.OneLine(err.Error()))
		}
	}
	r.settings.Store(&next)
	r.limitClients()
	return resp.OK
}

// limitClients has the limit in force that the settings have.
func (r *Router) limitClients() {
	if limit := r.settings.Load().MaxMemoryClients; limit != r.clients.Limit() {
		r.clients.SetLimit(limit)
	}
}

// AdoptMemory takes over the memory settings of what current returns, since another node was
// told some. They are asked for here, so that those of a CONFIG SET that runs are among them.
// A limit for clients that is a percentage follows, but neither disappears with the limit for
// data nor comes below what the node needs.
func (r *Router) AdoptMemory(current func() Settings) {
	r.settingsMu.Lock()
	defer r.settingsMu.Unlock()
	next, m := *r.settings.Load(), current()
	next.MaxMemory, next.MaxMemoryPolicy, next.MaxMemorySamples = m.MaxMemory, m.MaxMemoryPolicy, m.MaxMemorySamples
	next.LFULogFactor, next.LFUDecayTime = m.LFULogFactor, m.LFUDecayTime
	if next.ClientsPercent != 0 && next.shareClients() {
		next.MaxMemoryClients = max(next.MaxMemoryClients, r.cfg.MinClientMemory)
	}
	r.settings.Store(&next)
	r.limitClients()
}

func (r *Router) setParam(next *Settings, name, value string, seen []string) resp.Value {
	list := params()
	i := slices.IndexFunc(list, func(p param) bool { return p.name == name })
	failed := func(why string) resp.Value {
		return resp.Err("ERR CONFIG SET failed (possibly related to argument '" + name + "') - " + why)
	}
	if name == paramRequirePass {
		return failed(whyNotRequirePass)
	}
	if i < 0 {
		if _, fixed := r.static()[name]; fixed {
			return failed("can't set immutable config")
		}
		return resp.Err("ERR Unknown option or number of arguments for CONFIG SET - '" + clip([]byte(name), 128) + "'")
	}
	if slices.Contains(seen, name) {
		return failed("duplicate parameter")
	}
	if wrong := list[i].set(next, value); wrong != "" {
		return failed(wrong)
	}
	return resp.Value{}
}

func doConfigResetstat(r *Router, _ context.Context, _ *Session, _ command.Args) resp.Value {
	for _, p := range r.all {
		p.stats.reset()
	}
	r.errs.reset()
	r.counters.reset()
	r.clients.ResetCounters()
	return resp.OK
}

func doConfigRewrite(r *Router, _ context.Context, _ *Session, _ command.Args) resp.Value {
	if r.cfg.ConfigFile == "" {
		return resp.Err("ERR The server is running without a config file")
	}
	return resp.Err("ERR Rewriting config file: a node does not write its own configuration")
}
