package tlsbridge

import (
	"net"
	"slices"
	"time"
)

// A wire is the net.Conn under a tls.Conn. It reads from the bytes that Receive
// was given and writes to the bytes that Pending lends.
//
// While a handshake runs, the wire belongs to whoever resumes it: no other
// field of the Bridge is reached from inside the coroutine.
type wire struct {
	in   []byte // borrowed by Receive; empty outside it
	out  []byte // ciphertext to send, from bufs or, during the handshake, from the heap
	lent int    // octets of out that Pending has lent

	bufs *Buffers
	hs   *handshake // nil unless a handshake is running
	rec  recordCutter

	stopped bool // reads fail and never yield, writes are discarded

	local, remote net.Addr
}

// Read returns bytes of one record at most. If there are none it yields while
// the handshake runs, and returns a temporary error after it.
func (w *wire) Read(p []byte) (int, error) {
	for len(w.in) == 0 && !w.stopped {
		if w.hs == nil {
			return 0, noBytesError{}
		}
		if !w.hs.yield(struct{}{}) {
			w.stopped = true
		}
	}
	if w.stopped {
		return 0, net.ErrClosed
	}
	n := w.rec.cut(w.in[:min(len(p), len(w.in))])
	if h := w.hs; h != nil {
		if n > h.quota {
			return 0, ErrHandshakeTooLarge
		}
		h.quota -= n
	}
	copy(p, w.in[:n])
	w.in = w.in[n:]
	return n, nil
}

// Write takes all of p, always: to crypto/tls any error is permanent.
func (w *wire) Write(p []byte) (int, error) {
	if w.stopped {
		return len(p), nil
	}
	w.reserve(len(p))
	w.out = append(w.out, p...)
	return len(p), nil
}

// reserve makes room for n more octets in out.
func (w *wire) reserve(n int) {
	need := len(w.out) + n
	if need <= cap(w.out) {
		return
	}
	if w.hs != nil {
		// Buffers belong to the loop; a handshake may be resumed elsewhere.
		// A flight is one write, so that this is one allocation.
		w.out = slices.Grow(w.out, n)
		return
	}
	out := append(w.bufs.get(need), w.out...)
	w.release()
	w.out = out
}

// release lets go of out. If it is on loan the borrower may be further up the
// stack, in the middle of a write; then nobody else is to get it.
func (w *wire) release() {
	if w.out != nil && w.lent == 0 {
		w.bufs.put(w.out)
	}
	w.out = nil
}

// clear lets go of everything, after Stop.
func (w *wire) clear() {
	w.release()
	*w = wire{bufs: w.bufs, stopped: true}
}

// Close does nothing: a callback that got hold of the connection through
// ClientHelloInfo.Conn may call it, but has no say here.
func (w *wire) Close() error { return nil }

func (w *wire) LocalAddr() net.Addr  { return addrOr(w.local) }
func (w *wire) RemoteAddr() net.Addr { return addrOr(w.remote) }

func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// addrOr returns a, or an address that says nothing: callbacks of tls.Config
// call methods of what RemoteAddr returns.
func addrOr(a net.Addr) net.Addr {
	if a == nil {
		return noAddr{}
	}
	return a
}

type noAddr struct{}

func (noAddr) Network() string { return "tlsbridge" }
func (noAddr) String() string  { return "unknown" }
