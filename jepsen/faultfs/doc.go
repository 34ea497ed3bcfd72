// Package faultfs is a file system for testing what programs make of disks that
// fail. It lives in memory and is mounted through FUSE.
//
// It knows two states of every file and directory: what programs see, and what is
// on the disk. A write changes the first; fsync or fdatasync of a file brings its
// bytes and its length to the second, fsync of a directory its names. PowerOff
// lets go of the difference, as a power failure does:
//
//   - Of the pages that were written since the last fsync some are on the disk,
//     some are not, and some are there in part: in sectors of 512 bytes.
//   - Of the names that were made, removed or changed in a directory since its
//     last fsync, a random number is on the disk, in the order in which they were
//     made. Fsync of a file does not make its name durable (POSIX promises no
//     more, ext4 does).
//   - A rename from one directory to another is durable at once. Nothing here
//     depends on it.
//
// A failing disk is modelled after Linux ("fsyncgate"; Rebello et al., "Can
// Applications Recover from fsync Failures?", USENIX ATC 2020): an fsync that
// fails says so once, and the pages that it was for count as clean from then on.
// They can be read until the power fails, and are never written to the disk
// unless the program writes them again.
package faultfs
