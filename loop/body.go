package loop

import (
	"errors"
	"strings"
)

// ErrBodyGone is returned by the methods that ask for the request body if some of
// it has come already, and was thrown away or handed on.
var ErrBodyGone = errors.New("loop: the request body has begun to arrive")

// A BodyFunc takes a piece of a request body, which it borrows; end says that
// it is the last, which may be empty.
type BodyFunc func(x *Exchange, p []byte, end bool)

// A bodyReader is what an exchange does with its request body. The zero
// bodyReader throws it away.
type bodyReader struct {
	each  BodyFunc
	whole func(x *Exchange, body []byte)
	buf   []byte
	kept  int // octets of buf that are charged to the budget of all bodies
	limit int
	begun bool // octets have come, and were handed on or thrown away
	ended bool // so has the end
	due   bool // the end, which is all there is, is to be handed on behind the callback

	hold heldBody
	// owes: whoever takes the pieces gives the credit for them back.
	owes bool
}

func (b *bodyReader) wanted() bool { return !b.ended && (b.each != nil || b.whole != nil) }

// OnBody hands the request body to f piece by piece as it arrives, and returns
// before the first piece: also where there is no body, of which f is told once the
// callback has returned. It is to be called in the handler: once the body has
// begun to arrive it returns ErrBodyGone. f runs on the loop.
func (x *Exchange) OnBody(f BodyFunc) error {
	if err := x.mayDemand(); err != nil {
		return err
	}
	if x.conn.loop.srv.config().IsolateCallbacks {
		each := f
		f = func(x *Exchange, p []byte, end bool) { isolate(func() { each(x, p, end) }) }
	}
	x.body.each = f
	return x.awaitBody()
}

// ReadBody gathers the request body and calls f with it once it is complete;
// f borrows it. A body longer than limit octets (0 means
// [Config.MaxBufferedBody]) is answered with 413, or as [Server.OnError] has it, and f is
// not called. Like OnBody, it is to be called in the handler, and calls f behind it.
func (x *Exchange) ReadBody(limit int, f func(x *Exchange, body []byte)) error {
	if err := x.mayDemand(); err != nil {
		return err
	}
	if limit <= 0 {
		limit = x.conn.loop.srv.config().MaxBufferedBody
	}
	if x.conn.loop.srv.config().IsolateCallbacks {
		whole := f
		f = func(x *Exchange, body []byte) { isolate(func() { whole(x, body) }) }
	}
	x.body.whole, x.body.limit = f, limit
	if n := x.request.ContentLength; n > int64(limit) {
		x.refuseBody()
		return nil
	}
	return x.awaitBody()
}

// awaitBody is demandBody for who is to be called back, but not before its own
// callback has returned.
func (x *Exchange) awaitBody() error {
	if x.calls > 0 && x.conn.protocol.requestEnded(x) && !x.body.hold.end {
		x.body.due = true
		return nil
	}
	return x.demandBody()
}

// mayDemand says why the request body cannot be had: what is left of one that
// has begun must not look like the whole.
func (x *Exchange) mayDemand() error {
	switch {
	case x.isDead():
		return ErrClosed
	case x.off != nil:
		return ErrOffLoop
	case x.body.begun:
		return ErrBodyGone
	default:
		return nil
	}
}

// demandBody lets the client go on if it waits to be told to (RFC 9110,
// Section 10.1.1). A body that has ended already is handed on at once.
func (x *Exchange) demandBody() error {
	if x.conn.protocol.requestEnded(x) && !x.body.hold.end {
		x.onBody(nil, true)
		return nil
	}
	if !x.answered && x.expectsContinue() {
		x.conn.loop.touch(x.conn)
		return x.conn.protocol.writeHeaders(x, 100, nil, false)
	}
	return nil
}

// skipLimit is how much of a body nobody wants is listened to before the answer.
const skipLimit = 64 << 10

// AfterBody calls f when the request body, which is thrown away, has ended. It
// is for handlers that want no body: a peer that sends a small one all the same
// sees an ordinary answer, and not one with a reset behind it. f is called
// without waiting if there is no body, if the body is long, and if the client
// waits to be told whether to send it.
func (x *Exchange) AfterBody(f Handler) {
	if x.isDead() || x.off != nil || x.conn.protocol.requestEnded(x) || x.isTunnel() || x.request.ContentLength > skipLimit || x.expectsContinue() {
		f(x)
		return
	}
	then, skipped := x.conn.loop.srv.handler(f), 0
	x.body.each = func(x *Exchange, p []byte, end bool) {
		if skipped += len(p); end || skipped > skipLimit {
			x.body.each = nil
			then(x)
		}
	}
}

// isTunnel: "A CONNECT request message does not have content." RFC 9110, Section 9.3.6.
// Nor does it end before the answer.
func (x *Exchange) isTunnel() bool { return x.request.Method == "CONNECT" }

func (x *Exchange) expectsContinue() bool {
	return strings.EqualFold(x.Header("expect"), "100-continue")
}

func (x *Exchange) refuseBody() {
	x.conn.loop.cross(limitBody)
	x.giveUpBody(ErrBodyTooLarge, "Content Too Large")
}

// giveUpBody answers a request whose body is not taken.
func (x *Exchange) giveUpBody(err error, text string) {
	x.endBody()
	if !x.answered {
		x.dropFields() // which were for another answer
		if errors.Is(err, ErrOverloaded) {
			_ = x.SetHeader("retry-after", "10")
		}
		x.refuseWith(err, text)
	}
}

// endBody throws away what is there of the body.
func (x *Exchange) endBody() {
	x.conn.loop.shared.ChargeBody(-x.body.kept)
	x.body = bodyReader{}
}

// onBody takes a piece of the body from the stream.
func (x *Exchange) onBody(p []byte, end bool) {
	if x.body.hold.on {
		x.body.hold.keep(p, end)
		return
	}
	x.deliver(p, end)
}

// deliver hands a piece of the body to whoever asked for it, or throws it away.
func (x *Exchange) deliver(p []byte, end bool) {
	c, r := x.conn, x.request
	x.body.due = false
	x.body.begun = x.body.begun || len(p) > 0
	x.body.ended = end
	owes := x.body.owes
	switch {
	case x.body.each != nil:
		x.call(func(x *Exchange) { x.body.each(x, p, end) })
	case x.body.whole != nil:
		x.gather(p, end)
	}
	if len(p) > 0 && !owes && x.request == r {
		c.protocol.consume(x, len(p))
	}
}

func (x *Exchange) gather(p []byte, end bool) {
	b := &x.body
	if len(b.buf)+len(p) > b.limit {
		x.refuseBody()
		return
	}
	if end && len(b.buf) == 0 {
		b.buf = p // arrived in one piece: no copy
	} else {
		sh := x.conn.loop.shared
		if sh.BodyRoom() < len(p) {
			x.conn.loop.cross(limitBodies)
			x.giveUpBody(ErrOverloaded, "Service Unavailable")
			return
		}
		sh.ChargeBody(len(p))
		b.kept += len(p)
		b.buf = append(b.buf, p...)
	}
	if !end {
		return
	}
	f, whole := b.whole, b.buf
	b.whole, b.buf = nil, nil
	x.call(func(x *Exchange) { f(x, whole) })
}
