package main

import (
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/internal/config"
)

// TestShardsAreToldAdvertisedAddresses: what a node is configured with is what it tells.
func TestShardsAreToldAdvertisedAddresses(t *testing.T) {
	cfg, err := load(t, strings.Fields("--requirepass x --insecure-peers --http :8001 --resp 0.0.0.0:7001 --peer [::]:9001")...)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{cfg: cfg, logger: slog.New(slog.DiscardHandler), secrets: new(secrets)}
	opt := s.shardOptions()
	for _, addr := range []string{opt.HTTPAddr, opt.RESPAddr, opt.PeerAddr} {
		if ip := net.ParseIP(config.HostOf(addr)); config.HostOf(addr) == "" || ip != nil && ip.IsUnspecified() {
			t.Errorf("%s is told", addr)
		}
	}
	// The identity of the data must not change with the machine's addresses.
	if opt.Members[0].Peer != "[::]:9001" {
		t.Errorf("member %+v", opt.Members[0])
	}
}
