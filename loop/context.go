package loop

import "context"

// An exchangeContext is the context of one life of an exchange.
type exchangeContext struct {
	context.Context
	cancel     context.CancelCauseFunc
	generation uint64
}

// Context returns a context that ends with the exchange: when the response has been
// sent, when the client has reset the stream, when the connection is gone, and when
// a drain has to cut it off. Its [context.Cause] says why, and is ErrClosed if there
// was no reason but the end of the response.
func (x *Exchange) Context() context.Context {
	if x.isDead() {
		return endedContext()
	}
	return x.handle().Context()
}

// Context returns the context of the exchange: see [Exchange.Context].
func (a Async) Context() context.Context {
	for !a.isOver() {
		c := a.x.ctx.Load()
		if c != nil && c.generation == a.generation {
			return c.Context
		}
		n := &exchangeContext{generation: a.generation}
		n.Context, n.cancel = context.WithCancelCause(context.Background())
		if !a.x.ctx.CompareAndSwap(c, n) {
			n.cancel(nil)
			continue
		}
		if a.isOver() { // and who has ended it may not have seen n
			a.x.ctx.CompareAndSwap(n, nil)
			n.cancel(ErrClosed)
		}
		return n.Context
	}
	return endedContext()
}

func endedContext() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(ErrClosed)
	return ctx
}

// OnAbort has f called, on the loop, if the exchange ends before its response
// does: because of the client, a time limit, [Exchange.Reset], or the end of the
// connection. err says why. The exchange is over by then.
func (x *Exchange) OnAbort(f func(err error)) error {
	switch {
	case x.isDead():
		return ErrClosed
	case x.off != nil:
		return ErrOffLoop
	}
	x.onAbort = f
	return nil
}

// OnDone has f called, on the loop, once the exchange is over: answered, aborted, or
// given up. It is for giving back what serves the request. f must not use the exchange,
// and not block. Several are called in order. A function that is made once, and not for
// each request, costs no allocation.
func (x *Exchange) OnDone(f func()) error {
	switch {
	case x.isDead():
		return ErrClosed
	case x.off != nil:
		return ErrOffLoop
	}
	if before := x.onDone; before != nil {
		last := f
		f = func() {
			defer last() // also if before panics
			before()
		}
	}
	x.onDone = f
	return nil
}

// tellOver calls what [Exchange.OnDone] was given.
func (x *Exchange) tellOver() {
	f := x.onDone
	if f == nil {
		return
	}
	x.onDone = nil
	l := x.conn.loop
	returned := false
	defer l.recoverApp(x.match.Pattern, &returned, nil)
	l.callFunc(f)
	returned = true
}

// tellEnd tells those who wait for the end of x, which is over.
func (x *Exchange) tellEnd(err error) {
	if c := x.ctx.Load(); c != nil {
		x.ctx.CompareAndSwap(c, nil)
		if err == nil {
			c.cancel(ErrClosed)
		} else {
			c.cancel(err)
		}
	}
	if x.handler != nil && err != nil {
		x.handler.ctx.cancel(err)
	}
	f := x.onAbort
	x.onAbort = nil
	if f == nil || err == nil {
		return
	}
	l, pattern := x.conn.loop, x.match.Pattern
	call := func() {
		returned := false
		defer l.recoverApp(pattern, &returned, nil)
		l.callFunc(func() { f(err) })
		returned = true
	}
	// The engine is in the middle of something.
	if l.post(call) != nil {
		call()
	}
}
