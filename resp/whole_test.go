package resp

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// unevenly returns what it reads in pieces of any size.
type unevenly struct{ r io.Reader }

func (u unevenly) Read(p []byte) (int, error) { return u.r.Read(p[:1+rand.IntN(len(p))]) }

// A long argument fills the memory that it lies in: who keeps it keeps nothing else.
func TestLongArgumentsFillTheirMemory(t *testing.T) {
	var in bytes.Buffer
	sizes := []int{1 << 20, 1<<20 + 1, 3<<20 - 5, 17 << 20, 1 << 20, 5<<20 + 3}
	for i, n := range sizes {
		fmt.Fprintf(&in, "*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n", 2+i, "key....."[:2+i], n)
		in.Write(bytes.Repeat([]byte{'a' + byte(i)}, n))
		in.WriteString("\r\n")
	}
	for _, release := range []bool{true, false} {
		r := NewReader(unevenly{bytes.NewReader(in.Bytes())}, Limits{})
		for i := range 2 * len(sizes) {
			args, err := r.ReadCommand()
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 1 {
				if v := args[2]; len(v) != sizes[i/2] || len(r.buf)-len(v) > 64 {
					t.Errorf("an argument of %d bytes in a buffer of %d", len(v), len(r.buf))
				}
			}
			if release {
				r.Release()
			}
		}
	}
}
