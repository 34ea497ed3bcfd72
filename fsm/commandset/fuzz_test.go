package commandset

import (
	"bytes"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/internal/heapuse"
	"github.com/lockstepkv/lockstep/resp"
)

// FuzzExec: no arguments, however strange, make Exec panic, answer with a
// malformed error, or change the store through a command that only reads.
func FuzzExec(f *testing.F) {
	gen := commandtest.NewGenerator(1)
	for range 300 {
		f.Add(bytes.Join(gen.Command(), []byte{0x01}))
	}
	for _, sp := range New().Specs() {
		f.Add([]byte(sp.Name))
		f.Add([]byte(sp.Name + "\x01a\x011\x01b"))
		for _, sub := range sp.Sub {
			f.Add(bytes.ReplaceAll([]byte(sub.Name), []byte("|"), []byte{0x01}))
		}
	}
	f.Add([]byte("ONCE\x01id\x01ONCE\x01id\x01SET\x01a\x01b"))
	f.Add([]byte("ONCE\x01id\x01LS.PUT\x01a\x01b\x01IFVERSION\x0118446744073709551615"))
	f.Add([]byte("LS.TXN\x01IF\x011\x01k\x01VALUE\x015\x01THEN\x012\x012\x01DEL\x01k\x012\x01INCR\x01a\x01ELSE\x010"))
	f.Add([]byte("LS.TXN\x01IF\x011\x01k\x01VERSION\x019\x01THEN\x010\x01ELSE\x012\x013\x01RENAME\x01k\x01a\x013\x01SETRANGE\x01a\x01x"))
	table := New()
	f.Fuzz(func(t *testing.T, b []byte) {
		args := bytes.Split(b, []byte{0x01})
		if wantsMuchMemory(args) {
			return
		}
		ctx := commandtest.NewCtx(New())
		ctx.Table = table
		commandtest.Do(ctx, "MSET k 5 a text k1 1.5")
		commandtest.Do(ctx, "PEXPIRE a 50")
		before, used := ctx.Store.Digest(), ctx.Store.Used()
		sp, err := table.Check(args)
		if err == nil {
			if _, err := sp.KeysOf(args); err != nil {
				checkError(t, args, err.Error())
			}
		}
		v := table.Exec(ctx, args)
		if v.IsError() {
			checkError(t, args, string(v.Str))
		}
		if (v.IsError() || sp.Flags.Has(command.ReadOnly)) && (ctx.Store.Digest() != before || ctx.Store.Used() != used) {
			t.Errorf("%s: %q changed the store", commandtest.Quote(args), commandtest.Show(v))
		}
		resp.Append(nil, v, 3)
	})
}

// wantsMuchMemory keeps SETRANGE from half a gigabyte per run.
func wantsMuchMemory(args command.Args) bool {
	for _, a := range args {
		if n, ok := command.ParseInt(a); ok && n > 1<<16 && n <= maxStringBytes {
			return true
		}
	}
	return false
}

func checkError(t *testing.T, args command.Args, text string) {
	t.Helper()
	code := resp.Error(text).Code()
	if code == "" || code != string(bytes.ToUpper([]byte(code))) || bytes.ContainsAny([]byte(text), "\r\n\x00") {
		t.Errorf("%s: malformed error %q", commandtest.Quote(args), text)
	}
}

// unitFactor is how many times its encoded size a unit may take in memory: an argument
// of a byte becomes a slice in a list that grew.
const unitFactor = 128

// readUnits decodes until the first failure.
func readUnits(body []byte) {
	var r command.UnitReader
	var u command.Unit
	for r.Reset(body); !r.Done(); {
		if r.Next(&u) != nil {
			return
		}
	}
}

// FuzzUnit: no bytes make the decoder or RunUnit panic, and what decodes
// survives another round.
func FuzzUnit(f *testing.F) {
	var b command.Batch
	b.Add(commandtest.Line("SET k v"))
	b.AddMulti([]command.Watch{{Key: []byte("k"), Version: 1}}, []command.Args{commandtest.Line("GET k"), commandtest.Line("INCR n")})
	b.AddMulti(nil, nil)
	b.Add(commandtest.Line("ONCE id DEL k"))
	f.Add(b.Body)
	f.Add([]byte{2, 0, 1, 0})
	f.Add([]byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	table := New()
	f.Fuzz(func(t *testing.T, body []byte) {
		if used := heapuse.Exceeds(len(body), unitFactor, func() { readUnits(body) }); used > 0 {
			t.Fatalf("%d bytes allocated for %d", used, len(body))
		}
		var r command.UnitReader
		r.Reset(body)
		ctx := commandtest.NewCtx(New())
		ctx.Table = table
		var u command.Unit
		var again command.Batch
		for !r.Done() {
			if err := r.Next(&u); err != nil {
				return
			}
			if u.Multi {
				again.AddMulti(u.Watches, u.Cmds)
			} else {
				again.Add(u.Cmds[0])
			}
			for _, c := range u.Cmds {
				if wantsMuchMemory(c) {
					return
				}
			}
			table.RunUnit(ctx, &u)
		}
		var r2 command.UnitReader
		r2.Reset(again.Body)
		n := 0
		for ; !r2.Done(); n++ {
			if err := r2.Next(&u); err != nil {
				t.Fatal(err)
			}
		}
		if n != again.N {
			t.Errorf("%d units became %d", again.N, n)
		}
	})
}

// maxStringBytes is how long a value may become.
const maxStringBytes = 512 << 20
