package loop

// An Async is a handle on an exchange that outlives the callback. It may be
// used from any goroutine, at any time: once the exchange is over, its methods
// return ErrClosed.
//
// [Async.Do] comes back to the loop, [Async.Continue] goes on with what was
// suspended, [Async.Context] tells when there is nobody any more to answer.
//
// If the client gives an exchange up that is not answered, the work for it may go
// on, and it keeps its place among the concurrent requests of its connection until
// one of the methods has told that it is over: else a client could start any
// amount of work by resetting streams.
type Async struct {
	loop       *eventLoop
	x          *Exchange
	generation uint64
}

// Async keeps x alive after the callback: it is to be answered later, by way of
// the handle.
func (x *Exchange) Async() Async {
	if x.isDead() {
		return Async{}
	}
	if x.off == nil {
		x.async, x.conn.loop.isAwaited = true, true
	}
	return x.handle()
}

// handle returns a handle on x, which is not over.
func (x *Exchange) handle() Async {
	if x.off != nil {
		return x.off.of
	}
	return Async{loop: x.conn.loop, x: x, generation: x.generation.Load()}
}

// Done reports whether the exchange is over.
func (a Async) Done() bool {
	if !a.isOver() {
		return false
	}
	if a.learns() {
		_ = a.loop.post(a.x.learned)
	}
	return true
}

func (a Async) isOver() bool { return a.x == nil || a.x.generation.Load() != a.generation }

// learns reports whether it is now that the application learns that an abandoned
// exchange is over.
func (a Async) learns() bool { return a.x != nil && a.x.owed.CompareAndSwap(a.generation+1, 0) }

// Do calls f on the exchange's loop and returns at once. If the exchange is
// over by then, f is called with nil, so that it may give back what it holds.
// If Do returns an error, the server has ended and f is not called.
func (a Async) Do(f func(x *Exchange)) error {
	if a.x == nil {
		return ErrClosed
	}
	call := a.loop.srv.handler(f)
	return a.loop.post(func() {
		if a.isOver() {
			if a.learns() {
				a.x.learned()
			}
			a.loop.callInVain(call)
			return
		}
		x := a.x
		a.loop.touch(x.conn)
		x.call(call)
	})
}

// callInVain calls f for an exchange that is over.
func (l *eventLoop) callInVain(f func(x *Exchange)) {
	returned := false
	defer l.recoverApp("", &returned, nil)
	f(nil)
	returned = true
}

// Resume has the exchange's source asked again.
func (a Async) Resume() error {
	if a.Done() {
		return ErrClosed
	}
	return a.Do(func(x *Exchange) {
		if x != nil {
			x.conn.protocol.resume(x)
		}
	})
}
