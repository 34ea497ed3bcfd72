// Package command is the kernel of the command table: what a command is. The commands
// are in the packages below, and package commandset lists them.
//
// One Spec literal per command drives everything: dispatch, arity, COMMAND and
// COMMAND DOCS, ACL categories, key positions and slot routing, propose or read,
// and docs/commands.md. A command is parsed into an Op, and an Op runs against
// one shard's store. Both steps are pure: time and randomness come from the Ctx
// alone, so every replica that runs the same log computes the same store and the
// same replies.
//
// Commands that concern a connection or a server (PING, HELLO, INFO, CONFIG,
// MULTI, ...) have a Spec too, so that the table is the whole truth about what
// Lockstep speaks, but no Parse: a node runs them, and their Specs are beside
// their handlers in packages api/router and api/admin. Package api/rooms has the
// whole table.
//
// Guarantees:
//   - Exec and RunUnit are total. Any bytes that a log entry or a client holds
//     give a reply, at worst an error; none give a panic.
//   - A reply that is an error changed nothing.
//   - What a command changes, its Ctx says in Effects: no more and no less.
//   - A read changes nothing but access data, and may run twice.
//   - Neither the store nor a reply points into the arguments afterwards. A
//     reply may share memory with the store that store.Entry.Bytes has lent, which stays as it is.
//   - A Table never changes and may be used by any number of goroutines. A Ctx
//     belongs to one.
//
// Replies and error words are those of Redis 7.0.15, compared with a real server
// on random commands; docs/commands.md lists the differences.
package command
