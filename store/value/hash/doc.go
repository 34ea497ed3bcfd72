// Package hash is the data structure of a Redis hash: fields with values, in one
// packed block while it is small, in a tree of blocks when it is large. It knows
// no commands.
//
// # Idea
//
// A Hash has one writer, who changes it in place. Freeze takes a View of it, at
// once whatever the size. From then on the writer copies a part that the view
// holds before it first changes it: nodes of the tree, each of a few KiB, never
// the whole. When the view is released, nothing is copied any more. This is the
// epoch rule that the tables of package store go by, too.
//
// The packed form keeps fields in the order in which they came, as Redis's
// listpack does. The large form is a B+-tree in order of (64-bit hash of the
// field, field). There a leaf is one block of bytes, without a pointer per field.
//
// # Guarantees
//
//   - Determinism: hashes that got the same calls, or of which one was built from
//     the fields of the other in their order and in the same form, agree in
//     everything that can be seen. In the large form, and for Size and Sum in
//     both, contents alone count, not what happened before.
//   - Size is arithmetic over counts and lengths; Sum does not depend on an order.
//     Both are at hand at any time.
//   - Scan hands out every field that exists during the whole iteration, once.
//   - A View shows the hash as it was when Freeze was called.
//
// # Concurrency
//
// One writer at a time, and any number of readers, whom the owner keeps out
// while the writer is at work. Freeze counts as reading. A View needs no lock,
// and may be released by any goroutine.
//
// # Limits
//
// Fewer than 2^31 fields, names and values shorter than 4 GiB. The hash function
// is not keyed, since cursors must mean the same on every replica. Fields with
// equal hashes cost no more than others, except that Scan hands them out at once.
package hash
