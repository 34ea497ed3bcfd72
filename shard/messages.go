package shard

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/wire"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/shard/readindex"
	"github.com/lockstepkv/lockstep/shard/session"
	"github.com/lockstepkv/lockstep/transport"
)

// Methods that nodes call on each other. The numbers are part of the wire format.
const (
	methodConfirm   transport.Method = 1  // group, term -> the voter's current term
	methodReadIndex transport.Method = 2  // group, reads -> what the leader notes for reads, the end of its log
	methodPropose   transport.Method = 3  // group, batch -> result
	methodInfo      transport.Method = 4  // memoryInfo as JSON, or nothing -> NodeInfo as JSON
	methodTransfer  transport.Method = 5  // group, node -> ""
	methodAdmission transport.Method = 6  // group -> what this node knows of the group, as JSON
	methodGranted   transport.Method = 7  // group, term, fence, end, token -> "": a lock was granted to one of the node's clients
	methodNotes     transport.Method = 8  // group, format, indexes -> notes above them
	methodState     transport.Method = 9  // group, ticket -> whether there is more, ticket, a piece of the replica's state
	methodLeads     transport.Method = 10 // group, term -> 1 if the node leads in it, else 0
	methodElection  transport.Method = 11 // group, claim -> 1 if the node wants the caller to lead, else 0
	methodMade      transport.Method = 12 // group, index, term, sum -> what the replica has made of that log entry
	methodRead      transport.Method = 13 // group, forward.AppendRequest -> forward.AppendAnswer
	methodStanding  transport.Method = 14 // group -> term, 1 if the node serves in it, whom it follows
	methodFollow    transport.Method = 15 // group, feedMessage as JSON -> "": the topics are followed
	methodPoll      transport.Method = 16 // group, feedMessage as JSON -> feedEvents as JSON
)

var errMalformedMessage = errors.New("malformed message from a peer")

func appendGroup(dst []byte, id uint32) []byte {
	return binary.AppendUvarint(dst, uint64(id))
}

// cutUvarint splits a number off the front of a message.
func cutUvarint(msg []byte) (v uint64, rest []byte, err error) {
	v, rest, ok := wire.CutUvarint(msg)
	if !ok {
		return 0, nil, errMalformedMessage
	}
	return v, rest, nil
}

// appendNoted is the answer to methodReadIndex.
func appendNoted(dst []byte, n readindex.Noted, last uint64) []byte {
	for _, v := range [...]uint64{n.Term, n.Index, uint64(n.Stamp.Wall), uint64(n.Stamp.Mono), last} {
		dst = binary.AppendUvarint(dst, v)
	}
	return dst
}

func decodeNoted(msg []byte) (n readindex.Noted, last uint64, err error) {
	var v [5]uint64
	for i := range v {
		if v[i], msg, err = cutUvarint(msg); err != nil {
			return readindex.Noted{}, 0, err
		}
	}
	if len(msg) > 0 || max(v[0], v[1], v[4]) > transport.MaxNumber {
		return readindex.Noted{}, 0, errMalformedMessage
	}
	return readindex.Noted{Term: v[0], Index: v[1], Stamp: fsm.Stamp{Wall: int64(v[2]), Mono: int64(v[3])}}, v[4], nil
}

// Outcomes of methodPropose. 1 was resultApplied without an index.
const (
	resultStale byte = iota + 2
	resultNotServing
	resultDoubt
	resultStaleBoot
	resultApplied
	resultNoRoom
	resultUnread
)

// encodeResult encodes the outcome of a batch for its session.
func encodeResult(r fsm.BatchResult, err error) []byte {
	switch {
	case errors.Is(err, session.ErrNotServing):
		return []byte{resultNotServing}
	case errors.Is(err, command.ErrNoRoom):
		return []byte{resultNoRoom}
	case err != nil:
		return []byte{resultDoubt}
	case errors.Is(r.Err, session.ErrUnread):
		return []byte{resultUnread}
	case errors.Is(r.Err, fsm.ErrStaleBoot):
		return []byte{resultStaleBoot}
	case r.Err != nil:
		return []byte{resultStale}
	}
	size := 1 + 2*binary.MaxVarintLen64
	for _, v := range r.Replies {
		size += v.BinarySize()
	}
	b := make([]byte, 0, size)
	b = binary.AppendUvarint(append(b, resultApplied), r.Index)
	b = binary.AppendUvarint(b, uint64(len(r.Replies)))
	for _, v := range r.Replies {
		b = resp.AppendBinary(b, v)
	}
	return b
}

func decodeResult(msg []byte) (fsm.BatchResult, error) {
	if len(msg) == 0 {
		return fsm.BatchResult{}, errMalformedMessage
	}
	switch msg[0] {
	case resultNotServing:
		return fsm.BatchResult{}, session.ErrNotServing
	case resultNoRoom:
		return fsm.BatchResult{}, session.ErrFull
	case resultDoubt:
		return fsm.BatchResult{}, session.ErrDoubt
	case resultStale:
		return fsm.BatchResult{Err: fsm.ErrStaleBatch}, nil
	case resultUnread:
		return fsm.BatchResult{Err: session.ErrUnread}, nil
	case resultStaleBoot:
		return fsm.BatchResult{Err: fsm.ErrStaleBoot}, nil
	case resultApplied:
	default:
		return fsm.BatchResult{}, fmt.Errorf("%w: outcome %d", errMalformedMessage, msg[0])
	}
	index, rest, err := cutUvarint(msg[1:])
	if err != nil {
		return fsm.BatchResult{}, err
	}
	n, rest, err := cutUvarint(rest)
	if err != nil {
		return fsm.BatchResult{}, err
	}
	replies, rest, err := resp.DecodeBinaryList(rest, n)
	if err != nil {
		return fsm.BatchResult{}, err
	}
	if len(rest) > 0 {
		return fsm.BatchResult{}, errMalformedMessage
	}
	return fsm.BatchResult{Index: index, Replies: replies}, nil
}
