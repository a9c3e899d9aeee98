package loop

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
)

// A TraceQuery says what [Server.Trace] tells of, and for how long.
type TraceQuery struct {
	ConnID uint64       // of that connection; or
	Remote netip.Prefix // of clients in there. One of them is needed.

	Frames  int           // ends after so many lines; default 10000
	For     time.Duration // and so long; default 1 minute
	Secrets bool          // also values of authorization, cookie and set-cookie

	Begun func() // called once it is certain that there is a trace, if not nil
}

// WithDefaults returns q with its bounds as they will be.
func (q TraceQuery) WithDefaults() TraceQuery {
	if q.Frames <= 0 {
		q.Frames = defaultTraceFrames
	}
	if q.For <= 0 {
		q.For = defaultTraceFor
	}
	q.Frames, q.For = min(q.Frames, maxTraceFrames), min(q.For, maxTraceFor)
	return q
}

// A TraceLine tells of one frame, or of one field of a header section.
type TraceLine struct {
	Time   time.Time
	ConnID uint64
	Remote netip.AddrPort
	Sent   bool // by the server
	// Text has no control characters, and the values of the peer's in quotes where
	// they might.
	Text string
}

// ErrTracing is returned while there is another trace.
var ErrTracing = errors.New("loop: there is a trace already")

// Bounds of a trace.
const (
	defaultTraceFrames = 10_000
	maxTraceFrames     = 1_000_000
	defaultTraceFor    = time.Minute
	maxTraceFor        = time.Hour

	traceBuffer   = 4096    // lines that wait for who reads
	maxTraceValue = 4 << 10 // octets of a field's value
	traceFields   = 200     // of a header section
)

// A trace is one that goes on. Its loops write to it, and one goroutine reads.
type trace struct {
	q       TraceQuery
	lines   chan TraceLine
	dropped atomic.Uint64
}

// Trace calls emit for each frame that the connections of q receive and send, also those
// that come later, and for each field of their header sections; of HTTP/1.1 for heads and
// for the lengths of bodies. It goes on until ctx ends, emit returns an error, or a bound
// of q is reached, and returns how many lines were dropped because emit was too slow.
// There is one trace at a time. Connections that are not traced cost nothing. It must
// not be called on a loop.
func (srv *Server) Trace(ctx context.Context, q TraceQuery, emit func(TraceLine) error) (dropped uint64, err error) {
	if q.ConnID == 0 && !q.Remote.IsValid() {
		return 0, errors.New("loop: TraceQuery has neither ConnID nor Remote")
	}
	q = q.WithDefaults()
	t := &trace{q: q, lines: make(chan TraceLine, traceBuffer)}
	if !srv.tracing.CompareAndSwap(nil, t) {
		return 0, ErrTracing
	}
	if q.Begun != nil {
		q.Begun()
	}
	defer func() {
		srv.tracing.Store(nil)
		for _, l := range srv.runningLoops() {
			_ = l.post(func() { l.endTrace(t) })
		}
	}()
	for _, l := range srv.runningLoops() {
		_ = l.post(func() { l.beginTrace(t) })
	}
	timer := time.NewTimer(q.For)
	defer timer.Stop()
	for n := 0; n < q.Frames; n++ {
		select {
		case line := <-t.lines:
			if err := emit(line); err != nil {
				return t.dropped.Load(), err
			}
		case <-timer.C:
			return t.dropped.Load(), nil
		case <-ctx.Done():
			return t.dropped.Load(), nil
		case <-srv.ended:
			return t.dropped.Load(), nil
		}
	}
	return t.dropped.Load(), nil
}

// beginTrace has the connections of the loop traced that t is about. If t has ended
// meanwhile, endTrace comes behind.
func (l *eventLoop) beginTrace(t *trace) {
	for c := l.conns.head; c != nil; c = c.next {
		c.maybeTrace(t)
	}
}

// maybeTrace has c traced if t is about it.
func (c *conn) maybeTrace(t *trace) {
	if t.q.ConnID != 0 && t.q.ConnID != c.id || !matchesAddr(t.q.Remote, c.remote) {
		return
	}
	c.trace = &connTrace{trace: t, conn: c}
	if c.stage == stageServing && c.h2 != nil {
		c.h2.Trace(c.trace)
	}
}

func (l *eventLoop) endTrace(t *trace) {
	for c := l.conns.head; c != nil; c = c.next {
		if c.trace == nil || c.trace.trace != t {
			continue
		}
		c.trace = nil
		if c.stage == stageServing && c.h2 != nil {
			c.h2.Trace(nil)
		}
	}
}

// A connTrace is the trace of one connection. It is an [h2.Tracer].
type connTrace struct {
	trace *trace
	conn  *conn
}

// line gives a line to who reads, or drops it.
func (t *connTrace) line(sent bool, text string) {
	select {
	case t.trace.lines <- TraceLine{time.Now(), t.conn.id, t.conn.remote, sent, text}:
	default:
		t.trace.dropped.Add(1)
	}
}

// Frame is an [h2.Tracer]'s.
func (t *connTrace) Frame(sent bool, h frames.Header, payload []byte) {
	if payload == nil && h.Length > 0 && h.Type != frames.TypeData {
		t.line(sent, fmt.Sprintf("%s stream=%d len=%d flags=0x%x", h.Type, h.StreamID, h.Length, uint8(h.Flags)))
		return
	}
	t.line(sent, frames.Describe(h, payload))
}

// Fields is an [h2.Tracer]'s.
func (t *connTrace) Fields(sent bool, _ frames.StreamID, r *h2.Request, status int, fields []h2.Field) {
	if r != nil {
		for _, f := range []h2.Field{
			{Name: ":method", Value: r.Method},
			{Name: ":scheme", Value: r.Scheme},
			{Name: ":authority", Value: r.Authority},
			{Name: ":path", Value: r.Path},
			{Name: ":protocol", Value: r.Protocol},
		} {
			if f.Value != "" {
				t.field(sent, f.Name, f.Value)
			}
		}
	}
	if status != 0 {
		t.field(sent, ":status", strconv.Itoa(status))
	}
	t.fields(sent, fields)
}

func (t *connTrace) fields(sent bool, fields []h2.Field) {
	for i, f := range fields {
		if i == traceFields {
			t.line(sent, fmt.Sprintf("    and %d more", len(fields)-i))
			return
		}
		t.field(sent, f.Name, f.Value)
	}
}

func (t *connTrace) field(sent bool, name, value string) {
	switch name {
	case "authorization", "proxy-authorization", "cookie", "set-cookie":
		if !t.trace.q.Secrets {
			t.line(sent, fmt.Sprintf("    %s: <%d octets>", name, len(value)))
			return
		}
	}
	t.line(sent, "    "+shown(name)+": "+shown(value))
}

// shown returns s if it can be shown as it is, and else quoted; and not more of it than
// can be looked at.
func shown(s string) string {
	more := ""
	if len(s) > maxTraceValue {
		s, more = s[:maxTraceValue], "..."
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return strconv.QuoteToASCII(s) + more
		}
	}
	return s + more
}

// traceRequest1 tells of a request of HTTP/1.1.
func (t *connTrace) traceRequest1(x *Exchange) {
	r := x.request
	t.line(false, shown(r.Method)+" "+shown(r.Path)+" "+x.conn.protocol.version(x)+", host "+shown(r.Authority))
	t.fields(false, r.ReadFields())
	t.fields(false, x.h1.ReadHop())
}

// traceResponse1 tells of a header section of HTTP/1.1.
func (t *connTrace) traceResponse1(status int, fields []h2.Field) {
	t.line(true, "status "+strconv.Itoa(status))
	t.fields(true, fields)
}

// traceClosed1 tells of the bodies of HTTP/1.1.
func (t *connTrace) traceClosed1(x *Exchange, err error) {
	received, sent := x.h1.Moved()
	t.line(false, fmt.Sprintf("body of %d octets", received))
	if err != nil {
		t.line(true, fmt.Sprintf("body of %d octets, and it is cut off: %s", sent, shown(err.Error())))
		return
	}
	t.line(true, fmt.Sprintf("body of %d octets", sent))
}
