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
	encode := func(logs []*raft.Log) (bufs []bytes.Buffer) {
		bufs = make([]bytes.Buffer, len(logs))
		c.begin(logs)
		for i, l := range logs {
			if err := c.Encode(l, &bufs[i]); err != nil {
				t.Fatal(err)
			}
		}
		return bufs
	}
	var bufs []bytes.Buffer
	if n := testing.AllocsPerRun(10, func() { bufs = encode(batch) }); n > 3 { // the buffers, and a header each
		t.Errorf("%v allocations for a batch", n)
	}
	for i := range bufs {
		var l raft.Log
		if _, err := verifyRecord(bufs[i].Bytes(), 7); err != nil {
			t.Error(err)
		}
		if err := c.Decode(bufs[i].Bytes(), &l); err != nil || l.Index != batch[i].Index ||
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
	if got := encode(huge); got[0].Len() != recordLen(huge[0]) || len(c.memory.kept) > keptEncoding {
		t.Errorf("%d bytes encoded, %d kept", got[0].Len(), len(c.memory.kept))
	}
}
