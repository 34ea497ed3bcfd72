package rdb

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
)

const testNow = rdbtest.Now

// trickyStore holds what is hard to encode: numbers near the limits of the
// integer encodings, binary and empty keys and values, lengths near the limits of
// the length encodings, expiry times, raw values, a large value.
func trickyStore() *store.Store {
	s := store.New(store.DefaultOptions())
	s.Advance(testNow)
	for _, v := range []string{
		"", "0", "-0", "00", "01", "+1", "-1", "1", "123", "127", "128", "-128", "-129", "255", "256", "32767", "32768",
		"-32768", "-32769", "2147483647", "2147483648", "-2147483648", "-2147483649", "9223372036854775807",
		"-9223372036854775808", "9223372036854775808", "1.5", " 1", "1 ", "1e3", "\x00", "\xff\xfe", "a\r\nb", "é",
	} {
		s.Put([]byte("v:"+v), []byte(v), 0, false)
		s.Put([]byte(v), []byte("key:"+v), testNow+int64(len(v))*1001, false)
	}
	for _, n := range []int{62, 63, 64, 65, 16382, 16383, 16384, 16385, directWrite - 1, directWrite, encoderBuffer, sourceBuffer + 1, 1 << 20} {
		s.Put(fmt.Appendf(nil, "len:%d", n), bytes.Repeat([]byte{byte(n), 0, 255}, n/3+1)[:n], 0, false)
	}
	s.Append(s.Put([]byte("raw"), []byte("12"), 0, false), []byte("34"))
	s.Put(bytes.Repeat([]byte("k"), 70_000), []byte("long key"), 0, false)
	return s
}

func encode(t testing.TB, s *store.Store, aux []Aux, o WriteOptions) []byte {
	t.Helper()
	sn := s.Freeze()
	defer sn.Release()
	var b bytes.Buffer
	if o.NowMillis == 0 {
		o.NowMillis = testNow
	}
	if err := WriteWith(&b, sn, aux, o); err != nil {
		t.Fatalf("write: %v", err)
	}
	return b.Bytes()
}

// sameStore fails unless a and b agree in all that a snapshot keeps.
func sameStore(t testing.TB, got, want *store.Store) {
	t.Helper()
	if got.Len() != want.Len() || got.Digest() != want.Digest() || got.Revision() != want.Revision() ||
		got.Used() != want.Used() || got.VolatileLen() != want.VolatileLen() {
		t.Fatalf("stores differ: %d keys, digest %x, revision %d; want %d, %x, %d",
			got.Len(), got.Digest(), got.Revision(), want.Len(), want.Digest(), want.Revision())
	}
	want.Each(func(w *store.Entry) bool {
		g := got.Get([]byte(w.Key()))
		if g == nil || !bytes.Equal(g.Bytes(), w.Bytes()) || g.ExpireAt() != w.ExpireAt() ||
			g.Version() != w.Version() || g.Raw() != w.Raw() || g.Access() != w.Access() {
			t.Fatalf("key %q differs: %+v, want %+v", w.Key(), g, w)
		}
		return true
	})
}
