package procs

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"time"
)

// State is what a process is doing.
type State string

// The states of a process.
const (
	Down    State = "down"
	Running State = "running"
	Paused  State = "paused" // by SIGSTOP
)

// StateOf reads the state of a process. One that has ended and was not waited for is down.
func StateOf(pid int) State {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Down
	}
	// The name before it may hold anything, also ')'.
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 || i+2 >= len(stat) {
		return Down
	}
	switch stat[i+2] {
	case 'T':
		return Paused
	case 'Z', 'X':
		return Down
	}
	return Running
}

// stopTries are half a minute: a process stands still once it has come to its turn.
const stopTries = 6000

// waitStopped polls the state of a process that was sent SIGSTOP.
func waitStopped(pid int) error {
	for range stopTries {
		switch StateOf(pid) {
		case Paused:
			return nil
		case Down:
			return os.ErrProcessDone
		}
		time.Sleep(5 * time.Millisecond) // between polls
	}
	return fmt.Errorf("process %d goes on running after SIGSTOP", pid)
}

// commandLine is the program and the arguments of a process, nil for one that has ended.
func commandLine(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(text) == 0 {
		return nil
	}
	var words []string
	for word := range bytes.SplitSeq(bytes.TrimSuffix(text, []byte{0}), []byte{0}) {
		words = append(words, string(word))
	}
	return words
}

// hasArgument tells whether a process runs with that argument among others.
func hasArgument(pid int, argument string) bool { return slices.Contains(commandLine(pid), argument) }
