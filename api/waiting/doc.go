// Package waiting is the clients that are blocked in a command: they wait for something
// that the log decides, such as the grant of a lock.
//
// Such a client has a place in a queue of its shard's state (package fsm/wait). Here is the
// client's end of it: the place is asked for, what becomes of it is watched, and the wait
// ends with the outcome, with its deadline, with the client, with its node's life or when
// this node stops. Whichever it is, the place is given up in the log, and what was granted
// to a client that is gone is given back. Errors say whether anything happened, as those of
// the router do.
package waiting
