package raftlog

import (
	"bytes"
	"testing"

	"github.com/hashicorp/raft"
)

// Records of large entries are encoded into memory that is used again, and is let go when small ones follow.
func TestRecordsAreEncodedInTheSameMemory(t *testing.T) {
	c := &recordCodec{salt: 7}
	batch := []*raft.Log{
		{Index: 5, Term: 1, Data: bytes.Repeat([]byte{'a'}, 256<<10)},
		{Index: 6, Term: 1, Data: bytes.Repeat([]byte{'b'}, 256<<10), Extensions: []byte("ext")},
	}
	encode := func(logs []*raft.Log) (bufs [2][]byte) {
		c.begin(logs)
		for i, l := range logs {
			bufs[i] = c.encode(l)
		}
		return bufs
	}
	var bufs [2][]byte
	if n := testing.AllocsPerRun(10, func() { bufs = encode(batch) }); n > 0 {
		t.Errorf("%v allocations for a batch", n)
	}
	for i := range bufs {
		var l raft.Log
		if _, err := verifyRecord(bufs[i], 7); err != nil {
			t.Error(err)
		}
		if err := c.decode(bufs[i], &l); err != nil || l.Index != batch[i].Index ||
			!bytes.Equal(l.Data, batch[i].Data) || !bytes.Equal(l.Extensions, batch[i].Extensions) {
			t.Errorf("entry %d: %v", batch[i].Index, err)
		}
	}
	small := []*raft.Log{{Index: 7, Term: 1, Data: []byte("x")}}
	for range idleEncodings {
		encode(small)
	}
	if len(c.memory.kept) > usualEncoding {
		t.Errorf("%d bytes are kept", len(c.memory.kept))
	}
	huge := []*raft.Log{{Index: 8, Term: 1, Data: make([]byte, keptEncoding)}}
	if got := encode(huge); len(got[0]) != recordLen(huge[0]) || len(c.memory.kept) > keptEncoding {
		t.Errorf("%d bytes encoded, %d kept", len(got[0]), len(c.memory.kept))
	}
}
