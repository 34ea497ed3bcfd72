// Package zsets has the commands on sorted sets: ZADD and ZRANGE with their relatives, ZPOPMIN
// and ZPOPMAX, ZUNION, ZINTER and ZDIFF, ZRANDMEMBER and ZSCAN.
//
// A sorted set changes in place (store/value/zset), so replies have copies of what is short, and
// what is written is copied when it is put. Scores are doubles, read as C's strtod does and
// written as Redis 7.2 does. A result that two infinities leave open is 0 in ZUNION and ZINTER,
// and an error in ZINCRBY, as in Redis.
//
// When the scores of a set differ, a range by lex has no meaning. A packed set then answers as
// Redis's listpack does; a large one answers by a binary search, which depends on the members
// alone, so that replicas agree.
package zsets
