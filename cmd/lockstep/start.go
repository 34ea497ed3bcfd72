package main

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/internal/config"
)

// startup is what a node does until it serves for the first time. Until then its
// clients get LOADING: it opens its logs, loads snapshots, waits for other nodes, and for
// leaders of its shards. What they are told of a majority that is lost later is another
// matter.
type startup struct {
	doing  atomic.Pointer[string]
	loaded sync.Once
}

// waitsFor notes what the start waits for; see shard.Options.OnStart.
func (p *startup) waitsFor(what string) { p.doing.Store(&what) }

// readyPoll is how often a node that starts looks whether it serves.
const readyPoll = 10 * time.Millisecond

// watch lets clients in as soon as the node is ready.
func (p *startup) watch(s *server) {
	r := s.router.Load()
	s.starting.Go(func() {
		for p.ready(s) != nil {
			select {
			case <-r.Stopping():
				return
			case <-time.After(readyPoll):
			}
		}
	})
}

// ready tells why the node does not serve. Whoever learns first that it does lets clients
// in: a client that was told so is not refused.
func (p *startup) ready(s *server) error {
	n := s.node.get()
	if n == nil {
		if doing := p.doing.Load(); doing != nil {
			return fmt.Errorf("this node is starting: %s", *doing)
		}
		return errors.New("this node is starting")
	}
	if err := n.Ready(); err != nil {
		return err
	}
	p.loaded.Do(func() {
		s.router.Load().Loaded()
		told := s.cfg.Advertised(config.LocalHost)
		s.logger.Info("ready for clients", "told_http", told.HTTP, "told_resp", told.RESP, "http", s.cfg.Listen.HTTP, "resp", s.cfg.Listen.RESP, "peer", s.cfg.Listen.Peer,
			"shards", s.cfg.Node.Shards, "cluster", n.ClusterID(), "version", version, "go", runtime.Version())
	})
	return nil
}

// self is this node as its clients reach it.
func self(c config.Config) router.NodeInfo {
	told := c.Advertised(config.LocalHost)
	return router.NodeInfo{ID: c.Node.ID, HTTP: told.HTTP, RESP: told.RESP, Peer: told.Peer, State: router.StateStarting, Version: version}
}
