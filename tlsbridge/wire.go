package tlsbridge

import (
	"net"
	"time"
)

// A wire is the net.Conn under a tls.Conn. It reads from the bytes that Receive
// was given and writes to the bytes that Pending lends.
//
// While a handshake runs it reads and writes octets of its own instead. It may run
// off the loop, and reads hs, local and remote there, which do not change
// meanwhile; the other fields are the loop's.
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
	switch {
	case w.hs != nil:
		return w.hs.read(p)
	case w.stopped:
		return 0, net.ErrClosed
	case len(w.in) == 0:
		return 0, noBytesError{}
	}
	n := w.rec.cut(w.in[:min(len(p), len(w.in))])
	copy(p, w.in[:n])
	w.in = w.in[n:]
	return n, nil
}

// Write takes all of p, always: to crypto/tls any error is permanent.
func (w *wire) Write(p []byte) (int, error) {
	switch {
	case w.hs != nil:
		w.hs.write(p)
	case !w.stopped:
		w.reserve(len(p))
		w.out = append(w.out, p...)
	}
	return len(p), nil
}

// take puts p, memory of its own, behind out.
func (w *wire) take(p []byte) {
	switch {
	case len(p) == 0 || w.stopped:
	case len(w.out) == 0:
		w.release()
		w.out = p
	default:
		w.reserve(len(p))
		w.out = append(w.out, p...)
	}
}

// reserve makes room for n more octets in out.
func (w *wire) reserve(n int) {
	need := len(w.out) + n
	if need <= cap(w.out) {
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

// drop lets go of what the loop alone uses, at Stop.
func (w *wire) drop() {
	w.release()
	w.in, w.lent, w.stopped = nil, 0, true
}

// clear lets go of the rest.
func (w *wire) clear() { *w = wire{bufs: w.bufs, stopped: true} }

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
