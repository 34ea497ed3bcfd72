package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/hashicorp/raft"
)

// MaxEntryBytes is the largest entry (data and extensions) that the log takes. Both engines could hold
// more; entries of this size already stall replication, so a larger one is a caller's mistake.
const MaxEntryBytes = 32 << 20

// A record is one log entry as the wal engine stores it: a fixed header, the extensions, the data.
//
//	 0  crc32c of everything after it, started from the log's salt
//	 4  format (1)
//	 5  entry type
//	 6  zero
//	 8  index
//	16  term
//	24  appended at, unix nanoseconds; math.MinInt64 for none
//	32  position of the entry within its batch
//	36  length of the extensions
//	40  extensions, data
//
// The position tells which entries were written and synced together, the salt keeps bytes inside an
// entry's data from passing for a record; recovery needs both (see walrecover.go).
const (
	recordHeaderLen = 40
	recordFormat    = 1

	// codecID marks segment files with this record format; others are refused.
	codecID = 0x4c4b0001
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errShortRecord  = errors.New("record too short")
	errRecordSum    = errors.New("record checksum mismatch")
	errRecordFormat = errors.New("unknown record format")
)

// recordCodec makes records of entries and entries of records. It is used by the single writer and by any
// number of readers; batchFirst and memory belong to the writer.
type recordCodec struct {
	salt       uint32
	batchFirst uint64 // index of the first entry of the batch being stored
	memory     encodeMemory
}

// begin readies c for the entries of a batch.
func (c *recordCodec) begin(logs []*raft.Log) {
	c.batchFirst = logs[0].Index
	size := 0
	for _, l := range logs {
		size += recordLen(l)
	}
	c.memory.begin(size)
}

func recordLen(l *raft.Log) int { return recordHeaderLen + len(l.Extensions) + len(l.Data) }

// encode returns the record of l, which the next begin takes back: its memory is that of the batch before.
func (c *recordCodec) encode(l *raft.Log) []byte {
	b := c.memory.take(recordLen(l))[:recordHeaderLen]
	clear(b) // from the batch before
	putHeader((*[recordHeaderLen]byte)(b), l, uint32(l.Index-c.batchFirst))
	b = append(b, l.Extensions...)
	b = append(b, l.Data...)
	binary.LittleEndian.PutUint32(b, crc32.Update(c.salt, castagnoli, b[4:]))
	return b
}

func putHeader(h *[recordHeaderLen]byte, l *raft.Log, batchPos uint32) {
	h[4] = recordFormat
	h[5] = byte(l.Type)
	binary.LittleEndian.PutUint64(h[8:], l.Index)
	binary.LittleEndian.PutUint64(h[16:], l.Term)
	at := int64(math.MinInt64)
	if !l.AppendedAt.IsZero() {
		at = l.AppendedAt.UnixNano()
	}
	binary.LittleEndian.PutUint64(h[24:], uint64(at))
	binary.LittleEndian.PutUint32(h[32:], batchPos)
	binary.LittleEndian.PutUint32(h[36:], uint32(len(l.Extensions)))
}

// decode fills l from a record that the segment reader has verified. Nothing of b is kept.
func (c *recordCodec) decode(b []byte, l *raft.Log) error {
	if len(b) < recordHeaderLen {
		return errShortRecord
	}
	h := viewRecord(b)
	l.Index, l.Term, l.Type = h.index, h.term, h.typ
	l.AppendedAt = h.appendedAt()
	body := b[recordHeaderLen:]
	if int64(h.extLen) > int64(len(body)) {
		return errShortRecord
	}
	l.Data, l.Extensions = nil, nil
	if len(body) == 0 {
		return nil
	}
	own := make([]byte, len(body))
	copy(own, body)
	if h.extLen > 0 {
		l.Extensions = own[:h.extLen:h.extLen]
	}
	if rest := own[h.extLen:]; len(rest) > 0 {
		l.Data = rest
	}
	return nil
}

// recordView is the decoded header of a record.
type recordView struct {
	typ      raft.LogType
	index    uint64
	term     uint64
	at       int64
	batchPos uint32
	extLen   uint32
}

// batchFirst is the index of the first entry that was written together with this one.
func (v recordView) batchFirst() uint64 { return v.index - uint64(v.batchPos) }

func (v recordView) appendedAt() time.Time {
	if v.at == math.MinInt64 {
		return time.Time{}
	}
	return time.Unix(0, v.at)
}

// viewRecord reads the header of b, which holds at least recordHeaderLen bytes.
func viewRecord(b []byte) recordView {
	return recordView{
		typ:      raft.LogType(b[5]),
		index:    binary.LittleEndian.Uint64(b[8:]),
		term:     binary.LittleEndian.Uint64(b[16:]),
		at:       int64(binary.LittleEndian.Uint64(b[24:])),
		batchPos: binary.LittleEndian.Uint32(b[32:]),
		extLen:   binary.LittleEndian.Uint32(b[36:]),
	}
}

// verifyRecord checks that b is exactly one record as it was written.
func verifyRecord(b []byte, salt uint32) (recordView, error) {
	if len(b) < recordHeaderLen {
		return recordView{}, errShortRecord
	}
	if b[4] != recordFormat {
		return recordView{}, fmt.Errorf("%w %d", errRecordFormat, b[4])
	}
	if crc32.Update(salt, castagnoli, b[4:]) != binary.LittleEndian.Uint32(b) {
		return recordView{}, errRecordSum
	}
	v := viewRecord(b)
	if int64(v.extLen) > int64(len(b)-recordHeaderLen) {
		return recordView{}, errShortRecord
	}
	return v, nil
}

// boltSum is the checksum that engine bolt stores behind an entry's own extensions.
func boltSum(l *raft.Log, ext []byte) uint32 {
	plain := raft.Log{Index: l.Index, Term: l.Term, Type: l.Type, Extensions: ext, AppendedAt: l.AppendedAt}
	var h [recordHeaderLen]byte
	putHeader(&h, &plain, 0)
	sum := crc32.Update(0, castagnoli, h[4:])
	sum = crc32.Update(sum, castagnoli, ext)
	return crc32.Update(sum, castagnoli, l.Data)
}

// entryBytes is what one entry counts in the log's byte accounting: the same for both engines.
func entryBytes(dataLen, extLen int) int64 {
	return int64(dataLen) + int64(extLen) + entryOverhead
}

// entryOverhead is a record's header and its frame in the wal.
const entryOverhead = recordHeaderLen + 8
