package main

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/respapi"
	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/internal/config"
)

// A node whose certificate --cacert does not vouch for, or that speaks no TLS, has read
// nothing: that is bad usage over both protocols, and not a write in doubt or a node to
// try again.
func TestCertificatesThatDoNotFit(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	dir := t.TempDir()
	other := filepath.Join(dir, "ca.pem")
	selfSigned(t, config.TLSFiles{Cert: other, Key: filepath.Join(dir, "ca.key")}, 1, time.Now().Add(time.Hour))
	secureAddr, plainAddr := secure.Listener.Addr().String(), plain.Listener.Addr().String()
	for _, test := range []struct{ addr, cacert, want string }{
		{secureAddr, other, "--cacert: " + other + " has not the authority that signed the certificate of " + secureAddr},
		{secureAddr, "", "--cacert is missing: this machine does not trust the authority"},
		{plainAddr, other, plainAddr + " does not speak TLS"},
	} {
		pki := clientTLSOptions{cacert: test.cacert}
		_, overRESP := dialRESP(context.Background(), respOptions{tls: true, pki: pki, timeout: time.Minute}, test.addr)
		api, err := newAPIClient(clientOptions{endpoints: []string{"https://" + test.addr}, tls: pki, timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		_, overHTTP := api.getJSON(context.Background(), client.Request{Method: http.MethodPut, Path: "/v1/keys/k"}, new(any))
		for _, err := range []error{overRESP, overHTTP} {
			if exitCode(err) != exitUsage || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("%s with --cacert %q: exit code %d, %v; want %q", test.addr, test.cacert, exitCode(err), err, test.want)
			}
		}
	}
}

// The Redis protocol's ports tell TLS from none at once: neither side waits for the other.
func TestTLSThatOneSideDoesNotSpeak(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	ctx, hour := context.Background(), time.Hour // longer than the test may take
	secureAddr := secure.Listener.Addr().String()
	conn, err := dialRESP(ctx, respOptions{timeout: hour}, secureAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.close()
	if _, err := conn.command(ctx, "PING"); exitCode(err) != exitUsage || err.Error() != secureAddr+" speaks TLS only: add --tls" {
		t.Errorf("no TLS to a port with it: exit code %d, %v", exitCode(err), err)
	}
	plain := startRESP(t)
	if _, err := dialRESP(ctx, respOptions{tls: true, timeout: hour}, plain); exitCode(err) != exitUsage || !strings.HasPrefix(err.Error(), plain+" does not speak TLS") {
		t.Errorf("TLS to a port without: exit code %d, %v", exitCode(err), err)
	}
}

// startRESP serves the Redis protocol of a fake cluster.
func startRESP(t *testing.T) (addr string) {
	t.Helper()
	table := rooms.Table()
	r := routertest.Open(t, routertest.New(table, routertest.Options{}), table, router.Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := respapi.New(respapi.Options{Listener: l, Backend: respapi.FromRouter(r)})
	go func() { _ = srv.Serve() }()
	t.Cleanup(func() {
		_ = srv.Close(context.Background())
		r.Wait()
	})
	return l.Addr().String()
}
