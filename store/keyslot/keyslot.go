// Package keyslot maps keys to the hash slots of Redis Cluster: CRC-16/XMODEM of the
// key, or of its hash tag, modulo the number of slots. Clients and nodes must agree on
// it, so it is the one place that knows either.
package keyslot

import (
	"strings"
	"unsafe"
)

// Count is the number of hash slots.
const Count = 16384

// crcTable is the table of CRC-16/XMODEM: polynomial 0x1021, start value 0.
var crcTable = makeCRCTable()

func makeCRCTable() (t [256]uint16) {
	for i := range t {
		c := uint16(i) << 8
		for range 8 {
			if c&0x8000 != 0 {
				c = c<<1 ^ 0x1021
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}

// Of returns the slot of a key, below Count.
func Of(key []byte) uint16 { return OfString(unsafe.String(unsafe.SliceData(key), len(key))) }

// OfString is Of for a string. What is hashed is the hash tag, the part between the
// first '{' and the next '}', if there is one that is not empty, otherwise the whole key.
func OfString(key string) uint16 {
	if i := strings.IndexByte(key, '{'); i >= 0 {
		if n := strings.IndexByte(key[i+1:], '}'); n > 0 {
			key = key[i+1 : i+1+n]
		}
	}
	var c uint16
	for i := range len(key) {
		c = c<<8 ^ crcTable[byte(c>>8)^key[i]]
	}
	return c % Count
}
