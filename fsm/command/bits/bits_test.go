package bits

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/store/value/hash"
)

func newCtx() *command.Ctx { return commandtest.NewCtx(command.NewTable(Commands)) }

func TestWrongType(t *testing.T) {
	ctx := newCtx()
	h := hash.New()
	h.Set([]byte("f"), []byte("v"), hash.Limits{Fields: 128, Bytes: 64})
	ctx.PutCollection([]byte("h"), h, 0)
	const wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"SETBIT h 1 1", wrong}, {"GETBIT h 1", wrong}, {"BITCOUNT h", wrong}, {"BITCOUNT h x", wrong}, {"BITPOS h 1", wrong},
		{"BITOP AND d s h", wrong}, {"BITOP OR h s", ":0\r\n"},
	})
	h = hash.New()
	h.Set([]byte("f"), []byte("v"), hash.Limits{Fields: 128, Bytes: 64})
	ctx.PutCollection([]byte("h"), h, 0)
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"BITFIELD h", wrong}, {"BITFIELD h GET u8 0", wrong}, {"BITFIELD h SET u8 0 1", wrong}, {"BITFIELD_RO h GET u8 0", wrong},
		{"BITFIELD_RO h SET u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand\r\n"},
	})
}

// TestBitmapsKeepTheLimitOfValues: what a shard does not let a value become, no bit makes it.
func TestBitmapsKeepTheLimitOfValues(t *testing.T) {
	ctx := newCtx()
	ctx.ValueLimit = 100
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"SETBIT k 800 1", "-ERR bit offset is not an integer or out of range\r\n"},
		{"BITFIELD k SET u8 800 1", "-ERR bit offset is not an integer or out of range\r\n"},
		{"SETBIT k 799 1", ":0\r\n"},
		{"BITCOUNT k", ":1\r\n"},
	})
}

// FuzzBits: no arguments panic, and none that are refused change anything.
func FuzzBits(f *testing.F) {
	for _, l := range []string{
		"bitfield k set u8 0 255 incrby i5 #3 -1 overflow sat incrby u63 7 9223372036854775807 get i64 1", "bitfield k overflow fail set i64 #0 -1",
		"bitpos k 0 1 -1 bit", "bitcount k -1 5 byte", "bitop not k k", "setbit k 77 1", "getbit k 4294967295", "bitfield_ro k get u1 4294967295",
	} {
		f.Add(strings.ReplaceAll(l, " ", "\x01"))
	}
	table := command.NewTable(Commands)
	f.Fuzz(func(t *testing.T, line string) {
		args := bytes.Split([]byte(line), []byte{1})
		ctx := commandtest.NewCtx(table)
		ctx.ValueLimit = 1 << 12
		commandtest.Do(ctx, "SETBIT k 77 1")
		before := ctx.Store.Digest()
		if reply := table.Exec(ctx, args); reply.IsError() && ctx.Store.Digest() != before {
			t.Fatalf("%q changed the store, and answers %s", args, reply.Str)
		}
		if ctx.Store.Used() > 1<<16 {
			t.Fatalf("%q: %d bytes", args, ctx.Store.Used())
		}
	})
}
