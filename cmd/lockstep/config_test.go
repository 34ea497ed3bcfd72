package main

import (
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// load reads settings as `lockstep serve` does.
func load(t testing.TB, args []string, env map[string]string, file string) (Config, error) {
	t.Helper()
	path := ""
	if file != "" {
		path = filepath.Join(t.TempDir(), "lockstep.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := newSettings()
	if err := s.flags.Parse(args); err != nil {
		return Config{}, err
	}
	return loadConfig(s, path, func(name string) string { return env[name] })
}

func TestConfigDefaults(t *testing.T) {
	cfg, err := load(t, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Node.Members; len(got) != 1 || got[0] != (Member{"n1", "127.0.0.1:9001"}) {
		t.Errorf("members %v", got)
	}
	if cfg.Listen != (ListenConfig{"127.0.0.1:8001", "127.0.0.1:7001", "127.0.0.1:9001"}) {
		t.Errorf("addresses %+v", cfg.Listen)
	}
	if cfg.Requests.MaxValueBytes != 64<<20 || !cfg.Requests.RedirectMoved || cfg.Raft.LeaseReads {
		t.Errorf("%+v", cfg)
	}
}

func TestConfigPrecedence(t *testing.T) {
	const file = "shards: 2\nmaxmemory: 1mb\nrequest-timeout: 1s\n"
	env := map[string]string{"LOCKSTEP_SHARDS": "3", "LOCKSTEP_MAXMEMORY": "2mb", "LOCKSTEP_ID": ""}
	cfg, err := load(t, []string{"--shards", "4"}, env, file)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Node.Shards != 4 { // flag over environment
		t.Errorf("shards %d", cfg.Node.Shards)
	}
	if cfg.Memory.MaxBytes != 2<<20 { // environment over file
		t.Errorf("maxmemory %d", cfg.Memory.MaxBytes)
	}
	if cfg.Requests.Timeout != time.Second { // file over default
		t.Errorf("timeout %v", cfg.Requests.Timeout)
	}
	if cfg.Node.ID != "n1" { // an empty variable is none
		t.Errorf("id %q", cfg.Node.ID)
	}
}

func TestConfigMembersInFile(t *testing.T) {
	want := []Member{{"n1", "127.0.0.1:9001"}, {"n2", "127.0.0.1:9002"}}
	for name, file := range map[string]string{
		"string":  "initial-cluster: n2=127.0.0.1:9002,n1=127.0.0.1:9001",
		"list":    "initial-cluster:\n  - n1=127.0.0.1:9001\n  - n2=127.0.0.1:9002\n",
		"mapping": "initial-cluster:\n  n1: 127.0.0.1:9001\n  n2: 127.0.0.1:9002\n",
	} {
		cfg, err := load(t, nil, nil, file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if len(cfg.Node.Members) != 2 || cfg.Node.Members[0] != want[0] || cfg.Node.Members[1] != want[1] {
			t.Errorf("%s: %v", name, cfg.Node.Members)
		}
	}
}

func TestConfigMistakes(t *testing.T) {
	for _, tc := range []struct {
		args string
		file string
		want string
	}{
		{args: "--http 0.0.0.0:8001", want: "no password is set; set --requirepass"},
		{args: "--resp :7001", want: "--resp: :7001 can be reached"},
		{args: "--resp [::]:7001", want: "can be reached from other machines"},
		{args: "--http example.com:8001", want: "can be reached from other machines"},
		{args: "--peer 10.0.0.1:9001", want: "--insecure-peers"},
		{args: "--peer 10.0.0.1:9001", want: "--peer-secret-file"},
		{args: "--requirepass x --initial-cluster n1=127.0.0.1:9001,n2=127.0.0.1:9002", want: "pass by --requirepass; set --peer-secret-file"},
		{args: "--peer 10.0.0.1:9001 --tls-peer-cert c --tls-peer-key k", want: "--tls-peer-ca: is missing"},
		{args: "--tls-peer-allowed-names a,,b", want: "holds an empty name"},
		{args: "--tls-peer-allowed-names *.b", want: "is not the name of a host"},
		{args: "--tls-cert c", want: "--tls-key: is missing"},
		{args: "--id n4 --initial-cluster n1=127.0.0.1:9001,n2=127.0.0.1:9002", want: "lists n1, n2 but not this node, n4"},
		{args: "--initial-cluster n1=127.0.0.1:9001,n1=127.0.0.1:9002", want: `node "n1" is listed twice`},
		{args: "--initial-cluster n1=127.0.0.1:9001,n2=127.0.0.1:9001", want: "have the same address"},
		{args: "--initial-cluster n1", want: "is not id=host:port"},
		{args: "--shards 0", want: "0 is not within 1 to 256"},
		{args: "--shards 2 --cluster-protocol off", want: "--cluster-protocol: off needs --redirect forward"},
		{args: "--cluster-protocol yes", want: "is not one of auto, on, off"},
		{args: "--shards many", want: `"many" is not a whole number`},
		{args: "--maxmemory 1zb", want: "is not a size"},
		{args: "--maxmemory 99999999999gb", want: "too large"},
		{args: "--maxmemory-policy lru", want: "is not one of volatile-lru"},
		{args: "--max-value-size 1gb", want: "is not within 1kb to 512mb"},
		{args: "--maxmemory-clients 64mb", want: "--maxmemory-clients: 67108864 bytes is neither 0 nor at least 134217728, twice --max-value-size"},
		{args: "--maxmemory-clients 5%", want: "--maxmemory-clients: 5% of --maxmemory, which is 0 (no limit)"},
		{args: "--maxmemory-clients 5% --maxmemory 1gb", want: "5% of --maxmemory are 53687091 bytes, less than 134217728, twice --max-value-size"},
		{args: "--maxmemory-clients 101%", want: "is not a percentage from 0% to 100%"},
		{args: "--maxmemory-clients -1%", want: "is not a percentage from 0% to 100%"},
		{args: "--maxmemory-clients 1mb --max-value-size 1mb", want: "is neither 0 nor at least 8388608"},
		{args: "--heartbeat-timeout 1s --election-timeout 500ms", want: "is less than --heartbeat-timeout"},
		{args: "--request-timeout 5", want: "is not a duration"},
		{args: "--http 127.0.0.1:7001", want: "is the address of --http too"},
		{args: "--metrics-http 127.0.0.1:7001", want: "is the address of --resp too"},
		{args: "--metrics-http nowhere", want: "metrics-http"},
		{args: "--http-max-connections 0", want: "is less than 1"},
		{args: "--http-stall-timeout 0s", want: "http-stall-timeout"},
		{args: "--http-stall-timeout 1ms", want: "http-stall-timeout: 1ms is less than 1s"},
		{args: "--disk-stall-timeout 999ms", want: "disk-stall-timeout: 999ms is less than 1s"},
		{args: "--http 127.0.0.1:0", want: "the port must be a number"},
		{args: "--id a/b", want: "may hold letters"},
		{file: "shard: 2", want: `line 1: there is no setting "shard"`},
		{file: "shards: 2\nshards: 3", want: "shards"},
		{file: "- a", want: "want settings as"},
		{file: "shards: [1]", want: "must be a single value"},
		{file: "shards:", want: "has no value"},
		{file: "shards: {", want: "yaml"},
	} {
		_, err := load(t, strings.Fields(tc.args), nil, tc.file)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s%s: got %v, want %q", tc.args, tc.file, err, tc.want)
		}
	}
	if _, err := load(t, strings.Fields("--http 0.0.0.0:8001 --resp 0.0.0.0:7001 --peer 0.0.0.0:9001 --requirepass x --insecure-peers"), nil, ""); err != nil {
		t.Errorf("with a password: %v", err)
	}
	for _, args := range []string{"--cluster-protocol off", "--cluster-protocol on", "--shards 2 --cluster-protocol off --redirect forward",
		"--maxmemory-clients 0 --log-cache 0", "--max-value-size 512mb", "--maxmemory-clients 128mb", "--maxmemory-clients 5% --maxmemory 4gb"} {
		if _, err := load(t, strings.Fields(args), nil, ""); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
	for args, file := range map[string]string{"--maxmemory-clients 0%": "", "": "maxmemory-clients: 0%"} {
		if cfg, err := load(t, strings.Fields(args), nil, file); err != nil || cfg.Requests.ClientBytes != 0 || cfg.Requests.ClientPercent != 0 {
			t.Errorf("0%% by %q or %q: %+v, %v", args, file, cfg.Requests, err)
		}
	}
	if cfg, err := load(t, nil, nil, "maxmemory-clients: 25%\nmaxmemory: 4gb"); err != nil || cfg.Requests.ClientBytes != 1<<30 || cfg.Requests.ClientPercent != 25 {
		t.Errorf("maxmemory-clients in percent: %+v, %v", cfg.Requests, err)
	}
	if cfg, err := load(t, nil, nil, "cluster-protocol: on"); err != nil || cfg.Requests.ClusterProtocol != "on" {
		t.Errorf("cluster-protocol: on in a file: %v, %v", cfg.Requests.ClusterProtocol, err)
	}
}

func TestConfigNeverShowsThePassword(t *testing.T) {
	s := newSettings()
	if err := s.flags.Parse([]string{"--requirepass", "sesame"}); err != nil {
		t.Fatal(err)
	}
	text, err := effectiveConfig(s)
	if err != nil || strings.Contains(text, "sesame") || !strings.Contains(text, "requirepass is set") {
		t.Errorf("%v\n%s", err, text)
	}
	cfg, err := s.build()
	if err != nil || strings.Contains(cfg.Security.String(), "sesame") || strings.Contains(cfg.Security.LogValue().String(), "sesame") {
		t.Errorf("%v %v", err, cfg.Security)
	}
}

// What --print-config writes is read back to the same settings: the defaults, and
// values that YAML would take for something else.
func TestConfigRoundTrip(t *testing.T) {
	for _, args := range [][]string{
		nil,
		strings.Fields("--id n2 --initial-cluster n1=127.0.0.1:9001,n2=127.0.0.1:9002 --maxmemory 100 " +
			"--slowlog-log-slower-than -1 --allow-cross-shard --cluster-name 0x10 --http-allowed-hosts a.example,b.example"),
		{"--audit-interval", "0", "--cluster-name", "null", "--data-dir", "~", "--maxmemory", "4gb", "--maxmemory-clients", "5%"},
		{"--cluster-name", " two: words # and\nlines", "--id", "1e3", "--data-dir", "yes"},
	} {
		s := newSettings()
		if err := s.flags.Parse(args); err != nil {
			t.Fatal(err)
		}
		text, err := effectiveConfig(s)
		if err != nil {
			t.Fatal(err)
		}
		again := newSettings()
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadConfig(again, path, func(string) string { return "" }); err != nil {
			t.Errorf("%q: %v\n%s", args, err, text)
			continue
		}
		if second, err := effectiveConfig(again); err != nil || second != text {
			t.Errorf("%q: %v\n%s\n%s", args, err, text, second)
		}
	}
}

func TestAllowedHosts(t *testing.T) {
	for in, want := range map[string]string{"a.example": "a.example", " a.example, B ": "a.example,B", "": "", "a,,b": "a,b"} {
		if got := new(hostsValue); got.Set(in) != nil || got.String() != want {
			t.Errorf("%q: %q", in, got)
		}
	}
	for _, in := range []string{"a:80", "http://a", "*.a", "a,b/c", "[::1]"} {
		if got := new(hostsValue); got.Set(in) == nil {
			t.Errorf("%q: accepted as %q", in, got)
		}
	}
	s := newSettings()
	if err := s.flags.Parse([]string{"--http-allowed-hosts", "a,b"}); err != nil {
		t.Fatal(err)
	}
	if cfg, err := s.build(); err != nil || strings.Join(cfg.Security.AllowedHosts, " ") != "a b" {
		t.Errorf("%v %v", cfg.Security.AllowedHosts, err)
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "100": 100, "1b": 1, "1k": 1000, "1kb": 1024, "2M": 2_000_000, "512MB": 512 << 20, "1g": 1_000_000_000, "3gb": 3 << 30} {
		if got, err := parseSize(in); err != nil || got != want {
			t.Errorf("%s: %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "mb", "-1", "1.5gb", "1 mb", "9223372036854775808", "9000000000gb"} {
		if got, err := parseSize(in); err == nil {
			t.Errorf("%q: accepted as %d", in, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		size := sizeValue(rapid.Int64Range(0, 1<<62).Draw(t, "bytes"))
		if got, err := parseSize(size.String()); err != nil || got != int64(size) {
			t.Fatalf("%d is written %s and read %d, %v", int64(size), size.String(), got, err)
		}
	})
}

func FuzzConfigFile(f *testing.F) {
	f.Add([]byte("shards: 2\ninitial-cluster: {n1: 'a:1'}\n"))
	f.Add([]byte("a: &x 1\nshards: *x\n"))
	f.Add([]byte("initial-cluster: [[a]]\n"))
	f.Add([]byte("initial-cluster: {a: {b: c}}\n"))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newSettings()
		values, err := parseConfigFile(data, s.flags)
		if err != nil {
			return
		}
		for name, value := range values {
			_ = s.flags.Lookup(name).Value.Set(value) // must not panic
		}
	})
}

var update = flag.Bool("update", false, "write docs/configuration.md anew")

func TestConfigurationDoc(t *testing.T) {
	const path = "../../docs/configuration.md"
	want := configurationDoc()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s does not fit the flags; run: go test ./cmd/lockstep -run TestConfigurationDoc -update", path)
	}
}

// Peers that know each other need nothing more, and a node that is alone takes none.
func TestPeersMustKnowEachOther(t *testing.T) {
	for _, args := range []string{
		"--requirepass x",
		"--initial-cluster n1=127.0.0.1:9001,n2=127.0.0.1:9002",
		"--requirepass x --initial-cluster n1=127.0.0.1:9001,n2=127.0.0.1:9002 --peer-secret-file f",
		"--requirepass x --initial-cluster n1=127.0.0.1:9001,n2=127.0.0.1:9002 --insecure-peers",
		"--requirepass x --initial-cluster n1=127.0.0.1:9001,n2=127.0.0.1:9002 --tls-peer-cert c --tls-peer-key k --tls-peer-ca a",
		"--peer 10.0.0.1:9001 --initial-cluster n1=10.0.0.1:9001,n2=10.0.0.2:9001 --peer-secret-file f",
	} {
		if _, err := load(t, strings.Fields(args), nil, ""); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestPeerSecretFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, size int, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, make([]byte, size), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open := func(path string) error {
		s, err := openSecrets(SecurityConfig{PeerSecret: path}, nil, slog.New(slog.DiscardHandler))
		if (err == nil) != (s.peerSecretList() != nil) {
			t.Errorf("%s: %v, and there are secrets", path, err)
		}
		return err
	}
	if err := open(write("good", 32, 0o600)); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]string{
		write("short", 31, 0o600):             "fewer than 32",
		write("open", 32, 0o644):              "can be read or changed by every user",
		write("huge", maxSecretFile+1, 0o600): "larger than",
		filepath.Join(dir, "none"):            "no such file",
	} {
		if err := open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// A secret is a line of text, or all bytes of what is no text.
func TestPeerSecretsOfAFile(t *testing.T) {
	a, b := strings.Repeat("a", 32), strings.Repeat("b", 44)
	binary := "\x00\n" + a + "\n\xff"
	for text, want := range map[string][]string{
		a: {a}, a + "\n": {a}, a + "\r\n" + b + "\r\n": {a, b}, "\n" + b + "\n\n" + a: {b, a}, binary: {binary},
	} {
		got, err := parsePeerSecrets([]byte(text))
		if err != nil || len(got) != len(want) {
			t.Errorf("%q: %q, %v", text, got, err)
			continue
		}
		for i := range want {
			if string(got[i]) != want[i] {
				t.Errorf("%q: %q, want %q", text, got, want)
			}
		}
	}
	for text, want := range map[string]string{
		"": "holds no secret", "\n\n": "holds no secret", a[1:]: "fewer than 32", a + "\nshort\n": "a secret of 5 bytes",
		a + "\n" + b + "\n" + a + "\n": "holds 3 secrets", "\xff": "fewer than 32",
	} {
		if _, err := parsePeerSecrets([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
