package rdb

import "encoding/binary"

// RDB files end with a CRC-64 of the "Jones" polynomial 0xad93d23594c935a9,
// bits reflected, start value 0, no final inversion. hash/crc64 always inverts,
// and is slow for polynomials that it does not know, hence this one: slicing by
// eight (Kounavis and Berry, "A Systematic Approach to Building High Performance,
// Software-based, CRC Generators", 2005).
const jonesReflected = 0x95ac9329ac4bc9b5

type crcTables [8][256]uint64

var jones = makeCRCTables(jonesReflected)

func makeCRCTables(poly uint64) *crcTables {
	var t crcTables
	for i := range 256 {
		crc := uint64(i)
		for range 8 {
			if crc&1 == 1 {
				crc = crc>>1 ^ poly
			} else {
				crc >>= 1
			}
		}
		t[0][i] = crc
	}
	for i := range 256 {
		for k := 1; k < 8; k++ {
			prev := t[k-1][i]
			t[k][i] = t[0][byte(prev)] ^ prev>>8
		}
	}
	return &t
}

// crc64Update returns the checksum of what crc covers followed by p.
func crc64Update(crc uint64, p []byte) uint64 {
	t := jones
	for len(p) >= 8 {
		crc ^= binary.LittleEndian.Uint64(p)
		crc = t[7][byte(crc)] ^ t[6][byte(crc>>8)] ^ t[5][byte(crc>>16)] ^ t[4][byte(crc>>24)] ^
			t[3][byte(crc>>32)] ^ t[2][byte(crc>>40)] ^ t[1][byte(crc>>48)] ^ t[0][crc>>56]
		p = p[8:]
	}
	for _, b := range p {
		crc = t[0][byte(crc)^b] ^ crc>>8
	}
	return crc
}
