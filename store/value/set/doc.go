// Package set is the data structure of a Redis set: members, each once, in one of three
// forms, and frozen in constant time.
//
// # Idea
//
// Small sets are one block: of sorted integers of 2, 4 or 8 bytes while all members are such
// (Redis's intset), otherwise of members in the order in which they came (listpack). Large ones
// are a B+-tree in order of (hash of the member, member), as in package hash, without values.
//
// # Guarantees
//
//   - The form is that which Redis 7.2 has after the same commands. It depends on the history,
//     as there: integers that met another member do not become integers again, and what is
//     large stays so. Replicas see the same history; RDB files have the form.
//   - Order of iteration: integers ascending, packed in order of insertion, large by hash.
//   - A member that is there during a whole scan is handed out by it, also when the form
//     changes meanwhile.
//   - Freeze, Clone and what it takes to go on after them do not depend on the number of members.
//   - Size is arithmetic over form, count and lengths.
//
// # Limits
//
// Fewer than 2^31 members, shorter than 4 GiB. Whatever Limits say, one block has less than
// 80 KiB.
package set
