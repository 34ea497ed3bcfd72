package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

// Exit codes, the same for every subcommand; docs/operations.md lists them.
const (
	exitOK          = 0
	exitFailed      = 1 // something else went wrong, and nothing was changed by this command
	exitUsage       = 2 // bad flags, arguments or settings
	exitNotFound    = 3 // no such key
	exitCondition   = 4 // --if or --if-version did not hold; a lock is not held, or by another
	exitUnavailable = 5 // no node answered, or no leader: nothing was changed, try again
	exitInDoubt     = 6 // the change may or may not have happened
	exitFatal       = 7 // serve: the disk hangs or fails, the node cannot go on safely
)

// codedError carries the exit code that an error ends the process with.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func withCode(code int, err error) error { return &codedError{code, err} }

// exitCode of an error: what cobra itself returns (flags, arguments, unknown
// commands) is bad usage.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	var coded *codedError
	if errors.As(err, &coded) {
		return coded.code
	}
	return exitUsage
}

// action makes a cobra RunE of fn: an error without a code of its own, once the
// arguments were understood, is a failure and not bad usage.
func action(fn func(ctx context.Context, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := fn(cmd.Context(), cmd, args)
		var coded *codedError
		if err == nil || errors.As(err, &coded) {
			return err
		}
		return withCode(exitFailed, err)
	}
}
