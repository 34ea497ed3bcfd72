package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// dial connects to p and introduces itself, with one secret after the other.
func (t *Transport) dial(p *peer, kind connKind, number uint32) (nc net.Conn, err error) {
	for _, secret := range t.shown(p) {
		if nc, err = t.dialShowing(p, kind, number, secret); err == nil {
			p.secret.Store(&secret)
			return nc, nil
		}
		if !errors.Is(err, ErrSecret) {
			return nil, err
		}
	}
	return nil, err
}

func (t *Transport) dialShowing(p *peer, kind connKind, number uint32, secret []byte) (net.Conn, error) {
	if err := t.faults.dial(p.id, dialTimeout, t.ctx.Done()); err != nil {
		return nil, err
	}
	raw, err := t.connect(t.ctx, p.address())
	if err != nil {
		return nil, err
	}
	// Close ends a handshake that is under way.
	stop := context.AfterFunc(t.ctx, func() { raw.Close() })
	defer stop()
	nc, err := t.introduce(raw, p, kind, number, secret)
	if err != nil {
		raw.Close()
		return nil, err
	}
	if nc, err = t.faults.wrap(nc, p.id, Outbound); err != nil {
		raw.Close()
		return nil, err
	}
	return nc, nil
}

// introduce is the dialer's half of the handshake.
func (t *Transport) introduce(raw net.Conn, p *peer, kind connKind, number uint32, secret []byte) (net.Conn, error) {
	if err := raw.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, err
	}
	nc := raw
	if t.tls != nil {
		cfg, err := t.clientTLS(p)
		if err != nil {
			return nil, err
		}
		secured := tls.Client(raw, cfg)
		if err := secured.HandshakeContext(t.ctx); err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		nc = secured
	}
	pre := preamble{kind: kind, number: number, cluster: t.cluster, from: t.id, to: p.id}
	if secret != nil {
		pre.nonce = newNonce()
	}
	if _, err := nc.Write(appendPreamble(nil, pre)); err != nil {
		return nil, err
	}
	if err := respond(nc, pre, secret); err != nil {
		return nil, fmt.Errorf("refused: %w", err)
	}
	return nc, raw.SetDeadline(time.Time{})
}

// accept takes the peers' connections until the listener is closed.
func (t *Transport) accept() {
	for {
		raw, err := t.listener.Accept()
		switch {
		case err == nil:
			st := t.strangers.enter(t.ctx, raw)
			if st == nil {
				raw.Close()
				return
			}
			t.wg.Go(func() { t.welcome(raw, st) })
		case t.ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			t.log.Error("cannot accept connections of peers", "error", err)
			select {
			case <-time.After(100 * time.Millisecond): // out of file descriptors, most likely
			case <-t.ctx.Done():
			}
		}
	}
}

// welcome is a connection's whole life on the acceptor's side.
func (t *Transport) welcome(raw net.Conn, st *stranger) {
	defer raw.Close()
	stop := context.AfterFunc(t.ctx, func() { raw.Close() })
	nc, pre, proof, err := t.examine(raw)
	if err == nil {
		nc, err = t.faults.wrap(nc, pre.from, Inbound)
	}
	if err == nil {
		// An injected fault may hold the bytes back until the connection ends.
		release := context.AfterFunc(t.ctx, func() { nc.Close() })
		_, err = nc.Write(appendVerdict(nil, verdictWelcome, string(proof)))
		release()
	}
	if err == nil {
		err = raw.SetDeadline(time.Time{})
	}
	stop()
	t.strangers.leave(st)
	if err != nil {
		if t.ctx.Err() == nil {
			t.tellRefusal(raw, pre.from, err)
		}
		return
	}
	p := t.all()[pre.from]
	in := t.admit(p, nc, pre)
	defer p.accepted.leave(in)
	p.kickLinks()
	if pre.kind == kindRPC {
		t.serveRPC(in, p, linkClass(pre.number))
		return
	}
	t.serveRaft(in, p, pre.number)
}

// examine is the acceptor's half of the handshake, up to the verdict when that
// is a welcome, which carries the proof.
func (t *Transport) examine(raw net.Conn) (nc net.Conn, pre preamble, proof []byte, err error) {
	if err := raw.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, preamble{}, nil, err
	}
	nc = raw
	if t.tls != nil {
		secured := tls.Server(raw, t.serverTLS())
		if err := secured.HandshakeContext(t.ctx); err != nil {
			return nil, preamble{}, nil, fmt.Errorf("TLS: %w", err)
		}
		nc = secured
	}
	trusted := t.tls != nil
	if pre, err = readPreamble(nc); err == nil {
		if proof, err = t.challenge(nc, pre); err == nil {
			trusted = trusted || proof != nil
			err = t.judge(pre)
		}
	}
	if err == nil {
		err = t.checkCertificate(nc, t.all()[pre.from])
	}
	if err != nil {
		if errors.Is(err, ErrNotLockstep) {
			return nil, pre, nil, err // it would not understand the verdict
		}
		_, _ = nc.Write(refusal(err, t.id, trusted))
	}
	return nc, pre, proof, err
}

// judge decides whether to take a connection. Its errors are worded for a dialer of
// this cluster too; what others are told, refusal decides.
func (t *Transport) judge(pre preamble) error {
	switch {
	case pre.cluster != t.cluster:
		return fmt.Errorf("%w: %q dialed %q", ErrWrongCluster, pre.cluster, t.cluster)
	case pre.to != t.id:
		return fmt.Errorf("%w: this is %q, not %q", ErrWrongNode, t.id, pre.to)
	case t.all()[pre.from] == nil:
		return fmt.Errorf("%w: %q is not among this cluster's nodes", ErrUnknownPeer, pre.from)
	case pre.kind == kindRaft && t.openGroup(pre.number) == nil:
		return fmt.Errorf("%w: %d", ErrUnknownGroup, pre.number)
	}
	return nil
}

// serveRPC serves a connection of calls.
func (t *Transport) serveRPC(in *inbound, p *peer, class linkClass) {
	c := t.newConn(in.nc, p.id, class)
	c.silentTicks = acceptedSilentTicks
	if !t.register(c) {
		closeConn(in.nc)
		return
	}
	defer t.unregister(c)
	c.fail(t.serve(c, in))
	c.finish()
}

// closeConn closes nc without the farewell of TLS, which could wait for a peer
// that does not read.
func closeConn(nc net.Conn) {
	switch c := nc.(type) {
	case *faultConn:
		c.Close()
	case *tls.Conn:
		c.NetConn().Close()
	default:
		nc.Close()
	}
}
