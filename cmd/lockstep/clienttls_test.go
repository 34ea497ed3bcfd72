package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
	selfSigned(t, TLSFiles{Cert: other, Key: filepath.Join(dir, "ca.key")}, 1, time.Now().Add(time.Hour))
	secureAddr, plainAddr := secure.Listener.Addr().String(), plain.Listener.Addr().String()
	for _, test := range []struct{ addr, cacert, want string }{
		{secureAddr, other, "--cacert: " + other + " has not the authority that signed the certificate of " + secureAddr},
		{secureAddr, "", "--cacert is missing: this machine does not trust the authority"},
		{plainAddr, other, plainAddr + " does not speak TLS"},
	} {
		pki := clientTLSOptions{cacert: test.cacert}
		_, overRESP := dialRESP(context.Background(), respOptions{tls: true, pki: pki, timeout: 10 * time.Second}, test.addr)
		client, err := newAPIClient(clientOptions{endpoints: []string{"https://" + test.addr}, tls: pki, timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		_, overHTTP := client.do(context.Background(), apiRequest{method: http.MethodPut, path: "/v1/keys/k", mutates: true})
		for _, err := range []error{overRESP, overHTTP} {
			if exitCode(err) != exitUsage || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("%s with --cacert %q: exit code %d, %v; want %q", test.addr, test.cacert, exitCode(err), err, test.want)
			}
		}
	}
}
