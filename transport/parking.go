package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
)

// A large reply to a small request would hold up the replies behind it. It is
// parked instead: the caller gets a ticket and fetches the reply over the
// connection for big messages.

const methodFetch Method = 255

const (
	ticketBytes = 8
	// parkedTicks is how long a reply waits to be fetched: about 5 s.
	parkedTicks = 20
)

var errNotParked = errors.New("no such reply is waiting")

// parkedError tells a caller within this package that the reply is parked.
type parkedError struct{ ticket []byte }

func (e *parkedError) Error() string { return "reply is parked" }

type parkedReply struct {
	from  string
	reply []byte
	ticks int
}

// parking holds the large replies of one node.
type parking struct {
	mu      sync.Mutex
	tickets uint64                 // guarded by mu; the last one given out
	replies map[uint64]parkedReply // guarded by mu
}

func (p *parking) put(from string, reply []byte) (ticket []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.replies == nil {
		p.replies = map[uint64]parkedReply{}
	}
	p.tickets++
	p.replies[p.tickets] = parkedReply{from: from, reply: reply}
	return binary.BigEndian.AppendUint64(nil, p.tickets)
}

// fetch is the handler of methodFetch.
func (p *parking) fetch(_ context.Context, from string, req []byte) ([]byte, error) {
	if len(req) != ticketBytes {
		return nil, errNotParked
	}
	ticket := binary.BigEndian.Uint64(req)
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.replies[ticket]
	if !ok || r.from != from {
		return nil, errNotParked
	}
	delete(p.replies, ticket)
	return r.reply, nil
}

// tick forgets replies that nobody fetched.
func (p *parking) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ticket, r := range p.replies {
		if r.ticks++; r.ticks > parkedTicks {
			delete(p.replies, ticket)
			continue
		}
		p.replies[ticket] = r
	}
}
