package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// raftStream is a Raft stream that a peer dialed. Its goroutine hands one
// request at a time straight to Raft's main loop, which keeps the peer's order
// and costs no further hand-over.
type raftStream struct {
	g    *Group
	p    *peer
	in   *inbound
	nc   net.Conn
	br   *bufio.Reader
	enc  codec
	resp chan raft.RPCResponse
}

// fail implements closer.
func (s *raftStream) fail(error) { closeConn(s.nc) }

// tick implements closer. An idle stream is in order; the system's keep-alive
// clears away those whose peer is gone.
func (s *raftStream) tick() {}

func (t *Transport) serveRaft(in *inbound, p *peer, group uint32) {
	nc := in.nc
	defer closeConn(nc)
	g := t.openGroup(group)
	if g == nil {
		return
	}
	s := &raftStream{
		g: g, p: p, in: in, nc: nc, br: bufio.NewReaderSize(nc, readBufferBytes),
		resp: make(chan raft.RPCResponse, 1),
	}
	if !g.addStream(s) {
		return
	}
	defer g.removeStream(s)
	for {
		if err := s.serveOne(); err != nil {
			t.tellEnd(p, group, err)
			return
		}
	}
}

// tellEnd says why a stream ended when that was not its peer's will. A message that a newer
// term has overtaken belongs to a change of leader.
func (t *Transport) tellEnd(p *peer, group uint32, err error) {
	switch {
	case errors.Is(err, errBadRaftMessage):
		t.log.Error("Raft stream ended", "peer", p.id, "group", group, "error", err)
	case errors.Is(err, errOvertaken):
		t.log.Info("Raft stream of an earlier leader ended", "peer", p.id, "group", group, "reason", err)
	}
}

func (s *raftStream) serveOne() error {
	tag, body, err := readRaft(s.br)
	if err != nil {
		return err
	}
	s.in.touch()
	req := newRequest(rpcType(tag))
	if req == nil {
		return fmt.Errorf("%w: type %d", errBadRaftMessage, tag)
	}
	if err := decodeRaft(body, req); err != nil {
		return err
	}
	if err := s.g.plausible(req); err != nil {
		return err
	}
	resp, err := s.handle(req)
	if err != nil {
		return err
	}
	var segs [][]byte
	if resp.Error != nil {
		segs, err = s.enc.encodeRaft(raftError, resp.Error.Error())
	} else {
		segs, err = s.enc.encodeRaft(raftOK, resp.Response)
	}
	if err != nil {
		return err
	}
	return writeSegments(s.nc, segs)
}

// handle gets the answer to a request from Raft, or from those that stand
// before it. An error ends the stream.
func (s *raftStream) handle(req any) (raft.RPCResponse, error) {
	rpc := raft.RPC{Command: req, RespChan: s.resp}
	switch req := req.(type) {
	case *raft.AppendEntriesRequest:
		if isHeartbeat(req) {
			return s.g.guard(rpc, req, s.resp, s.gone)
		}
		if r := s.g.room.Load(); r != nil && len(req.Entries) > 0 {
			done, ok := (*r).Append(req.Entries)
			if !ok {
				return raft.RPCResponse{Error: ErrFull}, nil
			}
			defer done()
		}
	case *raft.InstallSnapshotRequest:
		if r := s.g.room.Load(); r != nil && !(*r).Snapshot(req.Size) {
			return raft.RPCResponse{}, ErrFull
		}
		rpc.Reader = io.LimitReader(snapshotReader{s}, req.Size)
		defer func() { _ = s.nc.SetReadDeadline(time.Time{}) }() // fails only when closed
	case *raft.TimeoutNowRequest:
		if s.g.passive.Load() {
			return raft.RPCResponse{Error: ErrPassive}, nil
		}
		if s.g.quarantined.Load() {
			return s.g.refuseElection(req), nil
		}
	default:
		if s.g.quarantined.Load() {
			return s.g.refuseElection(req), nil
		}
	}
	if err := s.enter(rpc); err != nil {
		return raft.RPCResponse{}, err
	}
	return s.g.response(s.resp)
}

// errHungUp ends a stream whose peer did not wait for the answer.
var errHungUp = errors.New("the peer has hung up")

func (s *raftStream) gone() bool { return hungUp(s.nc) }

// enter hands a request to Raft's main loop. It can take none for minutes, while it restores
// a snapshot or before it runs. A peer that gives up meanwhile asks again on another stream,
// so this one must not outlive it.
func (s *raftStream) enter(rpc raft.RPC) error {
	select {
	case s.g.consumer <- rpc:
		return nil
	default:
	}
	look := time.NewTicker(tickInterval)
	defer look.Stop()
	for {
		select {
		case s.g.consumer <- rpc:
			return nil
		case <-s.g.done:
			return ErrClosed
		case <-look.C:
			if s.gone() {
				return errHungUp
			}
		}
	}
}

// response waits for the main loop's answer to a request that it took.
func (g *Group) response(resp <-chan raft.RPCResponse) (raft.RPCResponse, error) {
	select {
	case r := <-resp:
		return r, nil
	case <-g.done:
		return raft.RPCResponse{}, ErrClosed
	}
}

// snapshotReader reads a snapshot for Raft's main loop, which it must not hold
// up for ever when the leader is gone.
type snapshotReader struct{ s *raftStream }

func (r snapshotReader) Read(p []byte) (int, error) {
	if err := r.s.nc.SetReadDeadline(time.Now().Add(r.s.g.t.raftTimeout)); err != nil {
		return 0, err
	}
	r.s.in.touch()
	return r.s.br.Read(p)
}
