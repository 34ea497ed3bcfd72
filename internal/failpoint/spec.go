//go:build failpoints

package failpoint

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// point is one action with its limits.
type point struct {
	act func() error

	mu        sync.Mutex
	skip      int // hits that still pass untouched
	remaining int // hits that still act; negative: without end
}

func (p *point) hit() error {
	p.mu.Lock()
	if p.skip > 0 {
		p.skip--
		p.mu.Unlock()
		return nil
	}
	if p.remaining == 0 {
		p.mu.Unlock()
		return nil
	}
	if p.remaining > 0 {
		p.remaining--
	}
	p.mu.Unlock()
	return p.act()
}

func parseEnv(env string) (map[string]*point, error) {
	out := make(map[string]*point)
	for item := range strings.SplitSeq(env, ";") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		name, spec, ok := strings.Cut(item, "=")
		if !ok {
			return nil, fmt.Errorf("%q: want name=action", item)
		}
		p, err := parsePoint(spec)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", item, err)
		}
		out[strings.TrimSpace(name)] = p
	}
	return out, nil
}

// parsePoint reads `[N*|N-]action[(argument)]`.
func parsePoint(spec string) (*point, error) {
	p := &point{remaining: -1}
	spec = strings.TrimSpace(spec)
	digits := len(spec) - len(strings.TrimLeft(spec, "0123456789"))
	if digits > 0 {
		n, err := strconv.Atoi(spec[:digits])
		if err != nil {
			return nil, err
		}
		switch {
		case strings.HasPrefix(spec[digits:], "*"):
			p.remaining = n
		case strings.HasPrefix(spec[digits:], "-"):
			p.skip = n
		default:
			return nil, fmt.Errorf("%q: a number is followed by * or -", spec)
		}
		spec = spec[digits+1:]
	}
	verb, rest, hasArg := strings.Cut(spec, "(")
	arg := ""
	if hasArg {
		var closed bool
		if arg, closed = strings.CutSuffix(rest, ")"); !closed {
			return nil, fmt.Errorf("%q: missing )", spec)
		}
	}
	act, err := parseAction(verb, arg)
	if err != nil {
		return nil, err
	}
	p.act = act
	return p, nil
}

func parseAction(verb, arg string) (func() error, error) {
	switch verb {
	case "error":
		if arg == "" {
			arg = "injected failure"
		}
		err := errors.New(arg)
		return func() error { return err }, nil
	case "sleep":
		d, err := time.ParseDuration(arg)
		if err != nil {
			return nil, err
		}
		return func() error { time.Sleep(d); return nil }, nil
	case "panic":
		return func() error { panic("failpoint: " + arg) }, nil
	case "exit":
		code, err := strconv.Atoi(arg)
		if err != nil {
			return nil, err
		}
		return func() error { os.Exit(code); return nil }, nil
	case "hang":
		return func() error { select {} }, nil
	}
	return nil, fmt.Errorf("unknown action %q", verb)
}
