// Package lists has the commands on lists: pushes and pops, LRANGE, LPOS, LMOVE and their
// relatives. Those that wait for an element are not here.
//
// A list changes in place (store/value/list), so replies have copies of what is short, and
// what is written is copied when it is put. When a list takes its large form ("quicklist"),
// and when it gets the packed one back ("listpack"), is decided where Redis 7.2 does so, by
// list-max-listpack-size.
package lists
