package h1

import (
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/internal/message"
)

// TestShutdown begins the graceful end in each phase of a connection.
func TestShutdown(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.c.Shutdown()
	tc.wantFinished("nothing has begun", true)
	tc.recv(get)
	tc.want("nothing is served", "")

	tc = newTestConn(t, Config{})
	tc.recv(get)
	tc.c.Shutdown()
	tc.want("what is answered is answered", ok)
	tc.wantFinished("nothing more has begun", true)

	tc = newTestConn(t, Config{})
	s := tc.begin(get)
	tc.recv(get)
	tc.c.Shutdown()
	tc.wantFinished("a request is in progress", false)
	if !tc.c.Draining() {
		t.Error("not draining")
	}
	tc.answer(s)
	tc.want("the last answer says so", okClose)
	tc.wantEvents("the next request is not served", "closed")
	tc.wantFinished("all is done", true)

	tc = newTestConn(t, Config{})
	s = tc.begin(get)
	mustDo(t, tc.c.WriteHeaders(s, 200, fields("content-length", "2"), false))
	tc.c.Shutdown()
	mustDo(t, tc.c.Write(s, []byte("ok"), true))
	tc.want("it is too late to say so", ok)
	tc.wantFinished("all is done", true)

	tc = newTestConn(t, Config{})
	tc.recv(get[:20])
	tc.c.Shutdown()
	tc.wantFinished("a request has begun to come", false)
	tc.recv(get[20:])
	tc.want("it is the last", okClose)
	tc.wantFinished("all is done", true)

	tc = newTestConn(t, Config{})
	tc.recv(get[:20])
	tc.c.Shutdown()
	tc.c.Shutdown()
	tc.wantFinished("there was time enough", true)

	// Between the response and the end of its request.
	tc = newTestConn(t, Config{})
	s = tc.begin("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nx")
	tc.answer(s)
	tc.flush()
	tc.c.Shutdown()
	tc.wantFinished("nobody wants the rest", true)
}

// TestClose gives everything back, whatever is going on.
func TestClose(t *testing.T) {
	for name, end := range map[string]func(c *Conn){"Close": (*Conn).Close, "Abandon": (*Conn).Abandon} {
		t.Run(name, func(t *testing.T) {
			tc := newTestConn(t, Config{})
			s := tc.begin("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n")
			tc.body = func(*Stream, []byte, bool) {}
			tc.recv("not consumed")
			mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
			big := []byte(strings.Repeat("x", 100_000))
			tc.c.SetRoom(50_000)
			for _, name := range []string{"a", "b", "c"} {
				mustDo(t, tc.c.WriteRegion(s, big, tc.region(name), false))
			}
			mustDo(t, tc.c.WriteSource(s, &testSource{tc: tc, name: "d"}))
			tc.c.Fill()
			end(&tc.c)
			tc.wantReleased("all", map[string]int{"a": 1, "b": 1, "c": 1, "d": 1})
			tc.wantEvents("told once", "closed: "+ErrConnClosed.Error())
			if tc.sh.unread != 0 {
				t.Errorf("%d octets stay charged", tc.sh.unread)
			}
			tc.c.Close()
			tc.c.Close()
			if err := tc.c.Receive([]byte(get)); err != nil || tc.c.HasPending() || tc.c.WantsRoom() {
				t.Errorf("alive: %v", err)
			}
			mustDo(t, tc.c.Tick())
			tc.wantEvents("nothing more")
		})
	}
	// From within callbacks.
	for _, in := range []string{get + get, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + get} {
		tc := newTestConn(t, Config{})
		tc.step = 0
		tc.request = func(s *Stream) {
			if s.RequestEnded() {
				tc.c.Close()
			}
		}
		tc.body = func(*Stream, []byte, bool) { tc.c.Close() }
		tc.recv(in)
		if n := len(tc.events); n != 2 || tc.events[1] != "closed: "+ErrConnClosed.Error() {
			t.Errorf("%q", tc.events)
		}
	}
	// What is held.
	tc := newTestConn(t, Config{})
	tc.begin(get)
	tc.recv(get)
	tc.c.Close()
	if tc.sh.unread != 0 {
		t.Errorf("%d octets stay charged", tc.sh.unread)
	}
}

// pass lets time pass, with ticks as often as they are due.
func (tc *testConn) pass(d time.Duration) {
	tc.t.Helper()
	every := tc.sh.TickEvery()
	for end := tc.sh.Now + d; tc.sh.Now < end && tc.err == nil; {
		tc.sh.Now = min(tc.sh.Now+every, end)
		if tc.c.NeedsTick() {
			tc.err = tc.c.Tick()
		}
	}
	tc.flush()
}

func TestHeaderTimeout(t *testing.T) {
	for _, start := range []string{"", get} { // the first request, and a later one
		tc := newTestConn(t, Config{})
		tc.recv(start)
		tc.out = nil
		tc.pass(time.Hour)
		if tc.c.NeedsTick() || tc.err != nil {
			t.Fatalf("idle connections are the caller's: %v", tc.err)
		}
		tc.recv("\r\n")
		tc.pass(time.Hour)
		tc.recv("G")
		tc.pass(9 * time.Second)
		tc.recv("ET / HTTP/1.1\r\nHost: a")
		tc.wantFinished("in time", false)
		tc.pass(4 * time.Second)
		tc.want("too late", refusal(408, errHeaderTimeout.Reason))
		tc.wantFinished("too late", true)
		if tc.sh.Crossed[LimitHeaderTime] != 1 {
			t.Error("not counted")
		}
	}
	tc := newTestConn(t, Config{HeaderTimeout: -1})
	tc.recv("G")
	tc.pass(time.Hour)
	tc.wantFinished("it is off", false)

	// A loop that was held up has not read.
	tc = newTestConn(t, Config{})
	tc.recv("G")
	tc.sh.Now += time.Minute
	mustDo(t, tc.c.Tick())
	tc.wantFinished("that time does not count", false)

	// A section that waits for the exchange before it is not late.
	tc = newTestConn(t, Config{})
	s := tc.begin(get)
	tc.recv("G")
	tc.pass(time.Hour)
	tc.answer(s)
	tc.want("answered", ok)
	tc.pass(9 * time.Second)
	tc.recv(get[1:])
	tc.wantFinished("in time", false)
}

// TestHeaderTimeoutIsOfTheSection keeps a client whose reads always end inside a
// header section, of another request each time.
func TestHeaderTimeoutIsOfTheSection(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.request = func(s *Stream) { tc.answer(s) }
	tc.step = 0
	next := get[:10]
	tc.recv(next)
	for range 10 {
		tc.pass(3 * time.Second)
		tc.recv(get[10:] + next)
		tc.want("answered", ok)
		tc.wantFinished("each is in time", false)
	}
	tc.pass(10 * time.Second)
	tc.want("too late", refusal(408, errHeaderTimeout.Reason))
}

func TestBodyTimeout(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
	tc := newTestConn(t, Config{})
	tc.begin(post)
	tc.pass(14 * time.Second)
	tc.wantFinished("in time", false)
	tc.pass(20 * time.Second)
	tc.want("too late", refusal(408, errBodyTimeout.Reason))
	tc.wantEvents("too late", "closed: "+ErrTimeout.Error())
	if tc.sh.Crossed[LimitBodyIn] != 1 {
		t.Error("not counted")
	}

	// A slow one, and one that is just fast enough.
	for rate, late := range map[int]bool{230: true, 250: false} {
		tc = newTestConn(t, Config{})
		tc.step = 0
		tc.begin(post)
		tc.body = func(s *Stream, p []byte, _ bool) { tc.c.Consume(s, len(p)) }
		for range 100 {
			tc.recv(strings.Repeat("x", rate))
			tc.pass(time.Second)
		}
		tc.wantFinished("at this rate", late)
	}

	// An answer that has begun is cut off.
	tc = newTestConn(t, Config{})
	s := tc.begin(post)
	mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
	tc.pass(time.Minute)
	tc.want("no second answer", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n")
	tc.wantFinished("too late", true)

	// Behind the answer.
	tc = newTestConn(t, Config{})
	tc.begin("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
	tc.answer(tc.stream)
	tc.pass(time.Minute)
	tc.want("one answer", ok)
	tc.wantFinished("too late", true)

	for name, begin := range map[string]func(tc *testConn){
		"its time is off": func(tc *testConn) {
			tc.sh.cfg.BodyInWindow = -1
			tc.begin(post)
		},
		"it is long-lived": func(tc *testConn) { tc.c.SetLongLived(tc.begin(post)) },
		"it is gRPC, without an answer": func(tc *testConn) {
			tc.begin("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web\r\nContent-Length: 9\r\n\r\n")
		},
		"it waits to be told": func(tc *testConn) {
			tc.begin("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
		},
		"nobody takes it": func(tc *testConn) {
			tc.sh.cfg.BodyWindow = 5
			tc.body = func(*Stream, []byte, bool) {}
			tc.begin(post + "hello")
		},
		"it is there": func(tc *testConn) { tc.begin(get) },
		"it is a tunnel": func(tc *testConn) {
			tc.begin("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")
			mustDo(tc.t, tc.c.WriteHeaders(tc.stream, 200, nil, false))
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc := newTestConn(t, Config{})
			begin(tc)
			tc.pass(time.Hour)
			tc.wantFinished("not late", false)
		})
	}
}

func TestTickEvery(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want time.Duration
	}{
		{Config{}, 2500 * time.Millisecond},
		{Config{HeaderTimeout: -1, BodyInWindow: -1}, mostTick},
		{Config{HeaderTimeout: time.Second}, 250 * time.Millisecond},
		{Config{HeaderTimeout: time.Millisecond}, leastTick},
	} {
		if got := NewShared(tt.cfg).TickEvery(); got != tt.want {
			t.Errorf("%+v: %v, want %v", tt.cfg, got, tt.want)
		}
	}
}

// TestFreeLists sees what they keep, and that it is as good as new.
func TestFreeLists(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.body = func(*Stream, []byte, bool) {}
	s := tc.begin("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello")
	s.App = "x"
	tc.respond(s, "ok")
	tc.flush()
	free := tc.sh.streams.Values()[0]
	if free != s || free.App != nil || free.answered || free.ended || free.head != 0 || free.Request.Protocol != "" ||
		len(free.Request.Fields) != 0 || free.unread != 0 || free.body.end || free.received != 0 {
		t.Errorf("%+v", free)
	}
	in := "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", message.MaxKeptFields+1) + "\r\n"
	tc.request = nil
	tc.recv(in)
	if n := cap(tc.sh.streams.Values()[0].Request.Fields); n > message.MaxKeptFields {
		t.Errorf("a free stream keeps %d fields", n)
	}
	for l := range NumLimits {
		if l.String() == "" {
			t.Errorf("limit %d has no name", l)
		}
	}
}
