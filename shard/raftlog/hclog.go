package raftlog

import (
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// hclogTo gives a library that logs through hclog a logger that ends in slog.
func hclogTo(l *slog.Logger) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: "raft-wal", Level: hclog.Warn, DisableTime: true,
		Output: slog.NewLogLogger(l.Handler(), slog.LevelWarn).Writer(),
	})
}
