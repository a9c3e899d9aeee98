package loop

import (
	"errors"
	"net/http"
)

// OnError sets what answers when something goes wrong before there is an answer, in
// place of a plain one with [ErrorStatus]: a blocking handler returns an error, a callback
// returns without an answer (ErrUnanswered), and the server refuses a request
// (ErrMethodNotAllowed, ErrBadPath, ErrBodyTooLarge, ErrOverloaded), with the Allow and
// Retry-After fields set. For what no route takes there is [Server.NotFound]; what is no
// request in the first place is answered by the connection.
//
// It runs on the loop, and is to answer at once; if it does not, the plain answer does,
// and what a handler returned is logged. It must be called before Run.
func (srv *Server) OnError(f func(x *Exchange, err error)) {
	srv.mustNotRun("OnError")
	srv.onError = f
}

// Errors that [Server.OnError] is told of, beside those that handlers return and
// [ErrBodyTooLarge].
var (
	// ErrUnanswered: a callback has returned without an answer.
	ErrUnanswered = errors.New("loop: a callback returned without answering")
	// ErrMethodNotAllowed: there are routes for the path, but not for the method.
	ErrMethodNotAllowed = errors.New("loop: no route for this method")
	// ErrBadPath: the path has a malformed percent-encoding.
	ErrBadPath = errors.New("loop: the path has a malformed percent-encoding")
	// ErrOverloaded: [Config.BlockingQueue], [Config.BlockingWait], [Config.HTTPHandlers]
	// or the memory for bodies is used up.
	ErrOverloaded = errors.New("loop: too many requests are being served")
)

// ErrorStatus returns the status of the answer to an error that [Server.OnError] is told
// of: 405, 400, 413 or 503 for those that are listed there, and 500 for any other.
func ErrorStatus(err error) int {
	switch {
	case errors.Is(err, ErrMethodNotAllowed):
		return 405
	case errors.Is(err, ErrBadPath):
		return 400
	case errors.Is(err, ErrBodyTooLarge):
		return 413
	case errors.Is(err, ErrOverloaded):
		return 503
	default:
		return 500
	}
}

// fail answers for a handler that could not.
func (x *Exchange) fail(err error) {
	if x.request == nil || x.answered {
		return
	}
	srv := x.conn.loop.srv
	x.calls++
	x.dropFields() // which were for another answer
	_ = x.ResumeBody()
	status := ErrorStatus(err)
	text := http.StatusText(status)
	switch {
	case errors.Is(err, ErrUnanswered):
		srv.log.Error().Str("pattern", x.match.Pattern).Msg("callback returned without answering")
	case errors.Is(err, ErrBodyTooLarge):
		x.conn.loop.cross(limitBody)
		text = "Content Too Large"
	}
	if !x.offerError(err) {
		if status == 500 && !errors.Is(err, ErrUnanswered) {
			srv.logFailure(x.match.Pattern, err)
		}
		_ = x.SendError(status, text)
	}
	x.leave()
}

// refuseWith answers a request that the server refuses because of err.
func (x *Exchange) refuseWith(err error, text string) {
	x.calls++
	if !x.offerError(err) {
		_ = x.SendError(ErrorStatus(err), text)
	}
	x.leave()
}

// offerError lets the application answer err, and reports whether there is nothing left
// to answer.
func (x *Exchange) offerError(err error) bool {
	if f := x.conn.loop.srv.onError; f != nil && x.request != nil && !x.answered {
		x.call(x.conn.loop.srv.handler(func(x *Exchange) { f(x, err) }))
	}
	return x.request == nil || x.answered
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
