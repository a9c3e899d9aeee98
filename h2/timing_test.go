package h2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
)

// tick calls Tick if it is to be called, and takes a turn.
func (tc *testConn) tick() {
	tc.t.Helper()
	if tc.c.NeedsTick() {
		if err := tc.c.Tick(); err != nil {
			tc.err = err
		}
	}
	tc.turn()
}

// pass lets time pass, with a Tick as often as it is to be called, and calls each
// before it, until the connection or one of the streams that are open ends. It
// returns how much time that took, or limit.
func (tc *testConn) pass(limit time.Duration, each func(at time.Duration)) time.Duration {
	tc.t.Helper()
	every := tc.sh.TickEvery()
	open := tc.c.OpenStreams()
	for at := every; at <= limit; at += every {
		tc.sh.Now += every
		if each != nil {
			each(at)
			tc.turn()
		}
		tc.tick()
		if tc.err != nil || tc.c.OpenStreams() < open {
			return at
		}
	}
	return limit
}

// wantCut fails unless took is from least to what two ticks later comes.
func (tc *testConn) wantCut(took, least time.Duration) {
	tc.t.Helper()
	if most := least + 2*tc.sh.TickEvery(); took < least || took > most {
		tc.t.Errorf("cut after %v, want from %v to %v", took, least, most)
	}
}

func (tc *testConn) wantCrossed(l Limit, n uint64) {
	tc.t.Helper()
	if got := tc.sh.Crossed[l]; got != n {
		tc.t.Errorf("%s crossed %d times, want %d", l, got, n)
	}
}

// TestHeaderTimeout sends the beginnings of header sections and of frames, and no
// more or a little at a time.
func TestHeaderTimeout(t *testing.T) {
	for name, drip := range map[string]func(tc *testConn) (begin []byte, each []byte){
		"frame header":  func(*testConn) ([]byte, []byte) { return frame(frames.TypeHeaders, 0, 1, "")[:1], nil },
		"HEADERS":       func(tc *testConn) ([]byte, []byte) { b := tc.get(1); return b[:len(b)-1], nil },
		"PING":          func(*testConn) ([]byte, []byte) { b := ping("12345678"); return b[:len(b)-1], nil },
		"unknown frame": func(*testConn) ([]byte, []byte) { b := frame(0x42, 0, 0, "xyz"); return b[:len(b)-1], nil },
		"CONTINUATION": func(tc *testConn) ([]byte, []byte) {
			b := frames.AppendHeaders(nil, frames.Headers{StreamID: 1, Fragment: tc.block(":method: GET"), EndStream: true})
			return b, frames.AppendContinuation(nil, frames.Continuation{StreamID: 1})
		},
		"octet by octet": func(*testConn) ([]byte, []byte) {
			return frame(frames.TypeGoAway, 0, 0, strings.Repeat("x", 1000))[:20], []byte("x")
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc := newTestConn(t, Config{})
			begin, each := drip(tc)
			tc.recv(begin)
			took := tc.pass(time.Minute, func(time.Duration) { tc.recv(each) })
			tc.wantCut(took, 10*second)
			tc.wantConnError("cut", frames.ErrCodeEnhanceYourCalm)
			tc.wantCrossed(LimitHeaderTime, 1)
		})
	}
}

// TestHeaderTimeoutIsOfTheFrame keeps a client whose reads always end inside a
// frame, whatever it sends.
func TestHeaderTimeoutIsOfTheFrame(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answer("ok")
	tc.whole = true
	id := frames.StreamID(1)
	rnd := rand.New(rand.NewPCG(1, 2))
	var rest []byte
	for range 10_000 {
		b := append(bytes.Clone(rest), tc.get(id)...)
		b = append(b, ping("12345678")...)
		id += 2
		cut := len(b) - 1 - rnd.IntN(len(b)-1)
		tc.recv(b[:cut])
		rest = b[cut:]
		tc.sh.Now += 100 * time.Millisecond
		tc.tick()
	}
	tc.recv(rest)
	tc.tick()
	tc.lines = nil
	tc.wantCrossed(LimitHeaderTime, 0)
}

// TestSlowRequestBody has request bodies come in all sorts of ways.
func TestSlowRequestBody(t *testing.T) {
	const every = 2500 * time.Millisecond
	tests := []struct {
		name   string
		fields []string
		each   func(tc *testConn, at time.Duration)
		app    func(tc *testConn, s *Stream)
		hold   bool
		cut    time.Duration // 0 for never
	}{
		{name: "nothing", cut: 15 * second},
		{
			name: "200 octets a second", cut: 15 * second,
			each: func(tc *testConn, _ time.Duration) { tc.recv(data(1, strings.Repeat("x", 500))) },
		},
		{
			name: "300 octets a second",
			each: func(tc *testConn, _ time.Duration) { tc.recv(data(1, strings.Repeat("x", 750))) },
		},
		{
			name: "much, and then nothing", cut: 115 * second,
			each: func(tc *testConn, at time.Duration) {
				if at <= 100*second {
					tc.recv(data(1, strings.Repeat("x", 5000)))
				}
			},
		},
		{name: "gRPC", fields: []string{"content-type: application/grpc+proto"}},
		{name: "marked as long-lived", app: func(tc *testConn, s *Stream) { tc.c.SetLongLived(s) }},
		{name: "not told to go on", fields: []string{"expect: 100-continue"}},
		{
			name: "told to go on", fields: []string{"expect: 100-continue"}, cut: 15 * second,
			app: func(tc *testConn, s *Stream) { mustDo(tc.t, tc.c.WriteHeaders(s, 100, nil, false)) },
		},
		{
			name: "no credit", hold: true,
			each: func(tc *testConn, at time.Duration) {
				if at == every {
					tc.recv(data(1, strings.Repeat("x", 1000)))
				}
			},
		},
		{name: "switched off", fields: []string{"off: 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{StreamWindow: 1000, MaxStreamWindow: 1000}
			if !tt.hold {
				cfg = Config{}
			}
			if tt.name == "switched off" {
				cfg.BodyInWindow = -1
			}
			cfg.KeepAlive = -1
			tc := newTestConn(t, cfg)
			tc.whole = true
			tc.app.hold = tt.hold
			if tt.app != nil {
				tc.app.request = func(s *Stream) { tt.app(tc, s) }
			}
			tc.recv(tc.post(1, tt.fields...))
			tc.turn()
			tc.lines = nil
			took := tc.pass(time.Hour, func(at time.Duration) {
				if tt.each != nil {
					tt.each(tc, at)
				}
			})
			if tt.cut == 0 {
				if took != time.Hour {
					t.Errorf("cut after %v", took)
				}
				tc.wantCrossed(LimitBodyIn, 0)
				return
			}
			tc.wantCut(took, tt.cut)
			tc.wantCrossed(LimitBodyIn, 1)
			tail := tc.lines[max(0, len(tc.lines)-2):]
			if got := fmt.Sprint(tail); !strings.Contains(got, ":status=408") || !strings.Contains(got, "RST_STREAM 1 NO_ERROR") {
				t.Errorf("the peer sees %q", tail)
			}
			if e := tc.app.events[len(tc.app.events)-1]; e != "closed 1 the peer was too slow" {
				t.Errorf("the application is told %q", e)
			}
		})
	}
}

// TestSlowRequestBodyAnswered resets a stream whose answer has begun.
func TestSlowRequestBodyAnswered(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.post(1), tc.get(3))
	tc.turn()
	tc.lines = nil
	tc.wantCut(tc.pass(time.Minute, nil), 15*second)
	tc.wantReset("an answer has begun", 1, frames.ErrCodeCancel)
	tc.wantAlive("the other stream goes on", 5)
}

// TestLongLivedConnect has a tunnel stand still in both directions for an hour.
func TestLongLivedConnect(t *testing.T) {
	tc := newTestConn(t, Config{KeepAlive: -1})
	tc.whole = true
	tc.app.request = func(s *Stream) {
		mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
		mustDo(t, tc.c.WriteRegion(s, make([]byte, 1<<20), tc.release("body"), false))
	}
	tc.recv(tc.headers(1, false, ":method: CONNECT", ":authority: a.example:443"))
	if took := tc.pass(time.Hour, nil); took != time.Hour {
		t.Errorf("cut after %v: %q", took, tc.lines)
	}
	tc.wantCrossed(LimitBodyIn, 0)
	tc.wantCrossed(LimitBodyOut, 0)
	tc.lines = nil
}

// TestStalledResponse has the peer take response bodies in all sorts of ways.
func TestStalledResponse(t *testing.T) {
	grant := func(tc *testConn, n uint32) { tc.recv(windowUpdate(1, n), windowUpdate(0, n)) }
	tests := []struct {
		name   string
		fields []string
		body   int
		each   func(tc *testConn, at time.Duration)
		app    func(tc *testConn, s *Stream)
		cut    time.Duration // 0 for never
	}{
		{name: "takes nothing", body: 1 << 20, cut: 60 * second},
		{name: "takes all", body: 60_000},
		{
			name: "pauses for half a minute, again and again", body: 10 << 20,
			each: func(tc *testConn, at time.Duration) {
				if at%(30*second) == 0 {
					grant(tc, 20_000)
				}
			},
		},
		{
			name: "pauses for 55 s, again and again", body: 10 << 20,
			each: func(tc *testConn, at time.Duration) {
				if at%(55*second) == 0 {
					grant(tc, 30_000)
				}
			},
		},
		{
			name: "300 octets a second", body: 10 << 20,
			each: func(tc *testConn, _ time.Duration) { grant(tc, 750) },
		},
		{
			name: "200 octets a second", body: 10 << 20, cut: 60 * second,
			each: func(tc *testConn, _ time.Duration) { grant(tc, 500) },
		},
		{
			name: "one octet at a time", body: 10 << 20, cut: 60 * second,
			each: func(tc *testConn, _ time.Duration) { grant(tc, 1) },
		},
		{
			name: "a source that has nothing", body: -1,
			app: func(tc *testConn, s *Stream) { mustDo(tc.t, tc.c.WriteSource(s, tc.source(1, ""))) },
		},
		{name: "a request of gRPC, and no such response", body: 1 << 20, cut: 60 * second, fields: []string{"content-type: application/grpc"}},
		{name: "marked as long-lived", body: 1 << 20, app: func(tc *testConn, s *Stream) { tc.c.SetLongLived(s) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tc := newTestConn(t, Config{KeepAlive: -1})
			tc.whole = true
			tc.recv(windowUpdate(0, 1<<20)) // it is the stream's window that is shut
			tc.app.request = func(s *Stream) {
				mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
				if tt.body >= 0 {
					mustDo(t, tc.c.WriteRegion(s, make([]byte, tt.body), tc.release("body"), false))
				}
				if tt.app != nil {
					tt.app(tc, s)
				}
			}
			tc.recv(tc.get(1, tt.fields...))
			tc.turn()
			took := tc.pass(time.Hour, func(at time.Duration) {
				tc.lines = nil
				if tt.each != nil {
					tt.each(tc, at)
				}
			})
			if tt.cut == 0 {
				if took != time.Hour {
					t.Errorf("cut after %v: %q", took, tc.lines)
				}
				tc.wantCrossed(LimitBodyOut, 0)
				return
			}
			tc.wantCut(took, tt.cut)
			tc.wantCrossed(LimitBodyOut, 1)
			if n := len(tc.lines); n == 0 || tc.lines[n-1] != "RST_STREAM 1 CANCEL" {
				t.Errorf("the peer sees %q", tc.lines)
			}
			tc.lines = nil
			tc.wantAlive("the connection goes on", 3)
		})
	}
}

// TestStalledConnection shuts the connection's window. That costs the connection;
// a stream that is served beside one whose own window is shut does not.
func TestStalledConnection(t *testing.T) {
	tc := newTestConn(t, Config{KeepAlive: -1})
	tc.whole = true
	tc.app.request = func(s *Stream) {
		mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
		mustDo(t, tc.c.WriteRegion(s, make([]byte, 1<<20), tc.release("body"), true))
	}
	tc.recv(settings(setting(frames.SettingInitialWindowSize, 1<<20)), tc.get(1), tc.get(3))
	tc.drain()
	// It opens well for five minutes, and then no more.
	took := tc.pass(time.Hour, func(at time.Duration) {
		tc.lines = nil
		if at <= 300*second {
			tc.recv(windowUpdate(0, 1000))
		}
	})
	tc.wantCut(took, 330*second) // half of the last minute was good
	tc.wantConnError("the connection's window stays shut", frames.ErrCodeEnhanceYourCalm)
	tc.wantCrossed(LimitBodyOut, 1)
}

// TestStalledByTurns shuts the windows of the streams and of the connection by turns: the
// one is no reason to have the time of the other begin anew.
func TestStalledByTurns(t *testing.T) {
	window := func(n uint32) []byte { return settings(setting(frames.SettingInitialWindowSize, n)) }
	for name, turn := range map[string]func(tc *testConn, n int){
		"settings": func(tc *testConn, n int) { tc.recv(window(uint32(n%2) << 20)) },
		"an octet for one, and then for the other": func(tc *testConn, n int) {
			tc.recv(windowUpdate([]frames.StreamID{0, 1, 3}[n%3], 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc := newTestConn(t, Config{KeepAlive: -1})
			tc.whole = true
			bodies := [2]*testRelease{tc.release("body 1"), tc.release("body 3")}
			tc.app.request = func(s *Stream) {
				mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
				mustDo(t, tc.c.WriteRegion(s, make([]byte, 1<<20), bodies[s.id/2], true))
			}
			tc.recv(tc.get(1), tc.get(3))
			tc.drain()
			n := 0
			for tc.err == nil && tc.c.OpenStreams() > 0 && n < 1000 {
				tc.pass(20*second, nil)
				tc.lines = nil
				if n++; tc.err == nil {
					turn(tc, n)
					tc.turn()
				}
			}
			if n > 9 {
				t.Errorf("the streams are held for %d times 20 s", n)
			}
			tc.errSeen = true
			for _, b := range bodies {
				tc.wantReleased("cut", b, 1)
			}
		})
	}
}

// resetTogether has the application reset all of streams once one of them is closed.
func (tc *testConn) resetTogether(streams map[frames.StreamID]*Stream) {
	tc.app.closed = func(s *Stream, _ error) {
		delete(streams, s.id)
		for _, other := range streams {
			tc.c.Reset(other, frames.ErrCodeInternal)
		}
	}
}

// TestLateTogether has two streams be late at once, and the application reset the second
// because of the first: that one is not touched any more.
func TestLateTogether(t *testing.T) {
	t.Run("out", func(t *testing.T) {
		tc := newTestConn(t, Config{KeepAlive: -1})
		tc.whole = true
		tc.recv(settings(setting(frames.SettingInitialWindowSize, 0)))
		streams := map[frames.StreamID]*Stream{}
		tc.app.request = func(s *Stream) {
			streams[s.id] = s
			mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
			mustDo(t, tc.c.Write(s, make([]byte, 5000), true))
		}
		tc.recv(tc.get(1), tc.get(3))
		tc.drain()
		tc.resetTogether(streams)
		tc.pass(time.Hour, nil)
		slices.Sort(tc.lines)
		if got := fmt.Sprint(tc.lines); got != "[RST_STREAM 1 CANCEL RST_STREAM 3 INTERNAL_ERROR]" && got != "[RST_STREAM 1 INTERNAL_ERROR RST_STREAM 3 CANCEL]" {
			t.Errorf("the peer sees %s", got)
		}
		tc.lines = nil
		tc.wantAlive("the connection goes on", 5)
	})
	t.Run("in", func(t *testing.T) {
		tc := newTestConn(t, Config{KeepAlive: -1})
		tc.whole = true
		streams := map[frames.StreamID]*Stream{}
		tc.app.request = func(s *Stream) {
			streams[s.id] = s
			mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
		}
		tc.recv(tc.post(1), tc.post(3))
		tc.drain()
		tc.resetTogether(streams)
		tc.pass(time.Hour, nil)
		tc.wantCrossed(LimitBodyIn, 1)
		for _, s := range tc.sh.streams.Values() {
			if s.late {
				t.Error("a stream that nobody has any more is late")
			}
		}
		tc.lines = nil
		tc.app.events = nil
		tc.app.closed = nil
		tc.wantAlive("the connection goes on", 5)
	})
}

// TestBlockedByUs has a full socket, and a stream that others go before: neither
// is the peer's fault.
func TestBlockedByUs(t *testing.T) {
	tc := newTestConn(t, Config{KeepAlive: -1})
	tc.whole = true
	tc.app.request = func(s *Stream) {
		mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
		mustDo(t, tc.c.WriteRegion(s, make([]byte, 10_000), tc.release("body"), true))
	}
	tc.room = 0
	tc.c.SetRoom(0)
	tc.recv(tc.get(1))
	if took := tc.pass(time.Hour, nil); took != time.Hour {
		t.Errorf("cut after %v", took)
	}
}

// TestKeepAlive sends PING into silence while a stream is open.
func TestKeepAlive(t *testing.T) {
	for name, answers := range map[string][]byte{
		"PING ACK":       frames.AppendPing(nil, frames.Ping{Ack: true, Data: keepAlivePing}),
		"anything":       windowUpdate(0, 1),
		"part of a PING": ping("12345678")[:3],
		"nothing":        nil,
	} {
		t.Run(name, func(t *testing.T) {
			tc := newTestConn(t, Config{HeaderTimeout: -1})
			tc.whole = true
			tc.recv(tc.get(1))
			pings := 0
			took := tc.pass(10*time.Minute, func(time.Duration) {
				if len(tc.lines) == 0 {
					return
				}
				if !strings.HasPrefix(tc.lines[0], "PING") {
					t.Fatalf("the peer sees %q", tc.lines)
				}
				tc.lines = nil
				pings++
				if pings <= 3 && answers != nil {
					tc.recv(answers)
					answers = answers[min(1, len(answers)-1):]
					if name != "part of a PING" {
						answers = windowUpdate(0, 1)
					}
				}
			})
			want, wantPings := 80*second, 1
			if answers != nil {
				want, wantPings = 3*60*second+80*second, 4
			}
			if took < want || took > want+time.Duration(2*wantPings+2)*tc.sh.TickEvery() || pings != wantPings {
				t.Errorf("closed after %v with %d PING, want about %v with %d", took, pings, want, wantPings)
			}
			tc.wantConnError("nobody answers", frames.ErrCodeNo)
			tc.wantCrossed(LimitKeepAlive, 1)
		})
	}
}

// TestHeldUpLoop has the loop be away for long, again and again: what the peer did
// not do then is not held against it.
func TestHeldUpLoop(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.whole = true
	tc.recv(tc.post(1))
	tc.tick()
	for range 4 {
		tc.sh.Now += time.Hour
		tc.tick()
		tc.recv(data(1, strings.Repeat("x", 3000)))
		if len(tc.lines) > 0 {
			t.Fatalf("the peer sees %q", tc.lines)
		}
	}
	b := tc.get(3)
	tc.recv(b[:5])
	tc.tick()
	tc.sh.Now += time.Hour
	tc.tick()
	tc.recv(b[5:])
	tc.wantIdle("nothing was the peer's fault")
}

// TestIdleNeedsNoTick leaves connections alone on which nothing is open.
func TestIdleNeedsNoTick(t *testing.T) {
	tc := newTestConn(t, Config{})
	if tc.c.NeedsTick() {
		t.Error("from the beginning")
	}
	b := tc.get(1)
	tc.recv(b[:3])
	if !tc.c.NeedsTick() {
		t.Error("not in the middle of a frame")
	}
	tc.recv(b[3:])
	if !tc.c.NeedsTick() {
		t.Error("not with a stream")
	}
	tc.recv(rst(1, frames.ErrCodeCancel))
	if tc.c.NeedsTick() {
		t.Error("after the stream")
	}
}

// TestTickEvery follows the shortest timeout.
func TestTickEvery(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want time.Duration
	}{
		{Config{}, 2500 * time.Millisecond},
		{Config{HeaderTimeout: -1, BodyInWindow: -1, StallTimeout: -1, KeepAlive: -1, KeepAliveTimeout: -1}, 5 * second},
		{Config{StallTimeout: second / 100}, second / 10},
		{Config{KeepAlive: 8 * second}, second},
	} {
		if got := NewShared(tt.cfg).TickEvery(); got != tt.want {
			t.Errorf("%+v: every %v, want %v", tt.cfg, got, tt.want)
		}
	}
}

// TestEmptyUnknownFrame ends what came with a frame that has nothing in it and is of no
// known type: it is whole.
func TestEmptyUnknownFrame(t *testing.T) {
	tc := newTestConn(t, Config{KeepAlive: -1})
	tc.whole = true
	tc.app.request = func(*Stream) {}
	tc.recv(tc.get(1), frame(0x42, 0, 0, ""))
	if took := tc.pass(time.Hour, nil); took != time.Hour {
		t.Errorf("ended after %v: %v", took, tc.err)
	}
	tc.app.events = nil
	tc.wantAlive("the connection goes on", 3)
}
