// Package command is the command table of Lockstep.
//
// One Spec literal per command drives everything: dispatch, arity, COMMAND and
// COMMAND DOCS, ACL categories, key positions and slot routing, propose or read,
// and the documentation. A command is parsed into an Op, and an Op runs against
// one shard's store. Both steps are pure: time and randomness come from the Ctx
// alone, so every replica that runs the same log computes the same store and the
// same replies.
//
// Commands that concern a connection or a server (PING, HELLO, INFO, CONFIG,
// MULTI, ...) have a Spec here, so that the table is the whole truth about what
// Lockstep speaks, but no Parse: the router runs them.
package command
