// Package quarantine keeps the vote from a replica that has lost its log, until it holds everything that it may
// have acknowledged.
//
// A Guard knows its replica through the small interfaces of Options.
package quarantine
