package logclock

import (
	"cmp"
	"math"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// maxSteer bounds how much faster or slower than the leader's own clock the
	// wall clock of the log may run.
	maxSteer = 0.1
	// steerWithin is the time in which a small error is steered away.
	steerWithin = 2 * time.Second
	// DefaultTolerance is how far apart clocks may be that agree, when nothing else
	// is said.
	DefaultTolerance = 500 * time.Millisecond
)

// Stamp is a time of the log, in milliseconds.
type Stamp struct {
	Wall int64 // Unix time
	Mono int64 // time in which there was a leader, since the shard began
}

// Clock is the log clock of one leader. Now may be called from any goroutine, the
// other methods from one at a time.
type Clock struct {
	now atomic.Pointer[line]
}

// line is how the log's times follow from the node's monotonic clock. Times are in
// microseconds.
type line struct {
	at         time.Duration // reading of the monotonic clock
	wall, mono int64         // at that reading
	rate       float64       // of the wall clock
}

func (l *line) stamp(mono time.Duration) (wall, monotonic int64) {
	passed := (mono - l.at).Microseconds()
	return l.wall + int64(float64(passed)*l.rate), l.mono + passed
}

// Start lets the clock go on from the newest entry of the log, which was stamped
// newest and applied since ago. mono is the node's monotonic clock.
func (c *Clock) Start(mono time.Duration, newest Stamp, since time.Duration) {
	passed := max(since, 0).Microseconds()
	l := &line{at: mono, wall: newest.Wall * 1000, mono: newest.Mono*1000 + passed, rate: 1}
	if newest.Wall != 0 {
		l.wall += passed
	}
	c.now.Store(l)
}

// Now returns the log's time at a reading of the node's monotonic clock. It never
// goes back from one reading to a later one. Before Start it is zero.
func (c *Clock) Now(mono time.Duration) Stamp {
	l := c.now.Load()
	if l == nil {
		return Stamp{}
	}
	wall, monotonic := l.stamp(mono)
	return Stamp{Wall: wall / 1000, Mono: monotonic / 1000}
}

// Resume is Adjust for a leader that has not served yet. What passed between the
// newest entry and now is not known exactly, above all after a restart, so the
// clock takes any step forward that a quorum with this node agrees on. Made up
// for later, the time would be taken from keys that are set meanwhile.
func (c *Clock) Resume(mono time.Duration, a Agreement) (stepped time.Duration) {
	return c.adjust(mono, a, 0)
}

// Adjust steers or steps the clock by what the voters' clocks say at a reading of
// the node's monotonic clock.
func (c *Clock) Adjust(mono time.Duration, a Agreement) (stepped time.Duration) {
	return c.adjust(mono, a, a.tolerance)
}

func (c *Clock) adjust(mono time.Duration, a Agreement, tolerance time.Duration) (stepped time.Duration) {
	old := c.now.Load()
	if old == nil {
		return 0
	}
	wall, monotonic := old.stamp(mono)
	next := &line{at: mono, wall: wall, mono: monotonic, rate: 1}
	ahead := a.Wall*1000 - wall // of the log's clock; negative: behind
	margin := (tolerance + a.Error).Microseconds()
	switch {
	case wall == 0 && a.Earliest > 0:
		// No history that a step could harm. Without agreement the earliest clock
		// is taken: a later step forward is possible, one back is not.
		next.wall = a.Earliest * 1000
		if a.Known {
			next.wall = a.Wall * 1000
		}
	case !a.Known:
	case ahead > margin && a.Member:
		next.wall = a.Wall * 1000
		stepped = time.Duration(ahead) * time.Microsecond
	default:
		steer := float64(ahead) / float64(steerWithin.Microseconds())
		next.rate = 1 + min(max(steer, -maxSteer), maxSteer)
	}
	c.now.Store(next)
	return stepped
}

// Reading is a voter's wall clock, in Unix milliseconds.
type Reading struct {
	Node  string
	Wall  int64
	Error time.Duration // the clock was at Wall, this much more or less
}

// Vague reports whether a reading says nothing at a tolerance: it could be called off, or
// in order, by its error alone.
func (r Reading) Vague(tolerance time.Duration) bool { return r.Error > orDefault(tolerance) }

func orDefault(tolerance time.Duration) time.Duration {
	if tolerance <= 0 {
		return DefaultTolerance
	}
	return tolerance
}

// Agreement is what the voters' clocks say together.
type Agreement struct {
	Known    bool          // a quorum of the voters agrees within the tolerance
	Member   bool          // and this node with it
	Off      bool          // and this node is in none that does, whatever the errors of the readings are
	Wall     int64         // the median of those who agree; Unix milliseconds
	Error    time.Duration // of Wall
	Vague    bool          // a reading says nothing, so a clock that differs may be missed
	Earliest int64         // what any clock says that was read, at the earliest
	Outside  []Reading     // those that differ from Wall, or, without agreement, from this node's clock, by more than errors

	tolerance time.Duration
}

// Agree compares clocks at one moment. own is this node's, which is a voter; others are
// those of other voters; voters is how many there are, known or not. A vague reading counts
// as unknown: it neither agrees nor differs.
func Agree(own Reading, others []Reading, voters int, tolerance time.Duration) Agreement {
	tolerance = orDefault(tolerance)
	a := Agreement{tolerance: tolerance, Earliest: own.earliest()}
	var all []Reading
	for _, r := range append([]Reading{own}, others...) {
		a.Earliest = min(a.Earliest, r.earliest())
		if r.Vague(tolerance) {
			a.Vague = true
			continue
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(x, y Reading) int { return cmp.Compare(x.Wall, y.Wall) })
	from, n := largestWindow(all, own, tolerance.Milliseconds())
	reference := own
	if n >= voters/2+1 {
		within := all[from : from+n]
		reference = within[(n-1)/2]
		a.Known, a.Member = true, slices.Contains(within, own)
		a.Wall, a.Error = reference.Wall, reference.Error
		a.Off = !own.Vague(tolerance) && !mayAgree(own, all, voters/2+1, tolerance)
	}
	if reference.Vague(tolerance) {
		return a
	}
	for _, r := range all {
		if r != reference && apart([]Reading{r, reference}) > tolerance {
			a.Outside = append(a.Outside, r)
		}
	}
	return a
}

func (r Reading) earliest() int64 { return r.Wall - r.Error.Milliseconds() }

// apart is how far clocks are apart at least, whatever the errors of their readings are.
func apart(readings []Reading) time.Duration {
	least, most := int64(math.MinInt64), int64(math.MaxInt64) // microseconds
	for _, r := range readings {
		least = max(least, r.least())
		most = min(most, r.most())
	}
	return time.Duration(least-most) * time.Microsecond
}

// mayAgree reports whether own can be one of a quorum that agrees, if errors have it so.
func mayAgree(own Reading, all []Reading, quorum int, tolerance time.Duration) bool {
	for _, first := range all { // of the quorum, by what it says at most
		at, n := first.most(), 0
		for _, r := range all {
			if r.most() >= at && r.least() <= at+tolerance.Microseconds() {
				n++
			}
		}
		if n >= quorum && own.most() >= at && own.least() <= at+tolerance.Microseconds() {
			return true
		}
	}
	return false
}

// least and most are what the clock can have been, in microseconds.
func (r Reading) least() int64 { return r.Wall*1000 - r.Error.Microseconds() }
func (r Reading) most() int64  { return r.Wall*1000 + r.Error.Microseconds() }

// largestWindow returns the most readings of the sorted list that lie within
// width; of several as large, one with own.
func largestWindow(all []Reading, own Reading, width int64) (from, n int) {
	for i := range all {
		j := i
		for j < len(all) && all[j].Wall-all[i].Wall <= width {
			j++
		}
		if j-i > n || j-i == n && slices.Contains(all[i:j], own) && !slices.Contains(all[from:from+n], own) {
			from, n = i, j-i
		}
	}
	return from, n
}
