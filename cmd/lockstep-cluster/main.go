// Command lockstep-cluster runs a cluster of real processes on this machine. It is what
// scripts/cluster calls, which builds it and has its usage; its first argument is the repository.
//
// What a cluster is lies in the state directory: settings (nodes, shards, offset of the ports),
// flags for `lockstep serve` (separated by NUL, for the user's eyes alone), peer-secret, and for
// node N nN/pid, nN/log and nN/data. lock is held by the one command that starts or stops nodes.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// Exit codes. After a signal it is the shell's, 128 and its number.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a mistake in the arguments.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func badUsage(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// errStatus: the command has said what it had to say.
var errStatus = errors.New("")

func main() {
	ctx, interrupt := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := (<-signals).(syscall.Signal)
		signal.Stop(signals) // a second one ends this program at once
		interrupt(interrupted(s))
	}()
	os.Exit(report(run(ctx, os.Args[1:]), context.Cause(ctx)))
}

// interrupted is why the context has ended.
type interrupted syscall.Signal

func (i interrupted) Error() string { return syscall.Signal(i).String() }

func report(err, cause error) int {
	var usage usageError
	var by interrupted
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "scripts/cluster: %v\nscripts/cluster --help shows what there is\n", err)
		return exitUsage
	case errors.As(cause, &by):
		return 128 + int(by)
	case !errors.Is(err, errStatus):
		fmt.Fprintln(os.Stderr, "scripts/cluster:", err)
	}
	return exitFailed
}

func run(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return badUsage("no command is given")
	}
	c := newCluster(args[0])
	name, args := args[1], args[2:]
	switch name {
	case "up":
		return c.up(ctx, args)
	case "down", "status":
		if len(args) > 0 {
			return badUsage("%s takes no arguments", name)
		}
		if name == "down" {
			return c.down(ctx)
		}
		return c.status(ctx)
	case "kill":
		return c.signal(ctx, syscall.SIGKILL, "was killed (kill -9)", args)
	case "pause":
		return c.signal(ctx, syscall.SIGSTOP, "is paused", args)
	case "resume":
		return c.signal(ctx, syscall.SIGCONT, "goes on", args)
	case "restart":
		return c.restart(ctx, args)
	case "logs":
		return c.logs(args)
	}
	return badUsage("unknown command \"%s\"", name)
}

// wholeNumber reads a number of up to six digits.
func wholeNumber(text string, least, most int, name string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || len(text) > 6 || int(n) < least || int(n) > most {
		return 0, badUsage("%s must be a number from %d to %d, not \"%s\"", name, least, most, text)
	}
	return int(n), nil
}
