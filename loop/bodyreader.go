package loop

import (
	"context"
	"io"
	"slices"
	"sync"

	"github.com/h2loop/h2loop/internal/message"
)

// A BodyReader reads a request body off the loop: an [io.ReadCloser] that waits for
// what is still to come. Its methods may be called from any goroutine, one at a time,
// but not on a loop, which they could block. The client has credit for about as much
// as was read: one that sends faster than its body is read is held up.
type BodyReader struct {
	of     Async
	demand func() // asks for the body, before the first wait; nil once it has
	refund func() // made once
	ready  chan struct{}
	over   context.Context // of the exchange

	mu        sync.Mutex
	buf       []byte
	at        int // buf[:at] was read
	owed      int // octets read whose credit was not returned
	refunding bool
	closed    bool
	ended     bool
	trailers  []message.Field
}

// refundAt is how many octets of credit are worth waking a loop for while there is
// more to read.
const refundAt = 32 << 10

// BodyReader lets a goroutine read the request body, and keeps the exchange alive
// after the callback, as [Exchange.Async] does. Like OnBody, it is to be called in
// the handler. Off the loop it always returns the same.
func (x *Exchange) BodyReader() (*BodyReader, error) {
	if x.off != nil {
		return x.readerOffLoop()
	}
	if err := x.mayDemand(); err != nil {
		return nil, err
	}
	x.async = true
	r := newBodyReader(x.handle())
	return r, x.feed(r)
}

func newBodyReader(of Async) *BodyReader {
	r := &BodyReader{of: of, ready: make(chan struct{}, 1), over: of.Context()}
	r.refund = r.giveCredit
	return r
}

// feed hands the request body to r.
func (x *Exchange) feed(r *BodyReader) error {
	x.body.each, x.body.owes = r.take, true
	return x.demandBody()
}

// take copies a piece of the body.
func (r *BodyReader) take(x *Exchange, p []byte, end bool) {
	r.mu.Lock()
	if r.closed {
		x.conn.protocol.consume(x, len(p))
	} else {
		if r.at > 0 && len(r.buf)+len(p) > cap(r.buf) {
			n := copy(r.buf, r.buf[r.at:])
			r.buf, r.at = r.buf[:n], 0
		}
		r.buf = append(r.buf, p...)
	}
	if end {
		r.ended = true
		r.trailers = slices.Clone(x.seen().Trailers)
	}
	r.mu.Unlock()
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// Read reads what has come of the body, and waits if there is nothing. It returns
// [io.EOF] behind a body that is complete, and why it will not be if the exchange is
// over before.
func (r *BodyReader) Read(p []byte) (n int, err error) {
	return r.ReadContext(context.Background(), p)
}

// ReadContext is Read that gives up, with the error of ctx, when ctx ends.
func (r *BodyReader) ReadContext(ctx context.Context, p []byte) (n int, err error) {
	if r.demand != nil {
		r.demand()
		r.demand = nil
	}
	if len(p) == 0 {
		return 0, nil
	}
	if n, err := r.tryRead(p); n > 0 || err != nil {
		return n, err
	}
	for {
		select {
		case <-r.ready:
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-r.over.Done():
			if n, err := r.tryRead(p); n > 0 || err != nil {
				return n, err
			}
			return 0, context.Cause(r.over)
		}
		if n, err := r.tryRead(p); n > 0 || err != nil {
			return n, err
		}
	}
}

// tryRead reads what is there.
func (r *BodyReader) tryRead(p []byte) (n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, ErrClosed
	}
	n = copy(p, r.buf[r.at:])
	r.at += n
	if r.at == len(r.buf) {
		r.buf, r.at = r.buf[:0], 0
	}
	r.owe(n)
	if n == 0 && r.ended {
		return 0, io.EOF
	}
	return n, nil
}

// owe notes that n octets more are read. mu is held.
func (r *BodyReader) owe(n int) {
	r.owed += n
	if r.owed > 0 && !r.refunding && (len(r.buf) == 0 || r.owed >= refundAt) {
		r.refunding = r.of.loop.post(r.refund) == nil
	}
}

// giveCredit is what owe posts.
func (r *BodyReader) giveCredit() {
	r.mu.Lock()
	n := r.owed
	r.owed, r.refunding = 0, false
	r.mu.Unlock()
	if x := r.of.x; !r.of.isOver() {
		x.conn.loop.touch(x.conn)
		x.conn.protocol.consume(x, n)
	}
}

// Trailers calls yield for each trailer field of the request, which are there once
// Read has returned [io.EOF].
func (r *BodyReader) Trailers(yield func(name, value string) bool) {
	r.mu.Lock()
	trailers := r.trailers
	r.mu.Unlock()
	for _, f := range trailers {
		if !yield(f.Name, f.Value) {
			return
		}
	}
}

// Close throws away what was not read of the body, and what is still to come. A Read
// that waits returns: Close may be called beside it.
func (r *BodyReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		n := len(r.buf) - r.at
		r.closed, r.buf, r.at = true, nil, 0
		r.owe(n)
		select {
		case r.ready <- struct{}{}:
		default:
		}
	}
	return nil
}
