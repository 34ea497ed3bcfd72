package raftlog

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// Hclog gives a library that logs through hclog a logger that ends in slog. level says
// how much a message weighs; nil leaves that to the library.
func Hclog(l *slog.Logger, name string, level func(msg string, said slog.Level) slog.Level) hclog.Logger {
	// Debug at most: Raft's trace output is one line a message.
	out := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: name, Output: io.Discard, Level: hclog.Off})
	out.RegisterSink(&sink{l, name, level}) // a pointer: sinks are told apart
	return out
}

// sink implements hclog.SinkAdapter.
type sink struct {
	logger *slog.Logger
	name   string
	level  func(string, slog.Level) slog.Level
}

// Accept implements hclog.SinkAdapter.
func (s *sink) Accept(_ string, said hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch said {
	case hclog.Info:
		to = slog.LevelInfo
	case hclog.Warn:
		to = slog.LevelWarn
	case hclog.Error:
		to = slog.LevelError
	case hclog.Trace:
		return
	}
	if s.level != nil {
		to = s.level(msg, to)
	}
	ctx := context.Background()
	if s.logger.Enabled(ctx, to) {
		s.logger.LogAttrs(ctx, to, s.name+": "+msg, s.attrs(args)...)
	}
}

// attrs are the key-value pairs of a message. What only says which node speaks is left
// out, since every line tells that already.
func (s *sink) attrs(args []any) (list []slog.Attr) {
	for i := 0; i+1 < len(args); i += 2 {
		key := strings.ReplaceAll(fmt.Sprint(args[i]), "-", "_")
		switch key {
		case "time": // a length of time; the line's own is a point in time
			key = "after"
		case "node", "follower", "leader":
			if _, itself := args[i+1].(fmt.Stringer); itself {
				continue
			}
		}
		list = append(list, slog.Any(key, plain(args[i+1])))
	}
	return list
}

// plain makes text of what a log cannot show otherwise.
func plain(v any) any {
	switch v := v.(type) {
	case hclog.Format:
		return format(v)
	case raft.Server:
		return string(v.ID) // its address is the same
	case []raft.Server:
		ids := make([]string, len(v))
		for i, server := range v {
			ids[i] = string(server.ID)
		}
		return strings.Join(ids, ",")
	case fmt.Stringer:
		return v.String()
	}
	return v
}

// format is hclog's value that comes with its own verb: a format and what goes into it.
func format(f hclog.Format) any {
	if len(f) == 2 && f[0] == "%+v" {
		return plain(f[1])
	}
	if len(f) == 0 {
		return ""
	}
	verb, ok := f[0].(string)
	if !ok {
		return fmt.Sprint(f...)
	}
	return fmt.Sprintf(verb, f[1:]...)
}
