// Package readme holds no code, only the test that runs the commands of
// README.md, so that they cannot rot.
package readme
