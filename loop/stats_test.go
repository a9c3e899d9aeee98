package loop_test

import (
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// TestStats counts what happens.
func TestStats(t *testing.T) {
	ts := newServer(t, loop.Config{}, hello)
	p := ts.open(cleartext)
	for range 3 {
		p.fetch("/")
	}
	p2 := ts.open(overTLS)
	p2.ping()
	eventually(t, "three requests on two connections", func() bool {
		s := ts.srv.Stats()
		return s.Requests == 3 && s.Accepted == 2 && s.Connections == 2
	})
	for name, n := range ts.srv.Stats().Limits {
		if name == "" || n != 0 {
			t.Errorf("limit %q was crossed %d times", name, n)
		}
	}
}

// TestStatsOfConnections counts what connections do: octets, handshakes, resets, those
// that are refused, and those whose sockets are full.
func TestStatsOfConnections(t *testing.T) {
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/hold", func(x *loop.Exchange) { x.Async() })
		srv.Handle("/large", func(x *loop.Exchange) { _ = x.SendStatic(200, pattern(64<<20)) })
		srv.Handle("/{$}", say("hello"))
	})
	until := func(what string, cond func(s loop.Stats) bool) {
		t.Helper()
		eventually(t, what, func() bool { return cond(ts.srv.Stats()) })
	}
	p := ts.open(overTLS)
	id := p.get("/hold")
	until("a request is open", func(s loop.Stats) bool { return s.OpenRequests == 1 && s.HandshakesDone == 1 })
	p.cancel(id)
	until("none is", func(s loop.Stats) bool { return s.OpenRequests == 0 && s.ResetsReceived == 1 })
	p.get("/", "te", "gzip") // is malformed
	p.flush()
	until("a reset is sent", func(s loop.Stats) bool { return s.ResetsSent == 1 && s.Received > 100 && s.Sent > 100 })
	for i, first := range []string{"GET / HTTP/1.1\r\n\r\n", "\x01\x02\x03 not TLS either"} {
		nc := ts.dial(overTLS)
		if _, err := nc.Write([]byte(first)); err != nil {
			t.Fatal(err)
		}
		until("it is refused", func(s loop.Stats) bool { return s.Refused == uint64(i+1) && s.HandshakesFailed == uint64(i+1) })
	}
	p = ts.open(cleartext, frames.Setting{ID: frames.SettingInitialWindowSize, Value: 1 << 30})
	p.grant(0, 1<<30)
	p.get("/large") // and does not read
	p.flush()
	until("it is blocked", func(s loop.Stats) bool { return s.BlockedConnections == 1 })
	_ = p.nc.Close()
	until("it is gone", func(s loop.Stats) bool { return s.BlockedConnections == 0 && s.OpenRequests == 0 })
	if s := ts.srv.Stats(); s.Loops != 2 || s.Draining {
		t.Errorf("%+v", s)
	}
	ts.shutdown()
	if s := ts.srv.Stats(); !s.Draining {
		t.Errorf("%+v", s)
	}
}

// TestSlowCallback logs what holds its loop up, with its pattern, alone and
// among others.
func TestSlowCallback(t *testing.T) {
	ts := newServer(t, loop.Config{Loops: 1, SlowCallback: time.Millisecond}, func(srv *loop.Server) {
		srv.Handle("/slow/{n}", func(x *loop.Exchange) {
			time.Sleep(2 * time.Millisecond)
			_ = x.SendString(200, "at last")
		})
		srv.Handle("/pull", func(x *loop.Exchange) {
			_ = x.SendSource(200, -1, sourceFunc{pull: func(int) ([]byte, bool, error) {
				time.Sleep(2 * time.Millisecond)
				return nil, true, nil
			}})
		})
	})
	p := ts.open(cleartext)
	slow := func() uint64 { return ts.srv.Stats().SlowCallbacks }
	p.fetch("/slow/1").want(t, "200", "at last")
	eventually(t, "one is counted", func() bool { return slow() >= 1 })
	if len(ts.log.find("slow callback", `"pattern":"/slow/{n}"`)) != 1 {
		t.Error("no log line that names the pattern")
	}
	// From now on each one is timed, also of those that come together.
	var ids []frames.StreamID
	for range 5 {
		ids = append(ids, p.headers("GET", "/slow/2", true))
	}
	p.flush()
	for _, id := range ids {
		p.answer(id).want(t, "200", "at last")
	}
	eventually(t, "five more are counted", func() bool { return slow() >= 6 })
	p.fetch("/pull").want(t, "200", "")
	eventually(t, "a source is counted", func() bool { return slow() >= 7 })
}
