// Package report writes what a run found: results.json for programs and
// index.html for people, one page without outside assets.
package report
