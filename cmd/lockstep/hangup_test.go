package main

import (
	"context"
	"log/slog"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lockstepkv/lockstep/internal/config"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// A SIGHUP before a node has begun to read anything is kept until it can.
func TestHangupIsKeptFromTheBeginning(t *testing.T) {
	if hangupsOf(nil) != nil || hangupsOf([]string{"key", "serve"}) != nil {
		t.Error("other commands take no notice of SIGHUP")
	}
	hangups := hangupsOf([]string{"serve", "--id", "n1"})
	t.Cleanup(func() { signal.Reset(syscall.SIGHUP) })
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "password")
	write(t, file, "secret\n")
	ctx, stop := context.WithCancel(t.Context())
	var log strings.Builder
	s, err := openSecrets(config.Security{PasswordFile: file}, nil, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.newPasswords = func([]string) { stop() }
	s.watch(ctx, hangups)
	if n := testutil.ToFloat64(s.reloads.WithLabelValues("passwords", "used")); n != 1 || !strings.Contains(log.String(), "SIGHUP") {
		t.Errorf("read again %v times, the log says %q", n, log.String())
	}
}
