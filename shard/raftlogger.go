package shard

import (
	"context"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// newRaftLogger lets Raft log through slog.
func newRaftLogger(logger *slog.Logger) hclog.Logger {
	// Debug at most: Raft's trace output is one line a message.
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Output: io.Discard, Level: hclog.Off})
	l.RegisterSink(raftSink{logger})
	return l
}

// raftSink implements hclog.SinkAdapter.
type raftSink struct{ logger *slog.Logger }

// Accept implements hclog.SinkAdapter.
func (s raftSink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case hclog.Info:
		to = slog.LevelInfo
	case hclog.Warn:
		to = slog.LevelWarn
	case hclog.Error:
		to = slog.LevelError
	case hclog.Trace:
		return
	}
	s.logger.Log(context.Background(), to, "raft: "+msg, args...)
}
