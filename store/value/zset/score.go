package zset

import (
	"encoding/binary"
	"math"
	"strconv"
)

// keyOf is the place of a score in the order of scores, as a number. Only 0 and -0 have
// the same.
func keyOf(score float64) uint64 {
	bits := math.Float64bits(score)
	switch {
	case score == 0:
		return 1 << 63
	case bits>>63 != 0:
		return ^bits
	}
	return bits | 1<<63
}

// scoreOf is the score of a key, but for -0.
func scoreOf(key uint64) float64 {
	if key>>63 != 0 {
		return math.Float64frombits(key &^ (1 << 63))
	}
	return math.Float64frombits(^key)
}

// withoutSign is what a packed set keeps of a score: as in Redis's listpack, -0 is 0 there.
func withoutSign(score float64) float64 {
	if score == 0 {
		return 0
	}
	return score
}

func isNegativeZero(score float64) bool { return score == 0 && math.Signbit(score) }

// AppendText appends a score as text that reads back as the same score, also in Redis.
func AppendText(dst []byte, score float64) []byte {
	switch {
	case math.IsInf(score, 1):
		return append(dst, "inf"...)
	case math.IsInf(score, -1):
		return append(dst, "-inf"...)
	}
	return strconv.AppendFloat(dst, score, 'g', -1, 64)
}

// A score is kept as a varint:
//
//	even: twice an integer, with its sign at the lowest bit (zigzag)
//	1:    8 bytes of the number follow
const (
	maxScoreBytes = 9
	wholeScores   = 1 << 40 // integers below this in magnitude take fewer than 8 bytes
)

// appendScore appends a score.
func appendScore(dst []byte, score float64) []byte {
	if n := int64(score); score > -wholeScores && score < wholeScores && float64(n) == score && !isNegativeZero(score) {
		return binary.AppendUvarint(dst, uint64(n<<1^n>>63)<<1)
	}
	return binary.LittleEndian.AppendUint64(append(dst, 1), math.Float64bits(score))
}

// readScore reads the score at the beginning of b, and tells how long it is.
func readScore(b []byte) (score float64, length int) {
	if b[0] == 1 {
		return math.Float64frombits(binary.LittleEndian.Uint64(b[1:])), maxScoreBytes
	}
	u, length := uint64(b[0]), 1
	if u >= 0x80 {
		u, length = binary.Uvarint(b)
	}
	u >>= 1
	return float64(int64(u>>1) ^ -int64(u&1)), length
}
