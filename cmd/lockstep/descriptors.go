package main

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"github.com/lockstepkv/lockstep/api/httpapi"
	"github.com/lockstepkv/lockstep/internal/config"
	"github.com/lockstepkv/lockstep/shard/raftlog"
	"github.com/lockstepkv/lockstep/transport"
)

// A node that cannot open a file any more cannot go on: its log could not begin a new
// segment. So the connections of clients and strangers leave enough descriptors for
// everything else, whatever the system's limit is.

const (
	// ownFiles are those of the process itself: a dozen for standard streams, listeners, the
	// poller, node.db and locks; half of it for connections that are being refused; and
	// what is open for a moment (/proc, certificates, the data directory for /metrics).
	ownFiles = 64
	// shardFiles are those of a shard beside the segments of its log: their index, the
	// watermark, a snapshot that is read, one that is written, their directories, and what
	// is being truncated or copied.
	shardFiles = 10
	// minClientFiles is the least that clients must be left for a node to start.
	minClientFiles = 32
	// minShare of the connections is left to either protocol, if it wants as many.
	minShare = 16
)

// reservedFiles is how many descriptors must be left to what is not for clients.
func reservedFiles(c config.Config) int {
	segments := int(2*c.Raft.SnapshotLogBytes/raftlog.DefaultSegmentBytes) + 2
	peers := len(c.Node.Members) - 1
	n := ownFiles + transport.MaxStrangers + c.Node.Shards*(shardFiles+segments) +
		peers*(transport.PeerConns(c.Node.Shards)+transport.DialedConns(c.Node.Shards))
	if c.Metrics != "" {
		n += httpapi.MaxProbeConns
	}
	return n
}

// fitOpenFiles lowers the limits of connections to what the system's limit of open files
// leaves room for. It returns what to tell about that.
func fitOpenFiles(c *config.Config, limit int) (note string, err error) {
	reserved, wanted := reservedFiles(*c), c.Requests.MaxClients+c.Requests.MaxHTTPConns
	left := limit - reserved
	if left >= wanted {
		return "", nil
	}
	if left < min(minClientFiles, wanted) {
		return "", fmt.Errorf("the system lets this process open %d files; it needs %d for its log, snapshots and peers and more for clients: raise the limit (ulimit -n, LimitNOFILE=) to %d",
			limit, reserved, reserved+wanted)
	}
	clients := int(int64(left) * int64(c.Requests.MaxClients) / int64(wanted))
	clients = max(clients, min(minShare, c.Requests.MaxClients))
	clients = min(clients, left-min(minShare, c.Requests.MaxHTTPConns))
	note = fmt.Sprintf("the system lets this process open %d files, of which %d are for its log, snapshots and peers: --maxclients is lowered from %d to %d, --http-max-connections from %d to %d; "+
		"for what was asked raise the limit (ulimit -n, LimitNOFILE=) to %d",
		limit, reserved, c.Requests.MaxClients, clients, c.Requests.MaxHTTPConns, left-clients, reserved+wanted)
	c.Requests.MaxClients, c.Requests.MaxHTTPConns = clients, left-clients
	return note, nil
}

// mostClients is what CONFIG SET maxclients may go up to.
func mostClients(c config.Config, limit int) int {
	return limit - reservedFiles(c) - c.Requests.MaxHTTPConns
}

// openFilesLimit raises the process's limit of open files to the highest that it may have,
// and returns it.
func openFilesLimit() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("limit of open files: %w", err)
	}
	if limit.Cur < limit.Max {
		raised := unix.Rlimit{Cur: limit.Max, Max: limit.Max}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	return int(min(limit.Cur, math.MaxInt32)), nil
}
