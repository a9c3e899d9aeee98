package tlsbridge

import (
	"crypto/tls"
	"iter"
	"net"
	"runtime/debug"
	"sync/atomic"
)

// A turn says who may touch a handshake.
const (
	turnLoop    uint32 = iota // the loop: nothing runs, and there is no result
	turnStep                  // whoever resumes it
	turnDone                  // the loop: there is a result to be taken over
	turnStopped               // whoever stopped it; if a step ran then, that step
)

// A handshake is the coroutine in which tls.Conn.Handshake runs, and what is
// needed only until it ends. In and out of it go octets of its own, so that it
// may run off the loop: of the Bridge it reaches only the fields of the wire that
// do not change meanwhile.
type handshake struct {
	wire  *wire
	srv   *Server
	conn  *tls.Conn // made with the coroutine, at the first resume
	in    []byte    // what it has not read; borrowed by resume or, in a step, its own
	out   []byte    // what it has written since the loop took over last
	quota int       // octets that the peer may still send
	rec   recordCutter
	ended bool
	err   error // what Handshake returned; valid when ended

	yield  func(struct{}) bool // leaves the coroutine; used by read
	next   func() (struct{}, bool)
	cancel func()

	turn atomic.Uint32
	kept atomic.Pointer[[]byte] // octets for the next step; nil if there are none
}

// resume runs the handshake on until it has read all of in and wants more, or
// has ended; what it has not read stays in h.in. It does nothing if the handshake
// was stopped, and ends the coroutine if it is stopped meanwhile.
//
// The goroutines that call resume, step and stop must all be locked to the same
// thread, or none of them locked: the first of them makes the coroutine.
func (h *handshake) resume(in []byte) {
	if h.begin() {
		h.in = in
		h.advance()
		h.finish()
	}
}

// step is resume with what was kept, if anything.
func (h *handshake) step() {
	if !h.begin() {
		return
	}
	if kept := h.kept.Swap(nil); kept != nil {
		h.in = *kept
		h.advance()
	}
	h.finish()
}

func (h *handshake) begin() bool {
	return h.turn.CompareAndSwap(turnLoop, turnStep)
}

func (h *handshake) finish() {
	if !h.turn.CompareAndSwap(turnStep, turnDone) {
		h.unwind()
	}
}

func (h *handshake) advance() {
	if h.next == nil {
		h.conn = tls.Server(h.wire, h.srv.config)
		h.next, h.cancel = iter.Pull(h.run)
	}
	defer recoverGoexit(&h.ended)
	_, more := h.next()
	h.ended = !more
}

// stop ends the handshake at whatever point it is, and reports whether that is
// done. If it runs, whoever resumed it will end it: its next Read fails and what
// it writes is discarded.
func (h *handshake) stop() (done bool) {
	switch h.turn.Swap(turnStopped) {
	case turnLoop, turnDone:
		h.unwind()
		return true
	default:
		return false
	}
}

func (h *handshake) stopped() bool { return h.turn.Load() == turnStopped }

// unwind ends the coroutine, if it waits: the Read in which it does so fails. It
// lets go of what the handshake holds.
func (h *handshake) unwind() {
	if h.cancel != nil {
		h.end()
	}
	h.conn, h.in, h.out = nil, nil, nil
	h.kept.Store(nil)
}

func (h *handshake) end() {
	defer recoverGoexit(&h.ended)
	h.cancel()
}

// run is the body of the coroutine.
func (h *handshake) run(yield func(struct{}) bool) {
	h.yield = yield
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil {
			h.err = PanicError{Value: ErrGoexit, Stack: debug.Stack()}
			// iter.Pull is about to notice the Goexit and to repeat it in
			// the goroutine that resumes, which is the event loop. A panic
			// from here it hands on as a panic, which can be recovered; the
			// goroutine of the coroutine exits all the same.
			panic(goexitMark{})
		}
		h.err = PanicError{Value: v, Stack: debug.Stack()}
	}()
	h.err = h.conn.Handshake()
	returned = true
}

// read returns octets of one record at most, and yields until there are some.
func (h *handshake) read(p []byte) (int, error) {
	for len(h.in) == 0 && !h.stopped() {
		h.yield(struct{}{})
	}
	if h.stopped() {
		return 0, net.ErrClosed
	}
	n := h.rec.cut(h.in[:min(len(p), len(h.in))])
	if n > h.quota {
		return 0, ErrHandshakeTooLarge
	}
	h.quota -= n
	copy(p, h.in[:n])
	h.in = h.in[n:]
	return n, nil
}

// write takes all of p. Buffers belong to the loop, so this is memory of its own;
// a flight is one write, and one allocation.
func (h *handshake) write(p []byte) {
	if !h.stopped() {
		h.out = append(h.out, p...)
	}
}

// A goexitMark is the panic that stands for a Goexit in the coroutine.
type goexitMark struct{}

// recoverGoexit, deferred, recovers the panic that stands for a Goexit and then
// sets *ended. No other panic leaves run.
func recoverGoexit(ended *bool) {
	switch v := recover(); v.(type) {
	case nil:
	case goexitMark:
		*ended = true
	default:
		panic(v)
	}
}
