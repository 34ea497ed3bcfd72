// Package snapshot turns a shard's store into files and back.
package snapshot
