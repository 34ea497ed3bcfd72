package rdbtest

import (
	"fmt"
	"testing"
)

// Replay runs the commands of effects on plain values: the model of what redis-server does. A
// collection without elements is there until the last command, which must not leave one.
func Replay(t *testing.T, m map[string]Key, cmds [][][]byte) {
	t.Helper()
	for _, c := range cmds {
		switch name := string(c[0]); name {
		case "FLUSHALL":
			clear(m)
		case "DEL":
			delete(m, string(c[1]))
		case "SET":
			k := Key{Value: string(c[2])}
			if len(c) == 5 && string(c[3]) == "PXAT" {
				fmt.Sscan(string(c[4]), &k.ExpireAt)
			}
			m[string(c[1])] = k
		case "APPEND", "SETRANGE", "PERSIST", "PEXPIREAT":
			k, ok := m[string(c[1])]
			if !ok {
				t.Fatalf("%s of a key that does not exist", name)
			}
			switch name {
			case "APPEND":
				k.Value += string(c[2])
			case "SETRANGE":
				k.Value = overwritten(k.Value, c[2], c[3])
			case "PERSIST":
				k.ExpireAt = 0
			default:
				fmt.Sscan(string(c[2]), &k.ExpireAt)
			}
			m[string(c[1])] = k
		case "HSET":
			k, ok := m[string(c[1])]
			if !ok {
				k.Elements = map[string]string{}
			}
			for i := 2; i < len(c); i += 2 {
				k.Elements[string(c[i])] = string(c[i+1])
			}
			m[string(c[1])] = k
		case "LPUSH", "RPUSH", "LPOP", "RPOP", "LSET", "LTRIM", "LINSERT", "LREM":
			k := m[string(c[1])]
			k.List = replayList(k.List, c)
			m[string(c[1])] = k
		case "HDEL":
			for _, field := range c[2:] {
				delete(m[string(c[1])].Elements, string(field))
			}
		default:
			t.Fatalf("unexpected %s", name)
		}
	}
}

// overwritten is what SETRANGE makes of a value.
func overwritten(value string, offset, part []byte) string {
	at := 0
	fmt.Sscan(string(offset), &at)
	out := make([]byte, max(len(value), at+len(part)))
	copy(out, value)
	copy(out[at:], part)
	return string(out)
}
