package loop_test

import (
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/loop"
)

// TestSlowPeers has peers be too slow in each of the ways that have a timeout, and
// sees what they see. Package h2 tests when; here it is that it happens at all,
// and not before its time.
func TestSlowPeers(t *testing.T) {
	t.Parallel()
	big := pattern(4 << 20)
	routes := func(srv *loop.Server) {
		srv.Handle("/wait", func(x *loop.Exchange) { x.Async() })
		srv.Handle("/body", func(x *loop.Exchange) {
			_ = x.ReadBody(1<<20, func(x *loop.Exchange, _ []byte) { _ = x.Send(200, nil) })
		})
		srv.Handle("/big", func(x *loop.Exchange) { _ = x.SendStatic(200, big) })
		srv.Handle("/events", func(x *loop.Exchange) {
			_ = x.SetHeader("content-type", "text/event-stream")
			_ = x.SendStatic(200, big)
		})
	}
	const timeout = 400 * time.Millisecond
	off := h2.Config{HeaderTimeout: -1, BodyInWindow: -1, StallTimeout: -1, KeepAlive: -1, KeepAliveTimeout: -1}
	for _, tt := range []struct {
		name string
		cfg  func(cfg *h2.Config)
		play func(t *testing.T, p *peer) // until the end
		what string
	}{
		{
			name: "header section", what: "header_time",
			cfg: func(cfg *h2.Config) { cfg.HeaderTimeout = timeout },
			play: func(t *testing.T, p *peer) {
				p.out = append(p.out, 0, 0)
				p.flush()
				p.untilClosed()
				wantGoAway(t, p, frames.ErrCodeEnhanceYourCalm)
			},
		},
		{
			name: "request body", what: "body_in",
			cfg: func(cfg *h2.Config) { cfg.BodyInWindow, cfg.BodyInGrace = timeout/2, timeout/2 },
			play: func(t *testing.T, p *peer) {
				a := p.answer(p.post("/body"))
				if a.status() != "408" {
					t.Errorf("status %q", a.status())
				}
				p.until("the reset behind it", func() bool { return a.reset })
				if a.code != frames.ErrCodeNo {
					t.Errorf("RST_STREAM(%v)", a.code)
				}
			},
		},
		{
			name: "stream window", what: "body_out",
			cfg: func(cfg *h2.Config) { cfg.StallTimeout = timeout },
			play: func(t *testing.T, p *peer) {
				p.credit = false
				p.grant(0, 1<<20)
				p.get("/events") // which may take its time
				p.answer(p.get("/big")).wantReset(t, frames.ErrCodeCancel)
				p.ping()
			},
		},
		{
			name: "connection window", what: "body_out",
			cfg: func(cfg *h2.Config) { cfg.StallTimeout = timeout },
			play: func(t *testing.T, p *peer) {
				p.credit = false
				p.configure(frames.Setting{ID: frames.SettingInitialWindowSize, Value: 1 << 20})
				p.get("/big")
				p.untilClosed()
				wantGoAway(t, p, frames.ErrCodeEnhanceYourCalm)
			},
		},
		{
			name: "socket", what: "socket",
			cfg: func(cfg *h2.Config) { cfg.StallTimeout = timeout },
			play: func(t *testing.T, p *peer) {
				p.credit = false
				p.configure(frames.Setting{ID: frames.SettingInitialWindowSize, Value: 1 << 30})
				p.grant(0, 1<<30)
				for range 10 {
					p.headers("GET", "/big", true)
				}
				p.flush() // and does not read
			},
		},
		{
			name: "keepalive", what: "keepalive",
			cfg: func(cfg *h2.Config) { cfg.KeepAlive, cfg.KeepAliveTimeout = timeout/2, timeout/2 },
			play: func(t *testing.T, p *peer) {
				p.mute = true
				p.get("/wait")
				p.untilClosed()
				wantGoAway(t, p, frames.ErrCodeNo)
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := off
			tt.cfg(&cfg)
			ts := newServer(t, loop.Config{HTTP2: cfg, Loops: 1}, routes)
			forEachTransport(t, func(t *testing.T, tr transport) {
				before := ts.srv.Stats().Limits[tt.what]
				p := openOn(t, connectTo(t, ts, tr))
				begin := time.Now()
				tt.play(t, p)
				eventually(t, "it is counted", func() bool { return ts.srv.Stats().Limits[tt.what] == before+1 })
				if took := time.Since(begin); took < timeout*9/10 { // the loop's clock has ticks
					t.Errorf("after %v", took)
				}
				_ = p.nc.Close()
			})
		})
	}
	t.Run("socket, behind the end", func(t *testing.T) {
		t.Parallel()
		cfg := off
		cfg.StallTimeout = 2 * time.Second
		ts := newServer(t, loop.Config{HTTP2: cfg, Loops: 1}, routes)
		forEachTransport(t, func(t *testing.T, tr transport) {
			for range 10 {
				if stallBehindTheEnd(t, ts, tr) {
					return
				}
			}
			t.Error("the end never comes before the time for the socket is over")
		})
	})
}

// stallBehindTheEnd has a peer not read, make a connection error once its socket is full,
// and still not read. It reports false if this machine was so slow that the server has
// ended the connection before that.
func stallBehindTheEnd(t *testing.T, ts *testServer, tr transport) (inTime bool) {
	t.Helper()
	socket, linger := ts.srv.Stats().Limits["socket"], ts.srv.Stats().Limits["linger"]
	p := openOn(t, connectTo(t, ts, tr))
	defer func() { _ = p.nc.Close() }()
	p.credit = false
	p.configure(frames.Setting{ID: frames.SettingInitialWindowSize, Value: 1 << 30})
	p.grant(0, 1<<30)
	for range 10 {
		p.headers("GET", "/big", true)
	}
	p.flush()
	begin := time.Now()
	eventually(t, "the socket is full", func() bool {
		s := ts.srv.Stats()
		return s.BlockedConnections > 0 || s.Limits["socket"] > socket
	})
	p.out = append(p.out, badFrame()...)
	_ = p.tryFlush()
	eventually(t, "one or the other is counted", func() bool {
		inTime = ts.srv.Stats().Limits["linger"] == linger+1
		return inTime || ts.srv.Stats().Limits["socket"] > socket
	})
	if took := time.Since(begin); inTime && took < 1800*time.Millisecond {
		t.Errorf("after %v", took)
	}
	return inTime
}
