package loop

import "github.com/h2loop/h2loop/h2"

// An h2handler is a conn as the handler of its HTTP/2 streams.
type h2handler conn

var _ h2.Handler = (*h2handler)(nil)

// Request takes a request that is complete but for its body.
func (h *h2handler) Request(s *h2.Stream) {
	c := (*conn)(h)
	x := c.loop.free.get()
	x.conn, x.stream = c, s
	s.App = x
	c.countRequest()
	c.loop.srv.dispatch(x)
}

// Body hands a piece of the request body to whoever asked for it.
func (h *h2handler) Body(s *h2.Stream, p []byte, end bool) {
	s.App.(*Exchange).onBody(p, end)
}

// Closed ends the exchange of s.
func (h *h2handler) Closed(s *h2.Stream, err error) {
	x := s.App.(*Exchange)
	s.App = nil
	h.active = h.loop.now
	x.onClosed(err)
}
