package mutants

import (
	"time"

	"github.com/lockstepkv/lockstep/internal/mutant"
)

// Row says who should notice a mutant.
type Row struct {
	Mutant   mutant.ID
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
		{Mutant: mutant.ReadUnconfirmed, Workload: "register", Faults: []string{"pause"}, Hold: freeze},
		{Mutant: mutant.ConfirmEarlierRound, Workload: "register", Faults: []string{"pause"}, Hold: freeze, Workers: 12, Pause: time.Millisecond, Bound: 4 * time.Minute},
		{Mutant: mutant.ReadBeforeBarrier, Workload: "ryw", Faults: []string{"kill-leader", "transfer"}, Hold: freeze},
		{Mutant: mutant.LeaseTooLong, Workload: "register", Faults: []string{"pause"}, Hold: freeze, ReadMode: "lease"},
		{Mutant: mutant.LeaseWithoutSilence, Workload: "register", Faults: []string{"pause"}, Hold: freeze, ReadMode: "lease", Flags: []string{"--lease-duration=2s"}},
		{Mutant: mutant.FollowerReadNoWait, Workload: "ryw"},
		{Mutant: mutant.AckBeforeCommit, Workload: "set", Faults: []string{"partition-leader"}},
		{Mutant: mutant.FsyncSkipped, Workload: "set", Faults: []string{"power"}, NoReturn: true},
		{Mutant: mutant.FsyncErrorIgnored, Workload: "set", Faults: []string{"power-dying"}, NoReturn: true},
		{Mutant: mutant.VoteAfterLoss, Workload: "register", Faults: []string{"amnesia"}},
		{Mutant: mutant.BootByClockAlone, Test: "TestWipedNodeWithAClockBehind", Package: "./shard"},
		{Mutant: mutant.ResendAppliedTwice, Workload: "counter", Faults: []string{"partition-leader", "kill-leader"}},
		{Mutant: mutant.ResendRenumbered, Workload: "counter", Faults: []string{"partition-leader", "kill-leader"}},
		{Mutant: mutant.DoubtAsFailure, Workload: "set", Faults: []string{"partition-leader"}, Hold: [2]time.Duration{2500 * time.Millisecond, 3500 * time.Millisecond}},
		{Mutant: mutant.OnceNotInSnapshot, Workload: "once", Faults: []string{"kill-all", "snapshots"}},
		{Mutant: mutant.OnceForgetsWhenFull, Test: "TestFullMemoryForgetsNothing", Package: "./fsm"},
		{Mutant: mutant.ExpiryByLocalClock, Workload: "expiry", Faults: []string{"clock"}},
		{Mutant: mutant.EvictionPerReplica, Workload: "eviction"},
		{Mutant: mutant.SnapshotWithoutNewest, Workload: "set", Faults: []string{"kill-all", "snapshots"}},
		{Mutant: mutant.RestoreKeepsOldKeys, Workload: "eviction", Faults: []string{"partition-halves", "snapshots"}, Workers: 10},
		// A node that is back soon, under little load, or the leader sends it a
		// snapshot of its own over the damaged one.
		{Mutant: mutant.SnapshotSumIgnored, Workload: "set", Faults: []string{"bitflip", "snapshots"}, Pause: 60 * time.Millisecond,
			Hold: [2]time.Duration{100 * time.Millisecond, 300 * time.Millisecond}, Workers: 2, NoReturn: true, Bound: 4 * time.Minute},
		{Mutant: mutant.MultiNotAtomic, Workload: "append"},
		{Mutant: mutant.WatchMissesReturn, Workload: "register", Workers: 12, Pause: time.Millisecond, Bound: 4 * time.Minute},
		{Mutant: mutant.StaleAgeUnderstated, Workload: "stale", Faults: []string{"stutter"}, Workers: 8},
		{Mutant: mutant.HeartbeatFastPath, Test: "TestOldLeaderTakesTheNewTermBesideItsMainLoop", Package: "./transport"},
		{Mutant: mutant.ReachedApart, Test: "TestViewsWhileARestoreTakesTheStateBack", Package: "./fsm"},
		{Mutant: mutant.ReachedByLogAlone, Test: "TestReplicaWaitsForAnIndexThatItHasNotCommitted", Package: "./shard"},
		{Mutant: mutant.ReadIndexApplied, Test: "TestReadDoesNotGoBackWhileTheLeaderApplies", Package: "./shard"},
		{Mutant: mutant.ConfirmAnyTerm, Test: "TestRoundConfirmsTheTermThatItNoted", Package: "./shard"},
		{Mutant: mutant.ReadTermUnseen, Test: "TestReadOfAPassedTermIsAskedAgain", Package: "./shard"},
		{Mutant: mutant.FollowerTermUnseen, Test: "TestFollowerReadInASilence", Package: "./shard/sim"},
		{Mutant: mutant.AckTermUnseen, Test: "TestAcknowledgementTakesTheTerm", Package: "./shard"},
		{Mutant: mutant.ToldInSilence, Test: "TestGrantInASilence", Package: "./shard/sim"},
		{Mutant: mutant.LeaseFromEnd, Test: "TestLeaseCountsFromTheBeginningOfItsRound", Package: "./shard"},
		{Mutant: mutant.RestoreNotReached, Test: "TestIdleClusterFromASnapshotAnswersAtOnce", Package: "./shard"},
		{Mutant: mutant.LeaseAfterHandover, Test: "TestLeaseGivenUpIsNotTakenAgainInItsTerm", Package: "./shard"},
		{Mutant: mutant.TransferUnasked, Test: "TestTransferToAHungNodeDoesNotEndService", Package: "./shard"},
		{Mutant: mutant.EstablishOnce, Test: "TestLeaderTriesAgainToServe", Package: "./shard"},
		{Mutant: mutant.StampByWallClock, Test: "TestOneBadClockWithANodeDown", Package: "./shard"},
		{Mutant: mutant.TickByWallClock, Test: "TestOneBadClockWithANodeDown", Package: "./shard"},
		{Mutant: mutant.UnlockWithoutToken, Workload: "locks"},
		{Mutant: mutant.ExpiryIgnoresRenewal, Workload: "locks"},
		{Mutant: mutant.FenceRestarts, Workload: "locks", Faults: []string{"kill-all", "snapshots"}},
		{Mutant: mutant.WaiterGrantedTwice, Workload: "locks"},
		{Mutant: mutant.StaleFenceAccepted, Workload: "locks"},
		{Mutant: mutant.ReplicasUncompared, Test: "TestReplicaThatDivergedIsRebuilt", Package: "./shard"},
		{Mutant: mutant.DivergedAnswers, Test: "TestDivergedReplicaAnswersNothing", Package: "./shard"},
		{Mutant: mutant.SnapshotUnverified, Test: "TestAWrongStateIsNotWritten", Package: "./shard"},
		{Mutant: mutant.RebuildWithoutReplay, Test: "TestRebuild", Package: "./fsm"},
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
