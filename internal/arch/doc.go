// Package arch holds no code, only tests that keep the repository in the shape
// of docs/architecture.md: which package may import which, what the state
// machine must never see, and how large a file may be.
package arch
