package main

import (
	"fmt"
	"os"

	"github.com/lockstepkv/lockstep/transport"
)

// peerSecret reads the cluster's secret; nil without a file.
func peerSecret(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("--peer-secret-file: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("--peer-secret-file: %s can be read or changed by every user of this machine (mode %04o); chmod 600 it", path, info.Mode().Perm())
	}
	if info.Size() > maxSecretFile {
		return nil, fmt.Errorf("--peer-secret-file: %s has %d bytes, more than %d", path, info.Size(), maxSecretFile)
	}
	secret, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--peer-secret-file: %w", err)
	}
	if len(secret) < transport.MinSecretBytes {
		return nil, fmt.Errorf("--peer-secret-file: %s has %d bytes, fewer than %d; make it with: head -c 32 /dev/urandom | base64 > FILE",
			path, len(secret), transport.MinSecretBytes)
	}
	return secret, nil
}
