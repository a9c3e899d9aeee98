package loop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/internal/jobs"
)

// A BlockingHandler answers requests on a goroutine, and may block. x is as
// [Exchange.OffLoop] returns it; ctx is that of the exchange. See
// [Server.HandleBlocking] for what becomes of an error.
type BlockingHandler func(ctx context.Context, x *Exchange) error

// HandleBlocking registers h for pattern, as [Server.Handle] does, with middleware,
// which runs on the loop before. h runs on one of
// [Config.BlockingWorkers] goroutines; when all of them are busy and
// [Config.BlockingQueue] requests wait, or one has waited for [Config.BlockingWait], the
// answer is 503. A request whose client has left keeps its place among those of its
// connection until h has returned.
//
// An error that h returns before it has answered is logged and answered with 500, or
// as [Server.OnError] has it; ErrBodyTooLarge with 413. Behind that it is logged, and
// resets the stream if the response is not complete. A panic costs the stream. A
// [Writer] that h leaves open is closed.
func (srv *Server) HandleBlocking(pattern string, h BlockingHandler, mw ...Middleware) {
	srv.root.HandleBlocking(pattern, h, mw...)
}

// HandleBlocking is [Server.HandleBlocking] with the prefix of the group before the
// path of pattern.
func (g *Group) HandleBlocking(pattern string, h BlockingHandler, mw ...Middleware) {
	if h == nil {
		panic(fmt.Sprintf("loop: pattern %q has no handler", pattern))
	}
	srv := g.srv
	g.add(KindBlocking, pattern, func(x *Exchange) { srv.dispatchBlocking(x, h) }, mw)
	srv.usesWorkers = true
}

// dispatchBlocking has a worker call h.
func (srv *Server) dispatchBlocking(x *Exchange, h BlockingHandler) {
	if x.isAnsweredBefore("a blocking handler") {
		return
	}
	j := &blockingJob{x: x.OffLoop(), h: h, since: time.Since(srv.started)}
	if srv.workers.Add(j) == nil {
		return
	}
	x.conn.loop.cross(limitWorkers)
	_ = x.SetHeader("retry-after", "1")
	_ = x.ResumeBody()
	x.AfterBody(func(x *Exchange) { x.refuseWith(ErrOverloaded, "Service Unavailable") })
}

// isAnsweredBefore reports whether x is over or answered when it comes to what handler
// says: behind middleware that calls next all the same.
func (x *Exchange) isAnsweredBefore(handler string) bool {
	if x.request != nil && x.answered {
		x.conn.loop.srv.log.Error().Str("pattern", x.match.Pattern).Msg("a request that was answered came to " + handler)
	}
	return x.request == nil || x.answered
}

func (srv *Server) startWorkers() (err error) {
	if srv.usesWorkers {
		srv.workers, err = jobs.New(srv.config().BlockingWorkers, srv.config().BlockingQueue)
	}
	return err
}

func (srv *Server) stopWorkers() {
	if srv.workers != nil {
		srv.workers.Close()
	}
}

// working returns how many handlers off the loops have not returned.
func (srv *Server) working() int {
	n := int(srv.handlers.Load())
	if srv.workers != nil {
		n += srv.workers.Load()
	}
	return n
}

// A blockingJob is a request for a worker.
type blockingJob struct {
	x     *Exchange
	h     BlockingHandler
	since time.Duration // when it came, since the server was made
}

// isLate reports whether it has waited for too long.
func (j *blockingJob) isLate() bool {
	srv := j.x.off.of.loop.srv
	most := srv.config().BlockingWait
	return most > 0 && time.Since(srv.started)-j.since > most
}

// refuseLate answers a request that has waited for too long.
func (x *Exchange) refuseLate() {
	x.conn.loop.cross(limitWorkers)
	_ = x.ResumeBody()
	_ = x.SetHeader("retry-after", "1")
	x.refuseWith(ErrOverloaded, "Service Unavailable")
}

// errHandlerPanicked stands for a handler that did not return.
var errHandlerPanicked = errors.New("loop: panic in a blocking handler")

// Run calls the handler.
func (j *blockingJob) Run() {
	x := j.x
	of := x.off.of
	if of.Done() {
		return // before a worker came to it
	}
	if j.isLate() {
		_ = x.tell((*Exchange).refuseLate)
		of.Done()
		return
	}
	returned := false
	err := errHandlerPanicked
	defer func() {
		if !returned {
			of.loop.onPanicOffLoop(x.match.Pattern, recover())
		}
		x.finish(err)
		of.Done() // learns that it is over, if it is
	}()
	if of.loop.srv.config().IsolateCallbacks {
		isolate(func() { err = j.h(of.Context(), x) })
	} else {
		err = j.h(of.Context(), x)
	}
	returned = true
}

// finish sees to what a handler off the loop has left undone.
func (x *Exchange) finish(err error) {
	w := x.off.writer
	switch {
	case x.off.of.isOver():
	case errors.Is(err, errHandlerPanicked):
		_ = x.tell(func(y *Exchange) { _ = y.Reset(frames.ErrCodeInternal) })
	case err == nil && x.answered:
		if w != nil {
			_ = w.Close()
		}
	case err == nil:
		_ = x.tell(func(y *Exchange) { y.async, y.body.each = false, nil }) // which is not to be: see call
	case !x.answered:
		_ = x.tell(func(y *Exchange) { y.fail(err) })
	default:
		x.off.of.loop.srv.logFailure(x.match.Pattern, err)
		if w != nil {
			w.abort()
		}
	}
}
