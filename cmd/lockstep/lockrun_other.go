//go:build !linux

package main

import "syscall"

// dieWithParent does nothing: only Linux can tie a command to its parent's life.
func dieWithParent(*syscall.SysProcAttr) {}
