package mutant

// ID names a mutant.
type ID string

// The mutants. All has a line on each.
const (
	ReadUnconfirmed       ID = "read-unconfirmed"
	ConfirmEarlierRound   ID = "confirm-earlier-round"
	ReadBeforeBarrier     ID = "read-before-barrier"
	LeaseTooLong          ID = "lease-too-long"
	LeaseWithoutSilence   ID = "lease-without-silence"
	FollowerReadNoWait    ID = "follower-read-no-wait"
	ReachedApart          ID = "reached-looked-at-apart"
	ReachedByLogAlone     ID = "reached-by-log-alone"
	ReadIndexApplied      ID = "read-index-applied"
	ConfirmAnyTerm        ID = "confirm-any-term"
	ReadTermUnseen        ID = "read-term-unseen"
	FollowerTermUnseen    ID = "follower-term-unseen"
	AckTermUnseen         ID = "ack-term-unseen"
	ToldInSilence         ID = "told-in-silence"
	LeaseFromEnd          ID = "lease-from-end"
	RestoreNotReached     ID = "restore-not-reached"
	LeaseAfterHandover    ID = "lease-after-handover"
	TransferUnasked       ID = "transfer-unasked"
	EstablishOnce         ID = "establish-once"
	AckBeforeCommit       ID = "ack-before-commit"
	FsyncSkipped          ID = "fsync-skipped"
	FsyncErrorIgnored     ID = "fsync-error-ignored"
	VoteAfterLoss         ID = "vote-after-loss"
	BootByClockAlone      ID = "boot-by-clock-alone"
	ResendAppliedTwice    ID = "resend-applied-twice"
	ResendRenumbered      ID = "resend-renumbered"
	DoubtAsFailure        ID = "doubt-as-failure"
	OnceNotInSnapshot     ID = "once-not-in-snapshot"
	OnceForgetsWhenFull   ID = "once-forgets-when-full"
	ExpiryByLocalClock    ID = "expiry-by-local-clock"
	EvictionPerReplica    ID = "eviction-per-replica"
	SnapshotWithoutNewest ID = "snapshot-without-newest"
	RestoreKeepsOldKeys   ID = "restore-keeps-old-keys"
	SnapshotSumIgnored    ID = "snapshot-sum-ignored"
	MultiNotAtomic        ID = "multi-not-atomic"
	WatchMissesReturn     ID = "watch-misses-return"
	StaleAgeUnderstated   ID = "stale-age-understated"
	HeartbeatFastPath     ID = "heartbeat-fast-path"
	StampByWallClock      ID = "stamp-by-wall-clock"
	TickByWallClock       ID = "tick-by-wall-clock"
	UnlockWithoutToken    ID = "unlock-without-token"
	ExpiryIgnoresRenewal  ID = "expiry-ignores-renewal"
	FenceRestarts         ID = "fence-restarts-after-restore"
	WaiterGrantedTwice    ID = "waiter-granted-twice"
	StaleFenceAccepted    ID = "stale-fence-accepted"
	ReplicasUncompared    ID = "replicas-uncompared"
	DivergedAnswers       ID = "diverged-answers"
	SnapshotUnverified    ID = "snapshot-unverified"
	RebuildWithoutReplay  ID = "rebuild-without-replay"
)

// Mutant is one deliberate bug.
type Mutant struct {
	ID  ID
	Bug string // what is wrong, in one line
}

// All lists the mutants.
func All() []Mutant {
	return []Mutant{
		{ReadUnconfirmed, "a leader answers reads without asking a quorum whether it still leads"},
		{ConfirmEarlierRound, "a read counts a confirmation round that began before the read did"},
		{ReadBeforeBarrier, "a new leader answers before it has applied what was committed before its term"},
		{LeaseTooLong, "a lease lasts longer than a new leader waits"},
		{LeaseWithoutSilence, "a new leader does not wait until older leases are over"},
		{FollowerReadNoWait, "a follower answers before it has applied what the leader named"},
		{ReachedApart, "whether a state has reached the read's index is looked at before the state is"},
		{ReachedByLogAlone, "a follower looks for the newest command in its own log before it has committed that far"},
		{ReadIndexApplied, "a read's index is what the leader has applied, not what it has committed"},
		{ConfirmAnyTerm, "a round confirms the term that the leader has by then, not the one it has noted"},
		{ReadTermUnseen, "a leader does not look at its term after reading"},
		{FollowerTermUnseen, "a follower does not look at its term after reading"},
		{AckTermUnseen, "a leader acknowledges writes by its flag, without looking at its term"},
		{ToldInSilence, "a follower tells of grants in a term of which nobody has served yet"},
		{LeaseFromEnd, "a lease counts from the end of its round, not from the beginning"},
		{RestoreNotReached, "a restored state counts as old until a command comes"},
		{LeaseAfterHandover, "a leader that gave its lease up takes a new one in the same term"},
		{TransferUnasked, "leadership is handed over to a node that gives no sign of life"},
		{EstablishOnce, "a leader that could not open its service does not try again"},
		{AckBeforeCommit, "a leader counts an append as stored when it is sent"},
		{FsyncSkipped, "the log is not flushed to the disk"},
		{FsyncErrorIgnored, "a flush that failed counts as done"},
		{VoteAfterLoss, "a replica that lost its log votes all the same"},
		{BootByClockAlone, "a node that lost its directory numbers its start by its clock alone"},
		{ResendAppliedTwice, "a batch that is sent again to a new leader is applied again"},
		{ResendRenumbered, "a batch that may have been logged is sent again under another number"},
		{DoubtAsFailure, "a write whose outcome is not known is reported as failed"},
		{OnceNotInSnapshot, "a snapshot lacks the records of idempotent requests"},
		{OnceForgetsWhenFull, "ids are forgotten before their time when their memory is used up"},
		{ExpiryByLocalClock, "each node judges by its own clock whether a key's time is up"},
		{EvictionPerReplica, "each replica chooses for itself what to evict"},
		{SnapshotWithoutNewest, "a snapshot lacks the newest writes that it stands for"},
		{RestoreKeepsOldKeys, "restoring a snapshot keeps keys that it does not have"},
		{SnapshotSumIgnored, "the checksum of a snapshot is not compared"},
		{MultiNotAtomic, "others see a transaction half done"},
		{WatchMissesReturn, "WATCH does not notice a key that came and went"},
		{StaleAgeUnderstated, "a stale read says it is younger than it is"},
		{HeartbeatFastPath, "heartbeats change term and state beside Raft's main loop (hashicorp/raft issue 695)"},
		{StampByWallClock, "the log's time follows the leader's wall clock wherever it goes"},
		{TickByWallClock, "a tick is logged when a node's clock says so, not when the log's time would come to it"},
		{UnlockWithoutToken, "anybody can release a lock, whatever the token"},
		{ExpiryIgnoresRenewal, "a lock ends when its first time is over, renewed or not"},
		{FenceRestarts, "fences are counted, and the count is not in the snapshot"},
		{WaiterGrantedTwice, "who got a lock after a wait keeps the place in the queue, and gets it again"},
		{StaleFenceAccepted, "a write with an old fence is applied"},
		{ReplicasUncompared, "a replica does not compare its state with the others'"},
		{DivergedAnswers, "a replica that differs from a majority goes on answering reads"},
		{SnapshotUnverified, "a state is written for replicas without asking whether a majority has the same"},
		{RebuildWithoutReplay, "a replica rebuilt from another's state lacks what it had applied beyond it"},
	}
}
