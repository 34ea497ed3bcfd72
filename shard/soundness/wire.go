package soundness

import (
	"encoding/binary"
	"errors"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/internal/wire"
)

// maxNumber is the highest index and term that is taken from a peer.
const maxNumber = 1 << 62

var errMalformed = errors.New("malformed message from a peer")

// AppendRefusal encodes a refusal, for messages and for the disk.
func AppendRefusal(dst []byte, r fsm.Refusal) []byte {
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, r.Index), r.Term)
	return binary.LittleEndian.AppendUint64(dst, r.Sum)
}

// DecodeRefusal decodes what AppendRefusal has encoded.
func DecodeRefusal(msg []byte) (r fsm.Refusal, err error) {
	for _, v := range [...]*uint64{&r.Index, &r.Term} {
		var ok bool
		if *v, msg, ok = wire.CutUvarint(msg); !ok {
			return r, errMalformed
		}
	}
	if len(msg) != 8 || max(r.Index, r.Term) > maxNumber {
		return r, errMalformed
	}
	r.Sum = binary.LittleEndian.Uint64(msg)
	return r, nil
}

func appendNotes(dst []byte, n notesOf) []byte {
	for _, list := range [...][]fsm.Note{n.running, n.audits} {
		dst = binary.AppendUvarint(dst, uint64(len(list)))
		for _, note := range list {
			dst = binary.AppendUvarint(dst, note.Index)
			dst = binary.LittleEndian.AppendUint64(dst, note.Data)
			dst = binary.LittleEndian.AppendUint64(dst, note.State)
		}
	}
	return dst
}

func decodeNotes(msg []byte) (n notesOf, err error) {
	for _, list := range [...]*[]fsm.Note{&n.running, &n.audits} {
		size, rest, ok := wire.CutCount(msg, noteBytes)
		if !ok {
			return notesOf{}, errMalformed
		}
		msg = rest
		for range size {
			var note fsm.Note
			if note.Index, msg, ok = wire.CutUvarint(msg); !ok || len(msg) < 16 {
				return notesOf{}, errMalformed
			}
			note.Data, note.State = binary.LittleEndian.Uint64(msg), binary.LittleEndian.Uint64(msg[8:])
			*list, msg = append(*list, note), msg[16:]
		}
	}
	if len(msg) > 0 {
		return notesOf{}, errMalformed
	}
	return n, nil
}

// noteBytes is what a note takes at least.
const noteBytes = 17
