package check

// Types of anomalies. Those of transactions are named in package elle.
const (
	// AnomalyPhantom: something was read that no client ever wrote.
	AnomalyPhantom = "phantom"
	// AnomalyFailedVisible: an operation that was reported as failed took effect.
	AnomalyFailedVisible = "failed-visible"
	// AnomalyFuture: something was read before the operation that wrote it began.
	AnomalyFuture = "read-from-future"
	// AnomalyStaleRead: a read missed what had been acknowledged, or seen by
	// others, before it began.
	AnomalyStaleRead = "stale-read"
	// AnomalyLost: something acknowledged or seen is gone for good.
	AnomalyLost = "lost"
	// AnomalyDuplicate: something happened twice that was done once.
	AnomalyDuplicate = "duplicate"
	// AnomalyNotLinearizable: no order of the operations of a key explains the
	// answers.
	AnomalyNotLinearizable = "not-linearizable"

	// AnomalyBelow and AnomalyAbove: a counter outside of its possible bounds.
	AnomalyBelow = "counter-below-bound"
	AnomalyAbove = "counter-above-bound"
	// AnomalyOverlap: two increments claim the same part of the range.
	AnomalyOverlap = "overlapping-increments"

	// AnomalyReadYourWrites and AnomalyMonotonicReads: a client went back in
	// time behind its own writes, or behind its own reads.
	AnomalyReadYourWrites = "read-your-writes"
	AnomalyMonotonicReads = "monotonic-reads"

	// AnomalyOlderThanSaid: a stale read missed a write that is older than the
	// age it told. AnomalyOlderThanAllowed: it told more than was asked for.
	AnomalyOlderThanSaid    = "older-than-said"
	AnomalyOlderThanAllowed = "older-than-allowed"
	// AnomalyIndexDisagreement: two reads of a key at one index of its shard
	// differ.
	AnomalyIndexDisagreement = "index-disagreement"

	// AnomalyResurrected: a key was seen gone, then again with its old value.
	AnomalyResurrected = "resurrected"
	// AnomalyGoneEarly: a key was gone before its time to live was over.
	AnomalyGoneEarly = "gone-early"
	// AnomalyVanished: a key that nothing may remove was gone.
	AnomalyVanished = "vanished"
	// AnomalyExpiredLate: a key was still there after its time.
	AnomalyExpiredLate = "expired-late"

	// AnomalyUnequalReplies: two attempts of one idempotency id were answered
	// differently.
	AnomalyUnequalReplies = "unequal-replies"

	// AnomalyRefusedNewest: a write with the newest fence was refused.
	AnomalyRefusedNewest = "newest-fence-refused"
	// AnomalyFenceReused, AnomalyFenceBackwards: fences did not strictly grow.
	AnomalyFenceReused    = "fence-reused"
	AnomalyFenceBackwards = "fence-backwards"
	// AnomalyOldFenceAccepted: the resource took a write with an older fence
	// after one with a newer fence.
	AnomalyOldFenceAccepted = "old-fence-accepted"
	// AnomalyTwoHolders: two clients certainly held a lock at the same time.
	AnomalyTwoHolders = "two-holders"
	// AnomalyHeldAfterLoss: a renewal or release succeeded although the lock had
	// been granted to somebody else.
	AnomalyHeldAfterLoss = "held-after-loss"

	// AnomalyDivergence: two replicas differ at the same index.
	AnomalyDivergence = "divergence"
)
