package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/server/v3/embed"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 6 && args[0] == "member":
		return member(args[1], args[2], args[3], args[4], args[5])
	case len(args) == 4 && args[0] == "rate":
		connections, err := strconv.Atoi(args[2])
		if err != nil || connections < 1 {
			return fmt.Errorf("bad number of connections %q", args[2])
		}
		duration, err := time.ParseDuration(args[3])
		if err != nil {
			return err
		}
		return rate(strings.Split(args[1], ","), connections, duration)
	}
	return errors.New("usage: etcd member NAME DIR CLIENT-URL PEER-URL CLUSTER | etcd rate ENDPOINTS CONNECTIONS DURATION")
}

// member is a server with etcd's default settings; it runs until SIGTERM.
func member(name, dir, clientURL, peerURL, cluster string) error {
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.InitialCluster, cfg.LogLevel = name, dir, cluster, "error"
	client, err := url.Parse(clientURL)
	if err != nil {
		return err
	}
	peer, err := url.Parse(peerURL)
	if err != nil {
		return err
	}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	defer server.Close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-stop:
		return nil
	case err := <-server.Err():
		return err
	}
}

// locker is a connection with a session and a lock of its own.
type locker struct {
	client  *clientv3.Client
	session *concurrency.Session
	mutex   *concurrency.Mutex
}

func dialAll(ctx context.Context, endpoints []string, n int) ([]locker, error) {
	list := make([]locker, n)
	for i := range list {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoints[i%len(endpoints)]}, DialTimeout: 5 * time.Second})
		if err != nil {
			return nil, err
		}
		session, err := concurrency.NewSession(client, concurrency.WithTTL(60), concurrency.WithContext(ctx))
		if err != nil {
			return nil, err
		}
		list[i] = locker{client, session, concurrency.NewMutex(session, fmt.Sprintf("/bench/%d", i))}
	}
	return list, nil
}

// rate lets every connection take and release a lock of its own, over and over.
// The sessions, and so the leases, are made before.
func rate(endpoints []string, connections int, duration time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), duration+time.Minute)
	defer cancel()
	lockers, err := dialAll(ctx, endpoints, connections)
	if err != nil {
		return err
	}
	took, failed := make([][]time.Duration, connections), make([]error, connections)
	began := time.Now()
	var wg sync.WaitGroup
	for i, l := range lockers {
		wg.Go(func() {
			for time.Since(began) < duration && failed[i] == nil {
				start := time.Now()
				if failed[i] = l.mutex.Lock(ctx); failed[i] == nil {
					failed[i] = l.mutex.Unlock(ctx)
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	wg.Wait()
	elapsed, all := time.Since(began), slices.Concat(took...)
	for _, l := range lockers {
		_ = l.session.Close()
		_ = l.client.Close()
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	slices.Sort(all)
	at := func(percent int) int64 { return all[(len(all)-1)*percent/100].Microseconds() }
	fmt.Printf("rate %.0f p50_us %d p99_us %d\n", float64(len(all))/elapsed.Seconds(), at(50), at(99))
	return nil
}
