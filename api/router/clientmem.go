package router

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

const evictionLogInterval = 10 * time.Second

// evictionLog bounds what the log tells of clients that were closed for want of memory.
type evictionLog struct {
	mu     sync.Mutex
	last   time.Time // guarded by mu
	untold int       // since the last line; guarded by mu
}

// tellEviction says now and then that clients are closed for want of memory.
func (r *Router) tellEviction(s *Session) {
	e := &r.evictions
	e.mu.Lock()
	defer e.mu.Unlock()
	e.untold++
	if now := r.now(); e.last.IsZero() || now.Sub(e.last) >= evictionLogInterval {
		r.log.Warn("closing the clients that hold most memory, all together have more than maxmemory-clients",
			"client", s.addr, "bytes", s.mem.Total(), "limit", r.clients.Limit(), "closed_since_last_told", e.untold)
		e.last, e.untold = now, 0
	}
}

// clientsMemory is maxmemory-clients: percent of maxmemory if that is what is in force, else
// bytes. See AdoptMemory for a percentage that is not.
func clientsMemory(s *Settings) string {
	if s.ClientsPercent > 0 && s.MaxMemoryClients == PercentOf(s.ClientsPercent, s.MaxMemory) {
		return strconv.Itoa(s.ClientsPercent) + "%"
	}
	return strconv.FormatInt(s.MaxMemoryClients, 10)
}

// setClientsMemory leaves it to shareClients what a percentage is: maxmemory may be set by
// the same command.
func setClientsMemory(s *Settings, v string) string {
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
func outputLimits(s *Settings) string {
	return "normal " + strconv.FormatInt(s.ClientOutputLimit, 10) + " 0 0 slave 0 0 0 pubsub 0 0 0"
}

// setOutputLimits takes classes with a hard limit, a soft limit and seconds, as Redis
// does. What would have no effect here is refused: soft limits, and limits for classes
// that have no clients.
func setOutputLimits(s *Settings, v string) string {
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
			case hard < MinClientOutputLimit || hard > 1<<61:
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
