package loop

import (
	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/internal/message"
	"github.com/h2loop/h2loop/tlsbridge"
)

// An http2 is a conn that speaks HTTP/2.
type http2 conn

var (
	_ h2.Handler = (*http2)(nil)
	_ h2.Refuser = (*http2)(nil)
	_ protocol   = (*http2)(nil)
	_ engine     = (*h2.Conn)(nil)
)

func (c *conn) startHTTP2() {
	record := 0
	if c.bridge != nil {
		record = tlsbridge.MaxRecordPayload
	}
	c.h2 = new(h2.Conn)
	c.h2.Init(c.loop.shared, (*http2)(c), record)
	if c.trace != nil {
		c.h2.Trace(c.trace)
	}
	c.speak(c.h2, (*http2)(c))
}

// Request takes a request that is complete but for its body.
func (h *http2) Request(s *h2.Stream) {
	x := (*conn)(h).newExchange(&s.Request)
	x.h2 = s
	s.App = x
	if h.loop.turnsAway && x.turnAway() {
		return
	}
	x.dispatch()
}

// Body hands a piece of the request body to whoever asked for it.
func (h *http2) Body(s *h2.Stream, p []byte, end bool) {
	s.App.(*Exchange).onBody(p, end)
}

// Closed ends the exchange of s.
func (h *http2) Closed(s *h2.Stream, err error) {
	x := s.App.(*Exchange)
	s.App = nil
	h.active = h.loop.now
	x.onClosed(err)
}

// Refused notes what the connection has answered by itself.
func (h *http2) Refused(s *h2.Stream, status int, err error) {
	if x, ok := s.App.(*Exchange); ok {
		x.status = status
		return
	}
	(*conn)(h).tellRefused(&s.Request, http20, RequestInfo{Status: status, Err: err})
}

func (h *http2) established() bool { return h.h2.Established() }

func (h *http2) writeHeaders(x *Exchange, status int, fields []message.Field, end bool) error {
	return h.h2.WriteHeaders(x.h2, status, fields, end)
}

func (h *http2) write(x *Exchange, p []byte, end bool) error { return h.h2.Write(x.h2, p, end) }

func (h *http2) writeRegion(x *Exchange, p []byte, rel message.Releaser, end bool) error {
	return h.h2.WriteRegion(x.h2, p, rel, end)
}

func (h *http2) writeSource(x *Exchange, src message.Source) error {
	return h.h2.WriteSource(x.h2, src)
}

func (h *http2) writeTrailers(x *Exchange, fields []message.Field) error {
	return h.h2.WriteTrailers(x.h2, fields)
}

func (h *http2) version(*Exchange) string { return http20 }

const http20 = "HTTP/2.0"

// writeSwitch: "a successful response" to extended CONNECT is one of 2xx (RFC 8441,
// Section 5).
func (h *http2) writeSwitch(x *Exchange, fields []message.Field) error {
	x.status = 200
	return h.h2.WriteHeaders(x.h2, 200, fields, false)
}

func (h *http2) resume(x *Exchange)                       { h.h2.Resume(x.h2) }
func (h *http2) requestEnded(x *Exchange) bool            { return x.h2.RequestEnded() }
func (h *http2) consume(x *Exchange, n int)               { h.h2.Consume(x.h2, n) }
func (h *http2) moved(x *Exchange) (received, sent int64) { return x.h2.Moved() }
func (h *http2) setLongLived(x *Exchange)                 { h.h2.SetLongLived(x.h2) }
func (h *http2) reset(x *Exchange, code frames.ErrCode)   { h.h2.Reset(x.h2, code) }
func (h *http2) holdPlace()                               { h.h2.HoldPlace() }
func (h *http2) freePlace()                               { h.h2.FreePlace() }
func (h *http2) end(reason string)                        { h.h2.GoAway(frames.ErrCodeNo, reason) }
func (h *http2) calm(reason string)                       { h.h2.GoAway(frames.ErrCodeEnhanceYourCalm, reason) }

// checkSuite ends a connection whose TLS is not good enough for HTTP/2: "A
// deployment of HTTP/2 over TLS 1.2 SHOULD NOT use any of the prohibited cipher
// suites"; "endpoints MAY generate a connection error of type
// INADEQUATE_SECURITY". RFC 9113, Section 9.2.2. Only a config that names suites of
// its own lets one through.
func (c *conn) checkSuite() {
	if !c.bridge.AllowsHTTP2() {
		c.h2.GoAway(frames.ErrCodeInadequateSecurity, "TLS 1.2 with an ECDHE AEAD suite, or later, is needed")
	}
}
