package loop

// Suspend keeps a request waiting, after the callback and with its body, as middleware
// does that has to ask somebody before the request may go on. The handle is good for
// two things: [Async.Continue] goes on with the next handler, and [Async.Do] answers in
// its place.
func (x *Exchange) Suspend() Async {
	a := x.Async()
	_ = x.PauseBody()
	return a
}

// Continue calls next on the exchange's loop, as if it were called there and then by
// the handler that has suspended the request, and returns at once. It may be called
// from any goroutine. Nothing is called if the exchange is over by then.
func (a Async) Continue(next Handler) error {
	return a.Do(func(x *Exchange) {
		if x == nil {
			return
		}
		x.async = false
		x.body.hold.anew = false
		next(x)
		if !x.body.hold.anew { // by next, which has reasons of its own
			_ = x.ResumeBody()
		}
	})
}
