package rdb

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// The sum of a stream does not depend on how it is cut into writes.
func TestTailSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), TrailerLen, 200).Draw(t, "data")
		var sum TailSum
		for rest := data; len(rest) > 0; {
			n := rapid.IntRange(0, len(rest)).Draw(t, "n")
			sum.Add(rest[:n])
			rest = rest[n:]
		}
		body := data[:len(data)-TrailerLen]
		if sum.Size != int64(len(data)) || sum.Sum != crc64Update(0, body) || !bytes.Equal(sum.tail[:], data[len(body):]) {
			t.Fatalf("%+v", sum)
		}
	})
}
