// Package nemesis injects faults at random times that a seed determines.
//
// Faults are of several classes: processes, network, disks, clocks, leadership. Each
// class that a run asks for has a lane of its own: within a lane one fault
// follows the other, faults of different lanes overlap as chance has it. The
// sequence of faults, their lengths and pauses follow from the seed alone; what
// "the leader" is at the time follows from the cluster.
//
// Every fault says afterwards whether it took effect, by what the system itself
// shows: the process is gone or stands still, nftables has counted dropped
// packets in both directions between nodes that were alive, the node has logged
// that its clock changed, another node leads. A run in which a fault was asked
// for and never took effect proves nothing and has failed.
//
// Faults stay within what Lockstep promises to survive. Data is taken away from
// one node at a time (wipe, bit flips, amnesia), and the next one has its turn
// only when that node has been repaired. Amnesia does so while a minority is
// behind: nothing may be lost then, but the shard waits for those who know.
package nemesis
