// Package zset is the data structure of a Redis sorted set: members with scores, in one
// packed block while it is small, in two trees when it is large. It knows no commands.
//
// # Idea
//
// The order is that of (score, bytes of the member). The packed form keeps the members in
// it, as Redis's listpack does. The large form has a tree in it, which counts, so that ranks
// are O(log n); and another one in order of the members' hashes, which finds the score of a
// member and walks in an order that no score changes. Both are of package btree.
//
// A ZSet has one writer, who changes it in place; Freeze takes a View at once, by the rule
// of package epoch.
//
// # Guarantees
//
//   - Determinism: sorted sets with the same members and scores agree in everything that can
//     be seen, whatever happened before, but for the form: packed or large.
//   - Size is arithmetic over counts and lengths; Sum does not depend on an order. Both are
//     at hand at any time.
//   - Scan hands out every member that exists during the whole iteration, once, whatever
//     becomes of its score.
//   - A View shows the set as it was when Freeze was called.
//   - -0 and 0 are equal in order, and a member that has one of them keeps it when it is
//     given the other. A packed set has no -0, as in Redis. No score is NaN.
//
// # Concurrency
//
// One writer at a time, and any number of readers, whom the owner keeps out
// while the writer is at work. Freeze counts as reading. A View needs no lock,
// and may be released by any goroutine.
//
// # Limits
//
// Fewer than 2^31 members, shorter than 4 GiB each.
package zset
