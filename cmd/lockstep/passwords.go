package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/lockstepkv/lockstep/internal/config"
)

const (
	maxSecretFile = 1 << 20
	maxPasswords  = 2 // the new one, and the old one until every client has changed
)

// parsePasswords reads what a password file holds: a password on a line, the one
// to use first. Empty lines do not count.
func parsePasswords(text []byte) ([]string, error) {
	var list []string
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		p := string(bytes.TrimSuffix(line, []byte("\r")))
		if p == "" {
			continue
		}
		if err := config.CheckPassword(p); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	switch {
	case len(list) == 0:
		return nil, errors.New("holds no password")
	case len(list) > maxPasswords:
		return nil, fmt.Errorf("holds %d passwords; at most %d are valid at a time", len(list), maxPasswords)
	}
	return list, nil
}

// passwordOf is the password of a command line tool: that of the flag, of the
// file, or of the environment.
func passwordOf(flag, file string, getenv func(string) string, warn io.Writer) (string, error) {
	if flag != "" && file != "" {
		return "", errors.New("--password and --password-file say two things")
	}
	if flag != "" {
		return flag, nil
	}
	if file == "" && getenv("LOCKSTEP_PASSWORD") != "" {
		return getenv("LOCKSTEP_PASSWORD"), nil
	}
	if file == "" {
		file = getenv("LOCKSTEP_PASSWORD_FILE")
	}
	if file == "" {
		return "", nil
	}
	text, mode, err := readSecret(file)
	if err != nil {
		return "", fmt.Errorf("--password-file: %w", err)
	}
	if why := exposed(file, mode); why != "" {
		fmt.Fprintln(warn, "lockstep: warning:", why)
	}
	list, err := parsePasswords(text)
	if err != nil {
		return "", fmt.Errorf("--password-file: %s %w", file, err)
	}
	return list[0], nil
}

// readSecret reads a file of modest size, with the mode that it had.
func readSecret(path string) (text []byte, mode fs.FileMode, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	text, err = io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err == nil && len(text) > maxSecretFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxSecretFile)
	}
	return text, info.Mode(), err
}

// exposed tells what is wrong with a secret that every user of the machine can
// read; "" if nothing is. A group may read it: that is how certificates are shared.
func exposed(path string, mode fs.FileMode) string {
	if !mode.IsRegular() || mode.Perm()&0o006 == 0 {
		return ""
	}
	return fmt.Sprintf("every user of this machine can read or replace %s (mode %04o); chmod 600 it", path, mode.Perm())
}
