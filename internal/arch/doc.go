// Package arch holds no code, only tests that keep the repository in the shape
// of docs/architecture.md: which package may import which, what the state
// machine must never see, whose goroutines are watched, how large a file and a
// struct may be, and which names are the language's alone.
package arch
