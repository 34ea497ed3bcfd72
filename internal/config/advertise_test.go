package config

import (
	"net"
	"strings"
	"testing"
)

const threeNodes = "--requirepass x --insecure-peers --initial-cluster n1=cache-1.example:9001,n2=10.0.0.2:9001,n3=[fd00::3]:9001 "

// TestAdvertisedAddresses: whatever a node listens on, no wildcard is told to anybody.
func TestAdvertisedAddresses(t *testing.T) {
	for _, tc := range []struct {
		args string
		want Listen
	}{
		{"", Listen{"127.0.0.1:8001", "127.0.0.1:7001", "127.0.0.1:9001"}},
		{threeNodes + "--http 0.0.0.0:8001 --resp :7001 --peer 0.0.0.0:9001",
			Listen{"cache-1.example:8001", "cache-1.example:7001", "cache-1.example:9001"}},
		{threeNodes + "--id n3 --http [::]:8001 --resp 10.0.0.3:7001 --peer [::]:9009",
			Listen{"[fd00::3]:8001", "10.0.0.3:7001", "[fd00::3]:9001"}},
		{threeNodes + "--resp 0.0.0.0:7001 --peer :9001 --advertise-http web.example:80 --advertise-resp cache.example:6379 --advertise-peer cache-1.example:9001",
			Listen{"web.example:80", "cache.example:6379", "cache-1.example:9001"}},
		{"--requirepass x --insecure-peers --resp 0.0.0.0:7001 --peer 0.0.0.0:9001",
			Listen{"127.0.0.1:8001", "here:7001", "here:9001"}},
		{"--requirepass x --http 0.0.0.0:8001 --resp 0.0.0.0:7001",
			Listen{"here:8001", "here:7001", "127.0.0.1:9001"}},
		{"--requirepass x --insecure-peers --resp 0.0.0.0:7001 --peer 0.0.0.0:9001 --advertise-peer there:9001",
			Listen{"127.0.0.1:8001", "there:7001", "there:9001"}},
	} {
		cfg, err := load(t, strings.Fields(tc.args), nil, "")
		if err != nil {
			t.Errorf("%s: %v", tc.args, err)
			continue
		}
		if got := cfg.Advertised(func() string { return "here" }); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.args, got, tc.want)
		}
	}
}

func TestAdvertisedMistakes(t *testing.T) {
	for args, want := range map[string]string{
		"--advertise-resp 0.0.0.0:7001":                       "stands for every address",
		"--advertise-http :8001":                              "stands for every address",
		"--advertise-peer [::]:9001":                          "stands for every address",
		"--advertise-resp example":                            "is not host:port",
		"--advertise-resp example:0":                          "the port must be a number",
		threeNodes + "--advertise-peer other:1":               "is not n1's address in --initial-cluster, cache-1.example:9001",
		"--initial-cluster n1=0.0.0.0:9001,n2=127.0.0.1:9002": "n1=0.0.0.0:9001 stands for every address",
	} {
		if _, err := load(t, strings.Fields(args), nil, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", args, err, want)
		}
	}
}

// TestLocalHost: the address of this machine is one.
func TestLocalHost(t *testing.T) {
	if host := LocalHost(); net.ParseIP(host) == nil || isWildcard(net.JoinHostPort(host, "1")) {
		t.Errorf("local host %q", host)
	}
}
