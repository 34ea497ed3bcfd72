package respapi

import (
	"context"
	"time"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/resp"
)

// FromRouter lets the listener's clients talk to r.
func FromRouter(r *router.Router) Backend { return routerBackend{r} }

type routerBackend struct{ *router.Router }

func (b routerBackend) Open(remoteAddr, localAddr string, peer Peer) Session {
	s := b.NewSession(remoteAddr, router.KindRESP, router.WithKill(peer.Kill), router.WithGone(peer.Gone), router.WithLocalAddr(localAddr))
	return routerSession{Session: s, router: b.Router}
}

func (b routerBackend) Clients() int { return b.ClientCount() }

func (b routerBackend) Tuning() Tuning {
	s := b.Settings()
	return Tuning{
		MaxClients:  s.MaxClients,
		IdleTimeout: time.Duration(s.Timeout) * time.Second,
		KeepAlive:   time.Duration(s.TCPKeepalive) * time.Second,
		OutputLimit: s.ClientOutputLimit,
	}
}

type routerSession struct {
	*router.Session
	router *router.Router
}

func (s routerSession) DoPipeline(ctx context.Context, cmds [][][]byte, out []resp.Value) []resp.Value {
	return s.router.DoPipeline(ctx, s.Session, cmds, out)
}
