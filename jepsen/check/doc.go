// Package check judges histories of test runs (package history) against what
// Lockstep promises. Each checker is a pure function from a history to a
// Verdict.
package check
