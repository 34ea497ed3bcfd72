package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/lockstepkv/lockstep/client"
)

// beginWith makes the cluster ready for keys. One that refuses the fences is left
// as it was, and the fences of one that refuses the keys stay as they were.
func (l *restoreLoader) beginWith(ctx context.Context, o restoreOptions, fence uint64) error {
	if !o.flush {
		if err := l.prepare(ctx, o); err != nil {
			return err
		}
	}
	if fence > 0 && !o.withoutFences {
		if err := l.raiseFence(ctx, fence, o.endpoints); err != nil {
			return err
		}
	}
	if o.flush {
		return l.prepare(ctx, o)
	}
	return nil
}

// raiseFence makes every shard's further fences higher than those of the files: a
// lock of the cluster that the backup is of must not be mistaken for a newer one.
// Any node does this for all shards, whoever leads them.
func (l *restoreLoader) raiseFence(ctx context.Context, fence uint64, endpoints []string) error {
	if len(endpoints) == 0 {
		endpoint, err := l.httpEndpoint(ctx)
		if err != nil {
			return err
		}
		endpoints = []string{endpoint}
	}
	api, err := newAPIClient(l.options.overHTTP(endpoints))
	if err != nil {
		return err
	}
	request := client.Request{Method: http.MethodPost, Path: "/v1/fences", Body: fmt.Appendf(nil, `{"above":%d}`, fence), Repeatable: true}
	if _, err := api.getJSON(ctx, request, &struct{}{}); err != nil {
		return fmt.Errorf("raise the fences above the backup's (--endpoint says where over HTTP, --without-fences leaves it out): %w", err)
	}
	return nil
}

// httpEndpoint asks a node of the Redis protocol for its HTTP address.
func (l *restoreLoader) httpEndpoint(ctx context.Context) (string, error) {
	addr := l.slots.Addrs[0]
	conn, err := l.conn(ctx, addr)
	if err != nil {
		return "", err
	}
	info, err := conn.command(ctx, "INFO", "lockstep")
	if err != nil {
		return "", err
	}
	for line := range strings.SplitSeq(string(info.Str), "\r\n") {
		if host, found := strings.CutPrefix(line, "http_address:"); found {
			if l.options.tls {
				return "https://" + host, nil
			}
			return "http://" + host, nil
		}
	}
	return "", fmt.Errorf("%s does not say where it speaks HTTP: give --endpoint, or --without-fences if it is no node of Lockstep", addr)
}

// overHTTP is how to reach the same cluster over HTTP.
func (o respOptions) overHTTP(endpoints []string) clientOptions {
	return clientOptions{endpoints: endpoints, password: o.password, passFile: o.passFile, tls: o.pki, timeout: o.timeout}
}
