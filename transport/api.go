package transport

import (
	"context"
	"io"
	"time"

	"github.com/hashicorp/raft"
)

const maxIDBytes = 255

type Method uint8
type Handler func(ctx context.Context, from string, req []byte) ([]byte, error)
type Transport struct{}
type Health struct {
	Connected   bool
	LastSeen    time.Time
	RTT         time.Duration
	ClockOffset time.Duration
	ClockKnown  bool
}
type Faults struct{}

func NewFaults() *Faults                                      { return &Faults{} }
func (f *Faults) Set(peer string, dir Direction, fault Fault) {}
func (f *Faults) Heal()                                       {}

func New(o Options) (*Transport, error)               { _, err := o.withDefaults(); return &Transport{}, err }
func (t *Transport) Close() error                     { return nil }
func (t *Transport) Handle(m Method, h Handler)       {}
func (t *Transport) HandleInline(m Method, h Handler) {}
func (t *Transport) Call(ctx context.Context, peer string, m Method, req []byte) ([]byte, error) {
	return nil, ErrNotSent
}
func (t *Transport) Health(peer string) Health { return Health{} }
func (t *Transport) Group(id uint32) *Group    { return &Group{} }

type RaftState interface {
	CurrentTerm() uint64
	State() raft.RaftState
}
type Group struct{}

func (g *Group) Attach(r RaftState)            {}
func (g *Group) SetVoting(on bool)             {}
func (g *Group) Consumer() <-chan raft.RPC     { return nil }
func (g *Group) LocalAddr() raft.ServerAddress { return "" }
func (g *Group) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, ErrClosed
}
func (g *Group) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	return ErrClosed
}
func (g *Group) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return ErrClosed
}
func (g *Group) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return ErrClosed
}
func (g *Group) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	return ErrClosed
}
func (g *Group) EncodePeer(id raft.ServerID, addr raft.ServerAddress) []byte { return []byte(id) }
func (g *Group) DecodePeer(b []byte) raft.ServerAddress                      { return raft.ServerAddress(b) }
func (g *Group) SetHeartbeatHandler(cb func(rpc raft.RPC))                   {}
func (g *Group) TimeoutNow(id raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return ErrClosed
}
func (g *Group) Close() error { return nil }
