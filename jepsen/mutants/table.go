package mutants

import "time"

// Row says who should notice a mutant.
type Row struct {
	Mutant   string // name of its patch
	Workload string
	Faults   []string
	Hold     [2]time.Duration // bounds of how long a fault lasts; zero: the nemesis's own
	Duration time.Duration    // of one run
	Bound    time.Duration    // for all runs together

	// What differs from a usual run; zero values are the usual.
	Workers  int
	Pause    time.Duration
	ReadMode string
	Flags    []string

	// NoReturn: a cluster that does not come back counts as caught. What its
	// nodes have lost cannot be read then.
	NoReturn bool

	// Test, instead of a workload: a test of the package that fails with the
	// mutant, each time. For a bug that takes an interleaving which faults from
	// outside meet too rarely.
	Test, Package string
}

// The usual run.
const (
	usualDuration = 10 * time.Second
	usualBound    = 2 * time.Minute
	usualWorkers  = 4
	usualPause    = 4 * time.Millisecond
)

// A run under all faults.
const (
	mixedDuration = time.Minute
	mixedBound    = 4 * time.Minute
)

// Table has a row for every mutant.
func Table() []Row {
	// Freezes that are longer than an election and shorter than the time after
	// which a client gives up.
	freeze := [2]time.Duration{900 * time.Millisecond, 1500 * time.Millisecond}
	return []Row{
		{Mutant: "read-unconfirmed", Workload: "register", Faults: []string{"pause"}, Hold: freeze},
		{Mutant: "confirm-earlier-round", Workload: "register", Faults: []string{"pause"}, Hold: freeze, Workers: 12, Pause: time.Millisecond, Bound: 4 * time.Minute},
		{Mutant: "read-before-barrier", Workload: "ryw", Faults: []string{"kill-leader", "transfer"}, Hold: freeze},
		{Mutant: "lease-too-long", Workload: "register", Faults: []string{"pause"}, Hold: freeze, ReadMode: "lease"},
		{Mutant: "lease-without-silence", Workload: "register", Faults: []string{"pause"}, Hold: freeze, ReadMode: "lease", Flags: []string{"--lease-duration=2s"}},
		{Mutant: "follower-read-no-wait", Workload: "ryw"},
		{Mutant: "ack-before-commit", Workload: "set", Faults: []string{"partition-leader"}},
		{Mutant: "fsync-skipped", Workload: "set", Faults: []string{"power"}, NoReturn: true},
		{Mutant: "fsync-error-ignored", Workload: "set", Faults: []string{"power-dying"}, NoReturn: true},
		{Mutant: "vote-after-loss", Workload: "register", Faults: []string{"amnesia"}},
		{Mutant: "boot-by-clock-alone", Test: "TestWipedNodeWithAClockBehind", Package: "./shard"},
		{Mutant: "resend-applied-twice", Workload: "counter", Faults: []string{"partition-leader", "kill-leader"}},
		{Mutant: "resend-renumbered", Workload: "counter", Faults: []string{"partition-leader", "kill-leader"}},
		{Mutant: "doubt-as-failure", Workload: "set", Faults: []string{"partition-leader"}, Hold: [2]time.Duration{2500 * time.Millisecond, 3500 * time.Millisecond}},
		{Mutant: "once-not-in-snapshot", Workload: "once", Faults: []string{"kill-all", "snapshots"}},
		{Mutant: "once-forgets-when-full", Test: "TestFullMemoryForgetsNothing", Package: "./fsm"},
		{Mutant: "expiry-by-local-clock", Workload: "expiry", Faults: []string{"clock-day"}},
		{Mutant: "eviction-per-replica", Workload: "eviction"},
		{Mutant: "snapshot-without-newest", Workload: "set", Faults: []string{"kill-all", "snapshots"}},
		{Mutant: "restore-keeps-old-keys", Workload: "eviction", Faults: []string{"partition-halves", "snapshots"}, Workers: 10},
		// A node that is back soon, under little load, or the leader sends it a
		// snapshot of its own over the damaged one.
		{Mutant: "snapshot-sum-ignored", Workload: "set", Faults: []string{"bitflip", "snapshots"}, Pause: 60 * time.Millisecond,
			Hold: [2]time.Duration{100 * time.Millisecond, 300 * time.Millisecond}, Workers: 2, NoReturn: true, Bound: 4 * time.Minute},
		{Mutant: "multi-not-atomic", Workload: "append"},
		{Mutant: "element-not-copied", Workload: "queue"},
		{Mutant: "list-changed-in-snapshot", Workload: "lists", Faults: []string{"kill-all", "snapshots"}},
		{Mutant: "watch-misses-return", Workload: "register", Workers: 12, Pause: time.Millisecond, Bound: 4 * time.Minute},
		{Mutant: "stale-age-understated", Workload: "stale", Faults: []string{"stutter"}, Workers: 8},
		{Mutant: "heartbeat-fast-path", Test: "TestOldLeaderTakesTheNewTermBesideItsMainLoop", Package: "./transport"},
		{Mutant: "reached-looked-at-apart", Test: "TestViewsWhileARestoreTakesTheStateBack", Package: "./fsm"},
		{Mutant: "reached-by-log-alone", Test: "TestReplicaWaitsForAnIndexThatItHasNotCommitted", Package: "./shard"},
		{Mutant: "read-index-applied", Test: "TestReadDoesNotGoBackWhileTheLeaderApplies", Package: "./shard"},
		{Mutant: "confirm-any-term", Test: "TestRoundConfirmsTheTermThatItNoted", Package: "./shard"},
		{Mutant: "read-term-unseen", Test: "TestReadOfAPassedTermIsAskedAgain", Package: "./shard"},
		{Mutant: "follower-term-unseen", Test: "TestFollowerReadInASilence", Package: "./shard/sim"},
		{Mutant: "ack-term-unseen", Test: "TestAcknowledgementTakesTheTerm", Package: "./shard"},
		{Mutant: "told-in-silence", Test: "TestGrantInASilence", Package: "./shard/sim"},
		{Mutant: "lease-from-end", Test: "TestLeaseCountsFromTheBeginningOfItsRound", Package: "./shard/readindex"},
		{Mutant: "restore-not-reached", Test: "TestIdleClusterFromASnapshotAnswersAtOnce", Package: "./shard"},
		{Mutant: "lease-after-handover", Test: "TestLeaseGivenUpIsNotTakenAgainInItsTerm", Package: "./shard/readindex"},
		{Mutant: "transfer-unasked", Test: "TestTransferToAHungNodeDoesNotEndService", Package: "./shard"},
		{Mutant: "establish-once", Test: "TestLeaderTriesAgainToServe", Package: "./shard"},
		{Mutant: "stamp-by-wall-clock", Test: "TestOneBadClockWithANodeDown", Package: "./shard"},
		{Mutant: "tick-by-wall-clock", Test: "TestOneBadClockWithANodeDown", Package: "./shard"},
		{Mutant: "unlock-without-token", Workload: "locks"},
		{Mutant: "expiry-ignores-renewal", Workload: "locks"},
		{Mutant: "fence-restarts-after-restore", Workload: "locks", Faults: []string{"kill-all", "snapshots"}},
		{Mutant: "waiter-granted-twice", Workload: "locks"},
		{Mutant: "stale-fence-accepted", Workload: "locks"},
		{Mutant: "replicas-uncompared", Test: "TestReplicaThatDivergedIsRebuilt", Package: "./shard"},
		{Mutant: "diverged-answers", Test: "TestDivergedReplicaAnswersNothing", Package: "./shard"},
		{Mutant: "snapshot-unverified", Test: "TestAWrongStateIsNotWritten", Package: "./shard"},
		{Mutant: "rebuild-without-replay", Test: "TestRebuild", Package: "./fsm"},
	}
}

// filled is the row with the usual values where it has none.
func (r Row) filled() Row {
	if r.Duration == 0 {
		r.Duration = usualDuration
	}
	if r.Bound == 0 {
		r.Bound = usualBound
	}
	if r.Workers == 0 {
		r.Workers = usualWorkers
	}
	if r.Pause == 0 {
		r.Pause = usualPause
	}
	if r.ReadMode == "" {
		r.ReadMode = "quorum"
	}
	if len(r.Faults) == 0 && r.Test == "" {
		r.Faults = []string{"none"}
	}
	return r
}
