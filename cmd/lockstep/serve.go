package main

import (
	"context"
	"errors"
	"log/slog"
)

// runServe runs a node until ctx ends.
func runServe(_ context.Context, _ Config, _ *slog.Logger) error {
	return errors.New("serve: the parts of a node are not wired together in this build")
}
