// Package rooms is the list of the router's rooms, and with that of all commands of a node: those
// that go through the state machine (fsm/commandset), the router's own, and those of the rooms.
package rooms
