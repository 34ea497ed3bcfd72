package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	progressEvery = 200 * time.Millisecond
	progressWidth = 24
)

// progress draws one line that tells how far something is, its rate and the time left.
// A nil one draws nothing.
type progress struct {
	out     io.Writer
	now     func() time.Time
	what    string
	total   int64 // 0: not known
	show    func(float64) string
	done    int64
	began   time.Time
	drawn   time.Time
	columns int // of the newest line, to wipe it
}

// newProgress returns nil unless standard error is a terminal: a log or a script has no
// use for lines that are drawn over.
func newProgress(what string, total int64) *progress {
	if _, err := unix.IoctlGetWinsize(int(os.Stderr.Fd()), unix.TIOCGWINSZ); err != nil {
		return nil
	}
	return startProgress(os.Stderr, time.Now, what, total)
}

func startProgress(out io.Writer, now func() time.Time, what string, total int64) *progress {
	return &progress{out: out, now: now, what: what, total: total, show: showBytes, began: now(), drawn: now()}
}

// entries makes the progress one of log entries, of which done are through.
func (p *progress) entries(done, total uint64) {
	if p == nil {
		return
	}
	p.total, p.show = int64(total), func(n float64) string { return fmt.Sprintf("%.0f entries", n) }
	p.add(int(int64(done) - p.done))
}

// add counts n more, bytes if nothing else was said.
func (p *progress) add(n int) {
	if p == nil {
		return
	}
	p.done += int64(n)
	if now := p.now(); now.Sub(p.drawn) >= progressEvery {
		p.drawn = now
		p.draw(p.line(now.Sub(p.began)))
	}
}

// Write implements io.Writer, for what is copied elsewhere too.
func (p *progress) Write(b []byte) (int, error) {
	p.add(len(b))
	return len(b), nil
}

// reader counts what is read from r.
func (p *progress) reader(r io.Reader) io.Reader {
	if p == nil {
		return r
	}
	return io.TeeReader(r, p)
}

// end wipes the line: what comes next says how it went.
func (p *progress) end() {
	if p != nil && p.columns > 0 {
		p.draw("")
		fmt.Fprint(p.out, "\r")
	}
}

func (p *progress) draw(line string) {
	fmt.Fprintf(p.out, "\r%-*s", p.columns, line)
	p.columns = len(line)
}

func (p *progress) line(elapsed time.Duration) string {
	rate := float64(p.done) / max(elapsed.Seconds(), 1e-3)
	if p.total <= 0 {
		return fmt.Sprintf("%s: %s, %s/s", p.what, p.show(float64(p.done)), p.show(rate))
	}
	share := min(float64(p.done)/float64(p.total), 1)
	full := int(share * progressWidth)
	left := "?"
	if rate > 0 {
		left = time.Duration(float64(p.total-min(p.done, p.total)) / rate * float64(time.Second)).Round(time.Second).String()
	}
	return fmt.Sprintf("%s: [%s%s] %3.0f%% of %s, %s/s, %s left", p.what, strings.Repeat("=", full), strings.Repeat(" ", progressWidth-full),
		100*share, p.show(float64(p.total)), p.show(rate), left)
}

func showBytes(n float64) string {
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if n < 1024 {
			return fmt.Sprintf("%.4g %s", n, unit)
		}
		n /= 1024
	}
	return fmt.Sprintf("%.4g TiB", n)
}
