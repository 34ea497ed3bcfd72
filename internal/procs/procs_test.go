package procs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lockstepkv/lockstep/client"
)

// ignoring is a program that SIGTERM does not end, and that says so first.
const ignoring = `trap '' TERM; echo began; while true; do sleep 0.01; done`

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func wrote(t *testing.T, path, text string) {
	t.Helper()
	err := Poll(within(t), 5*time.Millisecond, func() error {
		if got, _ := os.ReadFile(path); !strings.Contains(string(got), text) {
			return fmt.Errorf("%s has %q", path, got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestProcess(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p, err := Start(exec.Command("/bin/sh", "-c", ignoring), log)
	if err != nil {
		t.Fatal(err)
	}
	wrote(t, log, "began")
	if err := p.Signal(syscall.SIGTERM); err != nil || !p.Running() {
		t.Errorf("after SIGTERM: %v", err)
	}
	if _, err := p.Wait(time.Millisecond); err == nil {
		t.Error("it has ended")
	}
	if err := p.Pause(); err != nil || StateOf(p.Pid()) != Paused {
		t.Errorf("paused: %v, %s", err, StateOf(p.Pid()))
	}
	if err := p.Resume(); err != nil {
		t.Error(err)
	}
	if err := errors.Join(p.Kill(), p.Kill(), p.Signal(syscall.SIGTERM), p.Resume()); err != nil {
		t.Error(err)
	}
	if p.Running() || p.ExitCode() != -1 || StateOf(p.Pid()) != Down {
		t.Errorf("exit code %d, %s", p.ExitCode(), StateOf(p.Pid()))
	}
	if err := p.Pause(); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a pause after the end: %v", err)
	}
	// Output is appended.
	p, err = Start(exec.Command("/bin/sh", "-c", "echo again; exit 7"), log)
	if err != nil {
		t.Fatal(err)
	}
	if code, err := p.Wait(30 * time.Second); code != 7 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
	if got := LastLines(log, 2); got != "began\nagain" {
		t.Errorf("%q", got)
	}
}

// detached is a shell that runs script, in a directory of its own.
func detached(t *testing.T, script string) Detached {
	t.Helper()
	dir := t.TempDir()
	d := Detached{PidFile: filepath.Join(dir, "pid"), Argument: dir}
	cmd := exec.Command("/bin/sh", "-c", script, "sh", dir)
	if err := d.Start(cmd, filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Kill(context.Background()); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
	})
	return d
}

func TestDetached(t *testing.T) {
	d := detached(t, ignoring)
	wrote(t, filepath.Join(d.Argument, "log"), "began")
	if pgid, err := syscall.Getpgid(d.Pid()); err != nil || pgid != d.Pid() || d.State() != Running {
		t.Errorf("group %d of %d, %v, %s", pgid, d.Pid(), err, d.State())
	}
	if err := d.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	err := Poll(within(t), 5*time.Millisecond, func() error {
		if s := d.State(); s != Paused {
			return errors.New(string(s))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	// Another process may have the number by now.
	if other := (Detached{PidFile: d.PidFile, Argument: "another"}); other.Pid() != 0 || other.State() != Down || other.Signal(syscall.SIGKILL) == nil {
		t.Error("a stranger was taken for it")
	}
	if err := d.Kill(within(t)); err != nil || d.State() != Down {
		t.Errorf("%v, %s", err, d.State())
	}
	if err := d.Kill(within(t)); !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
}

// Processes are stopped together: those that ignore it, or are paused, too.
func TestStop(t *testing.T) {
	good, stubborn, paused := detached(t, `while true; do sleep 0.01; done`), detached(t, ignoring), detached(t, `while true; do sleep 0.01; done`)
	wrote(t, filepath.Join(stubborn.Argument, "log"), "began")
	if err := paused.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	list := []Detached{good, {PidFile: "/none"}, stubborn, paused}
	var late []int
	if err := Stop(within(t), list, 5*time.Second, func(i int) { late = append(late, i) }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(late, []int{2}) {
		t.Errorf("late were %v", late)
	}
	for i, d := range list {
		if _, err := os.Stat(d.PidFile); d.State() != Down || err == nil {
			t.Errorf("%d: %s, %v", i, d.State(), err)
		}
	}
}

func TestPorts(t *testing.T) {
	var ports, others Ports
	defer ports.Close()
	defer others.Close()
	addrs, err := ports.Addrs(6)
	if err != nil || len(addrs) != 6 || len(slices.Compact(slices.Sorted(slices.Values(addrs)))) != 6 {
		t.Fatalf("%v, %v", addrs, err)
	}
	offset, err := ports.Offset([]int{7001, 8001, 9001})
	if err != nil {
		t.Fatal(err)
	}
	for _, base := range []int{7001, 8001, 9001} {
		addrs = append(addrs, loopback(base+offset))
	}
	for _, addr := range addrs {
		_, port, _ := net.SplitHostPort(addr)
		n, _ := strconv.Atoi(port)
		if others.take(n) {
			t.Errorf("%s was given twice", addr)
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	ports.Close()
	l, err := net.Listen("tcp", addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if port := l.Addr().(*net.TCPAddr).Port; others.take(port) {
		t.Errorf("%d was given though somebody listens", port)
	}
	if port := offset + 7001; !others.take(port) {
		t.Errorf("%d is not free again", port)
	}
}

func TestReady(t *testing.T) {
	status := http.StatusServiceUnavailable
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	c, err := client.NewHTTP([]string{server.URL}, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := Ready(within(t), c); err == nil || !strings.Contains(err.Error(), "503") {
		t.Error(err)
	}
	status = http.StatusOK
	if err := Ready(within(t), c); err != nil {
		t.Error(err)
	}
}

func TestPoll(t *testing.T) {
	tries := 0
	if err := Poll(within(t), time.Millisecond, func() error {
		if tries++; tries < 3 {
			return errors.New("not yet")
		}
		return nil
	}); err != nil || tries != 3 {
		t.Errorf("%v after %d", err, tries)
	}
	if err := Poll(within(t), time.Hour, func() error { return fmt.Errorf("%w: never", ErrGiveUp) }); !errors.Is(err, ErrGiveUp) {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	last := errors.New("not yet")
	if err := Poll(ctx, time.Millisecond, func() error { return last }); !errors.Is(err, last) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestCleanEnv(t *testing.T) {
	t.Setenv("LOCKSTEP_ID", "n9")
	t.Setenv("OTHER", "stays")
	if env := CleanEnv(); slices.Contains(env, "LOCKSTEP_ID=n9") || !slices.Contains(env, "OTHER=stays") {
		t.Errorf("%q", env)
	}
}

// The thread that starts processes stays as long as this program.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/lockstepkv/lockstep/internal/procs.init.func1.1"))
}
