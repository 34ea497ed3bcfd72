package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/internal/config"
)

// statusPollInterval is how often `cluster status --wait` asks again.
const statusPollInterval = 100 * time.Millisecond

// clusterStatus is the answer of GET /v1/cluster.
type clusterStatus struct {
	Nodes []struct {
		ID    string `json:"id"`
		HTTP  string `json:"http"`
		RESP  string `json:"resp"`
		Peer  string `json:"peer"`
		State string `json:"state"`

		Version string            `json:"version"`
		Limits  map[string]string `json:"limits"`
	} `json:"nodes"`
	Shards []struct {
		ID           int         `json:"id"`
		Leader       string      `json:"leader"`
		Replicas     []string    `json:"replicas"`
		Slots        [][2]uint16 `json:"slots"`
		AppliedIndex uint64      `json:"applied_index"`
		Term         uint64      `json:"term"`

		States []struct {
			Node         string `json:"node"`
			Role         string `json:"role"`
			AppliedIndex uint64 `json:"applied_index"`
			Lag          uint64 `json:"lag"`
		} `json:"states"`
	} `json:"shards"`
}

// problems lists what keeps the cluster from being whole.
func (c clusterStatus) problems() []string {
	var list []string
	for _, n := range c.Nodes {
		if n.State != "up" {
			list = append(list, fmt.Sprintf("node %s is %s", n.ID, n.State))
		}
	}
	for _, s := range c.Shards {
		if s.Leader == "" {
			list = append(list, fmt.Sprintf("shard %d has no leader", s.ID))
		}
	}
	if len(c.Shards) == 0 {
		list = append(list, "there are no shards")
	}
	return list
}

// leaderless is an error when a shard has no leader: nobody serves it.
func (c clusterStatus) leaderless() error {
	var without []string
	for _, s := range c.Shards {
		if s.Leader == "" {
			without = append(without, strconv.Itoa(s.ID))
		}
	}
	switch len(without) {
	case 0:
		return nil
	case 1:
		return withCode(exitUnavailable, fmt.Errorf("shard %s has no leader", without[0]))
	case len(c.Shards):
		return withCode(exitUnavailable, fmt.Errorf("none of the %d shards has a leader", len(without)))
	}
	return withCode(exitUnavailable, fmt.Errorf("the shards %s have no leader", strings.Join(without, ", ")))
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func newClusterCommand() *cobra.Command {
	cmd := newContainerCommand("cluster", "Look at the cluster")
	cmd.AddCommand(newClusterStatusCommand())
	return cmd
}

func newClusterStatusCommand() *cobra.Command {
	var o clientOptions
	var asJSON bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show nodes, shards, leaders and slots",
		Long: `Show nodes, shards, leaders and slots as one node sees them, the replicas and how
many entries they lag behind that node's, and the limits that are not the same on
all nodes. A node is up, starting, down (not connected to the one that is asked), or
unknown to one that has only just started. It ends with exit code 5 when a shard has no leader.

With --wait it asks until every node is up and every shard has a leader, and
ends with exit code 5 when that takes longer.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			api, err := newAPIClient(o)
			if err != nil {
				return err
			}
			status, raw, err := fetchStatus(ctx, api, wait)
			if err != nil {
				return err
			}
			if asJSON {
				return errors.Join(writeLine(cmd.OutOrStdout(), raw), status.leaderless())
			}
			return errors.Join(printStatus(cmd.OutOrStdout(), status), status.leaderless())
		}),
	}
	o.register(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the server's JSON answer")
	cmd.Flags().Var(config.Span(&wait, wait), "wait", "wait this long for the cluster to be whole")
	return cmd
}

// fetchStatus asks once, or, with wait, until the cluster is whole.
func fetchStatus(ctx context.Context, api *apiClient, wait time.Duration) (clusterStatus, []byte, error) {
	if wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	last := errors.New("no answer yet")
	for {
		var status clusterStatus
		raw, err := api.getJSON(ctx, client.Request{Method: http.MethodGet, Path: "/v1/cluster"}, &status)
		switch problems := status.problems(); {
		case wait <= 0:
			return status, raw, err
		case err == nil && len(problems) == 0:
			return status, raw, nil
		case err == nil:
			last = errors.New(strings.Join(problems, ", "))
		case ctx.Err() == nil:
			last = err
		}
		if !retriable(err) {
			return status, raw, err
		}
		select {
		case <-ctx.Done():
			return status, raw, withCode(exitUnavailable, fmt.Errorf("the cluster is not whole after %v: %w", wait, last))
		case <-time.After(statusPollInterval):
		}
	}
}

func retriable(err error) bool { return err == nil || exitCode(err) == exitUnavailable }

func printStatus(out io.Writer, c clusterStatus) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tSTATE\tVERSION\tHTTP\tREDIS\tPEER")
	for _, n := range c.Nodes {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", n.ID, n.State, n.Version, n.HTTP, n.RESP, n.Peer)
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "SHARD\tLEADER\tREPLICAS\tSLOTS\tTERM\tAPPLIED")
	for _, s := range c.Shards {
		leader := s.Leader
		if leader == "" {
			leader = "none"
		}
		slots := 0
		for _, r := range s.Slots {
			slots += int(r[1]) - int(r[0]) + 1
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%d\t%d\n", s.ID, leader, strings.Join(s.Replicas, ","), slots, s.Term, s.AppliedIndex)
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "SHARD\tNODE\tROLE\tAPPLIED\tLAG")
	for _, s := range c.Shards {
		for _, r := range s.States {
			fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%d\n", s.ID, r.Node, r.Role, r.AppliedIndex, r.Lag)
		}
	}
	if list := c.differences(); len(list) > 0 {
		fmt.Fprintln(w)
		for _, text := range list {
			fmt.Fprintln(w, text)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print status: %w", err)
	}
	return nil
}
