package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

var testSecret = bytes.Repeat([]byte("s"), MinSecretBytes)

func withSecret(secret []byte) func(*Options) {
	if secret == nil {
		return func(*Options) {}
	}
	return withSecrets(func() [][]byte { return [][]byte{secret} })
}

func withSecrets(secrets func() [][]byte) func(*Options) {
	return func(o *Options) { o.Secrets = secrets }
}

func TestNodesWithTheSecretWorkTogether(t *testing.T) {
	c, members := raftCluster(t, withSecret(testSecret))
	for _, n := range c.nodes {
		n.Handle(mEcho, echo)
	}
	if got, err := c.nodes["n1"].Call(within(t, time.Minute), "n2", mEcho, []byte("x")); err != nil || string(got) != "x" {
		t.Fatalf("%q, %v", got, err)
	}
	_, leader := waitLeader(t, members)
	if err := leader.Apply([]byte("x"), time.Minute).Error(); err != nil {
		t.Fatal(err)
	}
}

func TestWithoutTheSecretNobodyComesIn(t *testing.T) {
	other := bytes.Repeat([]byte("o"), MinSecretBytes)
	for _, tc := range []struct {
		name             string
		dialer, acceptor []byte
	}{
		{"dialer without", nil, testSecret},
		{"acceptor without", testSecret, nil},
		{"another one", other, testSecret},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCluster(t, 2)
			c.start("n2", withSecret(tc.acceptor)).Handle(mEcho, echo)
			n1 := c.start("n1", withSecret(tc.dialer))
			eventually(t, "the refusal reaches the caller", func() bool {
				_, err := n1.Call(context.Background(), "n2", mEcho, nil)
				return errors.Is(err, ErrSecret) && errors.Is(err, ErrNotSent)
			})
			eventually(t, "both ends log it", func() bool {
				return strings.Contains(c.logs.String(), "no connection to node") && strings.Contains(c.logs.String(), "connection refused")
			})
		})
	}
	for _, bad := range [][][]byte{{testSecret[1:]}, {testSecret, nil}, {}} {
		if _, err := New(Options{NodeID: "n1", ClusterID: "c", Listener: closedListener(t), Secrets: func() [][]byte { return bad }}); err == nil {
			t.Errorf("%q are taken", bad)
		}
	}
}

func closedListener(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l
}

// dialRaw connects to n2 and sends a preamble.
func dialRaw(t *testing.T, c *cluster, p preamble) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", c.peers["n2"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Write(appendPreamble(nil, p)); err != nil {
		t.Fatal(err)
	}
	return nc
}

// Whatever a stranger sends, what comes back names neither the cluster nor the node.
func TestRefusalsTellAStrangerNothing(t *testing.T) {
	nonce := strings.Repeat("n", nonceBytes)
	for name, p := range map[string]preamble{
		"another cluster": {kind: kindRPC, cluster: "guess", from: "n1", to: "guess"},
		"another node":    {kind: kindRPC, cluster: "cluster-7f3a", from: "n1", to: "guess"},
		"unknown dialer":  {kind: kindRPC, cluster: "cluster-7f3a", from: "guess", to: "n2"},
		"unknown group":   {kind: kindRaft, number: 9, cluster: "cluster-7f3a", from: "n1", to: "n2"},
		"with a nonce":    {kind: kindRPC, nonce: nonce, cluster: "guess", from: "guess", to: "guess"},
	} {
		for _, secret := range [][]byte{nil, testSecret} {
			c := newCluster(t, 2)
			c.start("n2", withSecret(secret), func(o *Options) { o.ClusterID = "cluster-7f3a" })
			nc := dialRaw(t, c, p)
			if _, err := nc.Write(make([]byte, proofBytes)); err != nil {
				t.Fatal(err)
			}
			told, _ := io.ReadAll(nc) // may end in a reset
			if bytes.Contains(told, []byte("n2")) || bytes.Contains(told, []byte("cluster")) {
				t.Errorf("%s is told %q", name, told)
			}
		}
	}
}

// A proof that was overheard opens nothing: not the same stream again, and not the
// other direction.
func TestProofsAreGoodForOneStream(t *testing.T) {
	c := newCluster(t, 2)
	c.start("n2", withSecret(testSecret))
	p := preamble{kind: kindRPC, nonce: newNonce(), cluster: "test", from: "n1", to: "n2"}
	attempt := func(proofOf func(nonce string) []byte) error {
		nc := dialRaw(t, c, p)
		code, nonce, err := readVerdict(nc)
		if err != nil || code != verdictChallenge {
			t.Fatalf("verdict %d, %v", code, err)
		}
		if _, err := nc.Write(proofOf(nonce)); err != nil {
			t.Fatal(err)
		}
		code, _, err = readVerdict(nc)
		if err == nil && code != verdictWelcome {
			t.Fatalf("verdict %d", code)
		}
		return err
	}
	var overheard []byte
	if err := attempt(func(nonce string) []byte {
		overheard = prove(testSecret, roleDialer, p, nonce)
		return overheard
	}); err != nil {
		t.Fatal(err)
	}
	another := p
	another.kind = kindRaft
	for name, proofOf := range map[string]func(string) []byte{
		"used again":    func(string) []byte { return overheard },
		"other role":    func(nonce string) []byte { return prove(testSecret, roleAcceptor, p, nonce) },
		"other stream":  func(nonce string) []byte { return prove(testSecret, roleDialer, another, nonce) },
		"nothing known": func(string) []byte { return make([]byte, proofBytes) },
	} {
		if err := attempt(proofOf); !errors.Is(err, ErrSecret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A listener that took over a node's address cannot pass for it.
func TestAcceptorsProveThemselves(t *testing.T) {
	nonce := newNonce()
	for name, answer := range map[string][]byte{
		"no challenge": appendVerdict(nil, verdictWelcome, ""),
		"wrong proof":  appendVerdict(appendVerdict(nil, verdictChallenge, nonce), verdictWelcome, strings.Repeat("x", proofBytes)),
		"short nonce":  appendVerdict(nil, verdictChallenge, "x"),
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 2)
			c.peers["n2"] = fakePeer(t, answer)
			n1 := c.start("n1", withSecret(testSecret))
			eventually(t, "the refusal reaches the caller", func() bool {
				_, err := n1.Call(context.Background(), "n2", mEcho, nil)
				return errors.Is(err, ErrSecret)
			})
		})
	}
}

// A single message must not end a shard's elections for good.
func TestImplausibleNumbersDoNotReachRaft(t *testing.T) {
	const current = 5
	entry := func(index, term uint64) []*raft.Log { return []*raft.Log{{Index: index, Term: term}} }
	bad := map[string]any{
		"last term":         &raft.RequestVoteRequest{Term: math.MaxUint64},
		"term out of sight": &raft.RequestVoteRequest{Term: current + maxTermJump + 1},
		"pre-vote":          &raft.RequestPreVoteRequest{Term: math.MaxUint64},
		"append":            &raft.AppendEntriesRequest{Term: math.MaxUint64},
		"commit index":      &raft.AppendEntriesRequest{Term: current, LeaderCommitIndex: math.MaxUint64},
		"previous entry":    &raft.AppendEntriesRequest{Term: current, PrevLogEntry: MaxNumber + 1},
		"entry's index":     &raft.AppendEntriesRequest{Term: current, PrevLogEntry: 7, Entries: entry(math.MaxUint64, 1)},
		"entry's term":      &raft.AppendEntriesRequest{Term: current, PrevLogEntry: 7, Entries: entry(8, current+maxTermJump+1)},
		"old leader's":      &raft.AppendEntriesRequest{Term: current - 1, PrevLogEntry: 7, Entries: entry(8, math.MaxUint64)},
		"snapshot's index":  &raft.InstallSnapshotRequest{Term: current, LastLogIndex: math.MaxUint64},
		"snapshot's term":   &raft.InstallSnapshotRequest{Term: math.MaxUint64},
		"answer to a vote":  &raft.RequestVoteResponse{Term: math.MaxUint64},
		"answer's index":    &raft.AppendEntriesResponse{Term: current, LastLog: math.MaxUint64},
	}
	c := newCluster(t, 1)
	g := c.start("n1").Group(1)
	g.Attach(fixedState{term: current, state: raft.Follower})
	for name, m := range bad {
		if err := g.plausible(m); !errors.Is(err, errBadRaftMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, m := range map[string]any{
		"far ahead":      &raft.RequestVoteRequest{Term: current + maxTermJump, LastLogIndex: MaxNumber},
		"behind":         &raft.RequestVoteRequest{Term: 1},
		"append":         &raft.AppendEntriesRequest{Term: current, PrevLogEntry: 7, PrevLogTerm: 4, Entries: entry(8, 5)},
		"leader's first": &raft.AppendEntriesRequest{Term: current, Entries: entry(1, 1)},
		"to lead":        &raft.TimeoutNowRequest{},
	} {
		if err := g.plausible(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The same through the wire, to a group that runs: it goes on.
func TestAVoteOfTheLastTermBricksNothing(t *testing.T) {
	c, members := raftCluster(t)
	id, leader := waitLeader(t, members)
	term := leader.CurrentTerm()
	attacker := c.nodes[others(members, id)[0]].Group(7)
	for _, last := range []uint64{math.MaxUint64, math.MaxUint64 - 1, 1 << 63, 1 << 40} {
		req := &raft.RequestVoteRequest{Term: last, LastLogIndex: 1 << 40, LastLogTerm: 1 << 30, LeadershipTransfer: true}
		if err := attacker.RequestVote(raft.ServerID(id), "", req, new(raft.RequestVoteResponse)); err == nil {
			t.Errorf("a vote in term %d was answered", last)
		}
	}
	if now := leader.CurrentTerm(); now > term+100 {
		t.Fatalf("term %d became %d", term, now)
	}
	_, leader = waitLeader(t, members)
	if err := leader.Apply([]byte("x"), time.Minute).Error(); err != nil {
		t.Fatal(err)
	}
}
