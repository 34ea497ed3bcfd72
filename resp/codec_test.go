package resp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAppend(t *testing.T) {
	tests := []struct {
		name   string
		v      Value
		p2, p3 string
	}{
		{"nil", Nil, "$-1\r\n", "_\r\n"},
		{"nil array", NilArray, "*-1\r\n", "_\r\n"},
		{"simple", OK, "+OK\r\n", "+OK\r\n"},
		{"error stays on its line", Err("ERR a\r\n+b"), "-ERR a  +b\r\n", "-ERR a  +b\r\n"},
		{"integers", Array(Int(0), Int(9), Int(10), Int(-1), Int(math.MinInt64)),
			"*5\r\n:0\r\n:9\r\n:10\r\n:-1\r\n:-9223372036854775808\r\n", "*5\r\n:0\r\n:9\r\n:10\r\n:-1\r\n:-9223372036854775808\r\n"},
		{"bulk", BulkString("a\r\nb"), "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n"},
		{"map", Map(BulkString("k"), Int(1)), "*2\r\n$1\r\nk\r\n:1\r\n", "%1\r\n$1\r\nk\r\n:1\r\n"},
		{"set", Set(Int(1)), "*1\r\n:1\r\n", "~1\r\n:1\r\n"},
		{"push", Value{Kind: KindPush, Elems: []Value{Int(1)}}, "*1\r\n:1\r\n", ">1\r\n:1\r\n"},
		{"pairs", Pairs(BulkString("k"), Int(1), BulkString("k"), Int(2)), "*4\r\n$1\r\nk\r\n:1\r\n$1\r\nk\r\n:2\r\n", "*2\r\n*2\r\n$1\r\nk\r\n:1\r\n*2\r\n$1\r\nk\r\n:2\r\n"},
		{"double", Double(0.1), "$19\r\n0.10000000000000001\r\n", ",0.10000000000000001\r\n"},
		{"whole double", Double(100000), "$6\r\n100000\r\n", ",100000\r\n"},
		{"large double", Double(1e20), "$5\r\n1e+20\r\n", ",1e+20\r\n"},
		{"infinity", Double(math.Inf(-1)), "$4\r\n-inf\r\n", ",-inf\r\n"},
		{"bool", Array(Bool(true), Bool(false)), "*2\r\n:1\r\n:0\r\n", "*2\r\n#t\r\n#f\r\n"},
		{"verbatim", Verbatim("hi"), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"},
		{"big number", Value{Kind: KindBigNumber, Str: []byte("12")}, "$2\r\n12\r\n", "(12\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(Append(nil, tt.v, 2)); got != tt.p2 {
				t.Errorf("RESP2 %q, want %q", got, tt.p2)
			}
			if got := string(Append(nil, tt.v, 3)); got != tt.p3 {
				t.Errorf("RESP3 %q, want %q", got, tt.p3)
			}
		})
	}
}

func values(depth int) *rapid.Generator[Value] {
	return rapid.Custom(func(t *rapid.T) Value {
		kinds := []Kind{KindNil, KindSimple, KindError, KindInt, KindBulk, KindDouble, KindBool, KindVerbatim, KindBigNumber}
		if depth > 0 {
			kinds = append(kinds, KindArray, KindMap, KindSet, KindPush)
		}
		v := Value{Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
		switch v.Kind {
		case KindInt:
			v.Int = rapid.Int64().Draw(t, "int")
		case KindDouble:
			v = Double(rapid.Float64().Draw(t, "double"))
		case KindBool:
			v = Bool(rapid.Bool().Draw(t, "bool"))
		case KindSimple, KindError, KindBigNumber:
			v.Str = []byte(rapid.StringMatching(`[A-Za-z0-9 ]{0,20}`).Draw(t, "line"))
		case KindBulk, KindVerbatim:
			v.Str = rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "str")
		case KindArray, KindSet, KindPush, KindMap:
			v.Elems = rapid.SliceOfN(values(depth-1), 0, 4).Draw(t, "elems")
			if v.Kind == KindMap {
				v.Elems = v.Elems[:len(v.Elems)&^1]
			}
		}
		return v
	})
}

// same compares values; an empty slice equals nil.
func same(a, b Value) bool {
	if a.Kind != b.Kind || a.Int != b.Int || !bytes.Equal(a.Str, b.Str) || len(a.Elems) != len(b.Elems) {
		return false
	}
	for i := range a.Elems {
		if !same(a.Elems[i], b.Elems[i]) {
			return false
		}
	}
	return true
}

func TestClassesOfErrors(t *testing.T) {
	for c := ClassNone; c < classCount; c++ {
		v := ErrorReply(fmt.Errorf("%w", ClassedError{"ERR no", c}))
		got, rest, err := DecodeBinary(append(AppendBinary(nil, v), "tail"...))
		if err != nil || !same(got, v) || got.Class() != c || string(rest) != "tail" {
			t.Errorf("class %d: %+v %q %v", c, got, rest, err)
		}
		if text := string(Append(nil, v, 3)); text != "-ERR no\r\n" {
			t.Errorf("class %d: %q", c, text)
		}
	}
	for _, bad := range []string{"\x83", "\x83\x00\x01x", "\x83\x7f\x01x", "\x83\x01\x05x"} {
		if v, _, err := DecodeBinary([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, v)
		}
	}
}

func TestRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values(3).Draw(t, "v")
		got, err := ReadValue(bufio.NewReader(bytes.NewReader(Append(nil, v, 3))))
		if err != nil || !same(got, v) {
			t.Fatalf("RESP3: %+v, %v, want %+v", got, err, v)
		}
		got, rest, err := DecodeBinary(append(AppendBinary(nil, v), "tail"...))
		if err != nil || !same(got, v) || string(rest) != "tail" {
			t.Fatalf("binary: %+v, %q, %v, want %+v", got, rest, err, v)
		}
		var out bytes.Buffer
		w := NewWriter(&out)
		w.SetProto(2)
		if w.WriteValue(v) != nil || w.Flush() != nil || !bytes.Equal(out.Bytes(), Append(nil, v, 2)) {
			t.Fatalf("the Writer and Append differ: %q", out.Bytes())
		}
	})
}

func TestWriterLongStrings(t *testing.T) {
	long := BulkString(strings.Repeat("x", 3<<20+5))
	v := Array(Int(1), long, BulkString("y"), long)
	var out bytes.Buffer
	w := NewWriter(&out)
	if err := w.WriteValue(v); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil || !bytes.Equal(out.Bytes(), Append(nil, v, 2)) {
		t.Fatalf("wrong bytes (%d), %v", out.Len(), err)
	}
	if w.Held() > 4*flushBytes {
		t.Errorf("holds %d bytes", w.Held())
	}
}

func TestWriterKeepsItsError(t *testing.T) {
	pr, pw := io.Pipe()
	pr.Close()
	w := NewWriter(pw)
	_ = w.WriteValue(OK)
	if err := w.Flush(); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	if err := w.WriteValue(OK); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
}

func TestReadValueRefuses(t *testing.T) {
	tests := map[string]error{
		"":                                  io.EOF,
		"$3\r\nab":                          io.ErrUnexpectedEOF,
		"*2\r\n:1\r\n":                      io.ErrUnexpectedEOF,
		"$1\r\nabc":                         ErrMalformedReply,
		"$-2\r\n":                           ErrMalformedReply,
		"$9999999999\r\n":                   ErrMalformedReply,
		"*9999999999\r\n":                   ErrMalformedReply,
		":1x\r\n":                           ErrMalformedReply,
		",zz\r\n":                           ErrMalformedReply,
		"#x\r\n":                            ErrMalformedReply,
		"?\r\n":                             ErrMalformedReply,
		"+OK\n":                             ErrMalformedReply,
		"=2\r\nab\r\n":                      ErrMalformedReply,
		strings.Repeat("*1\r\n", 100):       ErrMalformedReply,
		"+" + strings.Repeat("x", 100<<10):  ErrMalformedReply,
		"|1\r\n+a\r\n+b\r\n":                io.ErrUnexpectedEOF,
		"*16777216\r\n*16777216\r\n:1\r\n":  ErrMalformedReply,
		"%1\r\n+a\r\n$536870912\r\nshort..": io.ErrUnexpectedEOF,
	}
	for in, want := range tests {
		if _, err := ReadValue(bufio.NewReaderSize(strings.NewReader(in), 16)); !errors.Is(err, want) {
			t.Errorf("%.40q: got %v, want %v", in, err, want)
		}
	}
	v, err := ReadValue(bufio.NewReader(strings.NewReader("|1\r\n+a\r\n+b\r\n:5\r\n")))
	if err != nil || !reflect.DeepEqual(v, Int(5)) {
		t.Errorf("attribute: %v, %v", v, err)
	}
}

func TestDecodeBinaryRefuses(t *testing.T) {
	deep := bytes.Repeat([]byte{byte(KindArray), 1}, 100)
	for _, in := range [][]byte{nil, {255}, {byte(KindBulk), 5, 'a'}, {byte(KindArray), 200, 1}, {byte(KindInt)},
		{byte(KindDouble), 1}, {byte(KindMap), 1, 0}, deep, {byte(KindBulk), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}} {
		if _, _, err := DecodeBinary(in); !errors.Is(err, ErrMalformedBinary) {
			t.Errorf("% x: got %v", in[:min(len(in), 10)], err)
		}
	}
}

// TestEncodedRepliesKeepTheirPlace, short ones and those that are written from where they are.
func TestEncodedRepliesKeepTheirPlace(t *testing.T) {
	var out bytes.Buffer
	w, want := NewWriter(&out), []byte(nil)
	for i, size := range []int{1, directBytes, 10, 3 * directPiece, flushBytes} {
		short, encoded := Int(int64(i)), Append(nil, Bulk(bytes.Repeat([]byte{'e'}, size)), 2)
		if err := errors.Join(w.WriteValue(short), w.WriteEncoded(encoded)); err != nil {
			t.Fatal(err)
		}
		want = append(Append(want, short, 2), encoded...)
	}
	if err := w.Flush(); err != nil || !bytes.Equal(out.Bytes(), want) {
		t.Errorf("%d bytes, want %d, %v", out.Len(), len(want), err)
	}
}

func TestDetachCopiesShortStrings(t *testing.T) {
	short, long := []byte("short"), bytes.Repeat([]byte("l"), detachBelow)
	v := Array(Bulk(short), Array(Bulk(long), Nil, OK), Int(3), Bulk([]byte{}))
	got := v.Detach()
	if !reflect.DeepEqual(got, v) {
		t.Fatalf("%v became %v", v, got)
	}
	short[0], long[0] = 'S', 'L'
	if string(got.Elems[0].Str) != "short" || got.Elems[1].Elems[0].Str[0] != 'L' {
		t.Error("short strings are shared, or long ones copied")
	}
}
