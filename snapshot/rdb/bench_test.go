package rdb

import (
	"bytes"
	"io"
	"testing"

	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
)

func BenchmarkCRC64(b *testing.B) {
	p := bytes.Repeat([]byte("0123456789abcdef"), 16<<10)
	b.SetBytes(int64(len(p)))
	var crc uint64
	for b.Loop() {
		crc = crc64Update(crc, p)
	}
	_ = crc
}

// One operation is a million keys of 16 bytes with values of 64.
func BenchmarkWriteMillionKeys(b *testing.B) {
	s := store.New(store.DefaultOptions())
	rdbtest.Fill(s, 1_000_000, 64)
	b.SetBytes(int64(len(encode(b, s, nil, WriteOptions{}))))
	for b.Loop() {
		sn := s.Freeze()
		if err := Write(io.Discard, sn, nil, testNow); err != nil {
			b.Fatal(err)
		}
		sn.Release()
	}
}

func BenchmarkReadMillionKeys(b *testing.B) {
	s := store.New(store.DefaultOptions())
	rdbtest.Fill(s, 1_000_000, 64)
	file := encode(b, s, nil, WriteOptions{})
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, _, err := Read(bytes.NewReader(file), store.DefaultOptions()); err != nil {
			b.Fatal(err)
		}
	}
}
