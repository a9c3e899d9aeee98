package loop

import "errors"

// OnError sets what answers in place of 500 when a blocking handler returns an error
// before it has answered, and when a callback returns without an answer, with
// ErrUnanswered. It runs on the loop; if it does not answer, 500 does, and the error
// is logged. It must be called before Run.
func (srv *Server) OnError(f func(x *Exchange, err error)) {
	srv.mustNotRun("OnError")
	srv.onError = f
}

// ErrUnanswered is what [Server.OnError] is told of a callback that returns without
// an answer.
var ErrUnanswered = errors.New("loop: a callback returned without answering")

// fail answers for a handler that could not.
func (x *Exchange) fail(err error) {
	if x.request == nil || x.answered {
		return
	}
	srv := x.conn.loop.srv
	x.calls++
	x.dropFields() // which were for another answer
	_ = x.ResumeBody()
	switch {
	case errors.Is(err, ErrUnanswered):
		srv.log.Error().Str("pattern", x.match.Pattern).Msg("callback returned without answering")
	case errors.Is(err, ErrBodyTooLarge):
		x.conn.loop.cross(limitBody)
	}
	if f := srv.onError; f != nil {
		x.call(srv.handler(func(x *Exchange) { f(x, err) }))
	}
	switch {
	case x.request == nil || x.answered:
	case errors.Is(err, ErrBodyTooLarge):
		_ = x.SendError(413, "Content Too Large")
	default:
		if !errors.Is(err, ErrUnanswered) {
			srv.logFailure(x.match.Pattern, err)
		}
		_ = x.SendError(500, "Internal Server Error")
	}
	if x.calls--; x.request == nil && x.calls == 0 {
		x.recycle()
	}
}

func (srv *Server) logFailure(pattern string, err error) {
	srv.log.Error().Str("pattern", pattern).Err(err).Msg("a handler failed")
}

// onPanicOffLoop logs a handler that ended by panic, or, where v is nil, by
// runtime.Goexit.
func (l *eventLoop) onPanicOffLoop(pattern string, v any) {
	if v == nil {
		v = &isolatedEnd{}
	}
	l.onPanic(pattern, v)
}
