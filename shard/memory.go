package shard

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/lockstepkv/lockstep/store"
)

// Memory is the part of the configuration that bounds the data; it may change
// while the node runs.
type Memory struct {
	MaxBytes int64 // for all shards of a node together; 0 means no limit
	Eviction store.Options
	Limits   store.Limits // up to which sizes values are packed

	made [memoryParams]paramVersion
}

// MemoryParam is one parameter of Memory. The values are told to other nodes.
type MemoryParam int

// The parameters.
const (
	ParamMaxBytes MemoryParam = iota
	ParamPolicy
	ParamSamples
	ParamLFULogFactor
	ParamLFUDecay
	firstLimit
	memoryParams = firstLimit + MemoryParam(store.LimitCount)
)

// LimitParam is the parameter for a limit.
func LimitParam(l store.Limit) MemoryParam { return firstLimit + MemoryParam(l) }

// paramVersion is which setting of a parameter holds; zero for that of the start. At is
// greater than that of every setting known where this one was made, and no less than that
// node's clock in Unix milliseconds: a node that has just started knows none.
type paramVersion struct {
	At   int64  `json:"at"`
	Node string `json:"node"`
}

func (v paramVersion) compare(w paramVersion) int {
	return cmp.Or(cmp.Compare(v.At, w.At), cmp.Compare(v.Node, w.Node))
}

// take makes a parameter what it is in from.
func (m *Memory) take(p MemoryParam, from *Memory) {
	m.made[p] = from.made[p]
	switch to, e := &m.Eviction, &from.Eviction; p {
	case ParamMaxBytes:
		m.MaxBytes = from.MaxBytes
	case ParamPolicy:
		to.Policy = e.Policy
	case ParamSamples:
		to.Samples = e.Samples
	case ParamLFULogFactor:
		to.LFULogFactor = e.LFULogFactor
	case ParamLFUDecay:
		to.LFUDecayMinutes = e.LFUDecayMinutes
	default:
		m.Limits[p-firstLimit] = from.Limits[p-firstLimit]
	}
}

// newest is the At of the last setting that m has in it.
func (m *Memory) newest() (at int64) {
	for _, v := range m.made {
		at = max(at, v.At)
	}
	return at
}

// merge takes over the parameters of which from has a later setting, but none that was made
// after latest, and reports whether there were any. The order of merges does not matter, so
// all nodes come to the same.
func (m *Memory) merge(from *Memory, latest int64) (changed bool) {
	for p := range memoryParams {
		if v := from.made[p]; v.At <= latest && v.compare(m.made[p]) > 0 {
			m.take(p, from)
			changed = true
		}
	}
	return changed
}

// memoryInfo is Memory as nodes tell it.
type memoryInfo struct {
	At       int64  `json:"at"` // of the newest parameter
	MaxBytes int64  `json:"max_bytes"`
	Policy   string `json:"policy"`
	Samples  int    `json:"samples"`
	LFULog   int    `json:"lfu_log_factor"`
	LFUDecay int    `json:"lfu_decay_minutes"`

	Limits []int64 `json:"limits,omitempty"` // by store.Limit; none from nodes that know no limits

	Made []paramVersion `json:"made,omitempty"` // by MemoryParam; none from nodes that know At alone
}

func (m *Memory) info() memoryInfo {
	e := m.Eviction
	return memoryInfo{At: m.newest(), MaxBytes: m.MaxBytes, Policy: e.Policy.String(), Samples: e.Samples, LFULog: e.LFULogFactor, LFUDecay: e.LFUDecayMinutes,
		Limits: slices.Clone(m.Limits[:]), Made: slices.Clone(m.made[:])}
}

// memory is what a node has told to one whose newest setting is of the time mine. Who has no
// versions of parameters goes by the newest setting of any, and so must we with what it tells.
func (i memoryInfo) memory(mine int64) (m Memory, ok bool) {
	policy, err := store.ParsePolicy(i.Policy)
	if err != nil {
		return Memory{}, false
	}
	m = Memory{MaxBytes: i.MaxBytes, Eviction: store.Options{
		Policy: policy, Samples: i.Samples, LFULogFactor: i.LFULog, LFUDecayMinutes: i.LFUDecay,
	}}
	m.Limits = store.DefaultLimits()
	for l := range store.LimitCount {
		if int(l) < len(i.Limits) && !m.Limits.Set(l, i.Limits[l]) {
			return Memory{}, false
		}
	}
	copy(m.made[:], i.Made)
	if i.Made == nil && i.At > mine {
		for p := range firstLimit {
			m.made[p].At = i.At
		}
	}
	return m, true
}

// SetMemory makes a new setting of some parameters, or of all if none are named, whether or
// not they change: what this node has may be older than what others have. It holds here at
// once; see TellMemory. The leader of a shard evicts, whoever was told.
func (n *Node) SetMemory(m Memory, params ...MemoryParam) {
	n.memoryMu.Lock()
	defer n.memoryMu.Unlock()
	if len(params) == 0 {
		for p := range memoryParams {
			params = append(params, p)
		}
	}
	next := *n.memory.Load()
	if m.Limits == (store.Limits{}) {
		m.Limits = next.Limits
	}
	v := paramVersion{At: max(n.opt.Clock.WallMillis(), next.newest()+1), Node: n.opt.NodeID}
	for _, p := range params {
		m.made[p] = v
		next.take(p, &m)
	}
	n.useMemory(next)
}

// Memory returns the memory setting in force.
func (n *Node) Memory() Memory { return *n.memory.Load() }

func (n *Node) useMemory(m Memory) {
	n.memory.Store(&m)
	for _, g := range n.Groups() {
		g.fsm.Reconfigure(func(s *store.Store) { s.Reconfigure(m.Eviction) })
	}
}

// adopt takes over what another node's memory setting has that is newer than this node's.
func (n *Node) adopt(i memoryInfo) {
	if n.mergeMemory(i) && n.opt.OnMemory != nil {
		n.opt.OnMemory(n.Memory)
	}
}

func (n *Node) mergeMemory(i memoryInfo) (changed bool) {
	n.memoryMu.Lock()
	defer n.memoryMu.Unlock()
	next := *n.memory.Load()
	m, ok := i.memory(next.newest())
	if !ok || !next.merge(&m, n.opt.Clock.WallMillis()+maxClockMillis) {
		return false
	}
	n.useMemory(next)
	return true
}

// TellMemory has this node and those that it is connected to know the same memory setting.
// Before SetMemory it lets the new setting be the last one, after it it lets it hold there.
// A node that cannot be reached learns it within a second after it can.
func (n *Node) TellMemory(ctx context.Context) {
	mine, err := json.Marshal(n.memory.Load().info())
	if err != nil {
		return // cannot happen: numbers and names
	}
	var wg sync.WaitGroup
	for _, m := range n.view.Get().Peers() {
		if m.ID == n.opt.NodeID || !n.net.Health(m.ID).Connected {
			continue
		}
		wg.Go(func() {
			if info, err := n.callInfo(ctx, m.ID, mine); err == nil {
				n.adopt(info.Memory)
			}
		})
	}
	wg.Wait()
}

// callInfo has a node tell about itself. It is told this node's memory setting, if it may.
func (n *Node) callInfo(ctx context.Context, node string, memory []byte) (info NodeInfo, err error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeEvery)
	defer cancel()
	reply, err := n.net.Call(ctx, node, methodInfo, memory)
	if err == nil {
		err = json.Unmarshal(reply, &info)
	}
	return info, err
}

// answerInfo tells about this node. A request may say what memory setting the other has.
func (n *Node) answerInfo(_ context.Context, _ string, req []byte) ([]byte, error) {
	var memory memoryInfo
	if len(req) > 0 && json.Unmarshal(req, &memory) == nil {
		n.adopt(memory)
	}
	return json.Marshal(n.Info())
}
