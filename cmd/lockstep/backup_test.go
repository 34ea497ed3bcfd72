package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
)

// slowReplica confirms a read only when confirmed is closed, and takes its time
// to write.
type slowReplica struct {
	confirmed chan struct{}
}

// WriteBackup takes longer than the read was given.
func (r *slowReplica) WriteBackup(reading context.Context, w io.Writer) (uint64, error) {
	select {
	case <-r.confirmed:
	case <-reading.Done():
		return 0, command.ErrUnavailable
	}
	<-reading.Done()
	_, err := io.WriteString(w, "data")
	return 1, err
}

// TestBackupWithoutMajorityFails in the time of a request, though the data itself
// may take longer.
func TestBackupWithoutMajorityFails(t *testing.T) {
	const patience = 20 * time.Millisecond
	var out strings.Builder
	r := &slowReplica{confirmed: make(chan struct{})}
	if err := backupTo(t.Context(), r, patience, &out); !errors.Is(err, command.ErrUnavailable) || out.Len() != 0 {
		t.Errorf("%v, %q", err, out.String())
	}
	close(r.confirmed)
	if err := backupTo(t.Context(), r, patience, &out); err != nil || out.String() != "data" {
		t.Errorf("%v, %q", err, out.String())
	}
}

// rdbServer answers as a node whose shards hold what is in file.
func rdbServer(t *testing.T, shards string, file []byte) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/cluster", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"shards":[`+shards+`]}`)
	})
	mux.HandleFunc("GET /v1/shards/{id}/backup", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file) })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func TestBackupToStandardOutput(t *testing.T) {
	file := emptyRDB(t)
	dir := t.TempDir()
	t.Chdir(dir)
	run := func(srv *httptest.Server, shard int) (out, errs string, err error) {
		var o, e strings.Builder
		options := backupOptions{output: "-", shard: shard, client: clientOptions{endpoints: []string{srv.URL}, timeout: time.Minute}}
		err = runBackup(t.Context(), options, &o, &e)
		return o.String(), e.String(), err
	}
	out, errs, err := run(rdbServer(t, `{"id":0}`, file), -1)
	if err != nil || out != string(file) || !strings.Contains(errs, "0 keys") {
		t.Errorf("%v, %q, %q", err, out, errs)
	}
	if _, _, err := run(rdbServer(t, `{"id":0}`, file[:len(file)-1]), -1); err == nil {
		t.Error("half a backup counts as whole")
	}
	two := rdbServer(t, `{"id":0},{"id":1}`, file)
	if out, _, err := run(two, -1); exitCode(err) != exitUsage || out != "" {
		t.Errorf("two shards in one: %v, %q", err, out)
	}
	if out, _, err := run(two, 1); err != nil || out != string(file) {
		t.Errorf("one of two: %v, %q", err, out)
	}
	if _, _, err := run(two, 2); exitCode(err) != exitUsage {
		t.Errorf("a shard that is not there: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("files were made: %v %v", left, err)
	}
}

// emptyRDB is the file of a Redis without keys.
func emptyRDB(t *testing.T) []byte {
	t.Helper()
	addr, dir := startRedis(t)
	_, conn := testClient(t, addr)
	mustCommand(t, conn, "SAVE")
	data, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
