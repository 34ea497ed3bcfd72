// Package list is the data structure of a Redis list: elements in order, in one
// packed block while they are few, in a tree of blocks when they are many. It
// knows no commands.
//
// # Idea
//
// A List has one writer, who changes it in place. Freeze takes a View of it, at
// once whatever the size. From then on the writer copies a part that the view
// holds before it first changes it: nodes of the tree, each of a few KiB, never
// the whole. When the view is released, nothing is copied any more. This is the
// epoch rule of package hash.
//
// The large form is a counted B+-tree (a rope): leaves are blocks of elements, and
// every node knows of each of its kids how many elements it has, their accounted
// bytes and their sum. So the ends, an index, an insertion and the removal of a
// range take O(log n) nodes, whatever the range has.
//
// # Guarantees
//
//   - Determinism: lists that got the same calls, or that have the same elements
//     in the same form, agree in everything that can be seen. Contents and form
//     alone count, not what happened before.
//   - Size is arithmetic over lengths. Sum depends on the order. Both are at hand
//     at any time.
//   - A View shows the list as it was when Freeze was called.
//
// # Form
//
// The caller says with Reserve what is about to come, as Redis does, and with
// Shrink that something went: the list is packed or large by its contents, by the
// limits of Redis's list-max-listpack-size and by what it was before.
//
// # Concurrency
//
// One writer at a time, and any number of readers, whom the owner keeps out
// while the writer is at work. Freeze counts as reading. A View needs no lock,
// and may be released by any goroutine.
//
// # Limits
//
// Fewer than 2^31 elements, each shorter than 4 GiB.
package list
