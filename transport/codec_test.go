package transport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"github.com/lockstepkv/lockstep/internal/heapuse"
)

func TestFrameHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := header{
			size:    rapid.IntRange(0, maxPayload).Draw(t, "size"),
			kind:    frameKind(rapid.Uint8Range(uint8(frameRequest), uint8(framePong)).Draw(t, "kind")),
			code:    rapid.Uint8().Draw(t, "code"),
			id:      rapid.Uint64().Draw(t, "id"),
			timeout: time.Duration(rapid.Int64Range(0, 1<<32-1).Draw(t, "timeout")) * time.Microsecond,
		}
		b := appendHeader(nil, want)
		got, err := parseHeader(b)
		if err != nil || got != want || len(b) != headerBytes {
			t.Fatalf("%+v became %+v, %v", want, got, err)
		}
	})
}

func TestTimeoutsAreRoundedUp(t *testing.T) {
	for d, want := range map[time.Duration]uint32{
		-1: 0, 0: 0, 1: 1, 999: 1, 1000: 1, 1001: 2, time.Second: 1e6, 365 * 24 * time.Hour: 1<<32 - 1,
	} {
		if got := timeoutMicros(d); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(append(appendHeader(nil, header{size: 3, kind: frameRequest, code: 2, id: 7}), 1, 2, 3))
	f.Add(appendHeader(nil, header{size: maxPayload, kind: frameReply}))
	f.Add(bytes.Repeat([]byte{0xff}, headerBytes))
	f.Fuzz(func(t *testing.T, b []byte) {
		br := bufio.NewReader(bytes.NewReader(b))
		h, err := readHeader(br)
		if err != nil {
			return
		}
		if h.kind < frameRequest || h.kind > framePong || h.size < 0 || h.size > maxPayload {
			t.Fatalf("taken: %+v", h)
		}
		var payload []byte
		if used := heapuse.Exceeds(len(b), 16, func() { payload, err = readPayload(br, h.size) }); used > 0 {
			t.Fatalf("%d bytes allocated for %d", used, len(b))
		}
		if err == nil && len(payload) != h.size {
			t.Fatalf("%d bytes instead of %d", len(payload), h.size)
		}
	})
}

func TestStaleIDsFindNoCall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table callTable
		open, gone := map[uint64]*call{}, map[uint64]bool{}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				cl := &call{}
				id := table.add(cl)
				if open[id] != nil || gone[id] {
					t.Fatalf("id %x is used twice", id)
				}
				open[id] = cl
			case 1:
				for id, want := range open {
					if table.take(id) != want {
						t.Fatalf("id %x finds another call", id)
					}
					delete(open, id)
					gone[id] = true
					break
				}
			case 2:
				for id := range gone {
					if table.take(id) != nil {
						t.Fatalf("id %x finds a call that it does not belong to", id)
					}
				}
			}
			if table.used != len(open) {
				t.Fatalf("%d calls counted, %d open", table.used, len(open))
			}
		}
		if n := len(table.takeAll()); n != len(open) {
			t.Fatalf("%d of %d calls taken", n, len(open))
		}
	})
}

// raftMessage draws any Raft message.
func raftMessage(t *rapid.T) any {
	num := rapid.Uint64()
	raw := func(label string) []byte {
		if b := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, label); len(b) > 0 {
			return b
		}
		return nil
	}
	head := raft.RPCHeader{ProtocolVersion: 3, ID: raw("id"), Addr: raw("addr")}
	a, b, c := num.Draw(t, "a"), num.Draw(t, "b"), num.Draw(t, "c")
	yes, no := rapid.Bool().Draw(t, "yes"), rapid.Bool().Draw(t, "no")
	switch rapid.IntRange(0, 9).Draw(t, "type") {
	case 0:
		return &raft.AppendEntriesRequest{RPCHeader: head, Term: a, Leader: raw("leader"), PrevLogEntry: b, PrevLogTerm: c, LeaderCommitIndex: a, Entries: raftEntries(t, raw)}
	case 1:
		return &raft.AppendEntriesResponse{RPCHeader: head, Term: a, LastLog: b, Success: yes, NoRetryBackoff: no}
	case 2:
		return &raft.RequestVoteRequest{RPCHeader: head, Term: a, Candidate: raw("candidate"), LastLogIndex: b, LastLogTerm: c, LeadershipTransfer: yes}
	case 3:
		return &raft.RequestVoteResponse{RPCHeader: head, Term: a, Peers: raw("peers"), Granted: yes}
	case 4:
		return &raft.RequestPreVoteRequest{RPCHeader: head, Term: a, LastLogIndex: b, LastLogTerm: c}
	case 5:
		return &raft.RequestPreVoteResponse{RPCHeader: head, Term: a, Granted: yes}
	case 6:
		return &raft.InstallSnapshotRequest{
			RPCHeader: head, SnapshotVersion: 1, Term: a, Leader: raw("leader"), LastLogIndex: b, LastLogTerm: c,
			Peers: raw("peers"), Configuration: raw("configuration"), ConfigurationIndex: b, Size: int64(a >> 1),
		}
	case 7:
		return &raft.InstallSnapshotResponse{RPCHeader: head, Term: a, Success: yes}
	case 8:
		return &raft.TimeoutNowRequest{RPCHeader: head}
	default:
		return &raft.TimeoutNowResponse{RPCHeader: head}
	}
}

func raftEntries(t *rapid.T, raw func(string) []byte) []*raft.Log {
	entries := make([]*raft.Log, rapid.IntRange(0, 5).Draw(t, "entries"))
	for i := range entries {
		l := &raft.Log{
			Index: rapid.Uint64().Draw(t, "index"), Term: rapid.Uint64().Draw(t, "term"),
			Type: raft.LogType(rapid.Uint8().Draw(t, "logtype")), Data: raw("data"), Extensions: raw("extensions"),
		}
		if rapid.Bool().Draw(t, "large") {
			l.Data = bytes.Repeat([]byte{byte(i)}, rapid.IntRange(inlineBytes, 2*inlineBytes).Draw(t, "size"))
		}
		if rapid.Bool().Draw(t, "stamped") {
			l.AppendedAt = time.Unix(0, rapid.Int64Range(1, 1<<62).Draw(t, "nanos"))
		}
		entries[i] = l
	}
	return entries
}

func TestRaftMessagesRoundTrip(t *testing.T) {
	var enc codec // used for all, as a stream does
	rapid.Check(t, func(t *rapid.T) {
		want := raftMessage(t)
		segs, err := enc.encodeRaft(9, want)
		if err != nil {
			t.Fatal(err)
		}
		wire := append(bytes.Join(segs, nil), "rest"...)
		br := bufio.NewReader(bytes.NewReader(wire))
		tag, body, err := readRaft(br)
		rest, _ := io.ReadAll(br)
		if err != nil || tag != 9 || string(rest) != "rest" {
			t.Fatalf("tag %d, %q follows, %v", tag, rest, err)
		}
		got := reflect.New(reflect.TypeOf(want).Elem()).Interface()
		if err := decodeRaft(body, got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v became %+v", want, got)
		}
		// No prefix is a message.
		cut := rapid.IntRange(0, len(body)-1).Draw(t, "cut")
		if err := decodeRaft(body[:cut], reflect.New(reflect.TypeOf(want).Elem()).Interface()); !errors.Is(err, errBadRaftMessage) {
			t.Fatalf("%d of %d bytes: %v", cut, len(body), err)
		}
	})
}

func FuzzRaftMessage(f *testing.F) {
	var enc codec
	for _, m := range []any{
		&raft.AppendEntriesRequest{Term: 3, Entries: []*raft.Log{{Index: 1, Data: []byte("x")}, {Index: 2}}},
		&raft.RequestVoteRequest{Term: 4}, &raft.RequestPreVoteRequest{Term: 4},
		&raft.InstallSnapshotRequest{Size: 100}, &raft.TimeoutNowRequest{},
	} {
		segs, err := enc.encodeRaft(1, m)
		if err != nil {
			f.Fatal(err)
		}
		for tag := rpcAppend; tag <= rpcTimeoutNow; tag++ {
			f.Add(uint8(tag), bytes.Join(segs, nil)[raftHeaderBytes:])
		}
	}
	f.Fuzz(func(t *testing.T, tag uint8, body []byte) {
		m := newRequest(rpcType(tag))
		if m == nil {
			return
		}
		var err error
		if used := heapuse.Exceeds(len(body), raftFactor, func() { err = decodeRaft(body, m) }); used > 0 {
			t.Fatalf("%d bytes allocated for %d", used, len(body))
		}
		if err != nil {
			return
		}
		var enc codec
		segs, err := enc.encodeRaft(tag, m)
		if err != nil {
			t.Fatal(err)
		}
		again := newRequest(rpcType(tag))
		if err := decodeRaft(bytes.Join(segs, nil)[raftHeaderBytes:], again); err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

// raftFactor is how many times its encoded size a Raft message may take in memory: an
// entry of entryBytes becomes a raft.Log.
const raftFactor = 32

// appendAnnouncing encodes an append that announces n entries, followed by body.
func appendAnnouncing(n uint64, body []byte) []byte {
	head := make([]byte, 8) // version, id, address, term, leader, previous entry and term, commit index
	return append(binary.AppendUvarint(head, n), body...)
}

func TestAppendsTakeMemoryForWhatIsThere(t *testing.T) {
	filler := make([]byte, 8<<20)
	for name, body := range map[string][]byte{
		"8 million entries of a byte":   appendAnnouncing(8<<20-1, filler),
		"as many entries as would fit":  appendAnnouncing(uint64(len(filler)/entryBytes), filler),
		"broken at the first entry":     appendAnnouncing(1<<20, bytes.Repeat([]byte{0xff}, 8<<20)),
		"more entries than Raft sends":  appendAnnouncing(maxEntries+1, make([]byte, (maxEntries+1)*entryBytes)),
		"fewer bytes than entries take": appendAnnouncing(10, make([]byte, 10*entryBytes-1)),
	} {
		var err error
		used := heapuse.Of(func() { err = decodeRaft(body, new(raft.AppendEntriesRequest)) })
		if err == nil || used > 1<<20 {
			t.Errorf("%s: %d bytes allocated, %v", name, used, err)
		}
	}
	var most raft.AppendEntriesRequest
	if err := decodeRaft(appendAnnouncing(maxEntries, make([]byte, maxEntries*entryBytes)), &most); err != nil || len(most.Entries) != maxEntries {
		t.Errorf("the largest append: %d entries, %v", len(most.Entries), err)
	}
}

func TestAFrameTakesMemoryForWhatArrives(t *testing.T) {
	used := heapuse.Of(func() {
		if _, err := readPayload(bytes.NewReader([]byte("short")), maxPayload); err == nil {
			t.Error("a short payload was taken")
		}
	})
	if used > 2*trustBytes {
		t.Errorf("%d bytes allocated for 5", used)
	}
}
