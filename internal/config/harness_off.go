//go:build !harness

package config

// minSnapshotBytes is the least setting of --snapshot-log-bytes.
const minSnapshotBytes = 1 << 20
