package loop

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"
)

// A pressedServer is a server that is made to refuse what it would serve, and clients of
// both versions of HTTP.
type pressedServer struct {
	t       *testing.T
	srv     *Server
	url     string
	clients []*http.Client
	calls   atomic.Int64 // of handlers and middleware
	ended   chan error
}

func newPressed(t *testing.T, cfg Config, change ...func(*Server)) *pressedServer {
	t.Helper()
	log := zerolog.Nop()
	cfg.Logger = &log
	cfg.Listeners = []Listener{{Address: "127.0.0.1:0"}}
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &pressedServer{t: t, srv: srv, url: "http://" + srv.Addrs()[0].String() + "/", ended: make(chan error, 1)}
	srv.Use(func(next Handler) Handler {
		return func(x *Exchange) {
			s.calls.Add(1)
			next(x)
		}
	})
	srv.Handle("/", func(x *Exchange) {
		x.AfterBody(func(x *Exchange) { _ = x.SendString(200, "hello") })
	})
	for _, f := range change {
		f(srv)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { s.ended <- srv.Run(ctx) }()
	for _, choose := range []func(*http.Protocols){
		func(p *http.Protocols) { p.SetHTTP1(true) }, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) },
	} {
		tr := &http.Transport{Protocols: new(http.Protocols)}
		choose(tr.Protocols)
		s.clients = append(s.clients, &http.Client{Transport: tr})
	}
	t.Cleanup(func() {
		for _, c := range s.clients {
			c.CloseIdleConnections()
		}
		cancel()
		if err := <-s.ended; err != nil {
			t.Error(err)
		}
	})
	stressWait(t, "the loops run", func() bool { return srv.Stats().Loops > 0 })
	return s
}

// ask makes a request with a body of n octets.
func (s *pressedServer) ask(c *http.Client, n int) (*http.Response, error) {
	s.t.Helper()
	return s.askIn(s.t.Context(), c, n)
}

// askIn is ask until ctx ends.
func (s *pressedServer) askIn(ctx context.Context, c *http.Client, n int) (*http.Response, error) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(make([]byte, n)))
	if err != nil {
		s.t.Fatal(err)
	}
	req.GetBody = nil // it is not tried again
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp, nil
}

func (s *pressedServer) wantServed() {
	s.t.Helper()
	for _, c := range s.clients {
		if resp, err := s.ask(c, 10); err != nil || resp.StatusCode != 200 {
			s.t.Errorf("%v, %v where a request is served", resp, err)
		}
	}
}

// onLoop runs f on the first loop.
func (s *pressedServer) onLoop(f func(l *eventLoop)) {
	s.t.Helper()
	stressOnLoop(s.t, s.srv, 0, f)
}
