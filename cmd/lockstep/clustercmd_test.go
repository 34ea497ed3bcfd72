package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// runClusterStatus runs `cluster status` against a node that answers text.
func runClusterStatus(t *testing.T, text string) (out string, code int) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
	t.Cleanup(srv.Close)
	var o strings.Builder
	cmd := newRootCommand(nil)
	cmd.SetOut(&o)
	cmd.SetArgs([]string{"cluster", "status", "--endpoint", srv.URL})
	code = exitCode(cmd.Execute())
	return o.String(), code
}

func TestClusterStatus(t *testing.T) {
	const nodes = `"nodes":[{"id":"n1","state":"up","version":"0.1.0","limits":{"maxclients":"10"}},
		{"id":"n2","state":"up","version":"0.1.0","limits":{"maxclients":"20"}},{"id":"n3","state":"down"}]`
	for _, tc := range []struct {
		leader string
		code   int
	}{{"n1", exitOK}, {"", exitUnavailable}} {
		text := `{` + nodes + `,"shards":[{"id":0,"leader":"` + tc.leader + `","states":[
			{"node":"n1","role":"leader","applied_index":17,"lag":0},{"node":"n2","role":"follower","applied_index":12,"lag":5}]}]}`
		out, code := runClusterStatus(t, text)
		if code != tc.code {
			t.Errorf("leader %q: exit code %d, want %d", tc.leader, code, tc.code)
		}
		words := strings.Join(strings.Fields(out), " ")
		for _, want := range []string{"n1 up 0.1.0", "0 n1 leader 17 0", "0 n2 follower 12 5", "maxclients differs: 10 on [n1] 20 on [n2]"} {
			if !strings.Contains(words, want) {
				t.Errorf("leader %q: no %q in\n%s", tc.leader, want, out)
			}
		}
		if strings.Contains(out, "version differs") {
			t.Errorf("a node that was not heard of differs:\n%s", out)
		}
	}
}

// All shards without a leader are told of, not the first alone.
func TestShardsWithoutALeader(t *testing.T) {
	for text, want := range map[string]string{
		`{"id":0},{"id":1}`:                        "none of the 2 shards has a leader",
		`{"id":0},{"id":1,"leader":"n1"},{"id":2}`: "the shards 0, 2 have no leader",
		`{"id":0,"leader":"n1"},{"id":1}`:          "shard 1 has no leader",
	} {
		var c clusterStatus
		if err := json.Unmarshal([]byte(`{"shards":[`+text+`]}`), &c); err != nil {
			t.Fatal(err)
		}
		if err := c.leaderless(); exitCode(err) != exitUnavailable || err.Error() != want {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
