// Package request says what becomes of a request, in types: an Outcome, and for one that failed
// an Error with a machine-readable Code.
//
// An error arises in one of three places. The state machine answers an error reply
// (resp.Value, whose first word is its code and which may have a resp.Class). A shard
// returns a Go error that wraps one of package command's. A room of api refuses a request
// itself, with Code.Reply. All of them become an Error here, once: the Redis port writes its
// code and text, the HTTP port its own name and status of the same code. Nobody looks for
// words in a text.
package request
