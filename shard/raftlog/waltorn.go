package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/hashicorp/raft-wal/segment"
)

// sectorLen is the unit that a disk writes as a whole.
const sectorLen = 512

var errRemains = errors.New("damage to acknowledged entries")

// classifyRemains decides what the bytes behind the last valid batch are. data ends with the eight bytes
// that have the last one that is not zero, fileLen is where the file ends. It returns nil for the remains
// of one write that never finished and so was never acknowledged, and a CorruptError for anything else.
// The watermark is checked by the caller.
//
// Before a batch is written all earlier ones are durable, so only one batch can be unfinished:
//
//  1. A valid record behind the bad place that belongs to another batch than the first missing one
//     proves that the first missing batch was finished, hence damaged.
//  2. A crash leaves sectors of an unfinished write old, and the space was zero: a batch without a zero
//     sector and without a missing end is not unfinished but damaged.
func classifyRemains(scan *segmentScan, data []byte, fileLen int64, salt uint32) error {
	next := scan.lastIndex() + 1
	for at := scan.end; at+frameLen+recordHeaderLen <= int64(len(data)); {
		v, size, ok := recordAt(data, at, salt)
		if !ok || v.index < next {
			at += frameLen
			continue
		}
		if v.batchFirst() != next {
			return scan.corrupt(next)
		}
		at += frameLen + padded(size)
	}
	if !explainedByCrash(scan, data, fileLen) {
		if scan.stopped == nil {
			scan.stopped = errRemains
		}
		return scan.corrupt(next)
	}
	return nil
}

// recordAt returns the record in a valid entry frame at the offset, if there is one.
func recordAt(data []byte, at int64, salt uint32) (v recordView, size int64, ok bool) {
	h := data[at:]
	size = int64(binary.LittleEndian.Uint32(h[4:]))
	if h[0] != segment.FrameEntry || h[1]|h[2]|h[3] != 0 || h[frameLen+4] != recordFormat {
		return v, 0, false
	}
	if size < recordHeaderLen || size > int64(len(h)-frameLen) {
		return v, 0, false
	}
	v, err := verifyRecord(h[frameLen:frameLen+size], salt)
	return v, size, err == nil
}

// explainedByCrash says whether part of the batch at scan.end was never written: one of its sectors up
// to the last byte is zero, or its frames claim more than the sectors that hold something, or than the
// file.
func explainedByCrash(scan *segmentScan, data []byte, fileLen int64) bool {
	for from := scan.end; from < int64(len(data)); {
		to := (from/sectorLen + 1) * sectorLen
		if to >= int64(len(data)) {
			break
		}
		if lastNonZero(data[from:to]) < 0 {
			return true
		}
		from = to
	}
	written := (int64(len(data)) + sectorLen - 1) / sectorLen * sectorLen
	return claimedEnd(scan, data) > min(written, fileLen)
}

// claimedEnd follows the frame headers from scan.end to where the batch says it ends, or to where the
// headers stop making sense.
func claimedEnd(scan *segmentScan, data []byte) int64 {
	at := scan.end
	if at == 0 {
		at = segmentHeaderLen
	}
	for at+frameLen <= int64(len(data)) {
		h := data[at : at+frameLen]
		size := int64(binary.LittleEndian.Uint32(h[4:]))
		switch {
		case h[1]|h[2]|h[3] != 0 || size > segment.MaxEntrySize && h[0] != segment.FrameCommit:
			return at
		case h[0] == segment.FrameEntry || h[0] == segment.FrameIndex:
			at += frameLen + padded(size)
		case h[0] == segment.FrameCommit:
			return at + frameLen
		default:
			return at
		}
	}
	return at + frameLen // the commit frame, at least, is missing
}

// lastNonZero is the position of the last byte in b that is not zero, or -1.
func lastNonZero(b []byte) int64 {
	const step = 4096
	for len(b) > 0 {
		from := max(0, len(b)-step)
		if !bytes.Equal(b[from:], zeros[:len(b)-from]) {
			for i := len(b) - 1; ; i-- {
				if b[i] != 0 {
					return int64(i)
				}
			}
		}
		b = b[:from]
	}
	return -1
}

var zeros [4096]byte
