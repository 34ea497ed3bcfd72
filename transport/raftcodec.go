package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/wire"
)

// Raft messages travel as
//
//	message = size:u32 tag:1 body
//
// where tag is a request's rpcType or a response's status. Each body is
// described once, by a function that both encodes and decodes, so that the two
// cannot differ. Numbers in a body are uvarints.

type rpcType uint8

const (
	rpcAppend rpcType = iota + 1
	rpcVote
	rpcPreVote
	rpcSnapshot // the snapshot follows the message
	rpcTimeoutNow
)

const (
	raftOK    uint8 = 0
	raftError uint8 = 1 // the body is the error's text

	raftHeaderBytes = 5
	// inlineBytes is the size up to which an entry's data is copied into the
	// message; larger data is written from where it is.
	inlineBytes = 32 << 10

	// maxEntries is how many entries an append may carry: the Raft library's own
	// limit of MaxAppendEntries.
	maxEntries = 1024
	// entryBytes is what an entry takes at least: six numbers.
	entryBytes = 6
)

var errBadRaftMessage = errors.New("malformed Raft message")

// codec encodes into segs and buf, or decodes from buf.
type codec struct {
	decoding bool
	buf      []byte   // encoding: the newest segment; decoding: what is left
	segs     [][]byte // encoding: complete segments before buf
	scratch  []byte   // encoding: memory that is used again
	err      error    // decoding: the first error
}

func (c *codec) uint64(v *uint64) {
	if !c.decoding {
		c.buf = binary.AppendUvarint(c.buf, *v)
		return
	}
	x, rest, ok := wire.CutUvarint(c.buf)
	if !ok {
		c.fail()
		return
	}
	*v, c.buf = x, rest
}

func (c *codec) fail() {
	if c.err == nil {
		c.err = errBadRaftMessage
	}
	c.buf = nil
}

func (c *codec) bool(v *bool) {
	var x uint64
	if *v {
		x = 1
	}
	c.uint64(&x)
	if c.decoding { // Raft shares a request between the goroutines of several peers
		*v = x == 1
	}
	if x > 1 {
		c.fail()
	}
}

// bytes decodes into a slice of the message, and nothing into nil.
func (c *codec) bytes(v *[]byte) {
	n := uint64(len(*v))
	c.uint64(&n)
	if c.decoding {
		if n > uint64(len(c.buf)) {
			c.fail()
			n = 0
		}
		*v = nil
		if n > 0 {
			*v, c.buf = c.buf[:n:n], c.buf[n:]
		}
		return
	}
	if n <= inlineBytes {
		c.buf = append(c.buf, *v...)
		return
	}
	c.segs = append(c.segs, c.buf, *v)
	c.buf = c.buf[len(c.buf):] // go on in the same memory
}

func (c *codec) header(h *raft.RPCHeader) {
	version := uint64(h.ProtocolVersion)
	c.uint64(&version)
	if c.decoding {
		h.ProtocolVersion = raft.ProtocolVersion(version)
	}
	c.bytes(&h.ID)
	c.bytes(&h.Addr)
}

// message describes the body of any request or response.
func (c *codec) message(m any) error {
	switch m := m.(type) {
	case *raft.AppendEntriesRequest:
		c.appendRequest(m)
	case *raft.AppendEntriesResponse:
		c.header(&m.RPCHeader)
		c.uint64(&m.Term)
		c.uint64(&m.LastLog)
		c.bool(&m.Success)
		c.bool(&m.NoRetryBackoff)
	case *raft.RequestVoteRequest:
		c.header(&m.RPCHeader)
		c.uint64(&m.Term)
		c.bytes(&m.Candidate)
		c.uint64(&m.LastLogIndex)
		c.uint64(&m.LastLogTerm)
		c.bool(&m.LeadershipTransfer)
	case *raft.RequestVoteResponse:
		c.header(&m.RPCHeader)
		c.uint64(&m.Term)
		c.bytes(&m.Peers)
		c.bool(&m.Granted)
	case *raft.RequestPreVoteRequest:
		c.header(&m.RPCHeader)
		c.uint64(&m.Term)
		c.uint64(&m.LastLogIndex)
		c.uint64(&m.LastLogTerm)
	case *raft.RequestPreVoteResponse:
		c.header(&m.RPCHeader)
		c.uint64(&m.Term)
		c.bool(&m.Granted)
	case *raft.InstallSnapshotRequest:
		c.snapshotRequest(m)
	case *raft.InstallSnapshotResponse:
		c.header(&m.RPCHeader)
		c.uint64(&m.Term)
		c.bool(&m.Success)
	case *raft.TimeoutNowRequest:
		c.header(&m.RPCHeader)
	case *raft.TimeoutNowResponse:
		c.header(&m.RPCHeader)
	default:
		return fmt.Errorf("%w: no encoding of %T", errBadRaftMessage, m)
	}
	if c.decoding && c.err == nil && len(c.buf) != 0 {
		c.fail()
	}
	return c.err
}

func (c *codec) appendRequest(m *raft.AppendEntriesRequest) {
	c.header(&m.RPCHeader)
	c.uint64(&m.Term)
	c.bytes(&m.Leader)
	c.uint64(&m.PrevLogEntry)
	c.uint64(&m.PrevLogTerm)
	c.uint64(&m.LeaderCommitIndex)
	n := uint64(len(m.Entries))
	c.uint64(&n)
	if c.decoding {
		if n > maxEntries || n > uint64(len(c.buf))/entryBytes {
			c.fail()
			return
		}
		logs := make([]raft.Log, n)
		m.Entries = make([]*raft.Log, n)
		for i := range logs {
			m.Entries[i] = &logs[i]
		}
	}
	for _, l := range m.Entries {
		if c.log(l); c.err != nil {
			return
		}
	}
}

func (c *codec) log(l *raft.Log) {
	c.uint64(&l.Index)
	c.uint64(&l.Term)
	kind := uint64(l.Type)
	c.uint64(&kind)
	if c.decoding {
		l.Type = raft.LogType(kind)
	}
	var nanos uint64 // 0 stands for the zero time
	if !l.AppendedAt.IsZero() {
		nanos = uint64(l.AppendedAt.UnixNano())
	}
	c.uint64(&nanos)
	if c.decoding && nanos != 0 {
		l.AppendedAt = time.Unix(0, int64(nanos))
	}
	c.bytes(&l.Extensions)
	c.bytes(&l.Data)
}

func (c *codec) snapshotRequest(m *raft.InstallSnapshotRequest) {
	c.header(&m.RPCHeader)
	version, size := uint64(m.SnapshotVersion), uint64(m.Size)
	c.uint64(&version)
	c.uint64(&m.Term)
	c.bytes(&m.Leader)
	c.uint64(&m.LastLogIndex)
	c.uint64(&m.LastLogTerm)
	c.bytes(&m.Peers)
	c.bytes(&m.Configuration)
	c.uint64(&m.ConfigurationIndex)
	c.uint64(&size)
	if c.decoding {
		m.SnapshotVersion, m.Size = raft.SnapshotVersion(version), int64(size)
	}
	if m.Size < 0 {
		c.fail()
	}
}

// newRequest returns what a request of that type decodes into; nil if unknown.
func newRequest(tag rpcType) any {
	switch tag {
	case rpcAppend:
		return new(raft.AppendEntriesRequest)
	case rpcVote:
		return new(raft.RequestVoteRequest)
	case rpcPreVote:
		return new(raft.RequestPreVoteRequest)
	case rpcSnapshot:
		return new(raft.InstallSnapshotRequest)
	case rpcTimeoutNow:
		return new(raft.TimeoutNowRequest)
	}
	return nil
}

// encodeRaft encodes a message and returns its segments. They are valid until c
// is used again.
func (c *codec) encodeRaft(tag uint8, m any) ([][]byte, error) {
	c.buf, c.segs = append(c.scratch[:0], 0, 0, 0, 0, tag), c.segs[:0]
	if text, ok := m.(string); ok {
		c.buf = append(c.buf, text...)
	} else if err := c.message(m); err != nil {
		return nil, err
	}
	if len(c.segs) == 0 && cap(c.buf) <= spareBytes {
		c.scratch = c.buf
	}
	c.segs = append(c.segs, c.buf)
	size := -raftHeaderBytes
	for _, s := range c.segs {
		size += len(s)
	}
	if size > maxPayload {
		return nil, fmt.Errorf("%w: message of %d bytes", errBadRaftMessage, size)
	}
	binary.BigEndian.PutUint32(c.segs[0], uint32(size))
	return c.segs, nil
}

func decodeRaft(body []byte, m any) error {
	c := codec{decoding: true, buf: body}
	return c.message(m)
}
