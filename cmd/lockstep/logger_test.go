package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/internal/config"
)

type hidden struct{ x int }

//lint:ignore U1000 a logger that looks would show the field
type named struct{ hidden }

func (named) String() string { return "by name" }

// keysOf returns the keys of a JSON object in their order, the same key as often as it stands there.
func keysOf(t *testing.T, line []byte) (keys []string) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	depth, key := 0, false
	for {
		token, err := d.Token()
		if err != nil {
			return keys
		}
		if delim, ok := token.(json.Delim); ok {
			if delim == '{' || delim == '[' {
				depth++
			} else {
				depth--
			}
			key = depth == 1
			continue
		}
		if depth == 1 && key {
			keys = append(keys, token.(string))
		}
		key = depth == 1 && !key
	}
}

func TestJSONLogIsValid(t *testing.T) {
	var out bytes.Buffer
	l := newLogger(config.Log{JSON: true}, &out).With("node", "n1", "shard", 0)
	l.Info("hello", "node", "n2", "time", "now", "node", "n3", "hidden", hidden{7}, "pointer", &named{}, "error", errors.New("broken"),
		slog.Group("", slog.Int("shard", 3)), slog.Group("deep", slog.Int("node", 1), slog.Any("node", hidden{2})),
		"addr", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7})
	line := out.Bytes()
	var fields map[string]any
	if err := json.Unmarshal(line, &fields); err != nil {
		t.Fatalf("%v\n%s", err, line)
	}
	seen := map[string]bool{}
	for _, k := range keysOf(t, line) {
		if seen[k] {
			t.Errorf("the key %q is there twice: %s", k, line)
		}
		seen[k] = true
	}
	for key, want := range map[string]any{"node": "n1", "node_2": "n2", "node_3": "n3", "hidden": "{7}", "pointer": "by name",
		"error": "broken", "shard_2": 3.0, "time_2": "now", "addr": "127.0.0.1:7"} {
		if fields[key] != want {
			t.Errorf("%s is %v, want %v\n%s", key, fields[key], want, line)
		}
	}
	if strings.Contains(string(line), "{}") {
		t.Errorf("an empty value: %s", line)
	}
}
