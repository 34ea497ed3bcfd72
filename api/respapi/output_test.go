package respapi

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/resp"
)

// wrapped is a listener whose connections can only be written to as those of TLS.
type wrapped struct{ net.Listener }

func (l wrapped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{c}, nil
}

func overBoth(t *testing.T, test func(t *testing.T, plain func(*Options))) {
	t.Run("tcp", func(t *testing.T) { test(t, func(*Options) {}) })
	t.Run("wrapped", func(t *testing.T) { test(t, func(o *Options) { o.Listener = wrapped{o.Listener} }) })
}

// A client may send everything before it reads anything.
func TestPipelineIsSentBeforeItIsRead(t *testing.T) {
	overBoth(t, func(t *testing.T, plain func(*Options)) {
		f := &fake{}
		_, addr := start(t, f, plain)
		c := dial(t, addr)
		const n = 150_000
		one := resp.AppendCommand(nil, [][]byte{[]byte("ECHO"), bytes.Repeat([]byte("v"), 200)})
		if _, err := c.Write(append(bytes.Repeat(one, n), "QUIT\r\n"...)); err != nil {
			t.Fatalf("the pipeline is not taken: %v", err)
		}
		if f.unread() == 0 {
			t.Error("nothing is counted as unread")
		}
		f.mu.Lock()
		m := f.mem
		f.mu.Unlock()
		if unread := m.Of(clientmem.Unread); unread == 0 || m.Pieces.Load() == 0 || m.Total() < unread {
			t.Errorf("CLIENT LIST is told %d bytes in %d pieces of %d", unread, m.Pieces.Load(), m.Total())
		}
		got, err := io.ReadAll(c)
		if want := n*len("$200\r\n\r\n") + n*200 + len("+OK\r\n"); err != nil || len(got) != want || !bytes.HasSuffix(got, []byte("\r\n+OK\r\n")) {
			t.Fatalf("%d bytes of %d, %v", len(got), want, err)
		}
		eventually(t, "nothing unread", func() bool { return f.unread() == 0 && f.Clients() == 0 })
		if f.cuts.Load() != 0 {
			t.Error("the client counts as cut off")
		}
	})
}

// A large value that is not read yet is not copied, whole as it is.
func TestUnreadValueIsNotCopied(t *testing.T) {
	f := &fake{}
	_, addr := start(t, f, func(o *Options) { o.OutputLimit = 128 << 20 })
	c := dial(t, addr)
	value := bytes.Repeat([]byte("0123456789abcdef"), 4<<20)
	want := fmt.Sprintf("$%d\r\n", len(value))
	request := resp.AppendCommand(nil, [][]byte{[]byte("ECHO"), value})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := c.Write(request); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the value waits", func() bool { return f.unread() > int64(len(value))/2 })
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > uint64(len(value))*3/2 { // it was read once
		t.Errorf("%d MiB were allocated for a value of %d MiB", used>>20, len(value)>>20)
	}
	got := make([]byte, len(want)+len(value)+2)
	if _, err := io.ReadFull(c, got); err != nil || string(got[:len(want)]) != want || !bytes.Equal(got[len(want):len(got)-2], value) {
		t.Errorf("another value, %v", err)
	}
	eventually(t, "nothing unread", func() bool { return f.unread() == 0 })
}

// What may be used again is copied: arguments up to a length, while the client reads nothing.
func TestUnreadArgumentsAreCopied(t *testing.T) {
	overBoth(t, func(t *testing.T, plain func(*Options)) {
		f := &fake{}
		_, addr := start(t, f, plain)
		c := dial(t, addr)
		var want bytes.Buffer
		for i := range 150 {
			v := bytes.Repeat([]byte{'a' + byte(i%26)}, 30<<10+i*500)
			if _, err := c.Write(resp.AppendCommand(nil, [][]byte{[]byte("ECHO"), v})); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&want, "$%d\r\n%s\r\n", len(v), v)
		}
		got := make([]byte, want.Len())
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("other replies, %v", err)
		}
	})
}

func TestClientThatNeverReadsIsCutAtTheLimit(t *testing.T) {
	overBoth(t, func(t *testing.T, plain func(*Options)) {
		f := &fake{}
		_, addr := start(t, f, func(o *Options) {
			plain(o)
			o.OutputLimit, o.OutputPatience = 1<<20, 50*time.Millisecond
		})
		c := dial(t, addr)
		one := resp.AppendCommand(nil, [][]byte{[]byte("ECHO"), bytes.Repeat([]byte("v"), 4096)})
		go func() { _, _ = c.Write(bytes.Repeat(one, 10_000)) }()
		eventually(t, "the client is cut off", func() bool { return f.cuts.Load() == 1 && f.Clients() == 0 })
		if n := f.unread(); n != 0 {
			t.Errorf("%d bytes are still held", n)
		}
	})
}

// All clients together have a limit too.
func TestClientsShareTheOutput(t *testing.T) {
	f := &fake{}
	_, addr := start(t, f, func(o *Options) {
		o.OutputTotal, o.OutputPatience = 1<<20, 50*time.Millisecond
	})
	for range 3 {
		c := dial(t, addr)
		go func() { _, _ = io.WriteString(c, strings.Repeat("ECHO "+strings.Repeat("v", 4096)+"\r\n", 5000)) }()
	}
	eventually(t, "all are cut off", func() bool {
		if n := f.unread(); n > 1<<20+3*pieceBytes {
			t.Fatalf("%d bytes are held", n)
		}
		return f.cuts.Load() == 3 && f.Clients() == 0
	})
}

// Who reads, if slower than the replies come, is waited for.
func TestSlowReaderIsNotCut(t *testing.T) {
	overBoth(t, func(t *testing.T, plain func(*Options)) {
		f := &fake{}
		_, addr := start(t, f, func(o *Options) { plain(o); o.OutputLimit = 256 << 10 })
		c := dial(t, addr)
		const n = 20_000
		go func() {
			for i := range n {
				if _, err := c.Write(resp.AppendCommand(nil, [][]byte{[]byte("ECHO"), fmt.Appendf(nil, "%01000d", i)})); err != nil {
					return
				}
			}
		}()
		r := bufio.NewReaderSize(c, 1024)
		for i := range n {
			v, err := resp.ReadValue(r)
			if want := fmt.Sprintf("%01000d", i); err != nil || string(v.Str) != want {
				t.Fatalf("reply %d: %.20q, %v", i, v.Str, err)
			}
		}
	})
}
