package resp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"
)

// chunks hands out one piece per Read, then EOF.
type chunks struct{ pieces [][]byte }

func (c *chunks) Read(p []byte) (int, error) {
	for len(c.pieces) > 0 && len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	c.pieces[0] = c.pieces[0][n:]
	return n, nil
}

func words(cmd [][]byte) []string {
	out := make([]string, len(cmd))
	for i, a := range cmd {
		out[i] = string(a)
	}
	return out
}

func TestReadCommand(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string // commands, as %q of their words
		err      string   // then
	}{
		{"array", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", []string{`["GET" "k"]`}, "EOF"},
		{"empty argument", "*2\r\n$3\r\nGET\r\n$0\r\n\r\n", []string{`["GET" ""]`}, "EOF"},
		{"no arguments", "*0\r\n*-1\r\n*-5\r\n*1\r\n$1\r\na\r\n", []string{`["a"]`}, "EOF"},
		{"any two bytes end an argument", "*1\r\n$1\r\naXY*1\r\n$1\r\nb\r\n", []string{`["a"]`, `["b"]`}, "EOF"},
		{"any byte for a newline", "*1\rX$1\rYa\r\n", []string{`["a"]`}, "EOF"},
		{"inline", "PING\r\nGET  k \n", []string{`["PING"]`, `["GET" "k"]`}, "EOF"},
		{"empty lines", "\r\n\n  \t \r\nPING\r\n", []string{`["PING"]`}, "EOF"},
		{"quotes", `a "b c" 'd\'e' "\x41\n\q\xzz" f"g" ""` + "\n", []string{`["a" "b c" "d'e" "A\nqxzz" "fg" ""]`}, "EOF"},
		{"vertical tab", "\va\vb \v\n", []string{`["a\vb"]`}, "EOF"},
		{"cut", "*2\r\n$3\r\nGET\r\n$1\r\n", nil, "unexpected EOF"},
		{"cut inline", "PIN", nil, "unexpected EOF"},
		{"length with a leading zero", "*03\r\n", nil, "ERR Protocol error: invalid multibulk length"},
		{"length with plus", "*+1\r\n", nil, "ERR Protocol error: invalid multibulk length"},
		{"minus zero", "*-0\r\n", nil, "ERR Protocol error: invalid multibulk length"},
		{"no length", "*\r\n", nil, "ERR Protocol error: invalid multibulk length"},
		{"too many arguments", "*2147483648\r\n", nil, "ERR Protocol error: invalid multibulk length"},
		{"negative bulk", "*1\r\n$-1\r\n", nil, "ERR Protocol error: invalid bulk length"},
		{"long bulk", "*1\r\n$536870913\r\n", nil, "ERR Protocol error: invalid bulk length"},
		{"overflow", "*1\r\n$99999999999999999999\r\n", nil, "ERR Protocol error: invalid bulk length"},
		{"no bulk", "*1\r\nfoo\r\n", nil, "ERR Protocol error: expected '$', got 'f'"},
		{"after a good one", "PING\r\n*1\r\n:\r\n", []string{`["PING"]`}, "ERR Protocol error: expected '$', got ':'"},
		{"open quote", "ECHO \"a\r\n", nil, "ERR Protocol error: unbalanced quotes in request"},
		{"word after quote", "ECHO \"a\"b\r\n", nil, "ERR Protocol error: unbalanced quotes in request"},
		{"long line", strings.Repeat("x", 65537), nil, "ERR Protocol error: too big inline request"},
		{"long count", "*" + strings.Repeat("1", 65537), nil, "ERR Protocol error: too big mbulk count string"},
		{"long length", "*1\r\n$" + strings.Repeat("1", 65537), nil, "ERR Protocol error: too big bulk count string"},
		{"NUL hides the end of a line", "PI\x00NG\r\nPING\r\n", nil, "unexpected EOF"},
		{"NUL hides the end of a length", "*1\r\n\x00a\r\n", nil, "unexpected EOF"},
	}
	for _, tt := range tests {
		for how, src := range map[string]io.Reader{
			"whole": strings.NewReader(tt.in), "bytes": iotest.OneByteReader(strings.NewReader(tt.in)),
		} {
			t.Run(tt.name+"/"+how, func(t *testing.T) {
				r := NewReader(src, Limits{})
				var got []string
				for {
					cmd, err := r.ReadCommand()
					if err != nil {
						if err.Error() != tt.err {
							t.Errorf("ended with %q, want %q", err, tt.err)
						}
						break
					}
					got = append(got, fmt.Sprintf("%q", words(cmd)))
					r.Release()
				}
				if fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			})
		}
	}
}

func TestLimits(t *testing.T) {
	tests := []struct {
		name, in, err string
		lim           Limits
		restricted    bool
	}{
		{"bulk", "*1\r\n$11\r\n", "ERR Protocol error: invalid bulk length", Limits{MaxBulk: 10}, false},
		{"args", "*11\r\n", "ERR Protocol error: invalid multibulk length", Limits{MaxArgs: 10}, false},
		{"line", "0123456789a", "ERR Protocol error: too big inline request", Limits{MaxInline: 10}, false},
		{"whole line", "0123456789a\r\n", "ERR Protocol error: too big inline request", Limits{MaxInline: 10}, false},
		{"request", "*2\r\n$60\r\n" + strings.Repeat("x", 60) + "\r\n$60\r\n", "ERR Protocol error: too big request", Limits{MaxRequest: 100}, false},
		{"unauthenticated args", "*11\r\n", "ERR Protocol error: unauthenticated multibulk length", Limits{}, true},
		{"unauthenticated bulk", "*2\r\n$4\r\nAUTH\r\n$16385\r\n", "ERR Protocol error: unauthenticated bulk length", Limits{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewReader(strings.NewReader(tt.in), tt.lim)
			r.Restrict(tt.restricted)
			_, err := r.ReadCommand()
			var wrong *ProtocolError
			if !errors.As(err, &wrong) || wrong.Text != tt.err {
				t.Errorf("got %v, want %q", err, tt.err)
			}
			if _, again := r.ReadCommand(); again != err {
				t.Errorf("the error is not final: %v", again)
			}
		})
	}
}

// Commands survive any division into reads and any placing of Release, and
// arguments stay as they were until Release.
func TestReaderModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arg := rapid.OneOf(
			rapid.SliceOfN(rapid.Byte(), 0, 40),
			rapid.Custom(func(t *rapid.T) []byte {
				n := rapid.IntRange(0, 300_000).Draw(t, "len")
				return bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, n)
			}))
		cmds := rapid.SliceOfN(rapid.SliceOfN(arg, 1, 6), 1, 60).Draw(t, "cmds")
		var wire []byte
		for _, c := range cmds {
			wire = AppendCommand(wire, c)
		}
		src := &chunks{}
		for rest := wire; len(rest) > 0; {
			n := min(len(rest), rapid.SampledFrom([]int{1, 7, 100, 1024, 5000, 65536, 1 << 20}).Draw(t, "piece"))
			src.pieces = append(src.pieces, rest[:n])
			rest = rest[n:]
		}
		budget := NewBudget(1<<30, 0)
		r := NewReader(src, Limits{Budget: budget})
		checked := 0
		var got [][][]byte
		check := func() {
			for ; checked < len(got); checked++ {
				if want := cmds[checked]; fmt.Sprintf("%x", got[checked]) != fmt.Sprintf("%x", want) {
					t.Fatalf("command %d changed before Release", checked)
				}
			}
		}
		for {
			cmd, err := r.ReadCommand()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			got = append(got, cmd)
			switch rapid.IntRange(0, 5).Draw(t, "then") {
			case 0:
				check()
				r.Release()
			case 1:
				r.Buffered()
				check()
				r.Release()
			case 2:
				r.Buffered()
			case 3:
				check()
				r.Release()
				r.Shrink()
			}
		}
		check()
		if len(got) != len(cmds) {
			t.Fatalf("%d commands, want %d", len(got), len(cmds))
		}
		r.Release()
		r.Shrink()
		if r.Held() > minBuffer || budget.Used() != 0 {
			t.Fatalf("idle reader holds %d bytes, budget %d", r.Held(), budget.Used())
		}
	})
}

// The memory for an argument follows the bytes that came, not the announcement.
func TestAnnouncedLengthIsNotAllocated(t *testing.T) {
	pr, pw := io.Pipe()
	defer pw.Close()
	r := NewReader(pr, Limits{})
	done := make(chan error, 1)
	go func() {
		_, err := r.ReadCommand()
		done <- err
	}()
	_, _ = io.WriteString(pw, "*1000000000\r\n$3\r\nSET\r\n$500000000\r\nabc")
	pw.CloseWithError(os.ErrDeadlineExceeded)
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if r.Held() > 128<<10 {
		t.Errorf("holds %d bytes after 30 came", r.Held())
	}
}

// A read that was broken off by a deadline goes on where it was.
func TestResume(t *testing.T) {
	wire := AppendCommand(nil, [][]byte{[]byte("SET"), []byte("k"), bytes.Repeat([]byte("v"), 200_000)})
	src := iotest.TimeoutReader(iotest.HalfReader(bytes.NewReader(wire)))
	r := NewReader(src, Limits{})
	if _, err := r.ReadCommand(); !errors.Is(err, iotest.ErrTimeout) {
		t.Fatalf("got %v, want a timeout", err)
	}
	r.Release()
	r.Shrink()
	cmd, err := r.ReadCommand()
	if err != nil || len(cmd) != 3 || len(cmd[2]) != 200_000 {
		t.Fatalf("got %d words, %v", len(cmd), err)
	}
}

func TestBudgetRefuses(t *testing.T) {
	budget := NewBudget(1<<20, 10*time.Millisecond)
	wire := AppendCommand(nil, [][]byte{bytes.Repeat([]byte("v"), 700_000)})
	first := NewReader(bytes.NewReader(wire), Limits{Budget: budget})
	if _, err := first.ReadCommand(); err != nil {
		t.Fatal(err)
	}
	second := NewReader(bytes.NewReader(wire), Limits{Budget: budget})
	if _, err := second.ReadCommand(); !errors.Is(err, ErrBudget) {
		t.Fatalf("got %v, want ErrBudget", err)
	}
	second.Close()
	first.Release()
	if used := budget.Used(); used != 0 {
		t.Fatalf("%d bytes stay charged", used)
	}
	third := NewReader(bytes.NewReader(wire), Limits{Budget: budget})
	if _, err := third.ReadCommand(); err != nil {
		t.Fatalf("after the release: %v", err)
	}
}

func TestBudgetWaits(t *testing.T) {
	budget := NewBudget(1<<20, time.Minute)
	wire := AppendCommand(nil, [][]byte{bytes.Repeat([]byte("v"), 700_000)})
	first := NewReader(bytes.NewReader(wire), Limits{Budget: budget})
	if _, err := first.ReadCommand(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := NewReader(bytes.NewReader(wire), Limits{Budget: budget}).ReadCommand()
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	first.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// A long stream of short commands needs one buffer, whatever tears them apart.
func TestSteadyStreamDoesNotAllocate(t *testing.T) {
	one := AppendCommand(nil, [][]byte{[]byte("SET"), []byte("key:000000000001"), []byte("xxx")})
	src := &endless{data: one}
	r := NewReader(src, Limits{})
	read := func() {
		for range 1000 {
			if _, err := r.ReadCommand(); err != nil {
				t.Fatal(err)
			}
			if !r.Buffered() {
				r.Release()
			}
		}
	}
	for range 10 {
		read()
	}
	if n := testing.AllocsPerRun(10, func() {
		for range 100 {
			read()
		}
	}); n > 0 {
		t.Errorf("%v allocations in 100,000 commands", n)
	}
}

// endless repeats data for ever.
type endless struct {
	data []byte
	at   int
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		m := copy(p[n:], e.data[e.at:])
		n += m
		e.at = (e.at + m) % len(e.data)
	}
	return n, nil
}

// TestLongArgumentsAreLeftAlone: whoever got one may keep it, whatever the client sends next.
func TestLongArgumentsAreLeftAlone(t *testing.T) {
	long := strings.Repeat("x", KeptBytes)
	in := strings.Repeat(fmt.Sprintf("*2\r\n$1\r\na\r\n$%d\r\n%s\r\n*1\r\n$5\r\nSHORT\r\n", len(long), long), 3)
	in += fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$3\r\nend\r\n", 3*len(long), strings.Repeat("y", 3*len(long))) + strings.Repeat("PING\r\n", 100000)
	for _, size := range []int{1000, 70_000, 1 << 20} {
		var pieces [][]byte
		for rest := []byte(in); len(rest) > 0; rest = rest[min(size, len(rest)):] {
			pieces = append(pieces, rest[:min(size, len(rest))])
		}
		r := NewReader(&chunks{pieces}, Limits{})
		var kept [][]byte
		for {
			cmd, err := r.ReadCommand()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			for _, arg := range cmd {
				if len(arg) >= KeptBytes {
					kept = append(kept, arg)
				}
			}
			if !r.Buffered() || len(kept)%2 == 1 {
				r.Release()
			}
		}
		if len(kept) != 4 {
			t.Fatalf("%d long arguments", len(kept))
		}
		for i, arg := range kept {
			if want := "xxxy"[i]; bytes.Count(arg, []byte{want}) != len(arg) {
				t.Errorf("in pieces of %d, argument %d has changed", size, i)
			}
		}
	}
}
