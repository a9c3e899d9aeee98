package loop

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/h2loop/h2loop/internal/origin"
	"github.com/h2loop/h2loop/tlsbridge"
)

// A listener accepts connections and hands them to loops. We accept, gnet
// reacts: gnet's own accept cannot be paused, takes a whole backlog before a
// loop sees one connection, and ends the engine on EMFILE.
type listener struct {
	srv   *Server
	ln    socketListener
	tls   *tlsbridge.Server // nil for cleartext
	fd    int32             // of ln, to ask whether a connection waits; nobody else may use it
	isTCP bool
	waits []bool // the loops that an acceptor waits for; under srv.picking

	inherited socketSettings // what its connections have without our doing

	redirectHTTPS atomic.Int32 // the port; 0 for none
	onlyHTTP2     bool         // NextProtos of the tls.Config says so

	where atomic.Uint32 // of [Handshakes]
	pool  *handshakePool

	accepting atomic.Int32 // acceptors within Accept
	unblocked atomic.Int64 // when dontBlock was called last, in ns since the server was made

	showAddrs   bool // a callback of the tls.Config may ask who connects
	choosesCert bool // a callback of it chooses the certificate
}

// Accept errors are waited out: at first briefly, at most a second.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// listen opens the listener that cfg describes; field is where the user has put
// it.
func (srv *Server) listen(field string, cfg Listener) (*listener, error) {
	l := &listener{srv: srv}
	l.reconfigure(cfg)
	if cfg.TLS != nil {
		tlsCfg := cfg.TLS
		if len(tlsCfg.NextProtos) == 0 {
			tlsCfg = tlsCfg.Clone()
			tlsCfg.NextProtos = []string{"h2", "http/1.1", "http/1.0"}
		}
		l.onlyHTTP2 = !slices.Contains(tlsCfg.NextProtos, "http/1.1")
		l.choosesCert = tlsCfg.GetCertificate != nil || tlsCfg.GetConfigForClient != nil
		l.showAddrs = l.choosesCert
		var err error
		l.tls, err = tlsbridge.NewServer(tlsCfg, tlsbridge.Options{MaxHandshakeBytes: srv.config().MaxHandshakeBytes})
		if err != nil {
			return nil, fmt.Errorf("loop: %s.TLS: %w", field, err)
		}
		l.pool = newHandshakePool(srv, l.tls.HasCallbacks())
	}
	ln := cfg.Listener
	if ln == nil {
		var err error
		if ln, err = openListener(cfg.Network, cfg.Address, cfg.Mode); err != nil {
			return nil, fmt.Errorf("loop: %s: %w", field, err)
		}
	}
	switch ln := ln.(type) {
	case *net.TCPListener:
		l.ln, l.isTCP = ln, true
		l.bequeath(cfg.Listener == nil)
	case *net.UnixListener:
		l.ln = ln
	default:
		return nil, errors.Join(
			fmt.Errorf("loop: %s.Listener is a %T: it must be a *net.TCPListener or a *net.UnixListener", field, ln),
			ln.Close())
	}
	if cfg.Listener == nil {
		l.lengthenBacklog()
	}
	l.control(func(fd int) { l.fd = int32(fd) })
	return l, nil
}

// control calls f with the descriptor of the socket, as long as that is open.
func (l *listener) control(f func(fd int)) {
	if raw, err := l.ln.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// reconfigure takes what may change of a listener.
func (l *listener) reconfigure(cfg Listener) {
	l.redirectHTTPS.Store(int32(cfg.RedirectHTTPS))
	l.where.Store(uint32(cfg.Handshakes))
}

// accept hands connections to loops until the listener is closed. Several
// goroutines run it for one listener, so that a loop which is busy for long,
// and holds up one of them, does not hold up the accepts of the others.
func (l *listener) accept() {
	var spare reserve
	defer spare.close()
	var wait pause
	for {
		nc, err := l.next(&spare)
		switch {
		case err == nil:
			wait = 0
			if !l.enroll(nc, &spare) {
				return
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			if !l.called() {
				return
			}
		case errors.Is(err, net.ErrClosed) || !l.rest(&wait, err):
			return
		}
	}
}

// next accepts a connection if spare is there to keep it.
func (l *listener) next(spare *reserve) (net.Conn, error) {
	if err := spare.hold(); err != nil {
		return nil, err
	}
	l.accepting.Add(1)
	defer l.accepting.Add(-1)
	now := int64(time.Since(l.srv.started))
	if last := l.unblocked.Load(); last == 0 || now-last >= int64(unblockEvery) {
		l.unblocked.Store(now)
		l.dontBlock()
	}
	return l.ln.Accept()
}

// call has those return from Accept who wait there, to look again.
func (l *listener) call() {
	if l.accepting.Load() > 0 {
		_ = l.ln.SetDeadline(time.Unix(1, 0))
	}
}

// called ends a call, unless it is for the end of the server.
func (l *listener) called() bool {
	select {
	case <-l.srv.closing.c:
		return false
	default:
		_ = l.ln.SetDeadline(time.Time{}) // if that undoes what close does, it does so again
		return true
	}
}

// unblockEvery is how often the acceptors look whether the socket has become blocking:
// before each Accept, but for those that follow closely upon another.
const unblockEvery = 10 * time.Millisecond

// A pause is how long to wait for what could not be had. It grows.
type pause time.Duration

// rest waits, because of err, and reports false if the server ends meanwhile.
func (l *listener) rest(p *pause, err error) bool {
	*p = min(max(*p*2, pause(minAcceptPause)), pause(maxAcceptPause))
	if isShortage(err) {
		// No descriptor, or no memory, is left. Those who wait stay in the
		// backlog.
		l.srv.scarcity.near.Store(true)
		l.srv.log.Warn().Err(err).Dur("pause", time.Duration(*p)).Msg("accepting pauses")
	} else {
		l.srv.log.Debug().Err(err).Msg("accept failed")
	}
	select {
	case <-time.After(time.Duration(*p)):
		return true
	case <-l.srv.closing.c:
		return false
	}
}

func isShortage(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// enroll gives nc to a loop, and returns once that has opened it. Where there is
// nothing left to do so with, or no room for it, it waits until there is. It reports
// false if the server has ended before that.
func (l *listener) enroll(nc net.Conn, spare *reserve) bool {
	c := &conn{ln: l, remote: addrPort(nc.RemoteAddr()), local: addrPort(nc.LocalAddr())}
	if ok, crossed := l.srv.admission.admit(c); !ok {
		l.turnAway(nc, c, crossed)
		return true
	}
	defer func() {
		if c.id == 0 { // no loop has opened it
			l.srv.admission.leave(c)
		}
	}()
	l.srv.waitForRoom(c)
	if l.srv.scarcity.near.Load() {
		return l.enrollKept(nc, c, spare)
	}
	err := l.handOver(nc, c, nil)
	if err != nil && isShortage(err) {
		l.srv.scarcity.near.Store(true)
	}
	l.lost(c, err)
	return true
}

// enrollKept is enroll for when descriptors may be short.
func (l *listener) enrollKept(nc net.Conn, c *conn, spare *reserve) bool {
	if err := spare.keep(nc); err != nil {
		l.lost(c, err)
		_ = nc.Close()
		return true
	}
	defer spare.drop()
	for wait := pause(0); ; nc = nil {
		err := l.handOver(nc, c, spare)
		if err == nil || !isShortage(err) {
			l.lost(c, err)
			return true
		}
		if !l.rest(&wait, err) {
			return false
		}
	}
}

// lost tells of a connection that has not come to its loop, because of err, if there is
// one: the peer has left, or the loop has ended.
func (l *listener) lost(c *conn, err error) {
	if err != nil {
		l.srv.log.Debug().Err(err).Stringer("remote", c.remote).Msg("a connection was lost on its way to a loop")
	}
}

// turnAway closes nc, whose address has had its share, with a reset: nothing of it is
// left, whoever would have closed first. To answer would be to serve it.
func (l *listener) turnAway(nc net.Conn, c *conn, crossed limit) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close()
	a := l.srv.admission
	if more, due := a.refused.isDue(a.now(), logPauseTime); due {
		l.srv.log.Warn().Stringer("address", origin.Of(c.remote.Addr())).Str("limit", limitNames[crossed]).Uint64("more_since", more).
			Msg("an address has more connections than it may, or opens them too fast")
	}
}

// handOver gives nc, or what spare keeps of it, to the loop that has the fewest
// connections.
func (l *listener) handOver(nc net.Conn, c *conn, spare *reserve) (err error) {
	if nc == nil {
		if nc, err = spare.again(); err != nil {
			return err
		}
	}
	i, el := l.pickLoop()
	defer l.joined(i)
	c.loop = el
	_, err = el.client.EnrollContext(nc, c) // closes nc
	return err
}

// pickLoop chooses the loop for a new connection: the one with fewest of them,
// among those for which no other acceptor of this listener is waiting. There are
// as many acceptors as loops, so that one is left for each loop that is not busy.
func (l *listener) pickLoop() (i int, el *eventLoop) {
	srv := l.srv
	srv.picking.Lock()
	defer srv.picking.Unlock()
	if l.waits == nil {
		l.waits = make([]bool, len(srv.loops))
	}
	least := int32(math.MaxInt32)
	for j, candidate := range srv.loops {
		if n := candidate.nconns.Load() + candidate.joining; !l.waits[j] && n < least {
			i, el, least = j, candidate, n
		}
	}
	l.waits[i] = true
	el.joining++
	return i, el
}

// joined ends the wait for loop i.
func (l *listener) joined(i int) {
	srv := l.srv
	srv.picking.Lock()
	defer srv.picking.Unlock()
	l.waits[i] = false
	srv.loops[i].joining--
}

// addrPort copies a, because gnet recycles the zone of the original.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
