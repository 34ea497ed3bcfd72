package router

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestNetworkOf(t *testing.T) {
	for addr, want := range map[string]string{
		"10.0.0.1:80": "10.0.0.1", "[::ffff:10.0.0.1]:80": "10.0.0.1", "[2001:db8:1:2:3::4]:80": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80": "fe80::/64", "": "", "x": "", "/tmp/sock": "",
	} {
		if got := networkOf(addr); got != want {
			t.Errorf("%q: %q, want %q", addr, got, want)
		}
	}
}

// steady is a clock that a test moves.
type steady struct{ t time.Time }

func (c *steady) now() time.Time { return c.t }

func testLogins(out io.Writer) (*logins, *steady) {
	c := &steady{time.Unix(1_800_000_000, 0)}
	l := newLogins(slog.New(slog.NewTextHandler(out, nil)))
	l.now = c.now
	return l, c
}

func TestDelaysGrowAndAreForgotten(t *testing.T) {
	l, c := testLogins(io.Discard)
	for i, want := range []time.Duration{25, 50, 100, 200, 400, 800, 1600, 3000, 3000} {
		if got := l.fail("a", "a:1", KindRESP); got != want*time.Millisecond {
			t.Errorf("failure %d: %v", i+1, got)
		}
	}
	if got := l.fail("b", "b:1", KindRESP); got != firstLoginDelay {
		t.Errorf("another address: %v", got)
	}
	c.t = c.t.Add(loginHalfLife)
	if got := l.fail("a", "a:1", KindRESP); got != 400*time.Millisecond { // 9 failures count as 4
		t.Errorf("after a half-life: %v", got)
	}
	c.t = c.t.Add(time.Hour)
	if got := l.fail("a", "a:1", KindRESP); got != firstLoginDelay {
		t.Errorf("after an hour: %v", got)
	}
}

// Who does not wait for answers gains nothing: the number of guesses per delay is
// bounded, whatever becomes of the connections.
func TestGuessesPerAddress(t *testing.T) {
	l, c := testLogins(io.Discard)
	guesses, end := 0, c.t.Add(10*time.Minute)
	for ; c.t.Before(end); c.t = c.t.Add(time.Millisecond) {
		if l.mayTry("a") {
			l.fail("a", "a:1", KindRESP)
			guesses++
		}
	}
	if most := int(10*time.Minute/maxLoginDelay+2) * maxDelayedLogins; guesses > most {
		t.Errorf("%d guesses in ten minutes, more than %d", guesses, most)
	}
	if !l.mayTry("b") {
		t.Error("another address may not try")
	}
}

func TestFailedLoginsAreToldNowAndThen(t *testing.T) {
	var log strings.Builder
	l, c := testLogins(&log)
	for range 100 {
		l.fail("a", "a:1", KindHTTP)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("%d lines:\n%s", n, &log)
	}
	log.Reset()
	c.t = c.t.Add(loginLogInterval)
	l.fail("a", "a:1", KindHTTP)
	if text := log.String(); !strings.Contains(text, "client=a:1 protocol=http failed_since_last_told=100 ") {
		t.Error(text)
	}
}

func TestOffendersAreBounded(t *testing.T) {
	l, c := testLogins(io.Discard)
	for i := range maxOffenders + 100 {
		l.fail(fmt.Sprint(i), "", KindRESP)
		c.t = c.t.Add(time.Millisecond)
	}
	if n := len(l.offenders); n != maxOffenders || l.offenders["0"] != nil || l.offenders[fmt.Sprint(maxOffenders)] == nil {
		t.Errorf("%d addresses are remembered", n)
	}
}
