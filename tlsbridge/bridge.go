package tlsbridge

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
)

// A phase is how far a Bridge has come. It only grows.
type phase uint8

const (
	gathering   phase = iota // the first record is not there whole
	handshaking              // the first record is there
	established              // the handshake is over
	failed                   // an error of TLS ended it
	stopped                  // Stop was called, or a callback panicked
)

// A Bridge is the TLS of one connection, server side.
//
// A Bridge belongs to one event loop: no method but Step may be called from
// anywhere else, and no other blocks. Every Bridge ends with Stop.
type Bridge struct {
	srv   *Server
	wire  wire
	first []byte               // what has come of the first record; nil once phase is above gathering
	conn  *tls.Conn            // nil until the handshake is over, and after Stop
	state *tls.ConnectionState // nil until asked for
	err   error                // why Receive takes no more; the first one stays

	protocol string
	phase    phase
	held     bool // Hold was called
	answered bool // a step of the held handshake has said something
	http2    bool // AllowsHTTP2

	steps atomic.Pointer[handshake] // for Step; nil unless a held handshake is running
}

// SetAddrs sets the addresses that callbacks of the tls.Config find in
// ClientHelloInfo.Conn. It is to be called before Receive, if at all.
func (b *Bridge) SetAddrs(local, remote net.Addr) {
	b.wire.local, b.wire.remote = local, remote
}

// Receive takes the peer's bytes and calls open with each piece of plaintext in
// them. It borrows in and reads all of it; open borrows plain. The handshake is
// complete when open is called first. After Hold it only copies in, as long as
// the handshake is not over.
//
// It returns io.EOF after the peer's close_notify, NotTLSError,
// ErrHandshakeTooLarge, PanicError, what open returned, or an error of
// crypto/tls. From then on it returns the same error, since bytes of the peer
// have been passed over. There may be output pending nevertheless: an alert, or
// what was said before. After io.EOF of a complete handshake and after an error
// of open, Seal and CloseNotify go on working. After Stop it returns
// net.ErrClosed, unless there was another error before.
func (b *Bridge) Receive(in []byte, open func(plain []byte) error) error {
	if b.err != nil {
		return b.err
	}
	if b.phase == gathering {
		in = b.gather(in)
	}
	if b.phase == handshaking && len(in) > 0 {
		in = b.shakeOrKeep(in)
	}
	if b.phase == established && len(in) > 0 {
		b.open(in, open)
	}
	return b.err
}

// HandshakeComplete reports whether the handshake has ended well and Stop was
// not called.
func (b *Bridge) HandshakeComplete() bool { return b.conn != nil }

// Protocol returns what ALPN chose; "" if nothing, or if the handshake has not
// ended. It stays after Stop.
func (b *Bridge) Protocol() string { return b.protocol }

// AllowsHTTP2 reports whether the handshake has ended with a version of TLS and a
// cipher suite that HTTP/2 may use; see AllowedForHTTP2. It stays after Stop.
func (b *Bridge) AllowsHTTP2() bool { return b.http2 }

// ConnectionState returns the state of the connection at the end of the
// handshake, the same one at every call, or nil before the end. It takes it when
// it is first asked, because it is 250 octets that most connections need not
// hold; so after Stop there is one only if it was asked for before.
func (b *Bridge) ConnectionState() *tls.ConnectionState {
	if b.state == nil && b.conn != nil {
		s := b.conn.ConnectionState()
		b.state = &s
	}
	return b.state
}

// Pending lends the ciphertext to send until Sent or Stop, and returns nil if
// there is none.
func (b *Bridge) Pending() []byte {
	b.wire.lent = len(b.wire.out)
	return b.wire.out
}

// Sent ends the loan of Pending: all it lent has been handed on. What was queued
// since then stays pending.
func (b *Bridge) Sent() {
	w := &b.wire
	rest := w.out[w.lent:]
	w.lent = 0
	if len(rest) > 0 {
		w.out = w.out[:copy(w.out, rest)]
		return
	}
	w.release()
}

// CloseNotify queues a close_notify alert if the handshake is over and no other
// alert has ended the connection. After it Seal returns an error; Receive goes
// on.
func (b *Bridge) CloseNotify() {
	if b.phase == established {
		// The alert is a record in out, or was one already: wire.Write
		// does not fail, and no one else could use the error.
		_ = b.conn.CloseWrite()
	}
}

// Stop ends the bridge at whatever point it is: it ends the coroutine, gives
// buffers back and lets go of the rest. Nothing is pending afterwards, and every
// method is harmless. Stop may be called by the callback of Receive, and again,
// and while Step runs, which then lets go of what it uses when it is done.
func (b *Bridge) Stop() {
	if b.phase == stopped {
		return
	}
	b.phase = stopped
	if b.err == nil {
		b.err = net.ErrClosed
	}
	b.first, b.conn = nil, nil
	b.wire.drop()
	if h := b.wire.hs; h != nil && !h.stop() {
		return // it runs: shake, Step or Stepped sees to the rest
	}
	b.forget()
}

// gather waits until the first record is whole, starts the handshake with it and
// returns what is left of in. A first record that comes in one piece is not
// copied.
func (b *Bridge) gather(in []byte) (rest []byte) {
	if len(b.first) == 0 && isFirstRecord(in) && len(in) >= firstRecordLen(in) {
		b.start()
		return in
	}
	for {
		missing := firstRecordLen(b.first) - len(b.first)
		if missing == 0 {
			break
		}
		if len(in) == 0 {
			return nil
		}
		n := min(missing, len(in))
		b.first = append(b.first, in[:n]...)
		in = in[n:]
		if !isFirstRecord(b.first) {
			prefix := append(bytes.Clone(b.first), in...)
			b.fail(NotTLSError{Prefix: bytes.Clone(prefix[:min(16, len(prefix))])})
			return nil
		}
		if firstRecordLen(b.first) > b.srv.maxHandshake {
			b.fail(ErrHandshakeTooLarge)
			return nil
		}
	}
	first := b.first
	b.start()
	b.shakeOrKeep(first)
	return in
}

func (b *Bridge) start() {
	b.phase = handshaking
	b.first = nil
	b.wire.hs = &handshake{wire: &b.wire, srv: b.srv, quota: b.srv.maxHandshake}
	if b.held {
		b.steps.Store(b.wire.hs)
	}
}

// shakeOrKeep feeds in to the handshake, or keeps it for a step. It returns what
// is left of in, which is nothing while the handshake goes on.
func (b *Bridge) shakeOrKeep(in []byte) (rest []byte) {
	if b.held {
		b.keep(in)
		return nil
	}
	h := b.wire.hs
	h.resume(in)
	if h.stopped() {
		b.forget() // a callback of the tls.Config called Stop
		return nil
	}
	return b.takeOver(h)
}

// takeOver takes over what the handshake has done since it was resumed, and
// returns what it has left of its input.
func (b *Bridge) takeOver(h *handshake) (rest []byte) {
	b.wire.take(h.out)
	rest, h.out, h.in = h.in, nil, nil
	h.turn.Store(turnLoop)
	if !h.ended {
		return nil
	}
	b.forget()
	b.wire.rec = h.rec
	_, panicked := errors.AsType[PanicError](h.err)
	switch {
	case panicked:
		b.err = h.err
		b.Stop()
	case h.err != nil:
		b.fail(h.err)
	default:
		b.phase = established
		b.conn = h.conn
		state := h.conn.ConnectionState()
		b.protocol = state.NegotiatedProtocol
		b.http2 = AllowedForHTTP2(state.Version, state.CipherSuite)
	}
	return rest
}

// open feeds in to the tls.Conn, record by record, and the plaintext to open.
func (b *Bridge) open(in []byte, open func(plain []byte) error) {
	b.wire.in = in
	defer func() { b.wire.in = nil }()
	plain := b.wire.bufs.plain
	for len(b.wire.in) > 0 { // Stop, called by open, empties it
		// One Read returns all that a record holds, for plain is as large as
		// a record may be. So no plaintext is left in the tls.Conn when
		// wire.in is empty, and it need not be asked once more.
		n, err := b.conn.Read(plain)
		if n > 0 {
			if err := open(plain[:n]); err != nil {
				b.err = err
				return
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, noBytesError{}):
			return
		case errors.Is(err, io.EOF): // close_notify: wire.Read never returns it
			b.err = io.EOF
			return
		default:
			b.fail(err)
			return
		}
	}
}

// fail ends the connection for an error of TLS. What is pending stays so.
func (b *Bridge) fail(err error) {
	b.phase = failed
	b.first = nil
	b.err = err
}
