package tlsbridge

import (
	"crypto/tls"
	"iter"
	"runtime/debug"
)

// A handshake is the coroutine in which tls.Conn.Handshake runs, and what is
// needed only until it ends.
type handshake struct {
	conn  *tls.Conn
	quota int   // octets that the peer may still send
	err   error // what Handshake returned; valid when resume reported true

	yield   func(struct{}) bool // leaves the coroutine; used by wire.Read
	next    func() (struct{}, bool)
	cancel  func()
	running bool // inside the coroutine now
}

// startHandshake makes the coroutine, which does not run yet. The goroutine
// that calls it and those that call resume must all be locked to the same
// thread, or none of them locked.
func startHandshake(w *wire, s *Server) {
	h := &handshake{conn: tls.Server(w, s.config), quota: s.maxHandshake}
	h.next, h.cancel = iter.Pull(h.run)
	w.hs = h
}

// resume runs the handshake on until it has read all of wire.in and wants more,
// or has ended. It reports whether it has ended; h.err says how.
//
// It touches the handshake and its wire and nothing else of the Bridge, so that
// it can run off the loop, on one goroutine at a time.
func (h *handshake) resume() (ended bool) {
	h.running = true
	defer func() { h.running = false }()
	defer recoverGoexit(&ended)
	_, more := h.next()
	return !more
}

// stop ends the coroutine in the middle: the Read in which it waits fails.
func (h *handshake) stop() {
	var ended bool
	defer recoverGoexit(&ended)
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
