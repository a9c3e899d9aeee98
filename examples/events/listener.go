package main

import (
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// A listener is one who was sent the events up to a place. It belongs to the loop of
// its exchange, but for wake.
type listener struct {
	hub    *hub
	async  loop.Async
	stream *loop.Stream
	skips  bool   // when too slow; else it is dropped
	place  int64  // the number of the last event that was taken
	rest   []byte // of that event, which the stream had no room for
	woken  atomic.Bool
}

// listen answers with events, from now on, or behind the one that the client names.
func (h *hub) listen(x *loop.Exchange) {
	seen := int64(-1)
	if s := x.Header("last-event-id"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			_ = x.SendError(400, "Last-Event-ID is a number")
			return
		}
		seen = n
	}
	_ = x.SetHeader("content-type", "text/event-stream")
	_ = x.SetHeader("cache-control", "no-store")
	if x.Method() == "HEAD" {
		_ = x.Send(200, nil)
		return
	}
	l := &listener{hub: h, async: x.Async(), skips: x.Query().Get("slow") == "skip"}
	if err := x.OnAbort(func(error) { h.remove(l) }); err != nil {
		return
	}
	stream, err := x.Stream(200, -1)
	if err != nil {
		return
	}
	l.stream = stream
	l.place = h.add(l, seen)
	l.stream.OnWritable(func(*loop.Stream) { l.write() })
	_, _ = l.stream.TryWrite([]byte("retry: 1000\n\n")) // how soon a client comes back, in ms
	l.write()
}

// wake has l write, on its loop. It may be called from anywhere, and while l has not
// come to it, any number of times for the price of one.
func (l *listener) wake() {
	if !l.woken.CompareAndSwap(false, true) {
		return
	}
	_ = l.async.Do(func(x *loop.Exchange) {
		l.woken.Store(false)
		if x != nil {
			l.write()
		}
	})
}

// write writes what there is, and what there is room for; OnWritable goes on.
func (l *listener) write() {
	for {
		event, id, closed := l.hub.next(l.place)
		lost := max(id-l.place-1, 0)
		if lost > 0 && !l.skips && len(l.rest) > 0 {
			l.drop()
			return
		}
		n, err := l.stream.TryWrite(l.rest)
		if l.rest = l.rest[n:]; err != nil || len(l.rest) > 0 {
			return
		}
		switch {
		case lost > 0:
			l.place = id - 1
			l.rest = fmt.Appendf(nil, "event: lost\ndata: %d\n\n", lost)
		case event != nil:
			l.place, l.rest = id, event
		case closed:
			l.hub.remove(l)
			_ = l.stream.Close()
			return
		default:
			return
		}
	}
}

// drop ends the stream at once: its end would wait behind what the client does not
// take. It may come back, and say where it was.
func (l *listener) drop() {
	l.hub.remove(l)
	_ = l.async.Do(func(x *loop.Exchange) {
		if x != nil {
			_ = x.Reset(frames.ErrCodeCancel)
		}
	})
}
