// Package cluster runs the nodes that the fault injection works on: real
// processes of a binary built once, with their own data directories, and on Linux
// as root each in a network namespace of its own.
//
// # Network
//
// A namespace holds one end of a veth pair; the other ends meet at a bridge, on
// which the harness itself sits too, as the host of the clients. All addresses
// are made for the run and exist only there. Partitions and loss are nftables
// rules in the namespace of the receiver: a packet from A to B that is cut off
// is dropped on B's input and counted, so that a partition that dropped nothing
// can be told. Clients reach every node at all times: a node that is cut off
// from its peers must know by itself that it may not answer.
//
// Without root the nodes share the loopback network, and are told by files which
// of their peers they do not hear (Network.Kind says what was used). Packets are
// not lost there, and disks do not fail.
//
// # Leaving nothing behind
//
// Every process dies with the harness (PDEATHSIG). Namespaces and bridges carry
// the harness's process id in their names; what a harness that was killed has
// left is removed at the next start.
package cluster
