package loop

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/internal/freelist"
	"github.com/h2loop/h2loop/internal/h1"
	"github.com/h2loop/h2loop/internal/message"
	"github.com/h2loop/h2loop/internal/route"
)

// A Handler answers requests. It runs on the event loop of the connection and
// must not block.
type Handler func(x *Exchange)

// Errors of the methods that answer.
var (
	ErrAnswered = errors.New("loop: the request was answered already")
	ErrStatus   = errors.New("loop: the status code must be from 200 to 999")
)

// An Exchange is one request and its response. See the package comment for how
// long it lives; its methods are for its loop only, but for those of [Async].
type Exchange struct {
	conn    *conn
	request *message.Request // nil once the exchange is over
	h2      *h2.Stream       // over HTTP/2
	h1      *h1.Stream       // over HTTP/1.1
	match   route.Match[Handler]
	path    string
	query   string
	values  url.Values // query, parsed; nil until somebody asks

	// refused is the version of HTTP if the connection has answered by itself, and
	// there is no stream.
	refused string

	off *offLoop // of one that is used off the loop; nil on it

	fields   []message.Field // of the response, as set so far
	trailers []message.Field // of the response
	calls    int             // callbacks running now
	answered bool
	async    bool
	buried   bool // over, and its callbacks have returned; see Config.DebugExchanges
	body     bodyReader

	status int           // of the response, once it has begun
	began  time.Duration // when the request came; to a tick if there are no hooks

	// abandoned: the stream is gone, and who holds an Async has not learned of
	// it, so that work may go on for it. It keeps its place among the requests of
	// its connection. owed is then the generation, until somebody has.
	abandoned bool
	owed      atomic.Uint64

	handler *httpCall // nil unless an [http.Handler] is at work for it

	ctx     atomic.Pointer[exchangeContext] // nil until somebody asks
	onAbort func(err error)
	onDone  func() // see OnDone

	// generation tells an Async whether this is still the exchange it was
	// made for: it grows when the exchange is over.
	generation atomic.Uint64
}

// An exchangeList is a loop's free list of exchanges, and one of those who give
// their bodies back.
type exchangeList struct {
	free  freelist.List[*Exchange]
	owned freelist.List[*ownedBody]
}

const (
	maxFreeExchanges  = 4096
	keptFreeExchanges = 16 // needed or not
)

// trim forgets those that nobody has needed since it was last called.
func (l *exchangeList) trim() {
	l.free.Trim(keptFreeExchanges)
	l.owned.Trim(keptFreeExchanges)
}

func (l *exchangeList) get() *Exchange {
	if x := l.free.Pop(); x != nil {
		return x
	}
	return new(Exchange)
}

// put takes back an exchange that is over and in no callback.
func (l *exchangeList) put(x *Exchange) {
	if l.free.Len() >= maxFreeExchanges {
		return
	}
	x.dropFields()
	x.match.Reset()
	x.conn, x.h2, x.h1, x.path, x.query, x.values = nil, nil, nil, "", "", nil
	x.answered, x.async, x.status = false, false, 0
	l.free.Push(x, maxFreeExchanges)
}

// newExchange returns the exchange of a request that has come.
func (c *conn) newExchange(r *message.Request) *Exchange {
	x := c.loop.free.get()
	x.conn = c
	x.describe(r)
	c.countRequest()
	x.began = c.loop.now // which is cheap
	if c.loop.srv.config().Hooks.RequestDone != nil {
		x.began = time.Since(c.loop.srv.started)
	}
	return x
}

// describe makes x the exchange of r.
func (x *Exchange) describe(r *message.Request) {
	x.request, x.path, x.query = r, r.Path, ""
	if i := strings.IndexByte(r.Path, '?'); i >= 0 {
		x.path, x.query = r.Path[:i], r.Path[i+1:]
	}
}

// dispatch finds the route of a new request and calls it. Where the same is over TLS,
// there is none.
func (x *Exchange) dispatch() {
	if c := x.conn; c.bridge == nil && c.ln.redirectHTTPS.Load() > 0 {
		x.call(redirectHTTPS)
		return
	}
	r := x.request
	m := &x.match
	x.conn.loop.srv.routes.Match(m, r.Method, r.Authority, x.path, x.query)
	if m.Found {
		x.call(m.Value)
		return
	}
	x.call(x.conn.loop.srv.refuse)
}

// refuseRequest answers a request that no route takes.
func refuseRequest(x *Exchange) {
	switch m := &x.match; {
	case m.ServerOptions:
		x.AfterBody(serverOptions)
	case m.Redirect != "":
		x.AfterBody(redirect)
	case m.Allow != "":
		x.AfterBody(methodNotAllowed)
	case m.BadPath:
		x.AfterBody(badPath)
	case x.conn.loop.srv.notFound != nil:
		x.conn.loop.srv.notFound(x)
	default:
		x.AfterBody(notFound)
	}
}

func redirect(x *Exchange) {
	_ = x.SetHeader("location", x.match.Redirect)
	_ = x.Send(x.match.RedirectStatus, nil)
}

// serverOptions answers OPTIONS *, which is about the server as a whole
// (RFC 9110, Section 9.3.7).
func serverOptions(x *Exchange) { _ = x.Send(200, nil) }

func methodNotAllowed(x *Exchange) {
	_ = x.SetHeader("allow", x.match.Allow)
	x.refuseWith(ErrMethodNotAllowed, "Method Not Allowed")
}

func badPath(x *Exchange) {
	x.refuseWith(ErrBadPath, "Bad Request: the path has a malformed percent-encoding")
}
func notFound(x *Exchange) { _ = x.SendError(404, "404 page not found") }

// call runs a callback for x and sees to what it left undone.
func (x *Exchange) call(f Handler) {
	l := x.conn.loop
	x.calls++
	l.calling(x.match.Pattern)
	x.protect(f)
	l.called()
	x.calls--
	if x.request == nil {
		if x.calls == 0 {
			x.recycle()
		}
		return
	}
	if x.body.due && x.calls == 0 {
		x.onBody(nil, true)
		return
	}
	if !x.answered && !x.async && !x.body.wanted() && x.calls == 0 {
		x.fail(ErrUnanswered)
	}
}

// protect calls f; a panic of it costs the stream an INTERNAL_ERROR.
func (x *Exchange) protect(f Handler) {
	returned := false
	defer func() {
		if v := recover(); v != nil {
			x.onPanic(v)
		} else if !returned {
			x.conn.loop.srv.fail(errGoexit)
		}
	}()
	f(x)
	returned = true
}

func (x *Exchange) onPanic(v any) {
	x.conn.loop.onPanic(x.match.Pattern, v)
	if x.request != nil {
		x.conn.protocol.reset(x, frames.ErrCodeInternal)
	}
}

// onClosed is called when the stream is gone.
func (x *Exchange) onClosed(err error) {
	x.conn.loop.figures.ended++
	if f := x.conn.loop.srv.config().Hooks.RequestDone; f != nil {
		x.tellDone(f, x.requestInfo(err))
	}
	x.request = nil
	x.abandoned = x.isWorkedFor(err)
	if x.abandoned {
		// Before anybody can see that x is over, and learn of it.
		x.owed.Store(x.generation.Load() + 1)
		x.conn.protocol.holdPlace()
	}
	x.generation.Add(1)
	x.tellEnd(err)
	x.tellOver()
	x.handler = nil
	if x.calls == 0 {
		x.recycle()
	}
}

// isWorkedFor reports whether work for x, whose stream err has ended, may go on.
func (x *Exchange) isWorkedFor(err error) bool {
	if x.handler != nil && (err == nil || errors.Is(err, h2.ErrReset)) { // by a deadline of its own
		return true
	}
	return x.async && (!x.answered || x.handler != nil) && isPeers(err)
}

// isPeers reports whether err has ended a stream, and not its connection, against
// the application's will.
func isPeers(err error) bool {
	if errors.Is(err, h2.ErrPeerReset) || errors.Is(err, h2.ErrTimeout) || errors.Is(err, h1.ErrTimeout) {
		return true
	}
	_, ok := errors.AsType[frames.StreamError](err)
	return ok
}

// learned ends the work for an abandoned exchange: who did it knows that it is
// over.
func (x *Exchange) learned() {
	x.abandoned = false
	if x.conn.wire.isOpen() {
		x.conn.protocol.freePlace()
	}
	if x.calls == 0 {
		x.recycle()
	}
}

func (x *Exchange) recycle() {
	if x.abandoned {
		return
	}
	x.endBody()
	switch {
	case x.conn.loop.srv.config().DebugExchanges:
		x.buried = true
	case !x.conn.broken:
		x.conn.loop.free.put(x)
	}
}

// Method returns the request's method.
func (x *Exchange) Method() string { return x.seen().Method }

// Path returns the path as it came, without the query and with its
// percent-encoding.
func (x *Exchange) Path() string {
	_ = x.isDead()
	return x.path
}

// RawQuery returns the query as it came, without the question mark.
func (x *Exchange) RawQuery() string {
	_ = x.isDead()
	return x.query
}

// Host returns the host, and port if there is one, that the request is for.
func (x *Exchange) Host() string { return x.seen().Authority }

// Scheme returns "https" or "http", as the client said.
func (x *Exchange) Scheme() string { return x.seen().Scheme }

// Pattern returns the pattern of the route that takes the request, "" if none does: one
// that is redirected to a clean path, or to the slash behind it, is not taken yet.
func (x *Exchange) Pattern() string {
	if !x.match.Found {
		return ""
	}
	return x.match.Pattern
}

// PathValue returns what the wildcard name of the pattern matched, decoded.
func (x *Exchange) PathValue(name string) string {
	_ = x.isDead()
	return x.match.PathValue(name)
}

// ContentLength returns the length of the request body in octets, 0 for none
// and -1 if the client did not say.
func (x *Exchange) ContentLength() int64 { return x.seen().ContentLength }

// Header returns the first value of a request field, or "". The name is
// matched without regard to case.
func (x *Exchange) Header(name string) string {
	fields := x.seen().ReadFields()
	for i := range fields {
		if len(fields[i].Name) == len(name) && strings.EqualFold(fields[i].Name, name) {
			return fields[i].Value
		}
	}
	return ""
}

// Headers calls yield for each request field, in order, names in lower case.
func (x *Exchange) Headers(yield func(name, value string) bool) {
	for _, f := range x.seen().ReadFields() {
		if !yield(f.Name, f.Value) {
			return
		}
	}
}

// Trailers calls yield for each trailer field of the request, which are there
// once the body has ended.
func (x *Exchange) Trailers(yield func(name, value string) bool) {
	if x.off != nil && x.off.reader != nil {
		x.off.reader.Trailers(yield)
		return
	}
	for _, f := range x.seen().Trailers {
		if !yield(f.Name, f.Value) {
			return
		}
	}
}

// RemoteAddr returns the client's address; the zero value on a unix socket.
func (x *Exchange) RemoteAddr() netip.AddrPort {
	if x.isDead() && x.conn == nil {
		return netip.AddrPort{}
	}
	return x.conn.remote
}

// LocalAddr returns the address that the client connected to.
func (x *Exchange) LocalAddr() netip.AddrPort {
	if x.isDead() && x.conn == nil {
		return netip.AddrPort{}
	}
	return x.conn.local
}

// Loop returns the number of the loop that the request is on, from 0. What a program
// keeps for each loop, and touches there alone, needs no lock.
func (x *Exchange) Loop() int {
	if x.isDead() && x.conn == nil {
		return 0
	}
	return x.conn.loop.index
}

// TLS returns the state of the connection's TLS at the end of its handshake,
// or nil for cleartext.
func (x *Exchange) TLS() *tls.ConnectionState {
	if x.off != nil {
		return x.off.tls
	}
	if x.isDead() && x.conn == nil || x.conn.bridge == nil {
		return nil
	}
	return x.conn.bridge.ConnectionState()
}

// noRequest is what the accessors of a dead exchange see.
var noRequest message.Request

func (x *Exchange) seen() *message.Request {
	if x.refused == "" && x.isDead() {
		return &noRequest
	}
	return x.request
}
