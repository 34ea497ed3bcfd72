package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// load reads settings as `lockstep serve` does.
func load(t testing.TB, args []string, env map[string]string, file string) (Config, error) {
	t.Helper()
	s := New()
	if err := s.Flags.Parse(args); err != nil {
		return Config{}, err
	}
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	return s.Load(write(t, file), environ)
}

// write makes a file of text, if there is any.
func write(t testing.TB, text string) (path string) {
	t.Helper()
	if text != "" {
		path = filepath.Join(t.TempDir(), "lockstep.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestConfigDefaults(t *testing.T) {
	cfg, err := load(t, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Node.Members; len(got) != 1 || got[0] != (Member{"n1", "127.0.0.1:9001"}) {
		t.Errorf("members %v", got)
	}
	if cfg.Listen != (Listen{"127.0.0.1:8001", "127.0.0.1:7001", "127.0.0.1:9001"}) {
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

// TestTextsOfAFileStayAsTheyAre: what YAML takes for a number, a date or a truth is none.
func TestTextsOfAFileStayAsTheyAre(t *testing.T) {
	for _, text := range []string{"0123", "1e3", "12345678901234567890123", "2026-01-02", "yes", "0x10", "1_0"} {
		s := New()
		path := write(t, "requirepass: "+text+"\n")
		cfg, err := s.Load(path, nil)
		if err != nil || cfg.Security.Password != text || !s.PasswordIsIn(path) {
			t.Errorf("%s is read as %q, %v", text, cfg.Security.Password, err)
		}
		if cfg, err = s.Load(path, []string{"LOCKSTEP_REQUIREPASS=other"}); err != nil || cfg.Security.Password != "other" || s.PasswordIsIn(path) {
			t.Errorf("beside a variable: %q, %v", cfg.Security.Password, err)
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
		if cfg, err := load(t, strings.Fields(args), nil, file); err != nil || cfg.Requests.ClientMemory.Bytes != 0 || cfg.Requests.ClientMemory.Percent != 0 {
			t.Errorf("0%% by %q or %q: %+v, %v", args, file, cfg.Requests, err)
		}
	}
	if cfg, err := load(t, nil, nil, "maxmemory-clients: 25%\nmaxmemory: 4gb"); err != nil || cfg.Requests.ClientMemory.Bytes != 1<<30 || cfg.Requests.ClientMemory.Percent != 25 {
		t.Errorf("maxmemory-clients in percent: %+v, %v", cfg.Requests, err)
	}
	if cfg, err := load(t, nil, nil, "cluster-protocol: on"); err != nil || cfg.Requests.ClusterProtocol != "on" {
		t.Errorf("cluster-protocol: on in a file: %v, %v", cfg.Requests.ClusterProtocol, err)
	}
}

func TestConfigNeverShowsThePassword(t *testing.T) {
	s := New()
	if err := s.Flags.Parse([]string{"--requirepass", "sesame"}); err != nil {
		t.Fatal(err)
	}
	text, err := s.YAML()
	if err != nil || strings.Contains(text, "sesame") || !strings.Contains(text, "requirepass is set") {
		t.Errorf("%v\n%s", err, text)
	}
	cfg, err := s.Load("", nil)
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
		s := New()
		if err := s.Flags.Parse(args); err != nil {
			t.Fatal(err)
		}
		text, err := s.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again := New()
		if _, err := again.Load(write(t, text), nil); err != nil {
			t.Errorf("%q: %v\n%s", args, err, text)
			continue
		}
		if second, err := again.YAML(); err != nil || second != text {
			t.Errorf("%q: %v\n%s\n%s", args, err, text, second)
		}
	}
}

func TestAllowedHosts(t *testing.T) {
	for in, want := range map[string]string{"a.example": "a.example", " a.example, B ": "a.example,B", "": "", "a,,b": "a,b"} {
		if got := names(new([]string), "", checkHost); got.Set(in) != nil || got.String() != want {
			t.Errorf("%q: %q", in, got)
		}
	}
	for _, in := range []string{"a:80", "http://a", "*.a", "a,b/c", "[::1]"} {
		if got := names(new([]string), "", checkHost); got.Set(in) == nil {
			t.Errorf("%q: accepted as %q", in, got)
		}
	}
	s := New()
	if err := s.Flags.Parse([]string{"--http-allowed-hosts", "a,b"}); err != nil {
		t.Fatal(err)
	}
	if cfg, err := s.Load("", nil); err != nil || strings.Join(cfg.Security.AllowedHosts, " ") != "a b" {
		t.Errorf("%v %v", cfg.Security.AllowedHosts, err)
	}
}

func FuzzConfigFile(f *testing.F) {
	f.Add([]byte("shards: 2\ninitial-cluster: {n1: 'a:1'}\n"))
	f.Add([]byte("a: &x 1\nshards: *x\n"))
	f.Add([]byte("initial-cluster: [[a]]\n"))
	f.Add([]byte("initial-cluster: {a: {b: c}}\n"))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := New()
		values, err := yamlFile{flags: s.Flags}.parse(data)
		if err != nil {
			return
		}
		for name, value := range values {
			_ = s.Flags.Lookup(name).Value.Set(value.(given).Text) // must not panic
		}
	})
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

func TestCrossShardOverHTTPOnly(t *testing.T) {
	for _, c := range []struct {
		args string
		want bool
	}{
		{"--shards 2 --allow-cross-shard", true},
		{"--shards 2 --allow-cross-shard --redirect forward", false},
		{"--shards 2", false},
		{"--allow-cross-shard", false}, // one shard: nothing is crossed
	} {
		cfg, err := load(t, strings.Fields(c.args), nil, "")
		if err != nil || cfg.CrossShardOverHTTPOnly() != c.want {
			t.Errorf("%s: not %t (%v)", c.args, c.want, err)
		}
	}
}

func TestUnknownVariables(t *testing.T) {
	s := New()
	_, err := s.Load("", []string{
		"LOCKSTEP_SHARDS=2", "LOCKSTEP_DATADIR=x", "LOCKSTEP_MAX_MEMORY=1gb", "PATH=/bin", "LOCKSTEPX=1",
		"LOCKSTEP_CONFIG=f", "LOCKSTEP_ENDPOINT=e", "LOCKSTEP_PASSWORD=p", "LOCKSTEP_LOCK=l", "LOCKSTEP_FENCE=1",
		"LOCKSTEP_CLUSTER_DIR=d", "LOCKSTEP_BASE_PORT_OFFSET=1", "LOCKSTEP_BIN=b", "LOCKSTEP_HARNESS_CLOCK=c",
		"LOCKSTEP_TEST_LOG=1", "LOCKSTEP_FAILPOINTS=f", "LOCKSTEP_SERVICE_HOST=h",
		"LOCKSTEP_PORT=tcp://h:1", "LOCKSTEP_PORT_7001_TCP=x", "LOCKSTEP_=1", "LOCKSTEP_BINARY=b",
	})
	want := []string{"LOCKSTEP_", "LOCKSTEP_BINARY", "LOCKSTEP_DATADIR", "LOCKSTEP_MAX_MEMORY"}
	if got := s.Unknown; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
