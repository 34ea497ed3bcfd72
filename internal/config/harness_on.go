//go:build harness

package config

// minSnapshotBytes is small here, so that snapshots and truncations of the log can
// be forced all the time.
const minSnapshotBytes = 4 << 10
