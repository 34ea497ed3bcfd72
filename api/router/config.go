package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/api/clientmem"
)

// Redirect says what a node does with a command for a shard that it does not
// lead, when there are several shards.
type Redirect string

const (
	// RedirectMoved answers -MOVED, as Redis Cluster does.
	RedirectMoved Redirect = "moved"
	// RedirectForward runs the command on the shard's leader.
	RedirectForward Redirect = "forward"
)

// ClusterProtocol says whether a node shows itself to clients as one of a Redis
// Cluster: CLUSTER answers, and HELLO and INFO say cluster. Without it a node looks
// like a plain Redis, which is what a client expects of one whose commands may name
// any keys.
type ClusterProtocol string

const (
	// ClusterAuto is on with several shards and off with one.
	ClusterAuto ClusterProtocol = "auto"
	// ClusterOn shows a cluster with a single shard, too.
	ClusterOn ClusterProtocol = "on"
	// ClusterOff shows a plain Redis; several shards need RedirectForward then.
	ClusterOff ClusterProtocol = "off"
)

// Errors of Config.Validate and Settings.Validate.
var (
	ErrBadRedirect = errors.New("router: redirect must be moved or forward")
	ErrBadCluster  = errors.New("router: cluster protocol must be auto, on or off; with off several shards need redirect forward")
	ErrBadSetting  = errors.New("router: bad setting")
)

// Config is fixed for the life of a Router. It has so many fields because it is all that a
// node sets up; New hands each to the part that it is for.
type Config struct {
	Redirect   Redirect        // default RedirectMoved; without effect on a single shard
	Cluster    ClusterProtocol // default ClusterAuto
	SpanShards bool            // MGET, MSET, DEL, UNLINK, EXISTS, TOUCH may name keys of several shards

	RequestTimeout time.Duration // how long one pipeline part may take; default 10 s
	MaxBatchBytes  int           // of one Propose; default 1 MiB (a larger command travels alone)
	MaxBatchUnits  int           // of one Propose or Read; default 4096
	MaxQueuedBytes int           // what one MULTI may hold; default 512 MiB

	Version    string // of Lockstep, for INFO and HELLO
	ConfigFile string // for INFO
	Static     map[string]string

	// Loading: the node is still starting. Requests for data are refused with LOADING
	// until Loaded is called.
	Loading bool

	// MinClientMemory is what clients must be allowed to hold, whatever percentage of
	// maxmemory that is.
	MinClientMemory int64

	// Rooms run the commands that are not the router's own.
	Rooms []Room

	Clients   *clientmem.Budget // of what clients hold; nil: one of its own
	Passwords []string          // see SetPasswords
	Settings  Settings          // what CONFIG SET may change, as it is at start
	Reloader  Reloader          // told of each change; nil: none

	Registerer prometheus.Registerer // nil: no metrics are registered
	Logger     *slog.Logger          // nil: slog.Default
	Now        func() time.Time      // nil: time.Now
}

// Reloader carries a changed setting to where it takes effect. An error refuses
// the change and becomes the reply of CONFIG SET.
type Reloader interface {
	// Reload makes new settings of the parameters named, also of those that stay as they were.
	Reload(ctx context.Context, old, next Settings, names []string) error
	// Share has this node and the others know the same settings of what they have in common.
	// It may call AdoptMemory.
	Share(ctx context.Context)
}

func (c Config) withDefaults() Config {
	if c.Redirect == "" {
		c.Redirect = RedirectMoved
	}
	if c.Cluster == "" {
		c.Cluster = ClusterAuto
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = 10 * time.Second
	}
	if c.MaxBatchBytes == 0 {
		c.MaxBatchBytes = 1 << 20
	}
	if c.MaxBatchUnits == 0 {
		c.MaxBatchUnits = 4096
	}
	if c.MaxQueuedBytes == 0 {
		c.MaxQueuedBytes = 512 << 20
	}
	if c.Version == "" {
		c.Version = "0.0.0"
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Settings == (Settings{}) {
		c.Settings = DefaultSettings()
	}
	return c
}

// Validate reports the first thing that is wrong with c.
func (c Config) Validate() error {
	if c.Redirect != RedirectMoved && c.Redirect != RedirectForward {
		return fmt.Errorf("%w, not %q", ErrBadRedirect, c.Redirect)
	}
	if c.Cluster != ClusterAuto && c.Cluster != ClusterOn && c.Cluster != ClusterOff {
		return fmt.Errorf("%w, not %q", ErrBadCluster, c.Cluster)
	}
	return c.Settings.Validate()
}
