// Package httpapi is the HTTP JSON interface, for curl and for programs without
// a Redis client. Every request is decoded strictly, becomes commands of the
// router, and is answered as JSON; every error is an RFC 9457 problem document
// that says whether anything happened ("outcome").
//
// # Values
//
// Stored values are bytes, JSON strings are Unicode text. A value that is valid
// UTF-8 travels as "value": "..."; any other as "value_base64": "..." (standard
// base64, RFC 4648 section 4). application/octet-stream carries a value as it is.
//
// # Replies of commands
//
//	nil                                 null
//	simple, bulk, verbatim string       string, or {"value_base64": "..."} unless UTF-8
//	integer                             number
//	double                              number; inf, -inf and nan as strings
//	boolean                             true, false
//	big number                          string
//	array, set, push                    array
//	map                                 object; an array of pairs when a key is no string
//	error                               {"error": "...", "code": "...", "outcome": "..."}
//
// # Limits
//
// A request is never redirected: a node that does not lead the shard forwards.
// Bodies are bounded by the largest value that is allowed, in its longest JSON
// form. A key is one path segment, percent-encoded; that of the empty key is
// empty. Requests that a browser sends for a page of
// another origin are refused.
package httpapi
