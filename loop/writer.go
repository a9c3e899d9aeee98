package loop

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/internal/message"
)

// A Writer is a response body that a goroutine writes, off the loop: an [io.Writer]
// that waits while the client is slow. Its methods may be called from any goroutine,
// one at a time, but not on a loop, which they could block. See [Stream] for there.
//
// What is written is sent once there are some 4 KiB of it, or upon Flush.
type Writer struct {
	of   Async
	wake func()        // the loop; made once
	room chan struct{} // has an element if there may be room again
	gone chan struct{} // closed when the response is over

	mu       sync.Mutex
	buf      pushBuffer
	left     int64 // octets still to be written; -1 if the length is not known
	trailers []message.Field
	empty    bool // the response has no body: what is written goes nowhere
	idle     bool // Pull had nothing to lend
	waking   bool // wake is posted
	ending   bool
	aborted  bool
	over     bool
}

// errAborted ends the response of a [Writer] whose writer has failed.
var errAborted = errors.New("loop: the response was given up")

// flushAt is how many octets are worth waking a loop for.
const flushAt = 4 << 10

// Writer answers with a body that is written off the loop, of length octets in all;
// -1 means that the length is not known. The exchange lives until [Writer.Close], or
// until the client gives it up.
func (x *Exchange) Writer(status int, length int64) (*Writer, error) {
	if err := x.mayAnswer(status); err != nil {
		return nil, err
	}
	w := x.newWriter(status, length)
	if x.off != nil {
		return w, x.writerOffLoop(status, length, w)
	}
	return w, x.beginWriter(status, length, w)
}

func (x *Exchange) newWriter(status int, length int64) *Writer {
	w := &Writer{
		of:    x.handle(),
		room:  make(chan struct{}, 1),
		gone:  make(chan struct{}),
		left:  max(length, -1),
		empty: x.isEmpty(status),
	}
	w.wake = w.resume
	return w
}

// beginWriter begins the response that w writes.
func (x *Exchange) beginWriter(status int, length int64, w *Writer) error {
	src := (*writerSource)(w)
	if err := x.begin(status, length); err != nil {
		src.Release()
		return err
	}
	if w.empty {
		return nil
	}
	return x.conn.protocol.writeSource(x, src)
}

// Write writes all of p, which it copies, and waits as long as there is no room for
// it. Once the exchange is over it returns ErrClosed.
func (w *Writer) Write(p []byte) (n int, err error) {
	return w.WriteContext(context.Background(), p)
}

// WriteContext is Write that gives up, with the error of ctx, when ctx ends; n is
// what was written until then.
func (w *Writer) WriteContext(ctx context.Context, p []byte) (n int, err error) {
	for {
		k, err := w.tryWrite(p, len(p)+n)
		n += k
		if p = p[k:]; len(p) == 0 || err != nil {
			return n, err
		}
		select {
		case <-w.room:
		case <-w.gone:
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
}

// tryWrite takes what there is room for of p.
func (w *Writer) tryWrite(p []byte, all int) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ending:
		return 0, ErrAnswered
	case w.left >= 0 && int64(len(p)) > w.left:
		return 0, ErrLength
	case w.empty:
		n = len(p)
	case w.over:
		return 0, ErrClosed
	default:
		n = min(len(p), max(w.of.loop.pushLimit()-w.buf.len(), 0))
		w.buf.write(p[:n])
		w.buf.count(w.of.loop)
		if n < len(p) || all > flushAt || w.buf.unsent() >= flushAt {
			w.wakeLoop()
		}
	}
	if w.left >= 0 {
		w.left -= int64(n)
	}
	return n, nil
}

// Flush has what was written sent, and does not wait for it.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return ErrClosed
	}
	w.wakeLoop()
	return nil
}

// AddTrailer is [Exchange.AddTrailer], for who writes the body.
func (w *Writer) AddTrailer(name, value string) error {
	name = strings.ToLower(name)
	if err := message.CheckTrailer(name, value); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ending {
		return ErrAnswered
	}
	w.trailers = append(w.trailers, message.Field{Name: name, Value: value})
	return nil
}

// Close ends the body, behind what was written, and does not wait for it to be sent.
// Every Writer must be closed. If a length was announced that was not written, the
// client sees a reset.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ending:
		return nil
	case w.empty:
	case w.over:
		return ErrClosed
	case w.left > 0:
		w.ending, w.aborted = true, true
		w.wakeLoop()
		return ErrLength
	}
	w.ending = true
	w.wakeLoop()
	return nil
}

// Abort gives the response up, also while a Write waits: see [Stream.Abort]. It does not
// wait, and may be called in place of Close, or behind it.
func (w *Writer) Abort() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return ErrClosed
	}
	w.ending, w.aborted = true, true
	return w.of.loop.post(func() {
		if !w.of.isOver() {
			_ = w.of.x.Reset(frames.ErrCodeInternal)
		}
	})
}

// abort ends the response behind what was written, if it has not ended, in a way that
// the client cannot take for its end.
func (w *Writer) abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ending && !w.over {
		w.ending, w.aborted = true, true
		w.wakeLoop()
	}
}

// wakeLoop has the source asked again, if it had nothing. mu is held.
func (w *Writer) wakeLoop() {
	if w.idle && !w.waking {
		w.waking = w.of.loop.post(w.wake) == nil
	}
}

// resume is what wakeLoop posts.
func (w *Writer) resume() {
	w.mu.Lock()
	w.waking, w.idle = false, false
	w.mu.Unlock()
	if !w.of.isOver() {
		_ = w.of.x.Resume()
	}
}

// A writerSource is a Writer as the connection sees it.
type writerSource Writer

// Pull lends what was written.
func (src *writerSource) Pull(most int) (p []byte, end bool, err error) {
	w := (*Writer)(src)
	w.mu.Lock()
	if w.aborted && w.buf.unsent() == 0 {
		w.mu.Unlock()
		return nil, false, errAborted
	}
	p = w.buf.cut(most)
	w.buf.count(w.of.loop)
	end = w.ending && !w.aborted && w.buf.unsent() == 0
	w.idle = len(p) == 0 && !end
	roomy := w.buf.len() <= w.of.loop.pushLimit()/2
	w.mu.Unlock()
	if roomy {
		select {
		case w.room <- struct{}{}:
		default:
		}
	}
	if end {
		x := w.of.x
		x.trailers = append(x.trailers, w.trailers...)
		err = x.writeTrailers()
	}
	return p, end, err
}

// Release ends it.
func (src *writerSource) Release() {
	w := (*Writer)(src)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.buf.drop(w.of.loop)
	close(w.gone)
}
