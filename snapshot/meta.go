package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/snapshot/rdb"
)

// A snapshot is a directory <term>-<index>-<unix ms> with these files.
const (
	stateFile = "state.rdb"
	metaFile  = "meta.json"

	tempSuffix = ".tmp" // being written or removed; goes at start
)

const (
	metaName    = "lockstep-snapshot"
	metaVersion = 1
)

// envelope is meta.json. Its checksum covers the bytes of Snapshot as they
// stand in the file, since a wrong digit in an index would do as much harm as
// wrong data.
type envelope struct {
	Format   string          `json:"format"`
	Version  int             `json:"version"`
	CRC32C   string          `json:"crc32c"`
	Snapshot json.RawMessage `json:"snapshot"`
}

// fileMeta is what is known of a snapshot.
type fileMeta struct {
	raft.SnapshotMeta        // Size is the length of state.rdb
	CRC64             uint64 // the sum at the end of state.rdb, over all before it
}

func castagnoli(p []byte) string {
	return fmt.Sprintf("%08x", crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)))
}

func encodeMeta(m *fileMeta) ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{Format: metaName, Version: metaVersion, CRC32C: castagnoli(body), Snapshot: body})
}

// decodeMeta reads what encodeMeta wrote for the snapshot id.
func decodeMeta(b []byte, id string) (*fileMeta, error) {
	var env envelope
	if err := json.Unmarshal(b, &env); err != nil {
		return nil, rdb.Damaged("%w", err)
	}
	if env.Format != metaName {
		return nil, rdb.Unsupported("format %q; known is %q", env.Format, metaName)
	}
	if env.Version != metaVersion {
		return nil, rdb.Unsupported("%s version %d; known is %d", metaName, env.Version, metaVersion)
	}
	if sum := castagnoli(env.Snapshot); sum != env.CRC32C {
		return nil, rdb.Damaged("checksum is %q, the content's is %q", env.CRC32C, sum)
	}
	m := new(fileMeta)
	if err := json.Unmarshal(env.Snapshot, m); err != nil {
		return nil, rdb.Damaged("%w", err)
	}
	if m.ID != id {
		return nil, rdb.Damaged("it belongs to snapshot %q", m.ID)
	}
	return m, nil
}

// readMeta returns what is known of the snapshot in dir/id. It fails with a
// *rdb.CorruptError or, when there is no such snapshot, with os.ErrNotExist.
func readMeta(dir, id string) (*fileMeta, error) {
	path := filepath.Join(dir, id, metaFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if _, dirErr := os.Stat(filepath.Join(dir, id)); dirErr == nil {
			return nil, &rdb.CorruptError{File: path, Err: rdb.Damaged("file is missing")}
		}
		return nil, err
	}
	if err != nil {
		return nil, &rdb.CorruptError{File: path, Err: err}
	}
	m, err := decodeMeta(b, id)
	if err != nil {
		return nil, &rdb.CorruptError{File: path, Err: err}
	}
	return m, nil
}

// position is what orders snapshots. It is told by the name of the directory,
// so that a damaged snapshot keeps its place among the others.
type position struct{ term, index, unixMs uint64 }

func (p position) String() string { return fmt.Sprintf("%d-%d-%d", p.term, p.index, p.unixMs) }

func parseID(id string) (p position, ok bool) {
	parts := strings.Split(id, "-")
	if len(parts) != 3 {
		return p, false
	}
	for i, dst := range []*uint64{&p.term, &p.index, &p.unixMs} {
		n, err := strconv.ParseUint(parts[i], 10, 64)
		if err != nil {
			return p, false
		}
		*dst = n
	}
	return p, p.String() == id
}

// compare orders by term, index and time, oldest first.
func (p position) compare(q position) int {
	for _, d := range [3][2]uint64{{p.term, q.term}, {p.index, q.index}, {p.unixMs, q.unixMs}} {
		if d[0] < d[1] {
			return -1
		}
		if d[0] > d[1] {
			return 1
		}
	}
	return 0
}
