package cluster

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// table is the nftables table in each namespace.
const table = "inet lockstep"

// Apply implements Network.
func (n *namespaces) Apply(r Rules) error {
	for i := range n.nodes {
		cmd := exec.Command("ip", "netns", "exec", n.space(i), "nft", "-f", "-")
		cmd.Stdin = strings.NewReader(n.ruleset(i, r))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("nft in %s: %w: %s", n.space(i), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// ruleset is what a node drops of its input. Each script replaces the table as
// one transaction. The comments name the sender for Dropped.
func (n *namespaces) ruleset(node int, r Rules) string {
	var b strings.Builder
	fmt.Fprintf(&b, "table %s\ndelete table %s\ntable %s {\n chain in {\n  type filter hook input priority 0; policy accept;\n", table, table, table)
	for from := range n.nodes {
		if r.Cut[Pair{from, node}] {
			fmt.Fprintf(&b, "  ip saddr %s counter drop comment \"%d\"\n", n.Host(from), from)
		}
	}
	if r.LossPercent > 0 {
		fmt.Fprintf(&b, "  iifname %q numgen random mod 100 < %d counter drop comment \"%d\"\n", device, r.LossPercent, Everybody)
	}
	b.WriteString(" }\n}\n")
	return b.String()
}

// Dropped implements Network.
func (n *namespaces) Dropped() (map[Pair]int64, error) {
	total := map[Pair]int64{}
	for i := range n.nodes {
		out, err := exec.Command("ip", "netns", "exec", n.space(i), "nft", "-j", "list", "ruleset").Output()
		if err != nil {
			return nil, fmt.Errorf("nft in %s: %w", n.space(i), err)
		}
		counts, err := parseCounters(out)
		if err != nil {
			return nil, fmt.Errorf("nft in %s: %w", n.space(i), err)
		}
		for from, packets := range counts {
			total[Pair{from, i}] += packets
		}
	}
	return total, nil
}

// parseCounters reads packets per sender from nft's JSON.
func parseCounters(out []byte) (map[int]int64, error) {
	var list struct {
		NFTables []struct {
			Rule *struct {
				Comment string
				Expr    []struct {
					Counter *struct{ Packets int64 }
				}
			}
		}
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, err
	}
	counts := map[int]int64{}
	for _, e := range list.NFTables {
		if e.Rule == nil {
			continue
		}
		from, err := strconv.Atoi(e.Rule.Comment)
		if err != nil {
			continue
		}
		for _, x := range e.Rule.Expr {
			if x.Counter != nil {
				counts[from] += x.Counter.Packets
			}
		}
	}
	return counts, nil
}
