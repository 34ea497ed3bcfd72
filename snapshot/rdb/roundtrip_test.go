package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"math"
	"strconv"
	"testing"
	"testing/iotest"

	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
	"pgregory.net/rapid"
)

func TestRoundTripKeepsEverything(t *testing.T) {
	s := trickyStore()
	s.Touch(s.Get([]byte("v:1")), testNow+5000)
	rdbtest.Fill(s, 3*keysPerRun+1, 10)
	aux := []Aux{
		{Key: "lockstep-state", Value: bytes.Repeat([]byte{0, 1, 0xff}, 1<<20)},
		{Key: "lockstep-state", Value: []byte("again")},
		{Key: "lockstep-empty", Value: []byte{}},
		{Key: "lockstep-number", Value: []byte("-70000")},
	}
	file := encode(t, s, aux, WriteOptions{})
	for name, r := range map[string]io.Reader{
		"whole":   bytes.NewReader(file),
		"halves":  iotest.HalfReader(bytes.NewReader(file)),
		"dataEOF": iotest.DataErrReader(bytes.NewReader(file)),
	} {
		got, gotAux, err := Read(r, store.DefaultOptions())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sameStore(t, got, s)
		if len(gotAux) != len(aux) {
			t.Fatalf("%s: %d AUX fields, want %d", name, len(gotAux), len(aux))
		}
		for i := range aux {
			if gotAux[i].Key != aux[i].Key || !bytes.Equal(gotAux[i].Value, aux[i].Value) {
				t.Errorf("%s: AUX field %d is %q %.20q, want %q %.20q", name, i, gotAux[i].Key, gotAux[i].Value, aux[i].Key, aux[i].Value)
			}
		}
	}
}

func TestEmptyStore(t *testing.T) {
	s := store.New(store.DefaultOptions())
	s.SetRevision(math.MaxUint64 - 1)
	got, _, err := Read(bytes.NewReader(encode(t, s, nil, WriteOptions{})), store.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	sameStore(t, got, s)
}

func TestReservedAuxNamesAreRefused(t *testing.T) {
	for _, name := range []string{"redis-ver", "ctime", auxFormat, auxVersions, auxRevision} {
		sn := store.New(store.DefaultOptions()).Freeze()
		if err := Write(io.Discard, sn, []Aux{{Key: name}}, testNow); err == nil {
			t.Errorf("%s was accepted", name)
		}
		sn.Release()
	}
}

func TestWriteReportsTheWritersError(t *testing.T) {
	s := trickyStore()
	whole := len(encode(t, s, nil, WriteOptions{}))
	full := errors.New("disk full")
	for _, limit := range []int{0, 1, 1 << 16, 1 << 18, 1 << 20, whole - 1} {
		sn := s.Freeze()
		err := Write(&limitedWriter{left: limit, err: full}, sn, nil, testNow)
		sn.Release()
		if !errors.Is(err, full) {
			t.Errorf("after %d bytes: got %v", limit, err)
		}
	}
}

type limitedWriter struct {
	left int
	err  error
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		n := w.left
		w.left = 0
		return n, w.err
	}
	w.left -= len(p)
	return len(p), nil
}

func TestSnapshotIsOfItsTime(t *testing.T) {
	s := trickyStore()
	sn := s.Freeze()
	defer sn.Release()
	want := encode(t, s, nil, WriteOptions{})
	s.Put([]byte("later"), []byte("x"), 0, false)
	s.Delete(s.Get([]byte("v:1")))
	var got bytes.Buffer
	if err := Write(&got, sn, nil, testNow); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Fatal("changes after Freeze reached the file")
	}
}

func TestExpiredKeys(t *testing.T) {
	s := store.New(store.DefaultOptions())
	s.Put([]byte("past"), []byte("x"), testNow-1, false)
	s.Put([]byte("now"), []byte("x"), testNow, false)
	s.Put([]byte("future"), []byte("x"), testNow+1, false)
	s.Put([]byte("forever"), []byte("x"), 0, false)
	file := encode(t, s, nil, WriteOptions{})
	kept, _, err := Read(bytes.NewReader(file), store.DefaultOptions())
	if err != nil || kept.Len() != 4 {
		t.Fatalf("a state machine must keep them all: %v", err)
	}
	got, info, err := ReadWith(bytes.NewReader(file), store.DefaultOptions(), ReadOptions{NowMillis: testNow, DropExpired: true})
	if err != nil {
		t.Fatal(err)
	}
	if got.Len() != 3 || info.Keys != 3 || info.Expired != 1 || got.Get([]byte("past")) != nil {
		t.Fatalf("%d keys, info %+v", got.Len(), info)
	}
}

func TestDuplicateKeyIsDamage(t *testing.T) {
	file := []byte("REDIS0010\x00\x01k\x01a\x00\x01k\x01b\xff\x00\x00\x00\x00\x00\x00\x00\x00")
	if _, _, err := Read(bytes.NewReader(file), store.DefaultOptions()); !errors.Is(err, ErrDamaged) {
		t.Fatalf("got %v", err)
	}
}

// The check value that Redis's own source gives for "123456789".
func TestCRC64KnownValue(t *testing.T) {
	if got := crc64Update(0, []byte("123456789")); got != 0xe9c6d914c4b8d9ca {
		t.Fatalf("got %x", got)
	}
}

func TestCRC64AgreesWithTheStandardLibrary(t *testing.T) {
	table := crc64.MakeTable(jonesReflected)
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOf(rapid.Byte()).Draw(t, "p")
		cut := rapid.IntRange(0, len(p)).Draw(t, "cut")
		want := ^crc64.Update(^uint64(0), table, p)
		if got := crc64Update(crc64Update(0, p[:cut]), p[cut:]); got != want {
			t.Fatalf("got %x, want %x", got, want)
		}
	})
}

func TestCanonicalInt32(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.OneOf(rapid.StringMatching(`[-+]?[0-9]{0,12}`),
			rapid.Map(rapid.Int64(), func(n int64) string { return strconv.FormatInt(n, 10) }),
			rapid.Map(rapid.Int32(), func(n int32) string { return strconv.Itoa(int(n)) })).Draw(t, "p")
		n, ok := canonicalInt32([]byte(p))
		want, err := strconv.ParseInt(p, 10, 32)
		if ok != (err == nil && strconv.FormatInt(want, 10) == p) || ok && int64(n) != want {
			t.Fatalf("%q: %d, %v", p, n, ok)
		}
	})
}

func TestRoundTripProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := store.New(store.Options{Policy: store.AllKeysLFU, LFULogFactor: 10, LFUDecayMinutes: 1})
		s.Advance(testNow)
		keys := rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.StringMatching(`-?[0-9]{1,11}`)), 0, 40).Draw(t, "keys")
		for _, k := range keys {
			val := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "value")
			at := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Min(1)).Draw(t, "at")
			e := s.Put([]byte(k), val, at, rapid.Bool().Draw(t, "raw"))
			if rapid.Bool().Draw(t, "touch") {
				s.Touch(e, testNow+rapid.Int64Range(0, 1<<40).Draw(t, "later"))
			}
		}
		aux := []Aux{{Key: rapid.String().Draw(t, "aux"), Value: rapid.SliceOf(rapid.Byte()).Draw(t, "auxValue")}}
		sn := s.Freeze()
		defer sn.Release()
		var b bytes.Buffer
		if err := WriteWith(&b, sn, aux, WriteOptions{NowMillis: testNow, Eviction: s.Options()}); err != nil {
			t.Fatal(err)
		}
		got, gotAux, err := Read(&b, s.Options())
		if err != nil {
			t.Fatal(err)
		}
		if got.Digest() != s.Digest() || got.Revision() != s.Revision() || fmt.Sprint(gotAux) != fmt.Sprint(aux) {
			t.Fatal("not the same")
		}
	})
}
