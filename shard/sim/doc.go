// Package sim runs real nodes of a cluster in one process and in virtual time:
// shard.Node with its Raft groups, state machines, sessions and transport,
// unmodified, within a bubble of testing/synctest, over a network and logs of
// memory that fail at random.
//
// What is simulated: the network (connections whose bytes are late, held back, or
// lost with the connection), the disk of the log and of term and vote (a flush
// takes time; a crash keeps a part of what was not flushed), clocks, and the time
// that the state machine takes. What is real: everything else, snapshots on
// files included. Goroutines are scheduled by Go, so a seed gives the same
// faults and not the same run; a failed one prints what happened before.
//
// The checks are those of the promises: reads never go back in (virtual) real
// time, on whichever nodes; increments are counted once; a grant that somebody was
// told of is seen by every later read; one leader serves in a term; equal indexes
// have equal states; what is applied anywhere is on the disks of a quorum.
package sim
