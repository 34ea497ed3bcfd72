package shard

import (
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/lockstepkv/lockstep/shard/raftlog"
)

// newRaftLogger lets Raft log through slog.
func newRaftLogger(logger *slog.Logger) hclog.Logger {
	return raftlog.Hclog(logger, "raft", raftLevel)
}

// raftNews is what Raft calls a warning or an error, or tells again at each attempt,
// though it belongs to every change of leader. That nodes are missing is told once by
// the transport, and by majority when it is too many of them.
var raftNews = []struct {
	prefix string
	level  slog.Level
}{
	{"entering candidate state", slog.LevelDebug},
	{"entering follower state", slog.LevelDebug},
	{"pre-vote ", slog.LevelDebug},
	{"heartbeat timeout reached, starting election", slog.LevelDebug},
	{"Election timeout reached", slog.LevelDebug},
	{"duplicate requestVote", slog.LevelDebug},
	{"rejecting vote request since our last", slog.LevelDebug},
	{"rejecting vote request since we have a leader", slog.LevelDebug},
	{"rejecting pre-vote request since our last", slog.LevelDebug},
	{"rejecting pre-vote request since we have a leader", slog.LevelDebug},
	{"failed to make requestVote RPC", slog.LevelDebug},
	{"failed to heartbeat to", slog.LevelDebug},
	{"failed to appendEntries to", slog.LevelDebug},
	{"failed to pipeline appendEntries", slog.LevelDebug},
	{"failed to start pipeline replication to", slog.LevelDebug},
	{"pipelining replication", slog.LevelDebug},
	{"aborting pipeline replication", slog.LevelDebug},
	{"failed to contact", slog.LevelInfo},
	{"new leader elected, stepping down", slog.LevelInfo},
	{"peer has newer term, stopping replication", slog.LevelInfo},
	{"appendEntries rejected, sending older logs", slog.LevelInfo},
	{"failed to get previous log", slog.LevelInfo},
	{"failed to get log", slog.LevelInfo}, // compacted: the follower gets a snapshot; a damaged one is told by raftlog
	{"previous log term mis-match", slog.LevelInfo},
	{"clearing log suffix", slog.LevelInfo},
	{"failed to send snapshot to", slog.LevelWarn},
	{"failed to install snapshot", slog.LevelWarn},
}

func raftLevel(msg string, said slog.Level) slog.Level {
	for _, n := range raftNews {
		if strings.HasPrefix(msg, n.prefix) {
			return min(said, n.level)
		}
	}
	return said
}
