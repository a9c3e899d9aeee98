package loop

import (
	"slices"
	"time"
)

// Reconfigure has cfg hold from now on, as far as a server can change that runs. It
// returns the names of the fields of [Config] that differ from what holds and stay as they
// are, for they are settled when the server is made: Loops, BlockingWorkers,
// BlockingQueue, MaxHandshakeBytes, and Listeners if it has others, or others in another
// order, by their Network, Address and Mode. If cfg is of no use, the error says why and nothing
// changes. It may be called from any goroutine, and also before Run.
//
// Of Listeners that are the same, RedirectHTTPS and Handshakes change; TLS does not, see
// [Server.SetCertificates] and the callbacks of [tls.Config] for that. Logger, Hooks,
// DebugExchanges and IsolateCallbacks are not looked at.
//
// Connections go on. Those that exist keep the limits and timeouts of HTTP2 and HTTP1 that
// they began with, some of which their peers were told, and UserTimeout and MaxConnAge.
// All else holds for them too, within a tenth of a second.
func (srv *Server) Reconfigure(cfg Config) (fixed []string, err error) {
	srv.settings.Lock()
	defer srv.settings.Unlock()
	old := srv.config()
	if cfg.Loops == 0 {
		cfg.Loops = old.Loops // as many as there were CPUs
	}
	if cfg, err = cfg.WithDefaults(); err != nil {
		return nil, err
	}
	keep(&fixed, "Loops", &cfg.Loops, old.Loops)
	keep(&fixed, "BlockingWorkers", &cfg.BlockingWorkers, old.BlockingWorkers)
	keep(&fixed, "BlockingQueue", &cfg.BlockingQueue, old.BlockingQueue)
	keep(&fixed, "MaxHandshakeBytes", &cfg.MaxHandshakeBytes, old.MaxHandshakeBytes)
	cfg.Logger, cfg.Hooks = old.Logger, old.Hooks
	cfg.DebugExchanges, cfg.IsolateCallbacks = old.DebugExchanges, old.IsolateCallbacks
	cfg.HTTP2.EnableConnectProtocol = cfg.HTTP2.EnableConnectProtocol || old.HTTP2.EnableConnectProtocol
	if slices.EqualFunc(cfg.Listeners, old.Listeners, isSameListener) {
		for i, ln := range cfg.Listeners {
			srv.listeners[i].reconfigure(ln)
			cfg.Listeners[i].TLS, cfg.Listeners[i].Listener = old.Listeners[i].TLS, old.Listeners[i].Listener
		}
	} else {
		fixed = append(fixed, "Listeners")
		cfg.Listeners = old.Listeners
	}
	srv.bodies.left.Add(int64(cfg.HTTP2.MaxUnreadTotal) - int64(old.HTTP2.MaxUnreadTotal))
	srv.live.Store(&cfg)
	srv.gate.reconfigure(&cfg)
	srv.admission.reconfigure(&cfg)
	for _, l := range srv.listeners {
		if l.pool != nil {
			l.pool.reconfigure(&cfg)
		}
	}
	for _, el := range srv.runningLoops() {
		_ = el.post(el.adopt) // one that has just begun to run does so at its next tick
	}
	return fixed, nil
}

// keep notes that a setting differs from what it stays at.
func keep(fixed *[]string, name string, value *int, old int) {
	if *value != old {
		*fixed = append(*fixed, name)
		*value = old
	}
}

func isSameListener(a, b Listener) bool {
	return a.Network == b.Network && a.Address == b.Address && a.Mode == b.Mode && (a.TLS == nil) == (b.TLS == nil)
}

// adopt has new settings hold for the connections of the loop.
func (l *eventLoop) adopt() {
	cfg, old := l.srv.config(), l.adopted
	if cfg == old {
		return
	}
	l.adopted = cfg
	l.shared.Reconfigure(cfg.HTTP2)
	l.shared1.Reconfigure(cfg.HTTP1)
	// Connections that keep shorter timeouts are looked at as often as before.
	l.examineEvery = min(l.examineEvery, l.shared.TickEvery(), l.shared1.TickEvery())
	if cfg.IdleTimeout >= old.IdleTimeout && cfg.HandshakeTimeout >= old.HandshakeTimeout {
		return
	}
	for c := l.conns.head; c != nil; c = c.next {
		l.guarded(c, (*conn).lookSooner)
	}
}

// lookSooner has timeouts that have become shorter found in time.
func (c *conn) lookSooner() {
	l := c.loop
	var next time.Duration
	switch {
	case c.finishing:
		return
	case c.stage == stageServing && c.protocol.established():
		next = c.nextExam()
	default:
		next = max(c.since+l.srv.config().HandshakeTimeout, l.now+tick)
	}
	if next < c.timer.deadline {
		l.wheel.arm(&c.timer, next)
	}
}
