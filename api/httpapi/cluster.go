package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/gorilla/mux"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
)

type nodeJSON struct {
	ID    string `json:"id"`
	HTTP  string `json:"http"`
	RESP  string `json:"resp"`
	Peer  string `json:"peer"`
	State string `json:"state"`

	Version string            `json:"version"`
	Limits  map[string]string `json:"limits"`
}

type replicaJSON struct {
	Node         string `json:"node"`
	Role         string `json:"role"`
	AppliedIndex uint64 `json:"applied_index"`
	Lag          uint64 `json:"lag"`
}

type shardJSON struct {
	ID           int         `json:"id"`
	Leader       string      `json:"leader"`
	Replicas     []string    `json:"replicas"`
	Slots        [][2]uint16 `json:"slots"`
	AppliedIndex uint64      `json:"applied_index"`
	Term         uint64      `json:"term"`

	States []replicaJSON `json:"states"`
}

func (a *api) cluster(w http.ResponseWriter, r *http.Request) {
	if err := noQuery(r.URL); err != nil {
		failWith(w, err)
		return
	}
	c := a.router.Cluster()
	out := struct {
		ID     string      `json:"id"`
		Self   string      `json:"self"`
		Nodes  []nodeJSON  `json:"nodes"`
		Shards []shardJSON `json:"shards"`
	}{ID: c.ID, Self: c.Self, Nodes: []nodeJSON{}, Shards: []shardJSON{}}
	for _, n := range c.Nodes {
		if n.Limits == nil {
			n.Limits = map[string]string{}
		}
		out.Nodes = append(out.Nodes, nodeJSON(n))
	}
	for _, s := range c.Shards {
		states := []replicaJSON{}
		for _, r := range s.States {
			states = append(states, replicaJSON{Node: r.Node, Role: r.Role, AppliedIndex: r.Applied, Lag: r.Lag})
		}
		out.Shards = append(out.Shards, shardJSON{
			States: states, ID: s.ID, Leader: s.Leader, Replicas: s.Replicas, Slots: s.Slots, AppliedIndex: s.AppliedIndex, Term: s.Term,
		})
	}
	reply(w, http.StatusOK, out)
}

// shardID reads the shard in the path.
func (a *api) shardID(r *http.Request) (int, error) {
	id, err := strconv.Atoi(mux.Vars(r)["id"])
	if err != nil || id < 0 || id >= a.router.Shards() {
		return 0, problem{Status: http.StatusNotFound, Code: "no_such_shard",
			Detail: fmt.Sprintf("there are the shards 0 to %d", a.router.Shards()-1)}
	}
	return id, nil
}

func (a *api) moveLeader(w http.ResponseWriter, r *http.Request) {
	id, err := a.shardID(r)
	if err != nil {
		failWith(w, err)
		return
	}
	node, err := a.decodeLeader(w, r)
	if err != nil {
		failWith(w, err)
		return
	}
	if err := a.router.TransferLeadership(r.Context(), id, node); err != nil {
		if errors.Is(err, command.ErrInDoubt) {
			fail(w, problem{Status: http.StatusGatewayTimeout, Code: "in_doubt", Outcome: request.InDoubt, Detail: err.Error()})
			return
		}
		fail(w, a.unavailable(err))
		return
	}
	reply(w, http.StatusOK, map[string]any{"shard": id, "leader": node})
}

func (a *api) decodeLeader(w http.ResponseWriter, r *http.Request) (string, error) {
	if err := noQuery(r.URL); err != nil {
		return "", err
	}
	body, held, err := a.readJSON(w, r)
	if err != nil {
		return "", err
	}
	defer held.release()
	f, err := fields(body)
	if err != nil {
		return "", err
	}
	var node string
	for name, v := range f {
		if name != "node" {
			return "", unknownField(name)
		}
		if err := decode(name, v, &node); err != nil {
			return "", err
		}
	}
	c := a.router.Cluster()
	if !slices.ContainsFunc(c.Nodes, func(n router.NodeInfo) bool { return n.ID == node }) {
		return "", badRequest("no_such_node", "the cluster has no node "+strconv.Quote(node))
	}
	return node, nil
}

// unavailable is what a shard that cannot be asked answers, in the words of requests for data.
func (a *api) unavailable(err error) problem {
	if a.router.Loading() {
		return problemOf(request.CodeLoading.Reply(""))
	}
	return problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: err.Error()}
}

func (a *api) backupShard(w http.ResponseWriter, r *http.Request) {
	id, err := a.shardID(r)
	if err != nil {
		failWith(w, err)
		return
	}
	if a.backup == nil {
		fail(w, problem{Status: http.StatusNotImplemented, Code: "no_backup", Detail: "this node takes no backups over HTTP"})
		return
	}
	held := a.hold(r, nil)
	defer held.release()
	held.stream()
	out := &lazyWriter{w: w}
	if err := a.backup(r.Context(), id, out); err != nil {
		if !out.started {
			fail(w, a.unavailable(err))
			return
		}
		a.log.Error("a backup broke off", "shard", id, "error", err)
		panic(http.ErrAbortHandler) // the client must not take what it got for whole
	}
}

// Digest is what replicas of a shard have in common at the same index.
type Digest struct {
	Index uint64 // of the newest entry that is part of it
	Keys  int
	Sum   uint64 // over keys, values, expiry times and versions
	State uint64 // over the rest of the state machine
}

func (a *api) digestShard(w http.ResponseWriter, r *http.Request) {
	id, err := a.shardID(r)
	if err == nil {
		err = noQuery(r.URL)
	}
	if err != nil {
		failWith(w, err)
		return
	}
	if a.digest == nil {
		fail(w, problem{Status: http.StatusNotImplemented, Code: "no_digest", Detail: "this node tells no digests"})
		return
	}
	d, err := a.digest(id)
	if err != nil {
		fail(w, a.unavailable(err))
		return
	}
	reply(w, http.StatusOK, map[string]any{
		"index": d.Index, "keys": d.Keys, "sum": fmt.Sprintf("%016x", d.Sum), "state": fmt.Sprintf("%016x", d.State),
	})
}

// lazyWriter announces an RDB file with its first byte, so that an error before
// it can still be answered as one.
type lazyWriter struct {
	w       http.ResponseWriter
	started bool
}

func (l *lazyWriter) Write(b []byte) (int, error) {
	if !l.started {
		l.started = true
		l.w.Header().Set("Content-Type", octetStream)
		l.w.Header().Set("X-Content-Type-Options", "nosniff")
	}
	return l.w.Write(b)
}
