package router

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/resp"
)

const (
	firstLoginDelay = 25 * time.Millisecond // after the first failure; each further one doubles it
	maxLoginDelay   = 3 * time.Second
	loginHalfLife   = time.Minute // failures count half after that time without another
	// maxDelayedLogins is how many failures of an address may be waited for at a
	// time. Who opens many connections, or does not wait for answers, makes no more
	// guesses than that in one delay.
	maxDelayedLogins = 32
	maxOffenders     = 4096 // addresses remembered
	loginLogInterval = 10 * time.Second
)

// Login is the outcome of an attempt to show the password.
type Login int

// The outcomes.
const (
	LoginOK      Login = iota
	LoginWrong         // the answer was held back for a while
	LoginRefused       // too many failures from that address: the password was not looked at
)

// logins makes guessing passwords slow, and tells of it. Right passwords are never
// delayed: many clients may share an address, and one that has the old password
// must not stop the others.
type logins struct {
	log    *slog.Logger
	now    func() time.Time
	first  time.Duration
	failed map[string]*atomic.Int64 // by kind of session; never changed
	turned map[string]*atomic.Int64 // refused unseen

	mu        sync.Mutex
	offenders map[string]*offender // by address; guarded by mu
	lastLine  time.Time            // guarded by mu
	untold    int                  // failures since the last line; guarded by mu
}

// offender is an address with failed logins.
type offender struct {
	failures int
	last     time.Time
	delayed  []time.Time // when the answers under way are given
}

func newLogins(log *slog.Logger) *logins {
	l := &logins{log: log, now: time.Now, first: firstLoginDelay, offenders: make(map[string]*offender),
		failed: make(map[string]*atomic.Int64), turned: make(map[string]*atomic.Int64)}
	for _, kind := range []string{KindRESP, KindHTTP} {
		l.failed[kind], l.turned[kind] = new(atomic.Int64), new(atomic.Int64)
	}
	return l
}

// Login checks a password that a client at addr shows. After a wrong one it
// returns later and later.
func (r *Router) Login(ctx context.Context, addr, kind string, user, password []byte) Login {
	if !r.NeedsPassword() && r.CheckPassword(user, password) {
		return LoginOK
	}
	l, from := r.logins, networkOf(addr)
	if !l.mayTry(from) {
		l.turned[kind].Add(1)
		return LoginRefused
	}
	if r.CheckPassword(user, password) {
		return LoginOK
	}
	l.failed[kind].Add(1)
	timer := time.NewTimer(l.fail(from, addr, kind))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-r.stopping:
	}
	return LoginWrong
}

// login is Login for the commands that show a password.
func (r *Router) login(ctx context.Context, s *Session, user, password []byte) (refuse resp.Value) {
	switch r.Login(ctx, s.addr, s.kind, user, password) {
	case LoginOK:
		s.authed = true
		return resp.Value{}
	case LoginRefused:
		return errManyLogins
	}
	return errWrongPass
}

// mayTry: fewer failures of that address than the limit wait for their answer.
func (l *logins) mayTry(from string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.offenders[from]
	if o == nil {
		return true
	}
	o.delayed = stillDelayed(o.delayed, l.now())
	return len(o.delayed) < maxDelayedLogins
}

func stillDelayed(list []time.Time, now time.Time) []time.Time {
	left := list[:0]
	for _, t := range list {
		if t.After(now) {
			left = append(left, t)
		}
	}
	return left
}

// fail counts a failure and returns how long to hold its answer back.
func (l *logins) fail(from, addr, kind string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	o := l.offenders[from]
	if o == nil {
		l.makeRoom(now)
		o = new(offender)
		l.offenders[from] = o
	}
	o.failures = o.remaining(now) + 1
	o.last = now
	delay := min(l.first<<min(o.failures-1, 16), maxLoginDelay)
	o.delayed = append(stillDelayed(o.delayed, now), now.Add(delay))
	l.untold++
	if l.lastLine.IsZero() || now.Sub(l.lastLine) >= loginLogInterval {
		l.log.Warn("failed login", "client", addr, "protocol", kind, "failed_since_last_told", l.untold, "of_this_address", o.failures)
		l.lastLine, l.untold = now, 0
	}
	return delay
}

// remaining is how many of the failures still count.
func (o *offender) remaining(now time.Time) int {
	return o.failures >> min(uint(max(now.Sub(o.last), 0)/loginHalfLife), 62)
}

// makeRoom forgets addresses whose failures no longer count, or else the one that
// has been quiet for longest.
func (l *logins) makeRoom(now time.Time) {
	if len(l.offenders) < maxOffenders {
		return
	}
	quietest := ""
	for from, o := range l.offenders {
		if o.remaining(now) == 0 {
			delete(l.offenders, from)
		} else if q := l.offenders[quietest]; q == nil || o.last.Before(q.last) {
			quietest = from
		}
	}
	if len(l.offenders) >= maxOffenders {
		delete(l.offenders, quietest)
	}
}

// networkOf is the address without the port, or "". Of IPv6 it is the network,
// since a client has as many addresses as it likes there.
func networkOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	network, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return ""
	}
	return network.String()
}
