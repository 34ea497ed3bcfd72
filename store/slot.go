package store

import "strings"

// SlotCount is the number of hash slots of Redis Cluster.
const SlotCount = 16384

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

// Slot returns the hash slot of key as Redis Cluster computes it: CRC16 of the
// hash tag, the part between the first '{' and the next '}', if there is one
// that is not empty, otherwise of the whole key.
func Slot(key []byte) uint16 { return slotOf(str(key)) }

func slotOf(key string) uint16 {
	if i := strings.IndexByte(key, '{'); i >= 0 {
		if n := strings.IndexByte(key[i+1:], '}'); n > 0 {
			key = key[i+1 : i+1+n]
		}
	}
	var c uint16
	for i := range len(key) {
		c = c<<8 ^ crcTable[byte(c>>8)^key[i]]
	}
	return c % SlotCount
}
