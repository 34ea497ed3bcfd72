package strings

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

const (
	errLCSType = resp.Error("ERR The specified keys must contain string values")
	errLCSBoth = resp.Error("ERR If you want both the length and indexes, please just use IDX.")
)

var errLCSMemory = resp.ClassedError{
	Text: "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len", Class: resp.ClassTooLarge,
}

// lcsCells bounds the work of LCS: as many pairs of bytes as Redis has counters in 512 MiB.
const lcsCells = 512 << 20 / 4

var specLCS = &command.Spec{
	Name: "lcs", Group: "string", Arity: -3, Since: "7.0.0",
	Flags: command.ReadOnly, ACL: []string{"string"},
	Keys:    []command.KeySpec{{First: 1, Last: 2, Step: 1, Use: command.RO | command.Access}},
	Summary: "Answers the longest common subsequence of two strings, its length, or where its parts are in both.",
	Args:    lcsOptions.After(command.Key("key1"), command.Key("key2")),
	Parse:   func(args command.Args) (command.Op, error) { return lcsOp{args[1], args[2], args[3:]}, nil },
}

// lcsOp reads its options when it runs: Redis looks at the types of the keys before.
type lcsOp struct {
	a, b    []byte
	options command.Args
}

type lcsForm struct {
	length, index, withLength bool
	least                     int64 // of the parts that IDX shows
}

var lcsOptions = command.NewOptions(
	command.Word("LEN", func(f *lcsForm) { f.length = true }),
	command.Word("IDX", func(f *lcsForm) { f.index = true }),
	command.Number("MINMATCHLEN", command.Integer("len"), func(f *lcsForm, n int64) error {
		f.least = n
		return nil
	}),
	command.Word("WITHMATCHLEN", func(f *lcsForm) { f.withLength = true }),
)

func (op lcsOp) Run(ctx *command.Ctx) resp.Value {
	a, errA := ctx.ReadOf(store.String, op.a)
	b, errB := ctx.ReadOf(store.String, op.b)
	if errA != nil || errB != nil {
		return resp.ErrorReply(command.OfValue(errLCSType))
	}
	var f lcsForm
	if err := lcsOptions.Parse(op.options, &f); err != nil {
		return resp.ErrorReply(err)
	}
	if f.index && f.length {
		return resp.ErrorReply(errLCSBoth)
	}
	t := lcsTable{a: look(a), b: look(b)}
	if int64(len(t.a)+1)*int64(len(t.b)+1) > lcsCells {
		return resp.ErrorReply(errLCSMemory)
	}
	length := t.fill(!f.length)
	switch {
	case f.length:
		return resp.Int(int64(length))
	case f.index:
		return f.matches(&t, length)
	}
	return resp.Bulk(t.text(length))
}

// look returns the value of e for a look, none if it is absent.
func look(e *store.Entry) []byte {
	if e == nil {
		return nil
	}
	return e.Look()
}

// lcsTable is the table of Wagner and Fischer, "The String-to-String Correction Problem" (1974): the
// lengths for all beginnings of two strings. A row is enough for the length; the way back
// needs a bit a cell, where Redis keeps all counters.
type lcsTable struct {
	a, b []byte
	up   []uint64 // whether the way back from i bytes of a and j of b, which differ, leads to i-1
}

// fill returns the length for the whole strings, and remembers the way back if that is wanted.
func (t *lcsTable) fill(back bool) int {
	if back {
		t.up = make([]uint64, (len(t.a)*len(t.b)+63)/64)
	}
	row := make([]uint32, len(t.b)+1)
	for i, c := range t.a {
		diagonal, left := uint32(0), uint32(0)
		for j, d := range t.b {
			above := row[j+1]
			switch {
			case c == d:
				left = diagonal + 1
			case above > left:
				left = above
				if back {
					t.mark(i, j)
				}
			}
			diagonal, row[j+1] = above, left
		}
	}
	return int(row[len(t.b)])
}

func (t *lcsTable) mark(i, j int) {
	n := i*len(t.b) + j
	t.up[n>>6] |= 1 << (n & 63)
}

// walk goes the way back, and calls match where bytes are the same.
func (t *lcsTable) walk(match func(i, j int)) {
	for i, j := len(t.a)-1, len(t.b)-1; i >= 0 && j >= 0; {
		if t.a[i] == t.b[j] {
			match(i, j)
			i, j = i-1, j-1
			continue
		}
		if n := i*len(t.b) + j; t.up[n>>6]>>(n&63)&1 != 0 {
			i--
		} else {
			j--
		}
	}
}

func (t *lcsTable) text(length int) []byte {
	text := make([]byte, length)
	t.walk(func(i, _ int) {
		length--
		text[length] = t.a[i]
	})
	return text
}

// lcsPart is a part that both strings have: its place in each, and its length.
type lcsPart struct{ a, b, n int }

// matches answers IDX: the parts from the last to the first.
func (f *lcsForm) matches(t *lcsTable, length int) resp.Value {
	var parts []resp.Value
	var part lcsPart
	end := func() {
		if part.n > 0 && int64(part.n) >= f.least {
			parts = append(parts, f.show(part))
		}
	}
	t.walk(func(i, j int) {
		if part.n > 0 && part.a == i+1 && part.b == j+1 {
			part = lcsPart{i, j, part.n + 1}
			return
		}
		end()
		part = lcsPart{i, j, 1}
	})
	end()
	return resp.Map(resp.BulkString("matches"), resp.Array(parts...), resp.BulkString("len"), resp.Int(int64(length)))
}

func (f *lcsForm) show(p lcsPart) resp.Value {
	place := func(at int) resp.Value { return resp.Array(resp.Int(int64(at)), resp.Int(int64(at+p.n-1))) }
	v := []resp.Value{place(p.a), place(p.b)}
	if f.withLength {
		v = append(v, resp.Int(int64(p.n)))
	}
	return resp.Array(v...)
}
