package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/internal/procs"
)

const (
	readyPatience = 60 * time.Second
	stopPatience  = 20 * time.Second
	lockPatience  = 120 * time.Second
	probePatience = 10 * time.Second
)

// cluster is what the state directory says. The paths stay as they were given, since nodes are
// known by them.
type cluster struct {
	root   string
	state  string // directory
	binary string
	built  bool // the binary is given, and not to be built

	nodes, shards, offset int
	flags                 []string // for serve
	started               []int    // nodes that this command has started
}

func newCluster(root string) *cluster {
	c := &cluster{root: root, state: os.Getenv("LOCKSTEP_CLUSTER_DIR"), binary: os.Getenv("LOCKSTEP_BIN")}
	if c.state == "" {
		c.state = root + "/.cluster"
	}
	if c.built = c.binary != ""; !c.built {
		c.binary = root + "/bin/lockstep"
	}
	return c
}

func (c *cluster) path(name string) string { return c.state + "/" + name }

// --- settings and flags

func (c *cluster) exists() bool {
	info, err := os.Stat(c.path("settings"))
	return err == nil && info.Mode().IsRegular()
}

func (c *cluster) load() error {
	if !c.exists() {
		return fmt.Errorf("there is no cluster in %s; start one with: scripts/cluster up", c.state)
	}
	text, err := os.ReadFile(c.path("settings"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		to := map[string]*int{"nodes": &c.nodes, "shards": &c.shards, "offset": &c.offset}[name]
		if to == nil {
			continue
		}
		if *to, err = strconv.Atoi(value); err != nil {
			return fmt.Errorf("%s: %w", c.path("settings"), err)
		}
	}
	c.flags = nil
	text, err = os.ReadFile(c.path("flags"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(text) > 0 {
		c.flags = strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	}
	return c.findPassword()
}

func (c *cluster) save() error {
	settings := fmt.Sprintf("nodes=%d\nshards=%d\noffset=%d\n", c.nodes, c.shards, c.offset)
	if err := os.WriteFile(c.path("settings"), []byte(settings), 0o666); err != nil {
		return err
	}
	var flags bytes.Buffer
	for _, f := range c.flags {
		flags.WriteString(f + "\x00")
	}
	return c.writeFlags(flags.Bytes())
}

// writeFlags makes a new file that nobody else reads: flags may hold a password.
func (c *cluster) writeFlags(text []byte) error {
	if err := remove(c.path("flags")); err != nil {
		return err
	}
	return os.WriteFile(c.path("flags"), text, 0o600)
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// findPassword puts the nodes' password into the environment, so that `lockstep cluster status` may
// ask them.
func (c *cluster) findPassword() error {
	var errs []error
	names := map[string]string{"--requirepass": "LOCKSTEP_PASSWORD", "--requirepass-file": "LOCKSTEP_PASSWORD_FILE"}
	for i, f := range c.flags {
		name, value, given := strings.Cut(f, "=")
		if !given && i+1 < len(c.flags) {
			value = c.flags[i+1]
		}
		if variable := names[name]; variable != "" {
			errs = append(errs, os.Setenv(variable, value))
		}
	}
	has := func(name string) bool { return os.Getenv(name) != "" }
	if has("LOCKSTEP_REQUIREPASS") && !has("LOCKSTEP_PASSWORD") {
		errs = append(errs, os.Setenv("LOCKSTEP_PASSWORD", os.Getenv("LOCKSTEP_REQUIREPASS")))
	}
	if has("LOCKSTEP_REQUIREPASS_FILE") && !has("LOCKSTEP_PASSWORD") && !has("LOCKSTEP_PASSWORD_FILE") {
		errs = append(errs, os.Setenv("LOCKSTEP_PASSWORD_FILE", os.Getenv("LOCKSTEP_REQUIREPASS_FILE")))
	}
	return errors.Join(errs...)
}

// --- nodes

func (c *cluster) node(n int) procs.Node {
	addr := func(base int) string { return fmt.Sprintf("127.0.0.1:%d", base+n+c.offset) }
	return procs.Node{ID: fmt.Sprintf("n%d", n), DataDir: c.dir(n) + "/data", HTTP: addr(8000), RESP: addr(7000), Peer: addr(9000)}
}

func (c *cluster) dir(n int) string { return fmt.Sprintf("%s/n%d", c.state, n) }

func (c *cluster) process(n int) procs.Detached {
	return procs.Detached{PidFile: c.dir(n) + "/pid", Argument: c.dir(n) + "/data"}
}

func (c *cluster) every() []int {
	var list []int
	for n := 1; n <= c.nodes; n++ {
		list = append(list, n)
	}
	return list
}

// ready asks over HTTP without TLS.
func (c *cluster) ready(ctx context.Context, n int) bool {
	api, err := client.NewHTTP([]string{c.node(n).HTTP}, client.Options{Timeout: probePatience})
	if err != nil {
		return false
	}
	defer api.Close()
	return procs.Ready(ctx, api) == nil
}

func (c *cluster) checkPorts(n int) error {
	node := c.node(n)
	for _, addr := range []string{node.HTTP, node.RESP, node.Peer} {
		conn, err := net.DialTimeout("tcp", addr, probePatience)
		if err != nil {
			continue // nobody listens
		}
		conn.Close()
		_, port, _ := net.SplitHostPort(addr)
		return fmt.Errorf("port %s, which node %d needs, is taken by another program; stop it or use --base-port-offset", port, n)
	}
	return nil
}

// peerSecret returns the file of the nodes' secret, by which they know each other. The nodes' own
// flags come later, so one of them takes its place.
func (c *cluster) peerSecret() (string, error) {
	path := c.path("peer-secret")
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		return path, nil
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails
	if err := os.WriteFile(path+".new", secret, 0o600); err != nil {
		return "", err
	}
	return path, os.Rename(path+".new", path)
}

func (c *cluster) start(n int) error {
	if err := os.MkdirAll(c.dir(n), 0o777); err != nil {
		return err
	}
	if err := c.checkPorts(n); err != nil {
		return err
	}
	secret, err := c.peerSecret()
	if err != nil {
		return err
	}
	var members []string
	for _, other := range c.every() {
		members = append(members, c.node(other).Member())
	}
	args := append(c.node(n).ServeArgs(), "--initial-cluster", strings.Join(members, ","),
		"--shards", strconv.Itoa(c.shards), "--peer-secret-file", secret)
	return c.process(n).Start(exec.Command(c.binary, append(args, c.flags...)...), c.dir(n)+"/log")
}

func (c *cluster) showLastWords(n int) {
	log := c.dir(n) + "/log"
	fmt.Fprintf(os.Stderr, "--- the end of %s:\n%s\n", log, procs.LastLines(log, 15))
}

// missingPolls is how often in a row a node must be missing to have ended.
const missingPolls = 5

// waitReady waits until each node serves.
func (c *cluster) waitReady(ctx context.Context, list []int) error {
	patient, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	for _, n := range list {
		missing := 0
		for !c.ready(ctx, n) {
			if missing++; c.process(n).Pid() != 0 {
				missing = 0
			}
			if missing >= missingPolls {
				c.showLastWords(n)
				return fmt.Errorf("node %d ended while starting", n)
			}
			if !procs.Sleep(patient, 100*time.Millisecond) {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				c.showLastWords(n)
				return fmt.Errorf("node %d does not serve after %.0f s", n, readyPatience.Seconds())
			}
		}
	}
	return nil
}

// waitWhole asks until the nodes agree that all are there and every shard is led.
func (c *cluster) waitWhole(ctx context.Context) error {
	var endpoints []string
	for _, n := range c.every() {
		endpoints = append(endpoints, "http://"+c.node(n).HTTP)
	}
	cmd := exec.CommandContext(ctx, c.binary, "cluster", "status", "--endpoint", strings.Join(endpoints, ","), "--wait", fmt.Sprintf("%.0fs", readyPatience.Seconds()))
	cmd.Stderr = os.Stderr
	if cmd.Run() != nil {
		return errors.New("the cluster is not whole; scripts/cluster status shows more")
	}
	return nil
}

// stop ends nodes with SIGTERM, and with SIGKILL those that do not go.
func (c *cluster) stop(ctx context.Context, list []int) error {
	var nodes []procs.Detached
	for _, n := range list {
		nodes = append(nodes, c.process(n))
	}
	return procs.Stop(ctx, nodes, stopPatience, func(i int) {
		fmt.Fprintf(os.Stderr, "node %d does not stop after %.0f s: kill -9\n", list[i], stopPatience.Seconds())
	})
}

// lock lets only one of the commands that start or stop nodes work at a time. The file is held
// until this program ends, and nodes do not inherit it.
func (c *cluster) lock(ctx context.Context) error {
	if err := os.MkdirAll(c.state, 0o777); err != nil {
		return err
	}
	// Not an os.File, which the collector would close.
	fd, err := syscall.Open(c.path("lock"), syscall.O_CREAT|syscall.O_WRONLY|syscall.O_TRUNC|syscall.O_CLOEXEC, 0o666)
	if err != nil {
		return fmt.Errorf("%s: %w", c.path("lock"), err)
	}
	patient, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	if procs.Poll(patient, 50*time.Millisecond, func() error { return syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB) }) != nil {
		return fmt.Errorf("another scripts/cluster is at work on %s", c.state)
	}
	return nil
}

// build makes the binary, unless it is given.
func (c *cluster) build(ctx context.Context) error {
	info, err := os.Stat(c.binary)
	program := err == nil && info.Mode()&0o111 != 0
	if c.built {
		if !program {
			return fmt.Errorf("LOCKSTEP_BIN: %s is not a program", c.binary)
		}
		return nil
	}
	if _, err := exec.LookPath("go"); err != nil {
		if !program {
			//lint:ignore ST1005 a name
			return fmt.Errorf("Go is not installed and there is no %s; get Go 1.26 or newer from https://go.dev/dl/", c.binary)
		}
		return nil
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", c.binary, "./cmd/lockstep")
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.root, os.Stdout, os.Stderr
	if cmd.Run() != nil {
		return errors.New("the build failed")
	}
	return nil
}

// hasData tells whether any node has ever had data.
func (c *cluster) hasData() bool {
	found, err := filepath.Glob(c.state + "/n*/data")
	return err == nil && len(found) > 0
}
