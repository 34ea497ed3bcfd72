package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/fsm/command/locks"
	"github.com/lockstepkv/lockstep/internal/config"
)

// addLockOperations adds the commands for operators. With "--" in the arguments there is
// a command to run under a lock, which may be called "list" or "release".
func addLockOperations(lock *cobra.Command, args []string) {
	if slices.Contains(args, "--") {
		return
	}
	for _, cmd := range []*cobra.Command{newLockListCommand(), newLockReleaseCommand()} {
		cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return err })
		lock.AddCommand(cmd)
	}
}

// listedLock is a lock of GET /v1/locks.
type listedLock struct {
	Name        string `json:"name"`
	NameBase64  []byte `json:"name_base64"`
	Owner       string `json:"owner"`
	OwnerBase64 []byte `json:"owner_base64"`
	Fence       uint64 `json:"fence"`
	TTL         int64  `json:"ttl_ms"`
	Waiters     int    `json:"waiters"`
}

type lockPage struct {
	Locks  []listedLock `json:"locks"`
	Cursor *string      `json:"cursor"`
	Count  int          `json:"count"`
}

// lockPageSize is how many locks are asked for at a time.
const lockPageSize = 1000

type lockListOptions struct {
	client      clientOptions
	json, count bool
	limit       int
}

func newLockListCommand() *cobra.Command {
	var o lockListOptions
	cmd := &cobra.Command{
		Use:   "list [PREFIX]",
		Short: "List the locks that are held, or those whose names have a prefix",
		Args:  cobra.MaximumNArgs(1),
		RunE: action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			if o.limit < 1 {
				return withCode(exitUsage, errors.New("--limit: it takes 1 or more"))
			}
			return lockList(ctx, cmd.OutOrStdout(), o, strings.Join(args, ""))
		}),
	}
	o.client.register(cmd.Flags())
	cmd.Flags().BoolVar(&o.json, "json", false, "print the server's JSON answers, one a line")
	cmd.Flags().BoolVar(&o.count, "count", false, "print how many there are, and not which")
	cmd.Flags().IntVar(&o.limit, "limit", 10_000, "list no more than that many")
	cmd.MarkFlagsMutuallyExclusive("count", "limit")
	return cmd
}

func lockList(ctx context.Context, out io.Writer, o lockListOptions, prefix string) error {
	api, err := newAPIClient(o.client)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := "NAME\tOWNER\tFENCE\tTIME LEFT\tWAITERS\n"
	query := url.Values{"prefix": {prefix}}
	for left := o.limit; left > 0; {
		if o.count {
			query.Set("count", "true")
		} else {
			query.Set("limit", strconv.Itoa(min(left, lockPageSize)))
		}
		var page lockPage
		raw, err := api.getJSON(ctx, client.Request{Method: http.MethodGet, Path: "/v1/locks", Query: query}, &page)
		if err != nil {
			return errors.Join(err, w.Flush())
		}
		switch {
		case o.json:
			err = writeLine(out, raw)
		case o.count:
			_, err = fmt.Fprintln(out, page.Count)
		default:
			_, err = io.WriteString(w, head)
			printLocks(w, page.Locks)
			head = ""
		}
		if err != nil || page.Cursor == nil {
			return errors.Join(err, w.Flush())
		}
		query.Set("cursor", *page.Cursor)
		left -= len(page.Locks)
	}
	if err := w.Flush(); err != nil || o.json {
		return err
	}
	_, err = fmt.Fprintf(os.Stderr, "there are more than %d locks; --limit lists more of them\n", o.limit)
	return err
}

func printLocks(w io.Writer, list []listedLock) {
	for _, l := range list {
		left := time.Duration(l.TTL) * time.Millisecond
		fmt.Fprintf(w, "%s\t%s\t%d\t%v\t%d\n", printable(l.Name, l.NameBase64), printable(l.Owner, l.OwnerBase64), l.Fence, left, l.Waiters)
	}
}

// printable is a word that somebody else chose, for a terminal.
func printable(text string, raw []byte) string {
	if raw != nil {
		text = string(raw)
	}
	if raw != nil || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

type lockReleaseOptions struct {
	client clientOptions
	force  bool
	json   bool
	reason string
	fence  uint64
}

func newLockReleaseCommand() *cobra.Command {
	var o lockReleaseOptions
	cmd := &cobra.Command{
		Use:   "release --force --reason REASON NAME",
		Short: "Release a lock that somebody else holds",
		Long: `Release a lock that somebody else holds. The next one who waits gets it, with a
higher fence; the old holder cannot renew it any more, and writes with its fence are
refused. The node's log tells the reason and who asked. A lock that nobody holds, or
not with --fence, ends with exit code 4.`,
		Args: cobra.ExactArgs(1),
		RunE: action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			switch {
			case !o.force:
				return withCode(exitUsage, errors.New("only its holder can release a lock without --force"))
			case o.reason == "":
				return withCode(exitUsage, errors.New("--reason is needed: the log tells it to whoever asks why the lock was lost"))
			case !locks.ValidReason(o.reason):
				return withCode(exitUsage, config.Mistake("reason", "%q is not one line of 1 to %d bytes of text", o.reason, locks.MaxReasonBytes))
			case cmd.Flags().Changed("fence") && o.fence == 0:
				return withCode(exitUsage, errors.New("--fence: 0 is none"))
			}
			if err := checkLockName(args[0]); err != nil {
				return withCode(exitUsage, err)
			}
			return lockRelease(ctx, cmd.OutOrStdout(), o, args[0])
		}),
	}
	o.client.register(cmd.Flags())
	cmd.Flags().BoolVar(&o.force, "force", false, "release the lock whoever holds it")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for the log: one line of at most 256 bytes")
	cmd.Flags().Uint64Var(&o.fence, "fence", 0, "release it only if it is held with this fence, as shown by lock list")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the server's JSON answer")
	return cmd
}

func lockRelease(ctx context.Context, out io.Writer, o lockReleaseOptions, name string) error {
	api, err := newAPIClient(o.client)
	if err != nil {
		return err
	}
	query := url.Values{"force": {"true"}, "reason": {o.reason}}
	if o.fence > 0 {
		query.Set("fence", strconv.FormatUint(o.fence, 10))
	}
	var was listedLock
	raw, err := api.getJSON(ctx, client.Request{Method: http.MethodDelete, Path: "/v1/locks/" + url.PathEscape(name), Query: query}, &was)
	if err != nil {
		return err
	}
	if o.json {
		return writeLine(out, raw)
	}
	_, err = fmt.Fprintf(out, "released %s, held by %s with fence %d; %d waited\n",
		printable(was.Name, was.NameBase64), orNobody(printable(was.Owner, was.OwnerBase64)), was.Fence, was.Waiters)
	return err
}

func orNobody(owner string) string {
	if owner == "" {
		return "a client without a name"
	}
	return owner
}
