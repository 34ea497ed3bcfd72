package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/internal/procs"
)

// Every command that talks to a node shows a certificate, over HTTP and over the Redis
// protocol; without one, or with one that the node does not accept, it says so in one
// sentence, and that nothing happened.
func TestToolsShowTheirCertificate(t *testing.T) {
	dir := t.TempDir()
	clients, strangers := newAuthority(t, dir, "clients"), newAuthority(t, dir, "strangers")
	server, own, foreign := clients.issue("server"), clients.issue("client"), strangers.issue("client")
	config := clients.config(own)
	c := StartCluster(t, Options{Nodes: 1, TLS: config, Flags: []string{"--tls-cert", server.cert, "--tls-key", server.key, "--tls-ca", clients.file}})
	n := c.Nodes[0]
	backup := filepath.Join(dir, "backup.rdb")
	http := []string{"--endpoint", "https://" + n.HTTP}
	resp := []string{"--tls", "--resp", n.RESP}
	commands := []struct {
		words, reach []string
		refused      int // exit code
	}{
		{[]string{"key", "set", "k", "v"}, http, 1},
		{[]string{"key", "get", "k"}, http, 1},
		{[]string{"cluster", "status"}, http, 1},
		{[]string{"lock", "list"}, http, 1},
		{[]string{"lock", "l", "--", "true"}, http, 125},
		{[]string{"lock", "l", "--min-hold", "1h", "--", "true"}, http, 125},
		{[]string{"lock", "release", "--force", "--reason", "test", "l"}, http, 1},
		{[]string{"backup", backup}, http, 1},
		{[]string{"bench", "--duration", "50ms", "-c", "2"}, resp, 1},
		{[]string{"restore", backup, "--flush"}, resp, 1},
		{[]string{"key", "del", "k"}, http, 1},
	}
	run := func(env, words []string, extra ...string) (out string, code int) {
		t.Helper()
		args := slices.Concat(words, extra)
		if at := slices.Index(words, "--"); at >= 0 {
			args = slices.Concat(words[:at], extra, words[at:])
		}
		cmd := exec.Command(Binary(t), args...)
		cmd.Env = append(procs.CleanEnv(), env...)
		text, _ := cmd.CombinedOutput() // its code is what counts
		return string(text), cmd.ProcessState.ExitCode()
	}
	for _, cmd := range commands {
		name := strings.Join(cmd.words, " ")
		trust := append(slices.Clone(cmd.reach), "--cacert", clients.file)
		for who, shown := range map[string][]string{"none": nil, "a stranger's": {"--cert", foreign.cert, "--key", foreign.key}} {
			out, code := run(nil, cmd.words, append(slices.Clone(trust), shown...)...)
			if code != cmd.refused || !strings.Contains(out, "wants a certificate of its clients") || !strings.Contains(out, "--cert and --key") || strings.Count(out, "\n") != 1 {
				t.Errorf("%s with %s: exit code %d, %s", name, who, code, out)
			}
		}
		if out, code := run(nil, cmd.words, append(slices.Clone(trust), "--cert", own.cert, "--key", own.key)...); code != 0 {
			t.Errorf("%s with a certificate: exit code %d, %s", name, code, out)
		}
	}
	env := []string{"LOCKSTEP_CACERT=" + clients.file, "LOCKSTEP_CERT=" + own.cert, "LOCKSTEP_KEY=" + own.key, "LOCKSTEP_ENDPOINT=https://" + n.HTTP}
	if out, code := run(env, []string{"key", "set", "k", "v"}); code != 0 {
		t.Errorf("from the environment: exit code %d, %s", code, out)
	}
	if out, code := run(env, []string{"bench", "--duration", "50ms", "-c", "2"}, resp...); code != 0 {
		t.Errorf("from the environment, Redis protocol: exit code %d, %s", code, out)
	}
	_, port, _ := net.SplitHostPort(n.RESP)
	for _, tool := range [][]string{
		{"redis-cli", "--tls", "--cacert", clients.file, "--cert", own.cert, "--key", own.key, "-p", port, "GET", "k"},
		{"curl", "-sS", "--cacert", clients.file, "--cert", own.cert, "--key", own.key, "https://" + n.HTTP + "/v1/keys/k"},
	} {
		if out, err := exec.Command(tool[0], tool[1:]...).CombinedOutput(); err != nil || !strings.Contains(string(out), "v") {
			t.Errorf("%s: %v %s", tool[0], err, out)
		}
	}
	noPair := filepath.Join(dir, "no.pem")
	if err := os.WriteFile(noPair, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	pair := []string{"--cert", own.cert, "--key", own.key}
	for _, words := range [][]string{{"key", "get", "k", "--endpoint", "http://" + n.HTTP}, {"bench", "--resp", n.RESP}} {
		if out, code := run(nil, words, pair...); code != 2 || !strings.Contains(out, "are for TLS") {
			t.Errorf("%s with a certificate and without TLS: exit code %d, %s", words[0], code, out)
		}
	}
	for _, test := range []struct{ flags, want string }{
		{"--cert " + own.cert, "--key is missing"},
		{"--key " + own.key, "--cert is missing"},
		{"--cert " + own.cert + " --key " + foreign.key, "are no pair"},
		{"--cert " + noPair + " --key " + own.key, "are no pair"},
		{"--cert " + own.cert + " --key " + dir + "/absent", "--key: open"},
	} {
		for _, words := range [][]string{append([]string{"key", "get", "k"}, http...), append([]string{"bench"}, resp...)} {
			out, code := run(nil, words, strings.Fields(test.flags)...)
			if code != 2 || !strings.Contains(out, test.want) || strings.Count(out, "\n") != 1 {
				t.Errorf("%s %s: exit code %d, %s", words[0], test.flags, code, out)
			}
		}
	}
}
