package admin

import (
	"strconv"
	"strings"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/internal/bytesize"
	"github.com/lockstepkv/lockstep/store"
)

// param is one parameter that CONFIG SET may change.
type param struct {
	name string
	get  func(*router.Settings) string
	set  func(*router.Settings, string) string // returns what is wrong with the value, or ""
}

// params lists the reloadable parameters under Redis's names.
func params() []param {
	return append(limitParams(), []param{
		intParam("latency-monitor-threshold", func(s *router.Settings) *int64 { return &s.LatencyMonitorThreshold }),
		intParam("lfu-decay-time", func(s *router.Settings) *int { return &s.LFUDecayTime }),
		intParam("lfu-log-factor", func(s *router.Settings) *int { return &s.LFULogFactor }),
		intParam("maxclients", func(s *router.Settings) *int { return &s.MaxClients }),
		memoryParam("maxmemory", func(s *router.Settings) *int64 { return &s.MaxMemory }),
		{name: "maxmemory-clients", get: clientsMemory, set: setClientsMemory},
		{name: "client-output-buffer-limit", get: outputLimits, set: setOutputLimits},
		{
			name: "maxmemory-policy",
			get:  func(s *router.Settings) string { return s.MaxMemoryPolicy.String() },
			set: func(s *router.Settings, v string) string {
				policy, err := store.ParsePolicy(strings.ToLower(v))
				if err != nil {
					return "argument(s) must be one of the following: " + strings.Join(store.PolicyNames(), ", ")
				}
				s.MaxMemoryPolicy = policy
				return ""
			},
		},
		intParam("maxmemory-samples", func(s *router.Settings) *int { return &s.MaxMemorySamples }),
		intParam("slowlog-log-slower-than", func(s *router.Settings) *int64 { return &s.SlowlogLogSlowerThan }),
		intParam("slowlog-max-len", func(s *router.Settings) *int { return &s.SlowlogMaxLen }),
		intParam("tcp-keepalive", func(s *router.Settings) *int { return &s.TCPKeepalive }),
		intParam("timeout", func(s *router.Settings) *int { return &s.Timeout }),
	}...)
}

// limitParams are the sizes up to which values are packed, each under both of its names.
func limitParams() (list []param) {
	for l := range store.LimitCount {
		info := l.Info()
		p := intParam(info.Name, func(s *router.Settings) *int64 { return &s.Limits[l] })
		list = append(list, p)
		if p.name = info.Former; p.name != "" {
			list = append(list, p)
		}
	}
	return list
}

func memoryParam(name string, field func(*router.Settings) *int64) param {
	return param{
		name: name,
		get:  func(s *router.Settings) string { return strconv.FormatInt(*field(s), 10) },
		set: func(s *router.Settings, v string) string {
			n, ok := parseMemory(v)
			if !ok {
				return "argument must be a memory value"
			}
			*field(s) = n
			return ""
		},
	}
}

func intParam[T int | int64](name string, field func(*router.Settings) *T) param {
	return param{
		name: name,
		get:  func(s *router.Settings) string { return strconv.FormatInt(int64(*field(s)), 10) },
		set: func(s *router.Settings, v string) string {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return "argument couldn't be parsed into an integer"
			}
			if least, most := s.Bounds(name); n < least || n > most {
				return "argument must be between " + strconv.FormatInt(least, 10) + " and " + strconv.FormatInt(most, 10) + " inclusive"
			}
			*field(s) = T(n)
			return ""
		},
	}
}

// parseMemory reads a size that can be added to another one.
func parseMemory(s string) (int64, bool) {
	n, err := bytesize.Parse(s)
	return n, err == nil && n <= 1<<62
}

// clientsMemory is maxmemory-clients: percent of maxmemory if that is what is in force, else
// bytes. See router.AdoptMemory for a percentage that is not.
func clientsMemory(s *router.Settings) string {
	if s.ClientsPercent > 0 && s.MaxMemoryClients == router.PercentOf(s.ClientsPercent, s.MaxMemory) {
		return strconv.Itoa(s.ClientsPercent) + "%"
	}
	return strconv.FormatInt(s.MaxMemoryClients, 10)
}

// setClientsMemory leaves it to ShareClients what a percentage is: maxmemory may be set by
// the same command.
func setClientsMemory(s *router.Settings, v string) string {
	if digits, ok := strings.CutSuffix(v, "%"); ok {
		percent, err := strconv.ParseUint(digits, 10, 31)
		switch {
		case err != nil:
			return "argument must be a memory or percent value"
		case percent > 100:
			return "percentage argument must be less or equal to 100"
		case percent == 0: // no limit, as in Redis
			s.MaxMemoryClients = 0
		}
		s.ClientsPercent = int(percent)
		return ""
	}
	n, ok := parseMemory(v)
	if !ok {
		return "argument must be a memory or percent value"
	}
	s.MaxMemoryClients, s.ClientsPercent = n, 0
	return ""
}

// outputLimits is client-output-buffer-limit: a hard limit for normal clients, which is
// the only kind that there is.
func outputLimits(s *router.Settings) string {
	return "normal " + strconv.FormatInt(s.ClientOutputLimit, 10) + " 0 0 slave 0 0 0 pubsub 0 0 0"
}

// setOutputLimits takes classes with a hard limit, a soft limit and seconds, as Redis
// does. What would have no effect here is refused: soft limits, and limits for classes
// that have no clients.
func setOutputLimits(s *router.Settings, v string) string {
	words := strings.Fields(v)
	if len(words) == 0 || len(words)%4 != 0 {
		return "Wrong number of arguments in buffer limit configuration."
	}
	for ; len(words) > 0; words = words[4:] {
		hard, ok1 := parseMemory(words[1])
		soft, ok2 := parseMemory(words[2])
		seconds, err := strconv.ParseInt(words[3], 10, 64)
		if !ok1 || !ok2 || err != nil || seconds < 0 {
			return "Error in hard, soft or soft_seconds setting in buffer limit configuration."
		}
		switch class := strings.ToLower(words[0]); class {
		case "normal":
			switch {
			case soft != 0 || seconds != 0:
				return "there are no soft limits: at the hard limit a client is waited for, and closed when it reads nothing for 10 s"
			case hard < router.MinClientOutputLimit || hard > 1<<61:
				return "the hard limit of normal clients must be 1mb or more"
			}
			s.ClientOutputLimit = hard
		case "slave", "replica", "pubsub":
			if hard != 0 || soft != 0 || seconds != 0 {
				return "there are no clients of class " + class + ", its limits must be 0"
			}
		default:
			return "Invalid client class specified in buffer limit configuration."
		}
	}
	return ""
}
