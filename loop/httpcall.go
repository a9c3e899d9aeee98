package loop

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/internal/message"
)

// An httpCall is a call of an [http.Handler], and the [http.ResponseWriter] that it
// gets. It is never used again: a handler may keep it, and what comes too late finds
// that it is over.
//
// The handler's goroutine has it first; what becomes of the response is then settled
// on the loop, by settle.
type httpCall struct {
	of      Async
	handler http.Handler
	pattern string
	srv     *Server
	conn    *conn // for what never changes of it
	request *http.Request
	ctx     httpContext
	body    *httpBody // nil if the request has none

	protocol  string // that the client asks to switch to
	continued bool   // 100 was sent by the handler; the loop's

	readLimit, writeLimit deadline

	mu       sync.Mutex // held by the methods of the ResponseWriter
	returned bool       // the handler has
	aborted  bool       // it has panicked
	scratch  *httpScratch
	header   http.Header // the handler's
	trailers []string    // names that were announced, in canonical form
	status   int         // of the answer, once the handler has decided it
	length   int64       // of the body, as the handler has said; -1 if it has not
	written  int64       // octets of the body
	head     headTraits
	out      *Writer         // once the response is not kept any more
	last     []message.Field // trailers of a response that was kept

	hijacked atomic.Pointer[hijackedConn] // the connection, once the handler has it
}

// headTraits are what the adapter has to know of the header section of a response.
type headTraits struct {
	hasType  bool // or it is not to have one
	hasDate  bool
	encoded  bool // there is a content-encoding
	closes   bool // the connection is to end
	announce bool // trailers are announced
	long     bool // little may happen for long
}

// An httpScratch is the memory for a call that is used again: the header section of
// its request, then that of its response, and the body as long as that is small.
type httpScratch struct {
	fields []message.Field
	body   []byte
	names  []string
}

// httpKept is how much of a body is kept until the handler returns, so that its
// length can be told and all of it be sent at once. It is that of net/http.
const httpKept = 4 << 10

var httpScratches = sync.Pool{New: func() any { return &httpScratch{body: make([]byte, 0, httpKept)} }}

// Release gives s back.
func (s *httpScratch) Release() {
	if cap(s.fields) > message.MaxKeptFields {
		s.fields = nil
	}
	clear(s.fields[:cap(s.fields)])
	clear(s.names)
	s.fields, s.names, s.body = s.fields[:0], s.names[:0], s.body[:0]
	httpScratches.Put(s)
}

// errReturned is what comes of the use of a ResponseWriter that is over.
var errReturned = errors.New("loop: the handler has returned")

// newHTTPCall takes from x what its handler may want to know. It runs on the loop.
func newHTTPCall(x *Exchange, h http.Handler) *httpCall {
	c := &httpCall{
		of:      x.Async(),
		handler: h,
		pattern: x.match.Pattern,
		srv:     x.conn.loop.srv,
		conn:    x.conn,
		scratch: httpScratches.Get().(*httpScratch),
		length:  -1,
	}
	x.handler = c
	c.scratch.fields = append(c.scratch.fields, x.request.ReadFields()...)
	if x.h1 != nil {
		c.scratch.fields = append(c.scratch.fields, x.h1.ReadHop()...)
	}
	c.ctx.call = c
	c.ctx.Context, c.ctx.cancel = context.WithCancelCause(context.Background())
	c.request = blankRequest.WithContext(&c.ctx)
	c.describe(x)
	if len(x.fields) > 0 { // which middleware has set
		c.header = make(http.Header, len(x.fields)+4)
		for _, f := range x.fields {
			c.header.Add(f.Name, f.Value)
		}
		x.dropFields()
	}
	c.openBody(x)
	return c
}

// blankRequest is what requests are made of: only WithContext can set a context.
var blankRequest http.Request

// run calls the handler.
func (c *httpCall) run() {
	defer c.end()
	c.complete()
	c.aborted = true
	if c.request.ProtoMajor == 1 {
		c.handler.ServeHTTP(httpCallHTTP1{c}, c.request)
	} else {
		c.handler.ServeHTTP(c, c.request)
	}
	c.aborted = false
}

// end sees to what the handler has left, however it has ended.
func (c *httpCall) end() {
	if c.aborted {
		if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // net/http knows that value alone
			c.of.loop.onPanicOffLoop(c.pattern, v)
		}
	}
	c.mu.Lock()
	c.returned = true
	c.readLimit.stop()
	c.writeLimit.stop()
	if !c.aborted && c.hijacked.Load() == nil {
		c.finish()
	}
	hijacked := c.hijacked.Load() != nil
	c.mu.Unlock()
	srv, cancel := c.srv, c.ctx.cancel
	if c.body != nil {
		c.body.end()
	}
	if hijacked || c.of.loop.post(c.settle) != nil {
		c.drop()
	}
	cancel(nil)
	srv.handlers.Add(-1)
}

// settle does on the loop what the handler has decided.
func (c *httpCall) settle() {
	if c.of.isOver() {
		c.drop()
		if c.of.learns() {
			c.of.x.learned()
		}
		return
	}
	x := c.of.x
	x.handler = nil
	c.of.loop.touch(x.conn)
	x.calls++
	switch {
	case c.aborted && (c.out == nil || c.out.empty):
		x.conn.protocol.reset(x, frames.ErrCodeInternal)
	case c.out != nil:
		c.out.end(c.aborted || c.isShort())
		x.conn.protocol.resume(x)
	default:
		c.answer(x)
	}
	if x.request != nil {
		_ = x.ResumeBody() // of one that nobody has asked for
	}
	c.drop()
	x.leave()
}

// leave ends what x.calls++ has begun.
func (x *Exchange) leave() {
	if x.calls--; x.request == nil && x.calls == 0 {
		x.recycle()
	}
}

// drop gives back what is left of the memory.
func (c *httpCall) drop() {
	if s := c.scratch; s != nil {
		c.scratch = nil
		s.Release()
	}
}

// answer sends a response that was kept until the handler has returned.
func (c *httpCall) answer(x *Exchange) {
	s := c.scratch
	c.scratch = nil
	l := x.conn.loop
	if c.hasOwnLength(x) {
		s.fields = append(s.fields, message.Field{Name: "content-length", Value: l.lengthText(int64(len(s.body)))})
	}
	empty := x.isEmpty(c.status)
	bare := len(c.last) == 0 && (empty || len(s.body) == 0)
	if c.begin(x, s, bare) != nil || bare {
		s.Release()
		return
	}
	if empty {
		s.body = s.body[:0]
	}
	if len(c.last) == 0 {
		_ = x.conn.protocol.writeRegion(x, s.body, s, true)
		return
	}
	if x.conn.protocol.writeRegion(x, s.body, s, false) == nil {
		x.trailers = c.last
		_ = x.writeTrailers()
	}
}

// hasOwnLength reports whether the length of a response that was kept is to be told.
// A handler that has written nothing for HEAD need not mean that there is nothing.
func (c *httpCall) hasOwnLength(x *Exchange) bool {
	switch {
	case c.length >= 0, hasNoBody(c.status), x.request.Method == "HEAD" && c.written == 0:
		return false
	default: // over HTTP/1.1 a response with trailers has no length
		return !c.head.announce || x.h2 != nil
	}
}

// begin sends the header section.
func (c *httpCall) begin(x *Exchange, s *httpScratch, end bool) error {
	x.answered, x.status = true, c.status
	if !c.head.hasDate {
		s.fields = append(s.fields, message.Field{Name: "date", Value: x.conn.loop.date})
	}
	if c.head.long {
		x.conn.protocol.setLongLived(x)
	}
	if c.head.closes {
		x.conn.retire()
	}
	return x.conn.protocol.writeHeaders(x, c.status, s.fields, end)
}

// beginStream begins a response on the loop that is not kept any more.
func (c *httpCall) beginStream(s *httpScratch) {
	src := (*writerSource)(c.out)
	if c.of.isOver() {
		s.Release()
		src.Release()
		return
	}
	x := c.of.x
	c.of.loop.touch(x.conn)
	x.calls++
	switch err := c.begin(x, s, c.out.empty); {
	case err != nil:
		src.Release()
	case !c.out.empty:
		_ = x.conn.protocol.writeSource(x, src)
	}
	s.Release()
	x.leave()
}

// isShort reports whether the body is shorter than the handler has said.
func (c *httpCall) isShort() bool { return c.length > c.written && !c.out.empty }

// end ends the body on the loop, whose caller has the source asked again.
func (w *Writer) end(aborted bool) {
	w.mu.Lock()
	w.ending, w.aborted, w.idle = true, w.aborted || aborted, false
	w.mu.Unlock()
}

// An httpContext is the context of a request: it ends when the handler has returned,
// and when the client has given the request up.
type httpContext struct {
	context.Context
	cancel context.CancelCauseFunc
	call   *httpCall
}

// Value has what net/http's server puts into contexts too.
func (ctx *httpContext) Value(key any) any {
	switch key {
	case http.ServerContextKey:
		return ctx.call.srv.httpServer()
	case http.LocalAddrContextKey:
		return ctx.call.conn.localAddr()
	default:
		return ctx.Context.Value(key)
	}
}

// collectTrailers collects the trailers, once the handler has returned: those that were
// announced, and those that are told by [http.TrailerPrefix].
func (c *httpCall) collectTrailers() {
	for key, values := range c.header {
		if name, ok := cutTrailerPrefix(key); ok {
			c.addTrailer(name, values)
		} else if slices.Contains(c.trailers, key) {
			c.addTrailer(key, values)
		}
	}
	if len(c.last) > 1 {
		slices.SortStableFunc(c.last, func(a, b message.Field) int { return strings.Compare(a.Name, b.Name) })
	}
}

func (c *httpCall) addTrailer(name string, values []string) {
	name = lowerName(name)
	for _, v := range values {
		if v = trimValue(v); message.CheckTrailer(name, v) == nil {
			c.last = append(c.last, message.Field{Name: name, Value: v})
		}
	}
}
