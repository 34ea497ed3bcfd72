package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/lockstepkv/lockstep/internal/config"
	"github.com/lockstepkv/lockstep/internal/prose"
)

// configurationDoc is docs/configuration.md, made from the flags.
func configurationDoc() string {
	var b strings.Builder
	b.WriteString(`# Configuration of a node

Made from the flags of ` + "`lockstep serve`" + `; a test keeps it so. Every setting can be given as a flag, as an
environment variable or in a YAML file (` + "`--config FILE`" + ` or ` + "`LOCKSTEP_CONFIG`" + `). A flag wins over the environment, the
environment over the file, the file over the default. The variable of ` + "`--data-dir`" + ` is ` + "`LOCKSTEP_DATA_DIR`" + `, its key in the
file ` + "`data-dir`" + `; an empty variable counts as not set. An unknown key in the file is an error, an unknown
variable that begins with ` + "`LOCKSTEP_`" + ` a warning in the node's log.
` + "`lockstep serve --print-config`" + ` shows what would be used, as YAML, and ends.

Sizes are as in redis.conf: ` + "`1kb`" + ` is 1024 bytes, ` + "`1k`" + ` is 1000, likewise ` + "`mb` `m` `gb` `g`" + `. Durations carry a unit: ` + "`250ms` `2s` `10m`" + `.
`)
	for _, section := range config.New().Sections {
		fmt.Fprintf(&b, "\n## %s\n\n| flag | default | meaning |\n|---|---|---|\n", section.Title)
		section.Flags.VisitAll(func(f *pflag.Flag) {
			value := "none"
			if f.DefValue != "" {
				value = "`" + f.DefValue + "`"
			}
			meaning := f.Usage
			if choices, ok := f.Value.(interface{ Choices() []string }); ok {
				meaning += ": `" + strings.Join(choices.Choices(), "` `") + "`"
			}
			fmt.Fprintf(&b, "| `--%s` | %s | %s |\n", f.Name, value, meaning)
		})
	}
	b.WriteString(`
## What is fixed at the first start

A data directory belongs to one node of one cluster. ` + "`--cluster-name`, `--initial-cluster` and `--shards`" + ` make the cluster's
id; together with ` + "`--id` and `--log-engine`" + ` they are written to ` + "`node.db`" + ` at the first start. A start with other values is
refused and says which differ. ` + "`--read-mode` and `--lease-duration`" + ` must be the same on every node: a lease is safe because
every new leader waits for as long as the old one may still answer.

## What others are told

Clients learn the addresses of nodes from ` + "`-MOVED`, `CLUSTER SLOTS` and `/v1/cluster`" + `. A node tells what ` + "`--advertise-http`" + ` and
` + "`--advertise-resp`" + ` say, by default the address that it listens on. A wildcard (` + "`0.0.0.0`, `::`" + `, no host) is never told: the
host of the node's entry in ` + "`--initial-cluster`" + ` stands in for it, and for a node alone an address of its machine. Host names
are told as they are.

## What a network may see

Servers listen on loopback. A node refuses another address for HTTP or the Redis protocol while no password is set. As soon
as a password is set or the peer address is not loopback, nodes must know each other: by ` + "`--tls-peer-*`" + ` or by a cluster secret,
unless ` + "`--insecure-peers`" + ` says that the network is trusted. A node that is alone on loopback needs neither. Only names and
addresses that are certainly loopback count as such; no name server is asked.

Without a password HTTP answers requests only whose Host is an IP address, localhost or one of ` + "`--http-allowed-hosts`" + `: a web
page can point its own name at a node that its visitor can reach, and would then be of the same origin. Requests that a browser
sends for a page of another origin are refused in any case, whatever their method.

What ` + "`--metrics-http`" + ` shows is no secret: figures, addresses and names of nodes, no keys and no values. So it may be any
address, without TLS and without a password.

A cluster secret is a line of 32 bytes or more in a file, the same on every node: ` + "`head -c 32 /dev/urandom | base64 > peer-secret`" + `,
mode 600, given as ` + "`--peer-secret-file`" + `. (A file that is no text is one secret.) Each side of a connection proves that it
knows the secret, which itself is never sent. What nodes send each other after that is not encrypted; on a network that
others can listen on, use TLS.

To change the secret without a stop, put the new one on a line before the old one, on one node after the other: each
takes both, and shows others the one that they take. When all have both, remove the old line everywhere. A file is read
again when it changes and on SIGHUP; what cannot be used is refused in the log, and the old stays in use.
Connections that were made with the old secret stay: if it has become known, restart the nodes, one after the other.
`)
	return prose.Wrap(b.String())
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
