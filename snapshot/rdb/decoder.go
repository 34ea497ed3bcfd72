package rdb

import (
	"bytes"
	"encoding/binary"
	"io"
	"strconv"
)

// decoder reads the primitives of RDB.
type decoder struct {
	*source
	keyBuf  []byte // holds the key while the value is read
	valBuf  []byte // for values larger than the source's buffer
	nameBuf []byte // holds a field's name while its value is read
	lzfBuf  []byte // compressed bytes larger than the source's buffer
	version int

	// most is how many bytes compressed strings may come to, unpacked so far: see ReadDump. A
	// file has no such bound, it is nobody's argument.
	most, unpacked uint64
	bounded        bool
}

func newDecoder(r io.Reader) *decoder { return &decoder{source: newSource(r)} }

// header reads the magic and the version.
func (d *decoder) header() error {
	p, err := d.next(headerLen)
	if err != nil {
		return err
	}
	digits, ok := bytes.CutPrefix(p, []byte(magic))
	if !ok {
		digits, ok = bytes.CutPrefix(p, []byte(magicValkey))
	}
	if !ok {
		return Damaged("not an RDB file: it begins with %q", p)
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return Damaged("not an RDB file: its version is %q", digits)
		}
		d.version = d.version*10 + int(c-'0')
	}
	if d.version < 1 {
		return Unsupported("RDB version %d", d.version)
	}
	return nil
}

// unknown is the error for a code that is not known: the file is newer, or damaged.
func (d *decoder) unknown(format string, args ...any) error {
	if d.version > versionKnown {
		return Unsupported(format+" in a file of RDB version %d", append(args, d.version)...)
	}
	return Damaged(format, args...)
}

// length reads a length, or with encoded true how a string is encoded.
func (d *decoder) length() (n uint64, encoded bool, err error) {
	b, err := d.byte()
	if err != nil {
		return 0, false, err
	}
	switch b >> 6 {
	case len6:
		return uint64(b), false, nil
	case len14:
		low, err := d.byte()
		return uint64(b&0x3f)<<8 | uint64(low), false, err
	case lenEnc:
		return uint64(b & 0x3f), true, nil
	}
	switch b {
	case len32Byte:
		p, err := d.next(4)
		if err != nil {
			return 0, false, err
		}
		return uint64(binary.BigEndian.Uint32(p)), false, nil
	case len64Byte:
		p, err := d.next(8)
		if err != nil {
			return 0, false, err
		}
		return binary.BigEndian.Uint64(p), false, nil
	}
	return 0, false, d.unknown("unknown length encoding 0x%02x", b)
}

// plainLength reads a length that must not be a string encoding.
func (d *decoder) plainLength() (uint64, error) {
	n, encoded, err := d.length()
	if err == nil && encoded {
		err = Damaged("a string encoding where a length belongs")
	}
	return n, err
}

// string reads a string. The result is valid until the next call.
func (d *decoder) string(scratch *[]byte) ([]byte, error) {
	n, encoded, err := d.length()
	if err != nil {
		return nil, err
	}
	if !encoded {
		return d.bytes(scratch, n)
	}
	switch n {
	case encInt8, encInt16, encInt32:
		return d.intString(scratch, 1<<n)
	case encLZF:
		return d.lzfString(scratch)
	}
	return nil, d.unknown("unknown string encoding %d", n)
}

func (d *decoder) intString(scratch *[]byte, size int) ([]byte, error) {
	p, err := d.next(size)
	if err != nil {
		return nil, err
	}
	var n int64
	switch size {
	case 1:
		n = int64(int8(p[0]))
	case 2:
		n = int64(int16(binary.LittleEndian.Uint16(p)))
	case 4:
		n = int64(int32(binary.LittleEndian.Uint32(p)))
	}
	*scratch = strconv.AppendInt((*scratch)[:0], n, 10)
	return *scratch, nil
}

func (d *decoder) lzfString(scratch *[]byte) ([]byte, error) {
	packed, err := d.plainLength()
	if err != nil {
		return nil, err
	}
	size, err := d.plainLength()
	if err != nil {
		return nil, err
	}
	if packed > 1<<40 || size > packed*lzfMaxRatio {
		return nil, Damaged("%d compressed bytes cannot stand for %d", packed, size)
	}
	if d.unpacked += size; d.bounded && d.unpacked > d.most {
		return nil, ErrTooLarge
	}
	p, err := d.bytes(&d.lzfBuf, packed)
	if err != nil {
		return nil, err
	}
	dst := (*scratch)[:0]
	if uint64(cap(dst)) < size {
		dst = make([]byte, 0, size)
	}
	if dst, err = lzfDecompress(dst, p, int(size)); err != nil {
		return nil, Damaged("%w", err)
	}
	*scratch = dst
	return dst, nil
}

// key reads a string that stays valid while the value is read.
func (d *decoder) key() ([]byte, error) { return d.held(&d.keyBuf) }

// held reads a string into buf, where it stays valid until buf is used again.
func (d *decoder) held(buf *[]byte) ([]byte, error) {
	p, err := d.string(buf)
	if err != nil {
		return nil, err
	}
	if len(p) > 0 && (cap(*buf) == 0 || &p[0] != &(*buf)[:1][0]) {
		*buf = append((*buf)[:0], p...)
		p = *buf
	}
	return p, nil
}

// owned reads a string into memory of its own.
func (d *decoder) owned() ([]byte, error) {
	var own []byte
	p, err := d.string(&own)
	if err != nil {
		return nil, err
	}
	if len(p) == 0 {
		return []byte{}, nil
	}
	if len(own) == 0 || &p[0] != &own[0] {
		own = append(make([]byte, 0, len(p)), p...)
	}
	return own, nil
}

func (d *decoder) uint64() (uint64, error) {
	p, err := d.next(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(p), nil
}

// checksum reads the end of the file after the EOF opcode. Files of Redis may
// leave the sum out by writing zero; mayOmit says whether this one may.
func (d *decoder) checksum(mayOmit bool) error {
	if d.version < versionCRC {
		return nil
	}
	want := d.sum()
	got, err := d.uint64()
	switch {
	case err != nil:
		return err
	case got == want, got == 0 && mayOmit:
		return nil
	}
	return Damaged("checksum is %016x, the content's is %016x", got, want)
}
