package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/lockstepkv/lockstep/api/admin"
	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/api/httpapi"
	"github.com/lockstepkv/lockstep/api/respapi"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/commandset"
	"github.com/lockstepkv/lockstep/internal/bulk"
	"github.com/lockstepkv/lockstep/internal/config"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/shard"
	"github.com/lockstepkv/lockstep/store"
)

// shutdownPatience is how long a node that is told to stop lets its clients
// finish.
const shutdownPatience = 5 * time.Second

// runServe runs a node until ctx ends. On hup it reads its secrets again.
func runServe(ctx context.Context, cfg config.Config, logger *slog.Logger, hup <-chan os.Signal) error {
	s := &server{cfg: cfg, logger: logger.With("node", cfg.Node.ID), registry: prometheus.NewRegistry(), clients: clientmem.New(cfg.Requests.ClientMemory.Bytes), failed: make(chan error, 8)}
	var err error
	if s.secrets, err = openSecrets(cfg.Security, cfg.CertificateNames(), s.logger); err != nil {
		return withCode(exitUsage, err)
	}
	if s.openFiles, err = openFilesLimit(); err != nil {
		return err
	}
	note, err := fitOpenFiles(&s.cfg, s.openFiles)
	if err != nil {
		return withCode(exitUsage, err)
	}
	if note != "" {
		s.logger.Warn(note)
	}
	s.secrets.newPasswords = s.adoptPasswords
	s.registry.MustRegister(s.secrets.reloads, s.secrets.expires)
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { s.secrets.watch(ctx, hup) })
	watching.Go(func() { bulk.Pace(ctx) })
	defer watching.Wait()
	defer cancel()
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.registry.MustRegister(newNodeCollector(s))
	defer s.close()
	switch err := s.open(ctx); {
	case err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		s.logger.Info("stopping before the start is over", "after", err)
		return nil
	case err != nil:
		return err
	}
	select {
	case <-ctx.Done():
		s.logger.Info("stopping")
		s.asked = true
		return nil
	case err := <-s.failed:
		return err
	}
}

// server is the wiring of a node: listeners, shards, router, protocols.
type server struct {
	cfg      config.Config
	logger   *slog.Logger
	registry *prometheus.Registry
	failed   chan error // the first thing that ended by itself
	asked    bool       // to stop; otherwise something failed
	secrets  *secrets

	openFiles int // the system's limit

	listeners

	draining atomic.Bool
	clients  *clientmem.Budget // of what clients hold in memory

	node   *node
	router atomic.Pointer[router.Router]
	start  startup

	starting sync.WaitGroup // watches the start
	resp     *respapi.Server
	http     *httpapi.Server
	probes   *httpapi.Server // nil: none
}

func (s *server) open(ctx context.Context) error {
	if err := s.listen(s.cfg, &s.secrets.clients, s.logger); err != nil {
		return err
	}
	opt := s.shardOptions()
	opt.View = viewOf(s.cfg.Node.Members, s.cfg.Node.Shards)
	s.node = newNode(self(s.cfg), opt.View)
	s.node.limits = s.limits
	starting := s.serveHTTP()
	r, err := router.New(s.node, opt.Table, s.routerConfig())
	if err != nil {
		return err
	}
	s.resp = s.newRESP(r)
	s.router.Store(r)
	s.adoptPasswords(*s.secrets.passwords.Load()) // which may have changed meanwhile
	s.serveRESP()
	if err := s.openHTTP(starting); err != nil {
		return err
	}
	n, err := shard.Open(ctx, opt)
	if err != nil {
		s.peerListener.Close()
		return err
	}
	s.node.opened(n)
	s.start.watch(s)
	return nil
}

func (s *server) shardOptions() shard.Options {
	c := s.cfg
	told := c.Advertised(config.LocalHost)
	opt := shard.Options{
		NodeID: c.Node.ID, ClusterName: c.Node.ClusterName, Shards: c.Node.Shards,
		DataDir: c.Node.DataDir, LogEngine: c.Node.LogEngine,
		Version: version, Limits: s.limits,
		HTTPAddr: told.HTTP, RESPAddr: told.RESP, PeerAddr: told.Peer,
		Listener: s.peerListener, PeerTLS: s.secrets.peerConfig(), PeerNames: c.Security.PeerNames, Secrets: s.secrets.peerSecretList(), Clock: nodeClock(s.logger), Faults: nodeFaults(s.logger),
		Table: commandset.New(), Memory: memoryOf(s.settings()),
		HeartbeatTimeout: c.Raft.HeartbeatTimeout, ElectionTimeout: c.Raft.ElectionTimeout,
		OnceRetention: c.Requests.OnceRetention, OnceBytes: c.Requests.OnceBytes, MaxClockOffset: c.Raft.MaxClockOffset,
		DiskStallTimeout: c.Raft.DiskStallTimeout, DiskReserve: c.Raft.DiskReserve, AuditInterval: c.Raft.AuditInterval, SnapshotLogBytes: c.Raft.SnapshotLogBytes, LogCacheBytes: c.Raft.LogCacheBytes,
		MaxValueBytes:   c.Requests.MaxValueBytes,
		MaxWaitingBytes: max(256<<20, 2*c.Requests.MaxValueBytes),
		Logger:          s.logger, Metrics: s.registry, Fatal: s.fatal, OnMemory: s.adoptMemory, OnStart: s.start.waitsFor,
	}
	if c.Raft.LeaseReads {
		opt.LeaseDuration = c.Raft.LeaseDuration
	}
	for _, m := range c.Node.Members {
		opt.Members = append(opt.Members, shard.Member{ID: m.ID, Peer: m.PeerAddr})
	}
	return opt
}

// fatal ends the process without ceremony: the disk cannot be trusted, so nothing
// that a clean stop would do can be either.
func (s *server) fatal(err error) {
	s.logger.Error("this node cannot go on", "error", err)
	os.Exit(exitFatal)
}

func (s *server) settings() router.Settings {
	set := router.DefaultSettings()
	set.MaxMemory = s.cfg.Memory.MaxBytes
	set.MaxMemoryPolicy = s.cfg.Memory.Policy
	set.MaxMemorySamples = s.cfg.Memory.Samples
	set.Limits = s.cfg.Memory.Limits
	set.MaxClients = s.cfg.Requests.MaxClients
	set.MaxMemoryClients = s.cfg.Requests.ClientMemory.Bytes
	set.ClientsPercent = s.cfg.Requests.ClientMemory.Percent
	set.ClientOutputLimit = s.cfg.Requests.OutputBytes
	set.SlowlogLogSlowerThan = s.cfg.Requests.SlowlogThreshold.Microseconds()
	return set
}

func memoryOf(set router.Settings) shard.Memory {
	return shard.Memory{MaxBytes: set.MaxMemory, Eviction: store.Options{
		Policy: set.MaxMemoryPolicy, Samples: set.MaxMemorySamples, LFULogFactor: set.LFULogFactor, LFUDecayMinutes: set.LFUDecayTime,
	}, Limits: set.Limits}
}

// Reload implements router.Reloader for what the shards need to know; the
// protocols ask the router themselves.
func (s *server) Reload(_ context.Context, old, next router.Settings, names []string) error {
	if most := mostClients(s.cfg, s.openFiles); next.MaxClients > max(most, old.MaxClients) {
		//lint:ignore ST1005 Redis's words
		return fmt.Errorf("The operating system is not able to handle the specified number of clients, try with %d", max(most, old.MaxClients))
	}
	if least := s.cfg.Requests.LeastClientBytes(); next.MaxMemoryClients != 0 && next.MaxMemoryClients < least {
		return fmt.Errorf("maxmemory-clients must be 0 or at least %d, twice --max-value-size", least)
	}
	params := memoryParams(names)
	if len(params) == 0 {
		return nil
	}
	n := s.node.get()
	if n == nil {
		return errOpening
	}
	n.SetMemory(memoryOf(next), params...)
	return nil
}

// memoryParams are those of the parameters named that all nodes have in common.
func memoryParams(names []string) (list []shard.MemoryParam) {
	known := map[string]shard.MemoryParam{
		"maxmemory": shard.ParamMaxBytes, "maxmemory-policy": shard.ParamPolicy, "maxmemory-samples": shard.ParamSamples,
		"lfu-log-factor": shard.ParamLFULogFactor, "lfu-decay-time": shard.ParamLFUDecay,
	}
	for l := range store.LimitCount {
		info := l.Info()
		known[info.Name], known[info.Former] = shard.LimitParam(l), shard.LimitParam(l)
	}
	for _, name := range names {
		if p, ok := known[name]; ok {
			list = append(list, p)
		}
	}
	return list
}

// Share implements router.Reloader.
func (s *server) Share(ctx context.Context) {
	if n := s.node.get(); n != nil {
		n.TellMemory(ctx)
	}
}

// adoptPasswords tells the router of the passwords that are valid from now on.
func (s *server) adoptPasswords(list []string) {
	if r := s.router.Load(); r != nil {
		r.SetPasswords(list)
	}
}

// adoptMemory tells the router of a CONFIG SET on another node.
func (s *server) adoptMemory(current func() shard.Memory) {
	r := s.router.Load()
	if r == nil {
		return
	}
	r.AdoptMemory(func() router.Settings {
		m := current()
		return router.Settings{
			MaxMemory: m.MaxBytes, MaxMemoryPolicy: m.Eviction.Policy, MaxMemorySamples: m.Eviction.Samples,
			LFULogFactor: m.Eviction.LFULogFactor, LFUDecayTime: m.Eviction.LFUDecayMinutes, Limits: m.Limits,
		}
	})
}

func (s *server) routerConfig() router.Config {
	redirect := router.RedirectForward
	if s.cfg.Requests.RedirectMoved {
		redirect = router.RedirectMoved
	}
	return router.Config{
		Redirect: redirect, Cluster: router.ClusterProtocol(s.cfg.Requests.ClusterProtocol), SpanShards: s.cfg.Requests.AllowCrossShard, RequestTimeout: s.cfg.Requests.Timeout,
		Rooms: []router.Room{admin.New}, Loading: true, MinClientMemory: s.cfg.Requests.LeastClientBytes(),
		MaxQueuedBytes: int(max(512<<20, s.cfg.Requests.MaxValueBytes)),
		Version:        version, Settings: s.settings(), Clients: s.clients, Passwords: *s.secrets.passwords.Load(), Reloader: s, Registerer: s.registry, Logger: s.logger,
		Static: map[string]string{
			"dir": s.cfg.Node.DataDir, "port": config.PortOf(s.cfg.Listen.RESP), "bind": config.HostOf(s.cfg.Listen.RESP),
			"appendonly": "yes", "appendfsync": "always", "save": "", "databases": "1",
			"proto-max-bulk-len": fmt.Sprint(s.cfg.Requests.MaxValueBytes),
		},
	}
}

func (s *server) newRESP(r *router.Router) *respapi.Server {
	return respapi.New(respapi.Options{
		Listener: s.respListener, Backend: respapi.FromRouter(r), Logger: s.logger,
		Limits: resp.Limits{MaxBulk: s.cfg.Requests.MaxValueBytes}, AuthTimeout: s.cfg.Security.AuthTimeout,
		RequestBytes: s.requestBytes(),
	})
}

// requestBytes is how much requests that are being read may hold: half of what clients
// may, so that a crowd of large ones waits before anybody is closed. 0: the default.
func (s *server) requestBytes() int64 {
	if limit := s.settings().MaxMemoryClients; limit > 0 {
		return min(limit/2, 256<<20)
	}
	return 0
}

func (s *server) serveRESP() {
	go func() { s.report("redis protocol", s.resp.Serve()) }()
}

// serveHTTP answers probes until there is a router.
func (s *server) serveHTTP() *httpapi.Starting {
	handler := new(httpapi.Starting)
	s.http = httpapi.NewServer(httpapi.ServerOptions{
		Handler: handler, MaxConns: s.cfg.Requests.MaxHTTPConns, StallTimeout: s.cfg.Requests.HTTPStall,
		HeaderTimeout: min(10*time.Second, s.cfg.Security.AuthTimeout), Logger: s.logger, Memory: s.clients,
	})
	go func() { s.report("http", s.http.Serve(s.httpListener)) }()
	if s.probeListener != nil {
		s.probes = httpapi.NewServer(httpapi.ServerOptions{
			Handler: httpapi.Probes(s.registry, s.ready), MaxConns: httpapi.MaxProbeConns, StallTimeout: s.cfg.Requests.HTTPStall, Logger: s.logger, Memory: s.clients,
		})
		go func() { s.report("metrics", s.probes.Serve(s.probeListener)) }()
	}
	return handler
}

func (s *server) openHTTP(starting *httpapi.Starting) error {
	handler, err := httpapi.New(httpapi.Options{
		Router: s.router.Load(), Gatherer: s.registry, Registerer: s.registry, Ready: s.ready, Notices: s.notices, Backup: s.backup, Digest: s.digest,
		MaxValueBytes: s.cfg.Requests.MaxValueBytes, AllowedHosts: s.cfg.Security.AllowedHosts, Logger: s.logger,
	})
	if err != nil {
		return err
	}
	starting.Open(handler)
	return nil
}

// backup writes a shard's newest acknowledged state as an RDB file.
func (s *server) backup(ctx context.Context, shard int, w io.Writer) error {
	n := s.node.get()
	if n == nil {
		return errOpening
	}
	return backupTo(ctx, n.Groups()[shard], s.cfg.Requests.Timeout, w)
}

// replica is what a backup needs of a shard.
type replica interface {
	// WriteBackup takes the data while reading lasts; it may write for longer.
	WriteBackup(reading context.Context, w io.Writer) (index uint64, err error)
}

// backupTo waits no longer than any read for a majority; the data may then take
// as long as its size needs.
func backupTo(ctx context.Context, r replica, patience time.Duration, w io.Writer) error {
	reading, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := r.WriteBackup(reading, w)
	return err
}

// digest hashes this node's replica of a shard, for comparison with others.
func (s *server) digest(shard int) (httpapi.Digest, error) {
	n := s.node.get()
	if n == nil {
		return httpapi.Digest{}, errOpening
	}
	d := n.Groups()[shard].Digest()
	return httpapi.Digest{Index: d.Index, Keys: d.Keys, Sum: d.Sum, State: d.State}, nil
}

func (s *server) report(what string, err error) {
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		s.failed <- fmt.Errorf("%s listener: %w", what, err)
	}
}

// handOver gives the leaderships to other nodes, while this one still takes requests.
func (s *server) handOver() {
	n := s.node.get()
	if n == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownPatience)
	defer cancel()
	n.HandOver(ctx)
}

// ready is what /readyz tells.
func (s *server) ready() error {
	if s.draining.Load() {
		return errors.New("this node is stopping")
	}
	return s.start.ready(s)
}

// notices are what an operator should know though this node is ready.
func (s *server) notices() []string {
	if n := s.node.get(); n != nil {
		return n.Notices()
	}
	return nil
}

// drain refuses new requests, and keeps doing so until load balancers and clients have
// noticed. Requests under way are answered meanwhile.
func (s *server) drain(r *router.Router) {
	s.draining.Store(true)
	r.Drain()
	r.Stop()
	s.letNotice()
}

// letNotice gives load balancers and clients their time, if the node was asked to stop and
// until something fails: a node that is broken has nobody wait for it. A second signal
// ends the process.
func (s *server) letNotice() {
	if s.cfg.Requests.Drain <= 0 || !s.asked {
		return
	}
	s.logger.Info("refusing new requests before the ports close", "for", s.cfg.Requests.Drain.String())
	over := time.NewTimer(s.cfg.Requests.Drain)
	defer over.Stop()
	select {
	case <-over.C:
	case err := <-s.failed:
		s.logger.Warn("stopping at once", "error", err)
	}
}

// close stops in the order of the data's way: leadership to others, no new requests, then
// the shards.
func (s *server) close() {
	s.handOver()
	router := s.router.Load()
	if router != nil {
		s.drain(router)
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownPatience)
	defer cancel()
	for _, srv := range []*httpapi.Server{s.http, s.probes} {
		if srv != nil && srv.Shutdown(ctx) != nil {
			srv.Close()
		}
	}
	if s.resp != nil {
		if err := s.resp.Close(ctx); err != nil {
			s.logger.Warn("clients were cut off", "error", err)
		}
	}
	if router != nil {
		router.Wait()
	}
	s.starting.Wait()
	if n := s.node.get(); n != nil {
		if err := n.Close(); err != nil {
			s.logger.Error("stopping the shards", "error", err)
		}
	}
	s.listeners.close()
}
