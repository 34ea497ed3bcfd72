package main

import (
	"errors"
	"log/slog"
	"testing"
	"time"
)

// Nobody waits for a node that is broken, or breaks while it drains. The hour is longer
// than the test may take.
func TestABrokenNodeDoesNotDrain(t *testing.T) {
	for name, asked := range map[string]bool{"it failed": false, "it fails meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			s := &server{asked: asked, logger: slog.New(slog.DiscardHandler), failed: make(chan error, 1)}
			s.cfg.Requests.Drain = time.Hour
			s.failed <- errors.New("listener gone")
			s.letNotice()
		})
	}
	s := &server{asked: true, logger: slog.New(slog.DiscardHandler), failed: make(chan error, 1)}
	s.cfg.Requests.Drain = 20 * time.Millisecond
	if began := time.Now(); true {
		s.letNotice()
		if time.Since(began) < s.cfg.Requests.Drain {
			t.Error("clients had no time to notice")
		}
	}
}
