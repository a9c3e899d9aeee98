package loop

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
)

// TestUnreadAnswers has a peer make the server answer, and not read: what is kept
// for it is bounded, also where no flow control bounds it. When it reads at last it
// sees GOAWAY(ENHANCE_YOUR_CALM), or, if it did not go too far, all answers.
func TestUnreadAnswers(t *testing.T) {
	srv := stressServe(t, Config{}, func(srv *Server) {
		srv.Handle("GET /small", Static(200, "text/plain", []byte("small")))
	})
	for i := range srv.loops { // with the race detector a turn is a few frames, and millions come
		stressOnLoop(t, srv, i, func(l *eventLoop) { l.turnTime = time.Hour })
	}
	request := func(method, path string) func(p *stressPeer) []byte {
		return func(p *stressPeer) []byte {
			b, _ := p.headers(method, path, frames.FlagEndStream)
			return b
		}
	}
	kinds := []struct {
		name  string
		make  func(p *stressPeer) []byte
		limit string
		times uint64
	}{
		{"ping", func(*stressPeer) []byte { return frames.AppendPing(nil, frames.Ping{}) }, "unread_output", 1},
		{"settings", func(*stressPeer) []byte { return frames.AppendSettings(nil) }, "unread_output", 2},
		{"head", request("HEAD", "/small"), "unread_output", 3},
		// Their bodies wait, so that more streams are refused.
		{"get", request("GET", "/small"), "resets", 1},
		{"not found", request("GET", "/none"), "resets", 2},
	}
	for _, tt := range kinds {
		t.Run(tt.name, func(t *testing.T) {
			p := stressDial(t, srv, 1<<30)
			c := stressConnOf(t, srv, p)
			largest := floodUntil(t, p, tt.make, func() (buffered int, enough bool) {
				stressOnLoop(t, srv, 0, func(l *eventLoop) {
					if buffered, enough = c.wire.buffered(), c.finishing; enough {
						l.wheel.stop(&c.timer) // it has all the time it needs
					}
				})
				return buffered, enough
			})
			if largest > 1<<20 {
				t.Errorf("gnet held %d octets for a peer that does not read", largest)
			}
			if code := p.lastGoAway(); code != frames.ErrCodeEnhanceYourCalm {
				t.Errorf("the last frame is GOAWAY with %v", code)
			}
			stressWait(t, "it is counted", func() bool { return srv.Stats().Limits[tt.limit] == tt.times })
		})
	}
	t.Run("less", func(t *testing.T) {
		p := stressDial(t, srv, 1<<30)
		c := stressConnOf(t, srv, p)
		floodUntil(t, p, kinds[0].make, func() (buffered int, enough bool) {
			stressOnLoop(t, srv, 0, func(*eventLoop) { buffered = c.wire.buffered() })
			return buffered, buffered > 0
		})
		p.endOf(p.get("/small"))
		time.Sleep(2 * tick) // Stats are that old
		if n := srv.Stats().Limits["unread_output"]; n != 3 {
			t.Errorf("counted %d times, want 3", n)
		}
	})
}

// TestUnreadAnswersAndMore has a peer that does not read send an octet now and then
// behind the end of its connection: that gives it no more time to take what is left.
func TestUnreadAnswersAndMore(t *testing.T) {
	const stall = 5 * time.Second
	srv := stressServe(t, Config{HTTP2: h2.Config{StallTimeout: stall}}, func(*Server) {})
	p := stressDial(t, srv, 1<<30)
	c := stressConnOf(t, srv, p)
	ping := func(*stressPeer) []byte { return frames.AppendPing(nil, frames.Ping{}) }
	floodUntil(t, p, ping, func() (buffered int, enough bool) {
		stressOnLoop(t, srv, 0, func(*eventLoop) { buffered, enough = c.wire.buffered(), c.finishing })
		return buffered, enough
	})
	// No time passes but that which is made to.
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		defer l.setTime()
		end := l.now + 2*stall
		for ; c.wire.isOpen() && l.now < end; l.now += tick {
			c.receive() // as if an octet had come, which is thrown away
			if c.timer.armed && c.timer.deadline <= l.now {
				l.wheel.stop(&c.timer)
				c.onTimer()
			}
		}
		if c.wire.isOpen() {
			t.Errorf("after %v the peer, which takes nothing, is still waited for", 2*stall)
		}
	})
	stressWait(t, "it is counted", func() bool { return srv.Stats().Limits["linger"] == 1 })
}

// floodUntil has p send what b makes, and not read, until look says that it is
// enough. It returns the most that look saw buffered.
func floodUntil(t *testing.T, p *stressPeer, b func(p *stressPeer) []byte, look func() (int, bool)) (largest int) {
	t.Helper()
	for sent := 0; sent < 64<<20; {
		var out []byte
		for len(out) < 64<<10 {
			out = append(out, b(p)...)
		}
		sent += len(out)
		for len(out) > 0 {
			n, err := unix.Write(p.fd, out)
			if err != nil && !errors.Is(err, unix.EINTR) {
				t.Fatal(err)
			}
			out = out[max(n, 0):]
		}
		buffered, enough := look()
		largest = max(largest, buffered)
		if enough {
			return largest
		}
	}
	t.Fatal("it is never enough")
	return 0
}

// lastGoAway reads until the connection ends, and returns the code of the GOAWAY
// that comes last.
func (p *stressPeer) lastGoAway() (code frames.ErrCode) {
	p.t.Helper()
	isLast := false
	for {
		h, ok := frames.ParseHeader(p.buf[p.at:p.end])
		end := p.at + frames.HeaderLen + int(h.Length)
		if !ok || end > p.end {
			if p.fill() {
				continue
			}
			if !isLast {
				p.t.Error("the connection does not end with GOAWAY")
			}
			return code
		}
		if isLast = h.Type == frames.TypeGoAway; isLast {
			f, err := frames.ParseGoAway(h, p.buf[p.at+frames.HeaderLen:end])
			if err != nil {
				p.t.Fatal(err)
			}
			code = f.Code
		}
		p.at = end
	}
}
