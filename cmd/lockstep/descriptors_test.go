package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstepkv/lockstep/api/router"
)

// Whatever the limit of open files is, connections leave to the log, snapshots and peers
// what these need, and a node for which nothing is left does not start.
func TestConnectionsFitTheOpenFiles(t *testing.T) {
	three := []string{"--initial-cluster", "n1=127.0.0.1:1,n2=127.0.0.1:2,n3=127.0.0.1:3", "--peer", "127.0.0.1:1"}
	for _, args := range [][]string{nil, three, append([]string{"--shards", "4"}, three...), {"--maxclients", "1"}, {"--http-max-connections", "5"},
		{"--snapshot-log-bytes", "10gb"}, {"--metrics-http", "127.0.0.1:5"}} {
		for limit := 16; limit < 1<<20; limit = limit*5/4 + 1 {
			cfg, err := load(t, args...)
			if err != nil {
				t.Fatal(err)
			}
			asked := cfg.Requests
			note, err := fitOpenFiles(&cfg, limit)
			left := limit - reservedFiles(cfg)
			clients, conns := cfg.Requests.MaxClients, cfg.Requests.MaxHTTPConns
			switch {
			case err != nil:
				if left >= minClientFiles {
					t.Errorf("%v, %d files: %v", args, limit, err)
				}
			case clients < 1 || conns < 1 || clients > asked.MaxClients || conns > asked.MaxHTTPConns || clients+conns > left:
				t.Errorf("%v, %d files, %d left: %d clients, %d connections", args, limit, left, clients, conns)
			case (note == "") != (clients == asked.MaxClients && conns == asked.MaxHTTPConns):
				t.Errorf("%v, %d files: %d clients, %d connections, told %q", args, limit, clients, conns, note)
			case note != "" && clients+conns != left:
				t.Errorf("%v, %d files: of %d left %d are used", args, limit, left, clients+conns)
			}
		}
	}
}

// CONFIG SET cannot take what the start has kept back.
func TestMaxclientsStaysWithinTheOpenFiles(t *testing.T) {
	cfg, err := load(t)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fitOpenFiles(&cfg, 1000); err != nil {
		t.Fatal(err)
	}
	s := &server{cfg: cfg, openFiles: 1000}
	old := s.settings()
	for clients, ok := range map[int]bool{1: true, old.MaxClients: true, old.MaxClients + 1: false, 100_000: false} {
		next := old
		next.MaxClients = clients
		if err := s.Reload(context.Background(), old, next, nil); (err == nil) != ok {
			t.Errorf("%d clients: %v", clients, err)
		}
	}
	var _ router.Reloader = s
}

// CONFIG SET cannot lock every client out, as a forgotten "mb" would.
func TestClientMemoryHasALeast(t *testing.T) {
	cfg, err := load(t, "--max-value-size", "8mb")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{cfg: cfg, openFiles: 1 << 20}
	old := s.settings()
	for bytes, ok := range map[int64]bool{0: true, 1: false, 100: false, 16<<20 - 1: false, 16 << 20: true} {
		next := old
		next.MaxMemoryClients = bytes
		if err := s.Reload(context.Background(), old, next, nil); (err == nil) != ok {
			t.Errorf("%d bytes: %v", bytes, err)
		}
	}
}

// A node for which no descriptors are left says what it needs, before it makes anything.
func TestTooFewOpenFiles(t *testing.T) {
	limit, err := openFilesLimit()
	if err != nil {
		t.Fatal(err)
	}
	var system unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &system); err != nil || system.Cur != system.Max {
		t.Errorf("the limit is %d of %d, %v", system.Cur, system.Max, err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	cfg, err := load(t, "--data-dir", dir, "--shards", "256", "--snapshot-log-bytes", "1000gb")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = runServe(ctx, cfg, slog.New(slog.DiscardHandler), nil)
	if err == nil || !strings.Contains(err.Error(), "raise the limit") || exitCode(err) != exitUsage {
		t.Errorf("with %d files: %v", limit, err)
	}
	if found, _ := filepath.Glob(dir); found != nil {
		t.Error("it made its directory")
	}
}
