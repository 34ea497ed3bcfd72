package raftlog

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/jepsen/faultfs"
)

// A log on a disk that loses what was not synced, written by a process that is
// killed, or whose fsyncs fail, or whose machine loses its power: what was
// acknowledged must be there at the next start, and so must everything that a start
// once showed, for Raft counts that as durable.

// lifeEnv makes the test binary a process that writes a log.
const lifeEnv = "RAFTLOG_TEST_LIFE"

// live is that process: it says what it finds, what it is about to do, and that it
// has been done. It ends when it is killed or the log fails.
func live(args string) error {
	var engine, dir string
	var number uint64
	var idle bool
	if _, err := fmt.Sscan(args, &engine, &number, &idle, &dir); err != nil {
		return err
	}
	free := []int64{0, 100 << 10, 1 << 30}[number%3]
	s, err := Open(Options{Dir: dir, Engine: engine, CacheBytes: -1, SegmentBytes: 256 << 10, Free: func() (int64, error) { return free, nil }})
	if err != nil {
		return err
	}
	found, err := describe(s)
	if err != nil {
		return err
	}
	fmt.Println("found", found)
	if idle { // what it found is now durable, though it wrote nothing
		return nil
	}
	rng := rand.New(rand.NewPCG(number, 1))
	for {
		var next string
		var do func() error
		first, last := s.bounds()
		switch n := rng.IntN(12); {
		case n < 4:
			vote := fmt.Sprint(rng.IntN(1e6))
			next, do = "set "+vote, func() error { return s.Set([]byte("vote"), []byte(vote)) }
		case n == 4 && last > first+4:
			from := last - uint64(rng.IntN(3))
			next, do = fmt.Sprintf("cut %d", from), func() error { return s.DeleteRange(from, last) }
		case n == 5 && last > first+20:
			to := first + uint64(rng.IntN(10))
			next, do = fmt.Sprintf("compact %d", to), func() error { return s.DeleteRange(first, to) }
		default:
			logs := make([]*raft.Log, 1+rng.IntN(5))
			for i := range logs {
				logs[i] = entry(last+1+uint64(i), number, rng.IntN(6000))
			}
			next, do = fmt.Sprintf("append %d %d", last+1, len(logs)), func() error { return s.StoreLogs(logs) }
		}
		fmt.Println("do", next)
		if err := do(); err != nil {
			return err
		}
		fmt.Println("done")
	}
}

// describe lists the vote and the entries with their terms, after checking them.
func describe(s *Store) (string, error) {
	vote, err := s.Get([]byte("vote"))
	if err != nil && err.Error() != "not found" {
		return "", err
	}
	first, last := s.bounds()
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%d:", vote, first)
	for i := first; i <= last && last > 0; i++ {
		var l raft.Log
		if err := s.GetLog(i, &l); err != nil {
			return "", err
		}
		if want := entry(i, l.Term, len(l.Data)); !sameEntry(&l, want) {
			return "", fmt.Errorf("entry %d is not what was written", i)
		}
		fmt.Fprintf(&b, "%d,", l.Term)
	}
	return b.String(), nil
}

// logModel is what a log holds.
type logModel struct {
	vote  string
	first uint64 // 0: empty
	terms []uint64
}

func (m logModel) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%d:", m.vote, m.first)
	for _, t := range m.terms {
		fmt.Fprintf(&b, "%d,", t)
	}
	return b.String()
}

// after is the model after a step as live prints it.
func (m logModel) after(step string, life uint64) logModel {
	var what, arg string
	var n uint64
	fmt.Sscan(step, &what, &arg, &n)
	var at uint64
	fmt.Sscan(arg, &at)
	m.terms = append([]uint64(nil), m.terms...)
	switch what {
	case "set":
		m.vote = arg
	case "cut":
		m.terms = m.terms[:at-m.first]
	case "compact":
		m.terms, m.first = m.terms[at+1-m.first:], at+1
	case "append":
		if len(m.terms) == 0 {
			m.first = at
		}
		for range n {
			m.terms = append(m.terms, life)
		}
	}
	return m
}

// powerFailures is a clause of the contract. Where there is no FUSE, processes are killed only.
func powerFailures(t *testing.T, engine string) {
	seeds := uint64(5)
	if engine == enginePlain {
		seeds = 1
	}
	for seed := range seeds {
		powerHistory(t, engine, rand.New(rand.NewPCG(seed, 7)))
	}
}

// lossyDir is a directory whose disk can fail and lose what was not synced.
type lossyDir struct {
	t     *testing.T
	dir   string
	disk  *faultfs.Disk
	mount *faultfs.Mount // nil: an ordinary directory, which loses nothing
}

func newLossyDir(t *testing.T) *lossyDir {
	d := &lossyDir{t: t, dir: t.TempDir(), disk: faultfs.NewDisk()}
	d.on()
	t.Cleanup(d.off)
	return d
}

func (d *lossyDir) on() {
	if !faultfs.Available() {
		d.t.Log("no FUSE here: no power failures, no failing disks")
		return
	}
	mount, err := d.disk.MountAt(d.dir)
	if err != nil {
		d.t.Fatal(err)
	}
	d.mount = mount
}

func (d *lossyDir) off() {
	if d.mount == nil {
		return
	}
	if err := d.mount.Unmount(); err != nil {
		d.t.Error(err)
	}
	d.mount = nil
}

// powerFailure loses what was not synced.
func (d *lossyDir) powerFailure(rng *rand.Rand) {
	if d.mount == nil {
		return
	}
	d.off()
	d.disk.PowerOff(rng)
	d.on()
}

// powerHistory is one log through many lives.
func powerHistory(t *testing.T, engine string, rng *rand.Rand) {
	const lives = 20
	d := newLossyDir(t)
	var known logModel
	var doubtful string // the step that was under way when the last life ended
	for life := uint64(1); life <= lives; life++ {
		l := startLife(t, engine, life, rng.IntN(2) == 0, d.dir)
		found := l.next("found")
		switch {
		case found == known.String():
		case doubtful != "" && found == known.after(doubtful, life-1).String():
			known = known.after(doubtful, life-1)
		default:
			t.Fatalf("%s, life %d found\n%s, want\n%s\nor the same after %q", engine, life, found, known, doubtful)
		}
		known, doubtful = l.watch(known, life, d, rng)
		d.disk.Set(faultfs.Trouble{})
		if rng.IntN(2) == 0 {
			d.powerFailure(rng)
		}
	}
}

// process is a running live.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	stderr *strings.Builder
}

func startLife(t *testing.T, engine string, number uint64, idle bool, dir string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0]), stderr: &strings.Builder{}}
	p.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %t %s", lifeEnv, engine, number, idle, dir))
	p.cmd.Stderr = p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewScanner(out)
	p.lines.Buffer(nil, 1<<20)
	return p
}

// next returns what follows word in the next line.
func (p *process) next(word string) string {
	p.t.Helper()
	if !p.lines.Scan() {
		p.t.Fatalf("the process ended: %v: %s", p.cmd.Wait(), p.stderr)
	}
	rest, ok := strings.CutPrefix(p.lines.Text(), word)
	if !ok {
		p.t.Fatalf("%q instead of %q", p.lines.Text(), word)
	}
	return strings.TrimPrefix(rest, " ")
}

// watch follows the process through some steps, then kills it or lets its disk
// fail. It returns what is acknowledged, and the step that is in doubt.
func (p *process) watch(known logModel, life uint64, d *lossyDir, rng *rand.Rand) (logModel, string) {
	defer p.cmd.Wait() // its exit code says that it was killed, or that its disk failed
	steps, kill := rng.IntN(40), rng.IntN(2) == 0 || d.mount == nil
	var step string
	for n := 0; p.lines.Scan(); n++ {
		if n == steps && kill {
			_ = p.cmd.Process.Kill()
		} else if n == steps {
			d.disk.Set(faultfs.Trouble{FsyncFails: true, FirstPass: rng.IntN(3)})
		}
		if rest, ok := strings.CutPrefix(p.lines.Text(), "do "); ok {
			step = rest
		} else if p.lines.Text() == "done" {
			known, step = known.after(step, life), ""
		}
	}
	return known, step
}
