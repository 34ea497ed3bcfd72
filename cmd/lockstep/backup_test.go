package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
)

// slowReplica confirms a read only when confirmed is closed, and takes its time
// to write.
type slowReplica struct {
	confirmed chan struct{}
	reading   context.Context // of the last Read
}

func (r *slowReplica) Read(ctx context.Context, _ command.ReadOptions, _ func(*command.Ctx)) (command.ReadInfo, error) {
	r.reading = ctx
	select {
	case <-r.confirmed:
		return command.ReadInfo{}, nil
	case <-ctx.Done():
		return command.ReadInfo{}, command.ErrUnavailable
	}
}

// WriteBackup takes longer than the read was given.
func (r *slowReplica) WriteBackup(w io.Writer) (uint64, error) {
	<-r.reading.Done()
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
