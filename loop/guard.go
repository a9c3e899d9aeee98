package loop

import (
	"errors"
	"fmt"
	"runtime/debug"
)

var (
	// errPanicked ends the stream of a source that panicked.
	errPanicked = errors.New("loop: panic in a callback")

	errGoexit = errors.New("loop: a callback called runtime.Goexit, which ended its event loop")
)

// recoverApp, deferred around a call of the application's code, keeps its panic
// from the connection and sets *err, if there is one, in place of what the call
// would have returned. returned tells that the call has returned.
func (l *eventLoop) recoverApp(pattern string, returned *bool, err *error) {
	if *returned {
		return
	}
	v := recover()
	if v == nil {
		l.srv.fail(errGoexit)
		return
	}
	l.onPanic(pattern, v)
	if err != nil {
		*err = errPanicked
	}
}

func (l *eventLoop) onPanic(pattern string, v any) {
	l.srv.panics.Add(1)
	stack := debug.Stack()
	if end, ok := v.(*isolatedEnd); ok {
		if end.panicked == nil {
			l.srv.log.Error().Str("pattern", pattern).Bytes("stack", end.stack).Msg("a callback called runtime.Goexit")
			return
		}
		v, stack = end.panicked, end.stack
	}
	l.srv.log.Error().Str("pattern", pattern).Str("panic", fmt.Sprint(v)).
		Bytes("stack", stack).Msg("panic in a callback")
}

// An isolatedEnd is the panic that stands, on the loop, for how an isolated
// call has ended if it did not return.
type isolatedEnd struct {
	panicked any // nil for a Goexit
	stack    []byte
}

// isolate calls f on a goroutine of its own and waits for it: see
// [Config.IsolateCallbacks]. If f does not return, it panics with an
// *isolatedEnd.
func isolate(f func()) {
	done := make(chan *isolatedEnd, 1)
	go func() {
		returned := false
		defer func() {
			if returned {
				done <- nil
				return
			}
			done <- &isolatedEnd{recover(), debug.Stack()}
		}()
		f()
		returned = true
	}()
	if end := <-done; end != nil {
		panic(end)
	}
}

// handler returns f as it is to be called, isolated or not.
func (srv *Server) handler(f Handler) Handler {
	if !srv.config().IsolateCallbacks {
		return f
	}
	return func(x *Exchange) { isolate(func() { f(x) }) }
}

// callFunc calls f, a function of the application.
func (l *eventLoop) callFunc(f func()) {
	if l.srv.config().IsolateCallbacks {
		isolate(f)
		return
	}
	f()
}

// An appSource is a source of the application, whose panics are caught and whose
// length is held to what was announced: a body that is shorter fails, and so does
// one with a piece that goes beyond; after the last octet it is not asked again.
type appSource struct {
	src     Source
	x       *Exchange // only while the source is asked
	loop    *eventLoop
	pattern string
	left    int64 // -1 if the length is not known
}

// Pull asks the source.
func (s *appSource) Pull(max int) (p []byte, end bool, err error) {
	p, end, err = s.pull(max)
	if err != nil {
		return nil, false, err
	}
	if end, err = s.measure(p, end); end && err == nil {
		err = s.x.writeTrailers()
	}
	return p, end, err
}

// measure holds a piece, and whether it is the last, to the length announced.
func (s *appSource) measure(p []byte, end bool) (last bool, err error) {
	if s.left < 0 {
		return end, nil
	}
	n := int64(len(p))
	switch {
	case n > s.left:
		return false, fmt.Errorf("loop: source yields at least %d octets more than announced", n-s.left)
	case end && n < s.left:
		return false, fmt.Errorf("loop: source ended %d octets before the length announced", s.left-n)
	}
	s.left -= n
	// The end comes with the last octets, so that END_STREAM does.
	return s.left == 0, nil
}

func (s *appSource) pull(max int) (p []byte, end bool, err error) {
	returned := false
	defer s.loop.recoverApp(s.pattern, &returned, &err)
	s.loop.calling(s.pattern)
	defer s.loop.called()
	if s.loop.srv.config().IsolateCallbacks {
		isolate(func() { p, end, err = s.src.Pull(max) })
	} else {
		p, end, err = s.src.Pull(max)
	}
	returned = true
	return p, end, err
}

// Release gives the source back.
func (s *appSource) Release() {
	returned := false
	defer s.loop.recoverApp(s.pattern, &returned, nil)
	s.loop.callFunc(s.src.Release)
	returned = true
}

// An ownedBody is who gives the octets of [Exchange.SendOwned] back. It goes to
// the loop's free list when it has.
type ownedBody struct {
	loop    *eventLoop
	pattern string
	release func()
}

const maxFreeOwned = 1024

func (x *Exchange) newOwnedBody(release func()) *ownedBody {
	l := &x.conn.loop.free
	o := l.owned.Pop()
	if o == nil {
		o = new(ownedBody)
	}
	*o = ownedBody{x.conn.loop, x.match.Pattern, release}
	return o
}

// Release calls back.
func (o *ownedBody) Release() {
	o.call()
	l := &o.loop.free
	*o = ownedBody{}
	l.owned.Push(o, maxFreeOwned)
}

func (o *ownedBody) call() {
	returned := false
	defer o.loop.recoverApp(o.pattern, &returned, nil)
	o.loop.callFunc(o.release)
	returned = true
}
