package loop

import (
	"crypto/tls"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Handshakes says where the TLS handshakes of a listener run: their arithmetic
// and the callbacks of the [tls.Config].
type Handshakes uint8

const (
	// HandshakesAuto is HandshakesOffLoop if the tls.Config has callbacks,
	// which may block, or a key that is neither ECDSA nor Ed25519: RSA takes
	// 1 to 2 ms of CPU for each handshake. Else it is HandshakesOnLoop.
	HandshakesAuto Handshakes = iota

	// HandshakesOnLoop runs handshakes on the event loops. It promises that
	// the callbacks do not block.
	HandshakesOnLoop

	// HandshakesOffLoop runs them on goroutines of their own, a bounded number
	// at a time.
	HandshakesOffLoop
)

// A handshakePool runs handshakes off the loops, one step after the other. The
// cap on handshakes in progress bounds what waits in it.
//
// A step runs on a goroutine that is not locked to a thread; see tlsbridge.
type handshakePool struct {
	callbacks bool

	mu      sync.Mutex
	most    int
	queue   []*conn
	running int
}

// blockingSteps is how many handshakes run at once if callbacks may block.
const blockingSteps = 64

// newHandshakePool returns the pool of a listener.
func newHandshakePool(srv *Server, callbacks bool) *handshakePool {
	p := &handshakePool{callbacks: callbacks}
	p.reconfigure(srv.config())
	return p
}

// reconfigure sets how many run at once.
func (p *handshakePool) reconfigure(cfg *Config) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case cfg.HandshakeWorkers > 0:
		p.most = cfg.HandshakeWorkers
	case p.callbacks:
		p.most = blockingSteps
	default:
		// What burns CPU must leave some to the loops.
		p.most = max(1, runtime.GOMAXPROCS(0)/2)
	}
}

// step has the next step of the handshake of c run. conn.stepped follows on its
// loop.
func (p *handshakePool) step(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, c)
	if p.running < p.most {
		p.running++
		go p.run()
	}
}

// run runs steps until none waits.
func (p *handshakePool) run() {
	for {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.queue = nil
			p.running--
			p.mu.Unlock()
			return
		}
		c := p.queue[0]
		p.queue[0] = nil
		p.queue = p.queue[1:]
		p.mu.Unlock()
		c.bridge.Step()
		// A loop that has ended has stopped the bridge.
		_ = c.loop.post(func() { c.loop.guarded(c, (*conn).stepped) })
	}
}

// isOffLoop reports whether handshakes of l run off the loops.
func (l *listener) isOffLoop() bool {
	switch Handshakes(l.where.Load()) {
	case HandshakesOnLoop:
		return false
	case HandshakesOffLoop:
		return true
	default:
		return l.tls.Blocking()
	}
}

// handshake runs the TLS handshake of c on, if there is anything to run it with
// and it may run.
func (c *conn) handshake() error {
	for !c.isStepping && c.bridge.Ready() && c.mayHandshake() {
		if c.ln.isOffLoop() {
			c.isStepping = true
			c.ln.pool.step(c)
			return nil
		}
		if !c.mayStep() {
			return nil
		}
		c.bridge.Step()
		c.loop.shookAt = time.Since(c.loop.srv.started)
		if err := c.bridge.Stepped(c.opened); err != nil {
			return err
		}
	}
	return nil
}

// mayHandshake lets c through the gate. If it has to wait, admitted comes later.
func (c *conn) mayHandshake() bool {
	if t := c.ticket; t != nil {
		return c.isAdmitted
	}
	c.isAdmitted = c.loop.srv.gate.enter(c, c.loop.now)
	if !c.isAdmitted {
		c.loop.cross(limitHandshakes)
	}
	return c.isAdmitted
}

// admitted is called when the gate lets c in that had to wait.
func (c *conn) admitted() {
	if !c.wire.isOpen() || c.ticket == nil {
		return
	}
	c.isAdmitted = true
	c.loop.srv.gate.hear(c.ticket, c.loop.now)
	c.shake()
}

// shake is a turn of c for its handshake.
func (c *conn) shake() {
	c.loop.beginTurn(false)
	c.goOn(c.handshake())
}

// stepped is called when a step of the handshake has run off the loop.
func (c *conn) stepped() {
	c.isStepping = false
	c.loop.beginTurn(false)
	if !c.wire.isOpen() {
		return // and the bridge is stopped
	}
	if c.ticket != nil {
		c.loop.srv.gate.hear(c.ticket, c.loop.now)
	}
	c.setRoom()
	err := c.bridge.Stepped(c.opened)
	if err == nil {
		err = c.handshake()
	}
	c.goOn(err)
}

// goOn ends a turn of the handshake.
func (c *conn) goOn(err error) {
	c.receivedTLS(err)
	c.loop.checkSlow()
	c.flush()
	c.standInLine()
}

// makeRoom is called when others wait for a handshake, and the peer of c has been silent
// in its own since then, or was.
func (c *conn) makeRoom(silent time.Duration) {
	if !c.wire.isOpen() || c.ticket == nil || c.isStepping {
		return // or it is not the peer who is silent
	}
	if c.hasInput() || time.Since(c.loop.srv.started)-silent < c.loop.srv.gate.patience(c.wire.tcpState()) {
		return // the loop is behind, or the answer is on its way
	}
	c.loop.cross(limitHandshakeSlow)
	c.loop.srv.log.Debug().Stringer("remote", c.remote).Msg("a silent handshake makes room for others")
	c.leaveGate(handshakeStalled)
	c.wire.close()
}

// leaveGate ends the handshake of c, if there is one.
func (c *conn) leaveGate(end handshakeEnd) {
	if t := c.ticket; t != nil {
		c.ticket = nil
		c.loop.srv.gate.leave(t, end)
	}
}

// SetCertificates replaces the certificates of all TLS listeners, for the
// handshakes that begin from now on. Connections go on; tickets given out before
// are honoured. If the certificates of one of the listeners cannot be replaced,
// because they come from a callback of its tls.Config or those given here are of
// no use, nothing changes and the error says why. It may be called from any
// goroutine.
func (srv *Server) SetCertificates(certs []tls.Certificate) error {
	srv.certificates.Lock()
	defer srv.certificates.Unlock()
	found := false
	for i, l := range srv.listeners {
		found = found || l.tls != nil
		if l.choosesCert {
			return fmt.Errorf("loop: Config.Listeners[%d].TLS has a GetCertificate or a GetConfigForClient: exchange certificates behind it", i)
		}
	}
	if !found {
		return errors.New("loop: no listener is for TLS")
	}
	for _, l := range srv.listeners {
		if l.tls == nil {
			continue
		}
		if err := l.tls.SetCertificates(certs); err != nil { // the first one, if any
			return fmt.Errorf("loop: %w", err)
		}
	}
	return nil
}
