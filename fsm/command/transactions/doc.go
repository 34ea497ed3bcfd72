// Package transactions describes the words around a transaction: the router keeps the queue
// and the watched versions, and the state machine runs the unit.
package transactions
