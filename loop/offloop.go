package loop

import (
	"crypto/tls"
	"errors"
	"io"
	"slices"

	"github.com/h2loop/h2loop/internal/message"
)

// Errors of what has its place on the loop only, or off it only.
var (
	ErrOffLoop = errors.New("loop: this is for callbacks on the loop")
	ErrOnLoop  = errors.New("loop: this would block the loop")
)

// ErrBodyTooLarge is returned by [Exchange.ReadAll] for a body above its limit.
var ErrBodyTooLarge = errors.New("loop: the request body is too large")

// An offLoop is what an exchange has that a goroutine uses: see [Exchange.OffLoop].
type offLoop struct {
	of       Async // the exchange on the loop
	version  string
	tls      *tls.ConnectionState
	bodyGone error
	bodyless bool
	reader   *BodyReader
	writer   *Writer
}

// OffLoop returns the exchange for one goroutine to use, off the loop and for as
// long as it likes; x itself is alive until that has answered, as after
// [Exchange.Async]. What it says of the request are copies. Its answer, and the
// fields set for it, are kept and handed over to the loop at once, so that what
// returns nil may still come too late; once the exchange is over its methods return
// ErrClosed. The body is read with [Exchange.BodyReader] or [Exchange.ReadAll] and,
// piece by piece, written with [Exchange.Writer], which wait.
//
// What calls back on the loop (OnBody, ReadBody, PauseBody, OnAbort, Stream) returns
// ErrOffLoop; a handler given to AfterBody is called at once.
//
// [Server.HandleBlocking] does this, and has a bound on the goroutines.
func (x *Exchange) OffLoop() *Exchange {
	switch {
	case x.off != nil:
		return x
	case x.isDead(): // which others are about to use again
		return &Exchange{conn: x.conn, off: &offLoop{bodyGone: ErrClosed}}
	}
	d := new(struct {
		Exchange
		offLoop
		message.Request
	})
	y := &d.Exchange
	y.off, y.request = &d.offLoop, &d.Request
	*y.off = offLoop{of: x.Async(), version: x.Proto(), tls: x.TLS(), bodyGone: x.mayDemand()}
	y.off.bodyless = x.conn.protocol.requestEnded(x) && !x.body.hold.end
	fields := slices.Clone(x.request.ReadFields())
	*y.request = *x.request
	y.request.Fields = fields
	y.request.Trailers = nil
	y.conn, y.path, y.query = x.conn, x.path, x.query
	y.match = x.match.Clone()
	y.fields = slices.Clone(x.fields)
	y.trailers = slices.Clone(x.trailers)
	y.answered = x.answered
	if !x.body.wanted() && !x.answered {
		x.body.hold.on, x.body.hold.anew = true, true // for who may ask for it
	}
	return y
}

// handOver has the loop answer with the fields set so far, by send, which is called
// once: with nil if the exchange is over. If it is patient, a body that nobody reads
// ends first, if that is short.
func (x *Exchange) handOver(patient bool, send Handler) error {
	x.answered = true
	fields, trailers := x.fields, x.trailers
	patient = patient && x.off.reader == nil
	return x.off.of.Do(func(y *Exchange) {
		if y == nil {
			send(nil)
			return
		}
		if !y.answered {
			y.fields = append(y.fields[:0], fields...)
			y.trailers = trailers
		}
		if patient {
			_ = y.ResumeBody()
			y.AfterBody(send)
			return
		}
		send(y)
	})
}

// handOverOwned is handOver for an answer that takes what release gives back.
func (x *Exchange) handOverOwned(status int, release func(), send Handler) error {
	err := x.mayAnswer(status)
	if err == nil {
		err = x.handOver(false, func(y *Exchange) {
			if y == nil {
				release()
				return
			}
			send(y)
		})
	}
	if err != nil {
		x.releaseOnLoop(release)
	}
	return err
}

// releaseOnLoop has the loop call release, where it is always called, unless that has
// ended.
func (x *Exchange) releaseOnLoop(release func()) {
	if x.conn != nil {
		l := x.conn.loop
		if l.post(func() { l.callInVain(func(*Exchange) { release() }) }) == nil {
			return
		}
	}
	release()
}

// tell has the loop call f, unless the exchange is over.
func (x *Exchange) tell(f Handler) error {
	if x.off.of.isOver() {
		return ErrClosed
	}
	return x.off.of.Do(func(y *Exchange) {
		if y != nil {
			f(y)
		}
	})
}

// ReadAll reads the request body to its end, up to limit octets (0 means
// [Config.MaxBufferedBody]), and returns ErrBodyTooLarge if there are more. It waits,
// so that it is for [Exchange.OffLoop]; on the loop it returns ErrOnLoop.
func (x *Exchange) ReadAll(limit int) ([]byte, error) {
	switch {
	case x.off == nil:
		return nil, ErrOnLoop
	case x.isDead():
		return nil, ErrClosed
	}
	if limit <= 0 {
		limit = x.off.of.loop.srv.config().MaxBufferedBody
	}
	if x.request.ContentLength > int64(limit) {
		return nil, ErrBodyTooLarge
	}
	r, err := x.BodyReader()
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if len(body) > limit {
		return nil, ErrBodyTooLarge
	}
	return body, err
}

// readerOffLoop is BodyReader off the loop: the body is asked for at the first Read.
func (x *Exchange) readerOffLoop() (*BodyReader, error) {
	off := x.off
	if off.bodyGone != nil {
		return nil, off.bodyGone
	}
	if off.reader == nil {
		r := newBodyReader(off.of)
		off.reader = r
		if r.ended = off.bodyless; r.ended {
			return r, nil
		}
		r.demand = func() {
			_ = x.tell(func(y *Exchange) {
				_ = y.feed(r)
				_ = y.ResumeBody()
			})
		}
	}
	return off.reader, nil
}

// writerOffLoop is Writer off the loop.
func (x *Exchange) writerOffLoop(status int, length int64, w *Writer) error {
	x.off.writer = w
	err := x.handOver(false, func(y *Exchange) {
		if y == nil {
			(*writerSource)(w).Release()
			return
		}
		_ = y.beginWriter(status, length, w)
	})
	if err != nil {
		(*writerSource)(w).Release()
	}
	return err
}
