package main

import (
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	p := startProgress(&out, func() time.Time { return now }, "load", 4<<20)
	p.add(100)
	if out.Len() > 0 {
		t.Errorf("drawn at once: %q", out.String())
	}
	now = now.Add(2 * time.Second)
	p.add(1<<20 - 100)
	const want = "\rload: [======                  ]  25% of 4 MiB, 512 KiB/s, 6s left"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
	now = now.Add(100 * time.Millisecond)
	p.add(1) // too soon for another line
	if out.String() != want {
		t.Errorf("drawn too often: %q", out.String())
	}
	p.end()
	if got := strings.TrimPrefix(out.String(), want); strings.TrimSpace(got) != "" || !strings.HasSuffix(got, "\r") {
		t.Errorf("not wiped: %q", got)
	}
	out.Reset()
	p = startProgress(&out, func() time.Time { return now }, "save", 0)
	now = now.Add(time.Second)
	p.add(3 << 30)
	if got := out.String(); got != "\rsave: 3 GiB, 3 GiB/s" {
		t.Errorf("without a total: %q", got)
	}
}

func TestProgressOfEntries(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	p := startProgress(&out, func() time.Time { return now }, "export", 0)
	now = now.Add(time.Second)
	p.entries(50, 200)
	if got := out.String(); !strings.HasSuffix(got, "25% of 200 entries, 50 entries/s, 3s left") {
		t.Errorf("got %q", got)
	}
}

// Where nobody looks nothing is drawn.
func TestNoProgressWithoutATerminal(t *testing.T) {
	if p := newProgress("x", 1); p != nil {
		t.Error("standard error of a test is no terminal")
	}
	var none *progress
	none.add(1)
	none.end()
	if r := strings.NewReader("x"); none.reader(r) != r {
		t.Error("a reader that nobody counts is another one")
	}
}
