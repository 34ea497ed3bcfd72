package resp

import (
	"io"
	"strings"
	"testing"
)

func benchmarkRead(b *testing.B, args ...string) {
	cmd := make([][]byte, len(args))
	for i, a := range args {
		cmd[i] = []byte(a)
	}
	r := NewReader(&endless{data: AppendCommand(nil, cmd)}, Limits{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.ReadCommand(); err != nil {
			b.Fatal(err)
		}
		if !r.Buffered() {
			r.Release()
		}
	}
}

func BenchmarkReadGET(b *testing.B) { benchmarkRead(b, "GET", "key:000000000001") }
func BenchmarkReadSET(b *testing.B) { benchmarkRead(b, "SET", "key:000000000001", "xxx") }
func BenchmarkReadSET1M(b *testing.B) {
	b.SetBytes(1 << 20)
	benchmarkRead(b, "SET", "key", strings.Repeat("x", 1<<20))
}

func benchmarkWrite(b *testing.B, v Value) {
	w := NewWriter(io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		_ = w.WriteValue(v)
	}
}

func BenchmarkWriteOK(b *testing.B)     { benchmarkWrite(b, OK) }
func BenchmarkWriteBulk(b *testing.B)   { benchmarkWrite(b, BulkString("xxx")) }
func BenchmarkWriteBulk1M(b *testing.B) { benchmarkWrite(b, BulkString(strings.Repeat("x", 1<<20))) }

func BenchmarkBinary(b *testing.B) {
	v := Array(OK, BulkString("some value"), Int(12345))
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendBinary(buf[:0], v)
		if _, _, err := DecodeBinary(buf); err != nil {
			b.Fatal(err)
		}
	}
}
