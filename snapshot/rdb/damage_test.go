package rdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/hash"
	"pgregory.net/rapid"
)

// mustFail reads damaged bytes and demands an error that says where.
func mustFail(t interface {
	Helper()
	Fatalf(string, ...any)
}, data []byte, what string, at int) {
	t.Helper()
	_, err := Scan(bytes.NewReader(data), ReadOptions{File: "f.rdb"}, func(store.Item) error { return nil })
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) {
		t.Fatalf("%s at %d: got %v", what, at, err)
	}
	if corrupt.File != "f.rdb" || corrupt.Offset < 0 || corrupt.Offset > int64(len(data)) {
		t.Fatalf("%s at %d of %d bytes: reported at byte %d of %q", what, at, len(data), corrupt.Offset, corrupt.File)
	}
	if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnsupported) {
		t.Fatalf("%s at %d: %v is of no known kind", what, at, err)
	}
}

func smallFile(t testing.TB) []byte {
	s := store.New(store.DefaultOptions())
	s.Advance(testNow)
	for _, v := range []string{"", "7", "300", "70000", "text", strings.Repeat("z", 70), "9223372036854775807"} {
		s.Put([]byte("key:"+v), []byte(v), int64(len(v))*testNow, len(v) == 4)
	}
	o := store.DefaultOptions()
	o.Policy = store.AllKeysLRU
	return encode(t, s, []Aux{{Key: "lockstep-state", Value: []byte("state")}}, WriteOptions{Eviction: o})
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	file := smallFile(t)
	for i := range file {
		for bit := range 8 {
			bad := bytes.Clone(file)
			bad[i] ^= 1 << bit
			mustFail(t, bad, "flipped bit", i)
		}
	}
}

func TestEveryCutAndTailIsFound(t *testing.T) {
	file := smallFile(t)
	for i := range file {
		mustFail(t, file[:i], "cut", i)
	}
	mustFail(t, append(bytes.Clone(file), 0), "tail", len(file))
	mustFail(t, append(bytes.Clone(file), file...), "second file", len(file))
}

func TestDamagePropertyOfLargeFiles(t *testing.T) {
	s := trickyStore()
	rdbtest.Fill(s, keysPerRun, 10)
	file := encode(t, s, nil, WriteOptions{})
	rapid.Check(t, func(t *rapid.T) {
		bad := bytes.Clone(file)
		at := rapid.IntRange(0, len(file)-1).Draw(t, "at")
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			bad[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "mask"))
			mustFail(t, bad, "byte", at)
		case 1:
			mustFail(t, bad[:at], "cut", at)
		case 2: // a page that was never written
			n := min(rapid.IntRange(1, 4096).Draw(t, "n"), len(bad)-at)
			clear(bad[at : at+n])
			if !bytes.Equal(bad, file) {
				mustFail(t, bad, "zeroed", at)
			}
		case 3: // bytes that are gone
			n := min(rapid.IntRange(1, 100).Draw(t, "n"), len(bad)-at)
			bad = append(bad[:at], bad[at+n:]...)
			mustFail(t, bad, "removed", at)
		}
	})
}

// A checksum of zero means "not computed" only in files that Redis may have
// written so.
func TestOwnFileNeedsItsChecksum(t *testing.T) {
	file := smallFile(t)
	clear(file[len(file)-8:])
	mustFail(t, file, "zeroed checksum", len(file)-8)
}

func TestReadersErrorIsWrapped(t *testing.T) {
	file := smallFile(t)
	want := errors.New("disk is on fire")
	for _, n := range []int{0, 5, 100, len(file) - 1} {
		r := io.MultiReader(bytes.NewReader(file[:n]), &failingReader{want})
		_, _, err := Read(r, store.DefaultOptions())
		if !errors.Is(err, want) || errors.Is(err, ErrDamaged) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

type failingReader struct{ err error }

func (r *failingReader) Read([]byte) (int, error) { return 0, r.err }

type stuckReader struct{}

func (stuckReader) Read([]byte) (int, error) { return 0, nil }

func TestReaderWithoutProgressEnds(t *testing.T) {
	if _, _, err := Read(stuckReader{}, store.DefaultOptions()); !errors.Is(err, io.ErrNoProgress) {
		t.Fatalf("got %v", err)
	}
}

// Lengths that lead nowhere must not take memory.
func TestHugeLengthsTakeNoMemory(t *testing.T) {
	huge := binary.BigEndian.AppendUint64([]byte{len64Byte}, 1<<62)
	join := func(parts ...[]byte) []byte { return bytes.Join(append([][]byte{[]byte("REDIS0010")}, parts...), nil) }
	lzf := []byte{lenEnc<<6 | encLZF}
	for name, file := range map[string][]byte{
		"key":            join([]byte{typeString}, huge),
		"value":          join([]byte{typeString, 1, 'k'}, huge),
		"aux key":        join([]byte{opAux}, huge),
		"aux value":      join([]byte{opAux, 1, 'k'}, huge),
		"LZF packed":     join([]byte{typeString, 1, 'k'}, lzf, huge, huge),
		"LZF unpacked":   join([]byte{typeString, 1, 'k'}, lzf, []byte{1}, huge, []byte{0, 'x'}),
		"LZF 1 TiB":      join([]byte{typeString, 1, 'k'}, lzf, binary.BigEndian.AppendUint64([]byte{len64Byte}, 1<<40), huge),
		"database size":  join([]byte{opResizeDB}, huge, huge),
		"versions count": join([]byte{opAux}, str(auxFormat), str("1"), []byte{opAux}, str(auxVersions), str("\x01\x00\xff\xff\xff\xff\xff\xff\xff\x7f")),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := Read(bytes.NewReader(file), store.DefaultOptions())
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: got %v", name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}

func str(s string) []byte { return append([]byte{byte(len(s))}, s...) }

func TestUnknownVersionsAreNamed(t *testing.T) {
	for want, file := range map[string]string{
		"RDB version 0":                    "REDIS0000\xff",
		"Lockstep snapshot format 2":       "REDIS0010\xfa\x0flockstep-format\x012\xff",
		"format 9 of field " + auxVersions: "REDIS0010\xfa\x0flockstep-format\x011\xfa\x11lockstep-versions\x03\x09\x00\x00\xff",
	} {
		_, _, err := Read(strings.NewReader(file), store.DefaultOptions())
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestNewerVersionsLoadWhileAllIsKnown: Redis 7.4 and later count the version up for things
// that a file of strings does not hold.
func TestNewerVersionsLoadWhileAllIsKnown(t *testing.T) {
	const slot, sums = "\xf4\x05\x02\x01", "\xff\x00\x00\x00\x00\x00\x00\x00\x00"
	for _, header := range []string{"REDIS0011", "REDIS0012", "REDIS0013", "REDIS9999", "VALKEY080"} {
		file := header + "\xfe\x00" + slot + "\xfb\x01\x00\x00\x01k\x01v" + sums
		s, info, err := ReadWith(strings.NewReader(file), store.DefaultOptions(), ReadOptions{})
		if err != nil || s.Get([]byte("k")) == nil || info.Keys != 1 {
			t.Errorf("%s: %v", header, err)
		}
	}
	for want, body := range map[string]string{
		`key "h" is a hash whose fields may expire (RDB type 25)`:         "\x19\x01h",
		`key "s" is a stream (RDB type 26)`:                               "\x1a\x01s",
		`key "a" is an array (RDB type 28)`:                               "\x1c\x01a",
		"unknown opcode or type 99 in a file of RDB version 12":           "\x63",
		"unknown opcode or type 242 in a file of RDB version 12":          "\xf2",
		"opcode 243 (metadata of a key, or an import of slots) in a file": "\xf3",
		"unknown string encoding 9 in a file of RDB version 12":           "\x00\xc9",
		"unknown length encoding 0x85 in a file of RDB version 12":        "\x00\x85",
		"unsupported content: a function library":                         "\xf5",
	} {
		_, _, err := Read(strings.NewReader("REDIS0012"+body+sums), store.DefaultOptions())
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	// In a version that is known, what is not is damage.
	if _, _, err := Read(strings.NewReader("REDIS0011\x63"+sums), store.DefaultOptions()); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(smallFile(f))
	f.Add(encode(f, store.New(store.DefaultOptions()), nil, WriteOptions{}))
	f.Add([]byte("REDIS0003\xfe\x00\xfd\xff\xff\xff\x7f\x00\x01k\x01v\xff"))
	f.Add([]byte("REDIS0009\xfc\x00\x00\x00\x00\x00\x00\x00\x00\xf9\x05\x00\xc0\x05\xc3\x04\x0a\x01aa\xe0\x00\x01\xff\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("VALKEY080\xf4\x05\x02\x01\x00\x01k\x01v\xff\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add(rdbOf(typeHashZiplist, "h", ziplist("a", "1", "b", "text")))
	f.Add(rdbOf(typeHashListpack, "h", []byte("\x0b\x00\x00\x00\x02\x00\x01\x01\x02\x01\xff")))
	f.Add([]byte("REDIS0010\x04\x01h\x02\x01a\xc0\x01\x01b\x01c\xff\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("REDIS0011\xf8\x40\xff\x00\xc1\x00\x01\xc2\x00\x01\x00\x00\xff\x00\x00\x00\x00\x00\x00\x00\x00"))
	lim := hash.DefaultLimits()
	f.Fuzz(func(t *testing.T, data []byte) {
		// A sum that fits lets the fuzzer reach what comes after it.
		if len(data) > headerLen+TrailerLen {
			body := data[:len(data)-TrailerLen]
			data = binary.LittleEndian.AppendUint64(bytes.Clone(body), crc64Update(0, body))
		}
		s, info, err := ReadWith(bytes.NewReader(data), store.DefaultOptions(), ReadOptions{NowMillis: testNow, Packed: hashLimits(lim)})
		if err != nil {
			var corrupt *CorruptError
			if s != nil || info != nil || !errors.As(err, &corrupt) || corrupt.Offset > int64(len(data)) {
				t.Fatalf("%v", err)
			}
			return
		}
		// What was read can be written and read again.
		again, _, err := Read(bytes.NewReader(encode(t, s, nil, WriteOptions{})), store.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		if again.Digest() != s.Digest() || again.Revision() != s.Revision() {
			t.Fatal("not the same")
		}
	})
}

func FuzzLZF(f *testing.F) {
	f.Add([]byte("\x00a\xe0\x10\x00"), 26)
	f.Add([]byte("\x1f0123456789012345678901234567890 \x20\x01"), 35)
	f.Fuzz(func(t *testing.T, src []byte, n int) {
		if n < 0 || n > len(src)*lzfMaxRatio {
			return
		}
		out, err := lzfDecompress([]byte("before"), src, n)
		if err == nil && len(out) != len("before")+n {
			t.Fatalf("%d bytes, want %d", len(out)-len("before"), n)
		}
		if len(out) > len("before")+n+264 {
			t.Fatalf("%d bytes were made, %d are wanted", len(out), n)
		}
	})
}
