package linger

import (
	"io"
	"net"
	"testing"
	"time"
)

// pair returns both ends of a connection.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	if err := client.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return client, server
}

func never() bool { return false }

// A client that sends all before it reads reads the answer.
func TestTheAnswerIsReadAfterAllWasSent(t *testing.T) {
	client, server := pair(t)
	const size = 32 << 20
	done := make(chan int64)
	go func() {
		_, _ = io.WriteString(server, "no")
		n := End(server, Client().Least(time.Minute), never)
		server.Close()
		done <- n
	}()
	if _, err := client.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(client); string(answer) != "no" || err != nil {
		t.Errorf("%q, %v", answer, err)
	}
	client.Close()
	if n := <-done; n != size {
		t.Errorf("%d bytes were thrown away, %d sent", n, size)
	}
}

// Nobody sends for ever, or nothing for ever.
func TestBounds(t *testing.T) {
	const far = time.Hour
	for name, b := range map[string]Bounds{
		"bytes": {1 << 20, far, far}, "total": {1 << 40, far, 50 * time.Millisecond},
	} {
		client, server := pair(t)
		go func() { _, _ = io.Copy(client, zeros{}) }()
		if n := End(server, b, never); n > b.Bytes || n == 0 {
			t.Errorf("%s: %d bytes", name, n)
		}
		server.Close()
	}
	_, server := pair(t)
	if n := End(server, Bounds{1 << 20, 20 * time.Millisecond, far}, never); n != 0 {
		t.Errorf("of a silent client came %d bytes", n)
	}
	client, server := pair(t)
	go func() { _, _ = io.Copy(client, zeros{}) }()
	asked := 0
	if n := End(server, Bounds{1 << 40, far, far}, func() bool { asked++; return asked > 3 }); n != 3*step {
		t.Errorf("%d bytes until it was stopped", n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
