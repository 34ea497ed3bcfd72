package store

import (
	"testing"

	"github.com/cespare/xxhash/v2"
)

// pair stands for the types to come.
type pair struct{ a, b string }

const pairType Type = 200

func (p *pair) Type() Type  { return pairType }
func (p *pair) Size() int64 { return 32 + int64(len(p.a)+len(p.b)) }
func (p *pair) AppendCanonical(dst []byte) []byte {
	return append(append(append(dst, p.a...), 0), p.b...)
}
func (p *pair) Sum() uint64 { return xxhash.Sum64(p.AppendCanonical(nil)) }

func TestObjectsAreValuesLikeStrings(t *testing.T) {
	s, twin := New(Options{}), New(Options{})
	e := s.PutObject([]byte("k"), &pair{"x", "yz"}, 0)
	if want := SizeOf(1, 0, false) + 35; e.Size() != want || s.Used() != want {
		t.Fatalf("Size %d, Used %d, want %d", e.Size(), s.Used(), want)
	}
	twin.PutObject([]byte("k"), &pair{"x", "yz"}, 0)
	if s.Digest() != twin.Digest() {
		t.Fatal("equal contents, different digests")
	}
	twin.PutObject([]byte("k"), &pair{"xy", "z"}, 0)
	twin.Delete(twin.Get([]byte("k")))
	sn := s.Freeze()
	want := s.Digest()
	e = s.SetExpireAt(s.Rename(s.Copy(e, []byte("copy")), []byte("renamed")), 77)
	if got := e.Object().(*pair); *got != (pair{"x", "yz"}) || e.Type() != pairType || e.ExpireAt() != 77 {
		t.Fatalf("copied, renamed and made to expire: %+v", got)
	}
	if e = s.Put([]byte("k"), []byte("plain"), 0, false); e.Object() != nil || e.Type() != String {
		t.Fatal("a string over an object")
	}
	if sn.Digest() != want {
		t.Fatal("the snapshot changed")
	}
	s.Clear()
	if s.Used() != 0 {
		t.Fatalf("Used %d after Clear", s.Used())
	}
}
