package loop

import (
	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/internal/h1"
	"github.com/h2loop/h2loop/internal/message"
)

// An HTTP1Config holds the limits of HTTP/1.1. Where it leaves a timeout or a rate
// out, that of [Config.HTTP2] holds.
type HTTP1Config = h1.Config

// withHTTP2 returns cfg with what it shares with that of HTTP/2.
func withHTTP2(cfg HTTP1Config, srv *Config) HTTP1Config {
	if cfg.HeaderTimeout == 0 {
		cfg.HeaderTimeout = srv.HTTP2.HeaderTimeout
	}
	if cfg.MinBodyRate == 0 {
		cfg.MinBodyRate = srv.HTTP2.MinBodyRate
	}
	if cfg.BodyInWindow == 0 {
		cfg.BodyInWindow = srv.HTTP2.BodyInWindow
	}
	if cfg.BodyInGrace == 0 {
		cfg.BodyInGrace = srv.HTTP2.BodyInGrace
	}
	return cfg.WithDefaults()
}

// An http1 is a conn that speaks HTTP/1.1, or HTTP/1.0.
type http1 conn

var (
	_ h1.Handler = (*http1)(nil)
	_ h1.Refuser = (*http1)(nil)
	_ protocol   = (*http1)(nil)
	_ engine     = (*h1.Conn)(nil)
)

func (c *conn) startHTTP1() {
	c.h1 = new(h1.Conn)
	c.h1.Init(c.loop.shared1, (*http1)(c), c.bridge != nil)
	c.speak(c.h1, (*http1)(c))
}

// Request takes a request that is complete but for its body.
func (h *http1) Request(s *h1.Stream) {
	x := (*conn)(h).newExchange(&s.Request)
	x.h1 = s
	s.App = x
	if h.trace != nil {
		h.trace.traceRequest1(x)
	}
	if h.loop.turnsAway && x.turnAway() {
		return
	}
	x.dispatch()
}

// Body hands a piece of the request body to whoever asked for it.
func (h *http1) Body(s *h1.Stream, p []byte, end bool) {
	s.App.(*Exchange).onBody(p, end)
}

// Closed ends the exchange of s.
func (h *http1) Closed(s *h1.Stream, err error) {
	x := s.App.(*Exchange)
	if h.trace != nil {
		h.trace.traceClosed1(x, err)
	}
	s.App = nil
	h.active = h.loop.now
	x.onClosed(err)
}

// Refused notes what the connection has answered by itself.
func (h *http1) Refused(s *h1.Stream, status, sent int, err error) {
	if s == nil {
		(*conn)(h).tellRefused(&noRequest, http11, RequestInfo{Status: status, Sent: int64(sent), Err: err})
		return
	}
	s.App.(*Exchange).status = status
}

func (h *http1) established() bool { return true }

func (h *http1) writeHeaders(x *Exchange, status int, fields []message.Field, end bool) error {
	if h.trace != nil {
		h.trace.traceResponse1(status, fields)
	}
	return h.h1.WriteHeaders(x.h1, status, fields, end)
}

func (h *http1) write(x *Exchange, p []byte, end bool) error { return h.h1.Write(x.h1, p, end) }

func (h *http1) writeRegion(x *Exchange, p []byte, rel message.Releaser, end bool) error {
	return h.h1.WriteRegion(x.h1, p, rel, end)
}

func (h *http1) writeSource(x *Exchange, src message.Source) error {
	return h.h1.WriteSource(x.h1, src)
}

func (h *http1) writeTrailers(x *Exchange, fields []message.Field) error {
	return h.h1.WriteTrailers(x.h1, fields)
}

func (h *http1) version(x *Exchange) string {
	if x.h1.IsHTTP10() {
		return "HTTP/1.0"
	}
	return http11
}

const http11 = "HTTP/1.1"

func (h *http1) writeSwitch(x *Exchange, fields []message.Field) error {
	x.status = 101
	if h.trace != nil {
		h.trace.traceResponse1(101, fields)
	}
	return h.h1.WriteHeaders(x.h1, 101, fields, false)
}

func (h *http1) resume(x *Exchange)                       { h.h1.Resume(x.h1) }
func (h *http1) requestEnded(x *Exchange) bool            { return x.h1.RequestEnded() }
func (h *http1) consume(x *Exchange, n int)               { h.h1.Consume(x.h1, n) }
func (h *http1) moved(x *Exchange) (received, sent int64) { return x.h1.Moved() }
func (h *http1) setLongLived(x *Exchange)                 { h.h1.SetLongLived(x.h1) }
func (h *http1) reset(x *Exchange, _ frames.ErrCode)      { h.h1.Reset(x.h1) }

func (h *http1) holdPlace() { h.h1.HoldPlace() }

// freePlace goes on with the next request. The connection was not idle until now.
func (h *http1) freePlace() {
	h.h1.FreePlace()
	h.active = h.loop.now
	h.loop.touch((*conn)(h))
}

func (h *http1) end(string) {
	h.h1.Shutdown()
	h.h1.Shutdown() // does not wait for a header section that has begun either
}

// calm closes: there is no way to say anything between two answers.
func (h *http1) calm(string) { h.wire.close() }
