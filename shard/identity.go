package shard

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.etcd.io/bbolt"
)

// Identity is what a data directory belongs to. All of it is fixed at the first
// start of a cluster.
type Identity struct {
	ClusterName string            `json:"cluster_name"`
	NodeID      string            `json:"node_id"`
	Members     map[string]string `json:"members"` // node id -> peer address, this node included
	Shards      int               `json:"shards"`
	LogEngine   string            `json:"log_engine"` // one of raftlog.Engines; each node has its own
}

// ClusterID names the cluster: the first 16 hexadecimal digits of a SHA-256 over
// its name, its members in order of id and its number of shards. Nodes that were
// started with different settings so have different ids and refuse each other.
func (id Identity) ClusterID() string {
	var b strings.Builder
	fmt.Fprintf(&b, "lockstep cluster\nname=%q\n", id.ClusterName)
	for _, member := range slices.Sorted(maps.Keys(id.Members)) {
		fmt.Fprintf(&b, "member %q=%q\n", member, id.Members[member])
	}
	fmt.Fprintf(&b, "shards=%d\n", id.Shards)
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:8])
}

func (id Identity) validate() error {
	switch {
	case id.NodeID == "":
		return errors.New("node metadata: the node has no id")
	case id.Shards < 1:
		return fmt.Errorf("node metadata: %d shards", id.Shards)
	case id.LogEngine == "":
		return errors.New("node metadata: no log engine")
	}
	if _, ok := id.Members[id.NodeID]; !ok {
		return fmt.Errorf("node metadata: node %q is not among the members (%s)", id.NodeID, id.memberList())
	}
	return nil
}

func (id Identity) memberList() string {
	var list []string
	for _, member := range slices.Sorted(maps.Keys(id.Members)) {
		list = append(list, member+"="+id.Members[member])
	}
	return strings.Join(list, ",")
}

// match says how the data in dir (id) differs from what a start asks for (want).
func (id Identity) match(want Identity, dir string) error {
	var diffs []string
	differ := func(what, have, wanted string) {
		if have != wanted {
			diffs = append(diffs, fmt.Sprintf("%s: the data has %s, this start asks for %s", what, have, wanted))
		}
	}
	differ("node (--id)", strconv.Quote(id.NodeID), strconv.Quote(want.NodeID))
	differ("cluster name (--cluster-name)", strconv.Quote(id.ClusterName), strconv.Quote(want.ClusterName))
	differ("members (--initial-cluster)", id.memberList(), want.memberList())
	differ("number of shards (--shards)", strconv.Itoa(id.Shards), strconv.Itoa(want.Shards))
	differ("log engine (--log-engine)", id.LogEngine, want.LogEngine)
	if len(diffs) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s was written by node %q of cluster %s, this is node %q of cluster %s; %s; start with the settings of the data, or use an empty --data-dir",
		ErrForeignData, dir, id.NodeID, id.ClusterID(), want.NodeID, want.ClusterID(), strings.Join(diffs, "; "))
}

// writeFirst fills the metadata of a new directory.
func writeFirst(tx *bbolt.Tx, id Identity) error {
	node, err := tx.CreateBucket(bucketNode)
	if err != nil {
		return err
	}
	for _, name := range [][]byte{bucketQuarantine, bucketDiverged} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	encoded, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return errors.Join(
		node.Put(keyFormat, strconv.AppendInt(nil, metaFormat, 10)),
		node.Put(keyIdentity, encoded),
		node.Put(keyClusterID, []byte(id.ClusterID())),
		node.Put(keyBoot, []byte("0")),
	)
}

func readIdentity(node *bbolt.Bucket, dir string) (Identity, error) {
	path := filepath.Join(dir, MetaFile)
	if format := string(node.Get(keyFormat)); format != strconv.Itoa(metaFormat) {
		return Identity{}, fmt.Errorf("%w: %s has format %s, this version of lockstep knows format %d; use the version that wrote it, or an empty --data-dir",
			ErrDataFormat, path, format, metaFormat)
	}
	var id Identity
	if err := json.Unmarshal(node.Get(keyIdentity), &id); err != nil {
		return Identity{}, fmt.Errorf("%w: identity in %s: %v", ErrDataFormat, path, err)
	}
	if stored := string(node.Get(keyClusterID)); stored != id.ClusterID() {
		return Identity{}, fmt.Errorf("%w: %s says cluster %s, but its name, members and shards make cluster %s: the file was changed by hand or is damaged",
			ErrDataFormat, path, stored, id.ClusterID())
	}
	return id, nil
}

func readCounter(b []byte) (uint64, error) { return strconv.ParseUint(string(b), 10, 64) }
