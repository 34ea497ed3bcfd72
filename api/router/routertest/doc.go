// Package routertest is a cluster in one process for tests of what lies above
// the shards. A shard is a store under a mutex: no Raft, no network, and every
// failure on demand. It keeps the contract of router.Shard: units run in order
// and whole, reads see all writes that were answered before them.
package routertest
