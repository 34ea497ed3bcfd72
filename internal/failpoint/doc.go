// Package failpoint makes named places of the program fail, hang or die on demand, so that tests can
// reach the error paths that a healthy disk or network never shows.
//
// A place calls Inject with its name. In a normal build Inject returns nil and the compiler removes the
// call; with the build tag `failpoints` it runs what Enable, or the environment variable
// LOCKSTEP_FAILPOINTS, has attached to the name:
//
//	LOCKSTEP_FAILPOINTS='raftlog/sync=error(disk gone);raftlog/store=3*sleep(200ms);raftlog/meta=exit(9)'
//
// Actions are error(text), sleep(duration), panic(text), exit(code) and hang (until the process ends).
// The prefix `N*` limits an action to its first N hits, `N-` lets the first N hits pass.
package failpoint
