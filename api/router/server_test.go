package router_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

func TestPassword(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{Passwords: []string{"s3cret"}})
	script(t, r, s, `
		GET a => -NOAUTH Authentication required.
		NOPE => -ERR unknown command 'NOPE', with args beginning with: 
		AUTH s3cre => -WRONGPASS invalid username-password pair or user is disabled.
		AUTH root s3cret => -WRONGPASS invalid username-password pair or user is disabled.
		AUTH s3cret => +OK
		GET a => nil
		RESET => +RESET
		GET a => -NOAUTH Authentication required.
		AUTH default s3cret => +OK
		GET a => nil
	`)
	if s.NeedsAuth() {
		t.Error("the session still asks for a password")
	}
	script(t, r, r.NewSession("", router.KindRESP), `
		HELLO 3 AUTH default wrong => -WRONGPASS invalid username-password pair or user is disabled.
		GET a => -NOAUTH Authentication required.
		HELLO 3 AUTH default s3cret SETNAME me => [server redis version 7.0.15 proto 3 id 2 mode standalone role master modules []]
		CLIENT GETNAME => me
	`)
}

// Many guesses at a time from one address are refused unseen, and counted like
// those that were seen; another address is not concerned.
func TestGuessingIsSlow(t *testing.T) {
	reg := prometheus.NewRegistry()
	r, _, _ := newRouter(t, routertest.Options{}, router.Config{Passwords: []string{"s3cret"}, Registerer: reg})
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // nobody waits for the answers
	outcomes, began := make(map[string]int), time.Now()
	for range 100 {
		outcomes[show(r.Do(ctx, r.NewSession("10.0.0.1:1", router.KindRESP), cmd("AUTH wrong")))]++
	}
	wrong, refused := outcomes["-WRONGPASS invalid username-password pair or user is disabled."],
		outcomes["-TRYAGAIN too many failed logins from this address, the password was not looked at"]
	most := 50 + 32*int(time.Since(began)/time.Second) // on a busy machine the answers of the first are given meanwhile
	if wrong+refused != 100 || wrong < 32 || wrong > most {
		t.Errorf("%v, at most %d", outcomes, most)
	}
	if got := show(r.Do(ctx, r.NewSession("10.0.0.1:1", router.KindRESP), cmd("HELLO 3 AUTH default wrong"))); !strings.HasPrefix(got, "-TRYAGAIN") {
		t.Errorf("HELLO: %s", got)
	}
	if got := r.Login(ctx, "10.0.0.2:1", router.KindHTTP, []byte("default"), []byte("wrong")); got != router.LoginWrong {
		t.Errorf("another address: %v", got)
	}
	started := time.Now()
	if got := r.Login(context.Background(), "10.0.0.2:1", router.KindHTTP, []byte("default"), []byte("wrong")); got != router.LoginWrong || time.Since(started) < 50*time.Millisecond {
		t.Errorf("%v after %v", got, time.Since(started))
	}
	script(t, r, r.NewSession("10.0.0.2:1", router.KindRESP), "AUTH s3cret => +OK\n")
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if strings.HasSuffix(f.GetName(), "_logins_total") {
				seen[f.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if seen["lockstep_failed_logins_total resp"] != float64(wrong) || seen["lockstep_failed_logins_total http"] != 2 ||
		seen["lockstep_refused_logins_total resp"] != float64(refused+1) {
		t.Errorf("%v", seen)
	}
}

// Two passwords are valid while clients change from one to the next. Who came in
// with the old one is not told the new one, and nobody changes one node alone.
func TestTwoPasswords(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{Passwords: []string{"old"}})
	script(t, r, s, "AUTH old => +OK\n")
	r.SetPasswords([]string{"new", "old"})
	for _, p := range []string{"new", "old"} {
		script(t, r, r.NewSession("", router.KindRESP), `
			GET a => -NOAUTH Authentication required.
			AUTH newold => -WRONGPASS invalid username-password pair or user is disabled.
			AUTH `+p+` => +OK
			CONFIG GET requirepass => [requirepass (redacted)]
			CONFIG SET requirepass other => -ERR CONFIG SET failed (possibly related to argument 'requirepass') - `+whyNoPassword+`
		`)
	}
	r.SetPasswords([]string{"new"})
	script(t, r, r.NewSession("", router.KindRESP), `
		AUTH old => -WRONGPASS invalid username-password pair or user is disabled.
		AUTH other => -WRONGPASS invalid username-password pair or user is disabled.
		AUTH new => +OK
	`)
	script(t, r, s, "GET a => nil\n") // a connection that has shown one stays
	r.SetPasswords(nil)
	script(t, r, r.NewSession("", router.KindRESP), "CONFIG GET requirepass => [requirepass ]\n")
}

const whyNoPassword = "it would hold on this node alone, and until its next start. Passwords come from the file of --requirepass-file: " +
	"replace it on every node, it is read again within seconds or on SIGHUP. It may hold two passwords while clients change"
