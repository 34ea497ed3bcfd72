// Package clientmem counts the memory that a node's clients hold: query and reply buffers, commands
// queued by MULTI, watched keys, replies that are not read, bodies of HTTP requests and what is decoded
// from them.
//
// Each connection or large request has an Account, all of them share a Budget. When the budget is used
// up, a charge that can be refused (Take) is refused, and one that cannot (Add, Set) ends the accounts
// that hold most, largest first, as Redis's client eviction does (maxmemory-clients). A memory that is
// on its way out counts as used but ends nobody else.
//
// An account tells the budget in steps, so that the commands of a connection whose buffers have reached
// their size touch nothing shared. The estimates are those of Go's allocator, within a quarter; tests
// compare them with the heap.
package clientmem
