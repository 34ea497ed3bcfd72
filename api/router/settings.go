package router

import (
	"fmt"
	"math"

	"github.com/lockstepkv/lockstep/store"
)

// Settings is the reloadable part of the configuration, under the names of
// Redis's parameters. A Settings value is never changed, only replaced.
type Settings struct {
	MaxMemory               int64 // bytes of all shards of a node; 0: no limit
	MaxMemoryPolicy         store.Policy
	MaxMemorySamples        int
	LFULogFactor            int
	LFUDecayTime            int   // minutes
	SlowlogLogSlowerThan    int64 // microseconds; negative: off, 0: everything
	SlowlogMaxLen           int
	LatencyMonitorThreshold int64 // milliseconds; 0: off
	Timeout                 int   // seconds of idleness before a connection is closed; 0: never
	TCPKeepalive            int   // seconds
	MaxClients              int
	MaxMemoryClients        int64 // bytes that all clients may hold; 0: no limit
	ClientsPercent          int   // MaxMemoryClients follows MaxMemory, as that many percent of it; 0: it does not
	ClientOutputLimit       int64 // bytes of replies that are kept for one client
	Limits                  store.Limits
}

// MinClientOutputLimit is the least of Settings.ClientOutputLimit.
const MinClientOutputLimit = 1 << 20

// DefaultSettings returns Redis's defaults, and for client-output-buffer-limit, which
// is none for Redis, one of ours.
func DefaultSettings() Settings {
	return Settings{
		MaxMemoryPolicy:      store.NoEviction,
		MaxMemorySamples:     5,
		LFULogFactor:         10,
		LFUDecayTime:         1,
		SlowlogLogSlowerThan: 10_000,
		SlowlogMaxLen:        128,
		TCPKeepalive:         300,
		MaxClients:           10_000,
		ClientOutputLimit:    128 << 20,
		Limits:               store.DefaultLimits(),
	}
}

// bound is what a number among the settings may be, at start and in CONFIG SET.
type bound struct {
	name          string
	val, min, max int64
}

// bounds are Redis's, except where a larger value would only do harm:
// maxmemory-samples, slowlog-max-len.
func (s *Settings) bounds() []bound {
	list := []bound{
		{"maxmemory", s.MaxMemory, 0, 1 << 62},
		{"maxmemory-samples", int64(s.MaxMemorySamples), 1, 64},
		{"lfu-log-factor", int64(s.LFULogFactor), 0, math.MaxInt32},
		{"lfu-decay-time", int64(s.LFUDecayTime), 0, math.MaxInt32},
		{"slowlog-log-slower-than", s.SlowlogLogSlowerThan, -1, math.MaxInt64},
		{"slowlog-max-len", int64(s.SlowlogMaxLen), 0, 1 << 20},
		{"latency-monitor-threshold", s.LatencyMonitorThreshold, 0, math.MaxInt64},
		{"timeout", int64(s.Timeout), 0, math.MaxInt32},
		{"tcp-keepalive", int64(s.TCPKeepalive), 0, math.MaxInt32},
		{"maxclients", int64(s.MaxClients), 1, math.MaxInt32},
		{"maxmemory-clients", s.MaxMemoryClients, 0, 1 << 62},
		{"client-output-buffer-limit", s.ClientOutputLimit, MinClientOutputLimit, 1 << 61},
	}
	for l, v := range s.Limits {
		info := store.Limit(l).Info()
		list = append(list, bound{info.Name, v, info.Least, info.Most})
	}
	return list
}

// Bounds returns what the number of that name may be.
func (s *Settings) Bounds(name string) (least, most int64) {
	for _, b := range s.bounds() {
		if b.name == name {
			return b.min, b.max
		}
	}
	return math.MinInt64, math.MaxInt64
}

// ShareClients makes MaxMemoryClients the percentage of MaxMemory that it is. False: there
// is no limit to take one of, and it stays as it was.
func (s *Settings) ShareClients() bool {
	if s.ClientsPercent == 0 {
		return true
	}
	if s.MaxMemory == 0 {
		return false
	}
	s.MaxMemoryClients = PercentOf(s.ClientsPercent, s.MaxMemory)
	return true
}

// PercentOf returns so many percent of n, without overflow.
func PercentOf(percent int, n int64) int64 {
	return n/100*int64(percent) + n%100*int64(percent)/100
}

// Validate reports the first setting that is out of bounds.
func (s Settings) Validate() error {
	for _, b := range s.bounds() {
		if b.val < b.min || b.val > b.max {
			return fmt.Errorf("%w: %s must be between %d and %d inclusive", ErrBadSetting, b.name, b.min, b.max)
		}
	}
	return nil
}
