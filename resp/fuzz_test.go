package resp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"unsafe"

	"github.com/lockstepkv/lockstep/internal/heapuse"
)

// transcript reads all of src and tells what came.
func transcript(r *Reader, release bool) string {
	var out strings.Builder
	for {
		cmd, err := r.ReadCommand()
		if err != nil {
			fmt.Fprintf(&out, "%v", err)
			return out.String()
		}
		fmt.Fprintf(&out, "%q\n", words(cmd))
		if release {
			r.Buffered()
			r.Release()
			r.Shrink()
		}
	}
}

// The same bytes mean the same, however they are divided.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"*1\r\n$4\r\nPING\r\n", "PING\r\n", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\nGET k\r\n", "*-1\r\n*0\r\n\r\n",
		"*1\r\n$99999999\r\nabc", "ECHO \"\\x41\" 'b\\''\n", "*1\rx$1\rxaYY", "*3\r\n\x00", "$1\r\n", "*1\r\n:1\r\n"} {
		f.Add([]byte(s))
	}
	lim := Limits{MaxBulk: 1 << 20, MaxArgs: 1 << 16, MaxInline: 256}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole := transcript(NewReader(bytes.NewReader(in), lim), false)
		pieces := NewReader(iotest.OneByteReader(bytes.NewReader(in)), lim)
		if got := transcript(pieces, true); got != whole {
			t.Fatalf("in pieces:\n%s\nas a whole:\n%s", got, whole)
		}
		if pieces.Held() > int64(128<<10+64*len(in)) {
			t.Fatalf("holds %d bytes for %d of input", pieces.Held(), len(in))
		}
	})
}

// What ReadValue accepts, it reads again from its own encoding.
func FuzzReadValue(f *testing.F) {
	for _, s := range []string{"+OK\r\n", "-ERR x\r\n", ":1\r\n", "$1\r\na\r\n", "*2\r\n:1\r\n_\r\n", "%1\r\n+a\r\n#t\r\n",
		",1.5\r\n", "=5\r\ntxt:a\r\n", "(1\r\n", ">1\r\n+x\r\n", "~0\r\n", "|1\r\n+a\r\n+b\r\n:1\r\n", "*-1\r\n", "!3\r\nERR\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := ReadValue(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			return
		}
		once := Append(nil, v, 3)
		again, err := ReadValue(bufio.NewReader(bytes.NewReader(once)))
		if err != nil || !bytes.Equal(Append(nil, again, 3), once) {
			t.Fatalf("%q, then %v %v", once, again, err)
		}
	})
}

// What DecodeBinary accepts, it decodes again from its own encoding.
func FuzzDecodeBinary(f *testing.F) {
	for _, v := range []Value{OK, Nil, Int(-5), Array(Int(1), BulkString("x")), Double(1.5), Map(OK, Bool(true))} {
		f.Add(AppendBinary(nil, v))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var v Value
		var rest []byte
		var err error
		if used := heapuse.Exceeds(len(in), binaryFactor, func() { v, rest, err = DecodeBinary(in) }); used > 0 {
			t.Fatalf("%d bytes allocated for %d", used, len(in))
		}
		if err != nil {
			return
		}
		if len(rest) >= len(in) {
			t.Fatal("nothing was used")
		}
		again, rest, err := DecodeBinary(AppendBinary(nil, v))
		if err != nil || len(rest) != 0 || !same(v, again) {
			t.Fatalf("%+v, then %+v, %q, %v", v, again, rest, err)
		}
	})
}

// binaryFactor is how many times its encoded size a value may take: a nil of one byte
// becomes a Value, in a list that grew to its length.
const binaryFactor = 4 * int(unsafe.Sizeof(Value{}))

// A number of values that is not followed by as many takes no memory.
func TestBinaryNumbersClaimNoMemory(t *testing.T) {
	lie := append(binary.AppendUvarint([]byte{byte(KindArray)}, 8<<20), bytes.Repeat([]byte{0xff}, 8<<20)...)
	nested := bytes.Repeat(append([]byte{byte(KindArray)}, binary.AppendUvarint(nil, 1<<20)...), maxBinaryDepth)
	for name, in := range map[string][]byte{"one level": lie, "every level": append(nested, lie...)} {
		used := heapuse.Of(func() {
			if _, _, err := DecodeBinary(in); err == nil {
				t.Errorf("%s is taken", name)
			}
		})
		if used > 1<<20 {
			t.Errorf("%s: %d bytes allocated", name, used)
		}
	}
	used := heapuse.Of(func() {
		if _, _, err := DecodeBinaryList(lie[5:], 8<<20-1); err == nil {
			t.Error("a list of nothing is taken")
		}
	})
	if used > 1<<20 {
		t.Errorf("list: %d bytes allocated", used)
	}
	list, rest, err := DecodeBinaryList(append(AppendBinary(AppendBinary(nil, OK), Nil), "rest"...), 2)
	if err != nil || len(list) != 2 || string(rest) != "rest" {
		t.Errorf("%v, %q, %v", list, rest, err)
	}
}
