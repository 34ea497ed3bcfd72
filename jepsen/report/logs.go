package report

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"
)

// maxLogLines bounds what is shown of one log around one anomaly.
const maxLogLines = 60

// excerpts returns what the nodes logged between two times of the run.
func (r *Report) excerpts(from, to time.Duration) []excerpt {
	var out []excerpt
	for _, l := range r.Logs {
		text, err := between(l.Path, r.Start.Add(from), r.Start.Add(to))
		if err != nil {
			text = err.Error()
		}
		out = append(out, excerpt{Node: l.Node, Text: text})
	}
	return out
}

// between returns the lines of a log from one time to another. A line without a
// time, as in the trace of a panic, belongs to the line before it.
func between(path string, from, to time.Time) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var b strings.Builder
	lines, within := 0, false
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		if at, ok := lineTime(scan.Text()); ok {
			within = !at.Before(from) && !at.After(to)
		}
		if !within {
			continue
		}
		if lines++; lines <= maxLogLines {
			b.WriteString(scan.Text() + "\n")
		}
	}
	if lines > maxLogLines {
		fmt.Fprintf(&b, "... and %d more lines\n", lines-maxLogLines)
	}
	return b.String(), scan.Err()
}

// lineTime reads the time of a line of slog's text format.
func lineTime(line string) (time.Time, bool) {
	rest, ok := strings.CutPrefix(line, "time=")
	if !ok {
		return time.Time{}, false
	}
	word, _, _ := strings.Cut(rest, " ")
	at, err := time.Parse(time.RFC3339Nano, word)
	return at, err == nil
}
