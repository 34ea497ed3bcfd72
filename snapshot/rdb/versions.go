package rdb

import (
	"encoding/binary"

	"github.com/lockstepkv/lockstep/store"
)

// What Redis has no place for travels in AUX fields. Before each run of up to
// keysPerRun keys stands a field auxVersions that holds, for the keys of the
// run in their order:
//
//	chunk = 0x01 varint(base) uvarint(count) entry*
//	entry = uvarint(version) flags:byte freq:byte varint(base - last access)
//
// It stands before its keys so that a reader needs to hold nothing back; a
// writer holds pointers to entries that exist anyway.
const (
	keysPerRun    = 8192
	chunkFormat   = 1
	flagRaw       = 1 // of a string
	flagLarge     = 2 // of a hash: it is not packed, however small it may be
	minEntryBytes = 4
)

// keyMeta is what a chunk holds for one key.
type keyMeta struct {
	version uint64
	raw     bool
	large   bool
	access  store.Access
}

// appendChunk encodes what belongs to a run of entries.
func appendChunk(dst []byte, run []*store.Entry, baseMillis int64) []byte {
	dst = append(dst, chunkFormat)
	dst = binary.AppendVarint(dst, baseMillis)
	dst = binary.AppendUvarint(dst, uint64(len(run)))
	for _, e := range run {
		var flags byte
		if e.Raw() {
			flags |= flagRaw
		}
		if c := e.Collection(); c != nil && !c.Packed() {
			flags |= flagLarge
		}
		a := e.Access()
		dst = binary.AppendUvarint(dst, e.Version())
		dst = append(dst, flags, a.Freq)
		dst = binary.AppendVarint(dst, baseMillis-a.LastMillis)
	}
	return dst
}

// chunkReader hands out the entries of one chunk, in order.
type chunkReader struct {
	rest []byte
	base int64
	left uint64
}

// reset starts r on a chunk and keeps a copy of it.
func (r *chunkReader) reset(chunk []byte) error {
	if len(chunk) == 0 {
		return Damaged("empty field %s", auxVersions)
	}
	if chunk[0] != chunkFormat {
		return Unsupported("format %d of field %s; known is %d", chunk[0], auxVersions, chunkFormat)
	}
	chunk = chunk[1:]
	base, n := binary.Varint(chunk)
	if n <= 0 {
		return Damaged("bad time in field %s", auxVersions)
	}
	chunk = chunk[n:]
	count, n := binary.Uvarint(chunk)
	if n <= 0 || count > uint64(len(chunk)-n)/minEntryBytes {
		return Damaged("bad count in field %s", auxVersions)
	}
	r.rest = append(r.rest[:0], chunk[n:]...)
	r.base, r.left = base, count
	return nil
}

func (r *chunkReader) next() (m keyMeta, err error) {
	if r.left == 0 {
		return m, Damaged("a key without its part of field %s", auxVersions)
	}
	version, n := binary.Uvarint(r.rest)
	if n <= 0 || len(r.rest) < n+2 {
		return m, Damaged("field %s is short", auxVersions)
	}
	flags, freq := r.rest[n], r.rest[n+1]
	r.rest = r.rest[n+2:]
	ago, n := binary.Varint(r.rest)
	if n <= 0 {
		return m, Damaged("field %s is short", auxVersions)
	}
	r.rest = r.rest[n:]
	r.left--
	if flags&^(flagRaw|flagLarge) != 0 {
		return m, Unsupported("flags 0x%02x in field %s", flags, auxVersions)
	}
	return keyMeta{
		version: version,
		raw:     flags&flagRaw != 0,
		large:   flags&flagLarge != 0,
		access:  store.Access{LastMillis: r.base - ago, Freq: freq},
	}, nil
}

// end checks that every entry was taken.
func (r *chunkReader) end() error {
	if r.left != 0 || len(r.rest) != 0 {
		return Damaged("field %s speaks of %d more keys than there are", auxVersions, r.left)
	}
	return nil
}
