package heapuse

import "testing"

var sink []byte

func TestExceeds(t *testing.T) {
	if used := Exceeds(1<<20, 8, func() { sink = make([]byte, 8<<20) }); used != 0 {
		t.Errorf("8 MiB of 1 MiB: %d", used)
	}
	if used := Exceeds(1, 8, func() { sink = make([]byte, 8<<20) }); used < 8<<20 {
		t.Errorf("8 MiB of a byte: %d", used)
	}
}
