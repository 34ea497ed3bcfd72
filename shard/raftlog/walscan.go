package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// A segment file of raft-wal: a header, then batches. A batch is one entry frame per entry, possibly an
// index frame that seals the segment, and a commit frame with the checksum of everything since the
// commit frame before it (or since the file's start). Frames are padded to 8 bytes; unused space is zero.
const (
	segmentHeaderLen = 32
	segmentMagic     = 0x58eb6b0d
	frameLen         = 8 // frame header; all frames are aligned to it
)

// segmentScan is what one pass over a segment file found: the batches that are complete and valid.
type segmentScan struct {
	info    types.SegmentInfo
	path    string
	offsets []uint32 // frame of each entry, beginning with the one at BaseIndex
	end     int64    // behind the last valid commit frame
	batch   int64    // start of the last valid batch
	// indexStart is where the offsets array of a sealed segment begins, 0 while it is not sealed.
	indexStart uint64
	// stopped says why the pass ended at stopOffset, nil at clean zeros or at the end of the file.
	stopped    error
	stopOffset int64
}

// lastIndex is the newest entry in a valid batch; BaseIndex-1 without any.
func (s *segmentScan) lastIndex() uint64 { return s.info.BaseIndex + uint64(len(s.offsets)) - 1 }

func (s *segmentScan) corrupt(index uint64) *CorruptError {
	err := s.stopped
	if err == nil {
		err = errors.New("entries missing")
	}
	return &CorruptError{File: s.path, Offset: s.stopOffset, Index: index, Err: err}
}

// visitEntry is told of every entry in a valid batch.
type visitEntry func(index uint64, record []byte)

// scanSegment walks over data, the contents of the file described by info.
func scanSegment(path string, data []byte, info types.SegmentInfo, salt uint32, visit visitEntry) *segmentScan {
	w := segmentWalk{
		segmentScan: &segmentScan{info: info, path: path},
		data:        data, salt: salt,
	}
	if err := checkSegmentHeader(data, info); err != nil {
		w.stopped = err
		return w.segmentScan
	}
	w.pos = segmentHeaderLen
	for w.batchFrames() {
		w.commit(visit)
	}
	return w.segmentScan
}

func checkSegmentHeader(data []byte, info types.SegmentInfo) error {
	if len(data) < segmentHeaderLen {
		return errors.New("file shorter than its header")
	}
	if binary.LittleEndian.Uint64(data) != segmentMagic {
		return errors.New("no segment magic number")
	}
	for i, want := range [...]uint64{info.BaseIndex, info.ID, info.Codec} {
		if got := binary.LittleEndian.Uint64(data[8+8*i:]); got != want {
			return fmt.Errorf("segment header says %d where the segment list says %d", got, want)
		}
	}
	return nil
}

// segmentWalk is the state of one pass.
type segmentWalk struct {
	*segmentScan
	data []byte
	salt uint32
	pos  int64
	// The batch being read:
	frames     []uint32
	batchIndex uint64 // indexStart, if the batch seals the segment
}

// batchFrames reads frames up to and including a valid commit frame; false when the pass is over.
func (w *segmentWalk) batchFrames() bool {
	w.frames, w.batchIndex = w.frames[:0], 0
	if w.indexStart > 0 {
		return false // sealed: nothing follows
	}
	for {
		if w.pos+frameLen > int64(len(w.data)) {
			return w.stopClean("file ends within a batch")
		}
		h := w.data[w.pos : w.pos+frameLen]
		if h[1]|h[2]|h[3] != 0 {
			return w.stop(errors.New("frame header damaged"))
		}
		var err error
		switch size := int64(binary.LittleEndian.Uint32(h[4:])); h[0] {
		case segment.FrameInvalid:
			if size != 0 {
				return w.stop(errors.New("frame header damaged"))
			}
			return w.stopClean("zeros within a batch")
		case segment.FrameEntry:
			err = w.entryFrame(size)
		case segment.FrameIndex:
			err = w.indexFrame(size)
		case segment.FrameCommit:
			if err := w.checkCommit(uint32(size)); err != nil {
				return w.stop(err)
			}
			return true
		default:
			err = fmt.Errorf("unknown frame type %d", h[0])
		}
		if err != nil {
			return w.stop(err)
		}
	}
}

func (w *segmentWalk) stop(err error) bool {
	w.stopped, w.stopOffset = err, w.pos
	return false
}

// stopClean ends the pass at unused space, which is an error only inside a batch.
func (w *segmentWalk) stopClean(inBatch string) bool {
	w.stopOffset = w.pos
	if len(w.frames) > 0 || w.batchIndex > 0 {
		w.stopped = errors.New(inBatch)
	}
	return false
}

func (w *segmentWalk) payload(size int64) ([]byte, error) {
	start := w.pos + frameLen
	if size > segment.MaxEntrySize || start+size > int64(len(w.data)) {
		return nil, fmt.Errorf("frame of %d bytes does not fit", size)
	}
	return w.data[start : start+size], nil
}

func padded(size int64) int64 { return (size + frameLen - 1) &^ (frameLen - 1) }

func (w *segmentWalk) entryFrame(size int64) error {
	record, err := w.payload(size)
	if err != nil {
		return err
	}
	v, err := verifyRecord(record, w.salt)
	if err != nil {
		return err
	}
	first := w.info.BaseIndex + uint64(len(w.offsets))
	if want := first + uint64(len(w.frames)); v.index != want {
		return fmt.Errorf("entry %d where %d belongs", v.index, want)
	}
	if v.batchFirst() != first {
		return fmt.Errorf("entry %d belongs to the batch of %d", v.index, v.batchFirst())
	}
	w.frames = append(w.frames, uint32(w.pos))
	w.pos += frameLen + padded(size)
	return nil
}

func (w *segmentWalk) indexFrame(size int64) error {
	b, err := w.payload(size)
	if err != nil {
		return err
	}
	if len(w.frames) == 0 || size != 4*int64(len(w.offsets)+len(w.frames)) {
		return errors.New("index has the wrong length")
	}
	for i := range len(w.offsets) + len(w.frames) {
		want := uint32(0)
		if i < len(w.offsets) {
			want = w.offsets[i]
		} else {
			want = w.frames[i-len(w.offsets)]
		}
		if binary.LittleEndian.Uint32(b[4*i:]) != want {
			return fmt.Errorf("index points elsewhere for entry %d", w.info.BaseIndex+uint64(i))
		}
	}
	w.batchIndex = uint64(w.pos + frameLen)
	w.pos += frameLen + padded(size)
	return nil
}

func (w *segmentWalk) checkCommit(sum uint32) error {
	if len(w.frames) == 0 {
		return errors.New("commit frame without entries")
	}
	if crc32.Checksum(w.data[w.end:w.pos], castagnoli) != sum {
		return errors.New("batch checksum mismatch")
	}
	return nil
}

// commit takes over the batch that ends with the commit frame at pos.
func (w *segmentWalk) commit(visit visitEntry) {
	for _, at := range w.frames {
		size := int64(binary.LittleEndian.Uint32(w.data[at+4:]))
		visit(w.info.BaseIndex+uint64(len(w.offsets)), w.data[at+frameLen:int64(at)+frameLen+size])
		w.offsets = append(w.offsets, at)
	}
	w.pos += frameLen
	w.batch, w.end = w.end, w.pos
	w.indexStart = w.batchIndex
}

// readSegment reads the whole file into buf, which it grows as needed.
func readSegment(path string, buf []byte) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if int64(cap(buf)) < st.Size() {
		buf = make([]byte, st.Size())
	}
	buf = buf[:st.Size()]
	_, err = io.ReadFull(f, buf)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s changed while it was read", path)
	}
	return buf, err
}
