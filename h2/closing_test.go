package h2

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/h2loop/h2loop/frames"
)

// The ways in which an application may end a stream from within a callback.
var endings = map[string]func(tc *testConn, s *Stream){
	"reset":   func(tc *testConn, s *Stream) { tc.c.Reset(s, frames.ErrCodeCancel) },
	"answer":  func(tc *testConn, s *Stream) { _ = tc.c.WriteHeaders(s, 200, nil, true) },
	"go away": func(tc *testConn, _ *Stream) { tc.c.GoAway(frames.ErrCodeNo, "") },
	"close":   func(tc *testConn, _ *Stream) { tc.c.Close() },
	"shut down, reset": func(tc *testConn, s *Stream) {
		tc.c.Shutdown()
		tc.c.Reset(s, frames.ErrCodeCancel)
	},
	"answer, reset": func(tc *testConn, s *Stream) {
		_ = tc.c.WriteHeaders(s, 200, nil, false)
		_ = tc.c.WriteRegion(s, make([]byte, 5000), tc.release("region"), true)
		tc.c.Reset(s, frames.ErrCodeCancel)
	},
	"answer, close": func(tc *testConn, s *Stream) {
		_ = tc.c.WriteHeaders(s, 200, nil, false)
		_ = tc.c.WriteRegion(s, make([]byte, 5000), tc.release("region"), true)
		_ = tc.c.WriteRegion(s, []byte("x"), tc.release("late region"), true)
		tc.c.Close()
		_ = tc.c.WriteRegion(s, []byte("x"), tc.release("region after the end"), true)
		_ = tc.c.WriteHeaders(s, 200, nil, true)
		tc.c.Reset(s, frames.ErrCodeCancel)
		tc.c.GoAway(frames.ErrCodeNo, "")
		tc.c.Shutdown()
		tc.c.Close()
	},
}

// TestClosingInCallbacks ends streams and connections from within each callback,
// while more of the same conversation is still to come in the same Receive.
func TestClosingInCallbacks(t *testing.T) {
	for name, ending := range endings {
		for _, where := range []string{"request", "body", "last body", "closed", "trailers"} {
			for _, whole := range []bool{false, true} {
				tc := newTestConn(t, Config{})
				tc.whole = whole
				done := false
				act := func(s *Stream) {
					if !done {
						done = true
						ending(tc, s)
					}
				}
				tc.app.request = func(s *Stream) {
					if where == "request" && s.ID() == 3 {
						act(s)
					}
				}
				tc.app.body = func(s *Stream, p []byte, end bool) {
					if s.ID() == 3 && (where == "body" && strings.Contains(string(p), "!") || where == "last body" && end || where == "trailers" && len(s.Request.Trailers) > 0) {
						act(s)
					}
				}
				tc.app.closed = func(s *Stream, _ error) {
					if where == "closed" {
						act(s)
					}
				}
				var b []byte
				b = append(b, tc.post(1)...)
				b = append(b, tc.post(3)...)
				b = append(b, data(1, "one")...)
				b = append(b, data(3, "ab!cd")...)
				b = append(b, padded(3, "ef", 9, where != "trailers")...)
				if where == "trailers" {
					b = append(b, tc.headers(3, true, "x: y")...)
				}
				b = append(b, tc.get(5)...)
				b = append(b, rst(1, frames.ErrCodeCancel)...)
				b = append(b, ping("12345678")...)
				tc.recv(b)
				if tc.err != nil {
					// DATA after an answer or a reset is in flight, not wrong.
					t.Errorf("%s in %s: %v", name, where, tc.err)
				}
				tc.drain()
				if !done {
					t.Errorf("%s in %s: not reached", name, where)
				}
				over := tc.c.Finished()
				if want := name == "go away" || strings.Contains(name, "close"); over != want {
					t.Errorf("%s in %s: finished %v, want %v", name, where, over, want)
				}
				if !over {
					tc.app.request, tc.app.body, tc.app.closed = nil, nil, nil
					tc.wantAlive(name+" in "+where, 7)
				}
				tc.c.Close()
				checkClosed(t, tc.c)
			}
		}
	}
}

// TestCloseWhileFailing closes the connection from the Closed that a connection
// error causes, or a GOAWAY.
func TestCloseWhileFailing(t *testing.T) {
	for _, what := range []string{"close", "reset others", "answer others", "go away"} {
		tc := newTestConn(t, Config{})
		tc.answerHeaders()
		for id := frames.StreamID(1); id < 9; id += 2 {
			tc.recv(tc.post(id))
			mustDo(t, tc.c.WriteRegion(tc.stream(id), make([]byte, 5000), tc.release("region"), false))
		}
		tc.app.closed = func(*Stream, error) {
			switch what {
			case "close":
				tc.c.Close()
			case "go away":
				tc.c.GoAway(frames.ErrCodeInternal, "again")
			default:
				tc.c.streams.each(func(s *Stream) {
					if what == "reset others" {
						tc.c.Reset(s, frames.ErrCodeCancel)
					} else {
						_ = tc.c.Write(s, nil, true)
					}
				})
			}
		}
		tc.recv(frame(frames.TypePing, 0, 1, "12345678"))
		tc.errSeen = true
		if tc.err == nil || !tc.c.Finished() || tc.c.OpenStreams() != 0 {
			t.Errorf("%s: %v", what, tc.err)
		}
		if what == "close" && tc.c.HasPending() {
			t.Error("a closed connection has something to write")
		}
		tc.drain()
	}
}

// TestCloseFromReleases closes from release callbacks: those that Flushed runs,
// those that Close runs.
func TestCloseFromReleases(t *testing.T) {
	for _, how := range []string{"flushed", "close"} {
		tc := newTestConn(t, Config{})
		tc.answered(3)
		for id := frames.StreamID(1); id < 6; id += 2 {
			rel := tc.release(fmt.Sprintf("region of %d", id))
			rel.then = func() {
				tc.c.Close()
				s := &Stream{}
				_ = tc.c.WriteRegion(s, []byte("x"), tc.release("late"), true)
				if tc.c.HasPending() {
					t.Error("a closed connection has something to write")
				}
			}
			mustDo(t, tc.c.WriteRegion(tc.stream(id), make([]byte, 2000), rel, id != 5))
		}
		mustDo(t, tc.c.WriteRegion(tc.stream(5), make([]byte, 2000), tc.release("second of 5"), true))
		tc.room = 2009 * 3
		tc.c.SetRoom(tc.room)
		tc.c.Fill()
		if how == "flushed" {
			tc.c.Flushed()
		} else {
			tc.c.Close()
		}
		if tc.c.HasPending() || !tc.c.Finished() {
			t.Errorf("%s: not closed", how)
		}
	}
}

// TestCloseInFill closes from the Closed of a stream that Fill ends.
func TestCloseInFill(t *testing.T) {
	for _, kind := range []string{"region", "source", "empty source", "trailers", "lame"} {
		tc := newTestConn(t, Config{})
		tc.answerHeaders()
		tc.recv(tc.get(1), tc.get(3), tc.post(5))
		tc.drain()
		switch s := tc.stream(1); kind {
		case "region":
			mustDo(t, tc.c.WriteRegion(s, make([]byte, 2000), tc.release("region"), true))
		case "source":
			mustDo(t, tc.c.WriteSource(s, tc.source(1, "x")))
		case "empty source":
			mustDo(t, tc.c.WriteSource(s, tc.source(1)))
		case "trailers":
			mustDo(t, tc.c.WriteRegion(s, make([]byte, 2000), tc.release("region"), false))
			mustDo(t, tc.c.WriteTrailers(s, []Field{{Name: "a", Value: "b"}}))
		case "lame":
			mustDo(t, tc.c.Write(tc.stream(5), nil, true))
		}
		mustDo(t, tc.c.WriteSource(tc.stream(3), tc.source(3, "y")))
		tc.app.closed = func(*Stream, error) { tc.c.Close() }
		tc.wantTurn(kind + ": nothing leaves a closed connection")
		if !tc.c.Finished() || tc.c.HasPending() {
			t.Errorf("%s: not closed", kind)
		}
	}
}

// TestResetMidDataOfAnother resets the stream of the DATA frame being received
// from outside Receive, and other streams around it.
func TestResetBetweenReceives(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(tc.post(1), tc.post(3))
	b := padded(1, "hello", 10, true)
	tc.recv(b[:frames.HeaderLen+3])
	tc.c.Reset(tc.stream(3), frames.ErrCodeCancel)
	tc.c.Reset(tc.stream(1), frames.ErrCodeCancel)
	tc.recv(b[frames.HeaderLen+3:])
	tc.wantEvents("", "request 1 POST /", "request 3 POST /", "body 1 he",
		"closed 3 stream reset by the application", "closed 1 stream reset by the application")
	tc.want("", "RST_STREAM 3 CANCEL", "RST_STREAM 1 CANCEL")
	if got := tc.c.recvWindow.unreturned; got != 16 {
		t.Errorf("%d octets of credit, want 16", got)
	}
	tc.wantAlive("", 5)
}

// TestCloseAnywhere cuts a conversation after every octet.
func TestCloseAnywhere(t *testing.T) {
	talk := func(tc *testConn) (b []byte) {
		b = append(b, Preface...)
		b = append(b, settings()...)
		b = append(b, headerFrames(1, false, tc.block(requestFields("POST", []string{"x-some: field"})...), 5)...)
		b = append(b, padded(1, "body", 3, false)...)
		b = append(b, headerFrames(1, true, tc.block("x-trailer: field"), 5)...)
		return append(b, priorityUpdate(9, "u=1")...)
	}
	n := len(talk(newRawConn(t, Config{}, 0)))
	for cut := range n + 1 {
		tc := newRawConn(t, Config{}, 0)
		tc.app.hold = true
		tc.app.request = func(s *Stream) {
			mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
			mustDo(t, tc.c.WriteRegion(s, make([]byte, 3000), tc.release("region"), false))
			mustDo(t, tc.c.WriteSource(s, tc.source(1, "x")))
		}
		tc.recv(talk(tc)[:cut])
		if cut%2 == 0 {
			tc.turn()
		}
		tc.c.Close()
		checkClosed(t, tc.c)
	}
}

// TestNothingIsKept closes connections in the middle of everything and sees the
// garbage collector find all that the application gave, and all the peer said.
func TestNothingIsKept(t *testing.T) {
	sh := NewShared(Config{})
	var kept []weak.Pointer[[100_000]byte]
	big := func() []byte {
		p := new([100_000]byte)
		kept = append(kept, weak.Make(p))
		return p[:]
	}
	for range 10 {
		func() {
			tc := connOn(t, sh, 0)
			tc.greet()
			tc.app.request = func(s *Stream) {
				s.App = big()
				mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
				for range 3 {
					mustDo(t, tc.c.WriteRegion(s, big(), nil, false))
				}
			}
			for id := frames.StreamID(1); id < 21; id += 2 {
				tc.recv(tc.post(id, "x-field: "+strings.Repeat("v", int(id))))
			}
			tc.drain()
			tc.recv(rst(3, frames.ErrCodeCancel), windowUpdate(5, 1000), windowUpdate(0, 100000))
			tc.turn()
			tc.c.Fill()
			tc.c.Close()
			checkClosed(t, tc.c)
		}()
	}
	if sh.streams.Len() == 0 || sh.outboxes.Len() == 0 || sh.schedules.Len() == 0 || sh.carries.Len() == 0 {
		t.Errorf("%d streams, %d outboxes, %d schedules, %d carries are free, want some of each",
			sh.streams.Len(), sh.outboxes.Len(), sh.schedules.Len(), sh.carries.Len())
	}
	checkShared(t, sh)
	runtime.GC()
	runtime.GC()
	left := 0
	for _, w := range kept {
		if w.Value() != nil {
			left++
		}
	}
	runtime.KeepAlive(sh)
	if left > 0 {
		t.Errorf("%d of %d slices of the application are still referenced", left, len(kept))
	}
}

// TestFreeListsAreBounded gives back more than is kept.
func TestFreeListsAreBounded(t *testing.T) {
	sh := NewShared(Config{})
	for range maxFreeStreams + 10 {
		sh.putStream(new(Stream))
	}
	for range maxFreeOutboxes + 10 {
		sh.putOutbox(&outbox{})
	}
	for range maxFreeCarries + 10 {
		sh.putCarry(make([]byte, 1))
	}
	for range maxFreeSchedules + 10 {
		sh.putSchedule(new([numUrgencies]level))
	}
	if sh.streams.Len() != maxFreeStreams || sh.outboxes.Len() != maxFreeOutboxes || sh.carries.Len() != maxFreeCarries || sh.schedules.Len() != maxFreeSchedules {
		t.Errorf("%d %d %d %d", sh.streams.Len(), sh.outboxes.Len(), sh.carries.Len(), sh.schedules.Len())
	}
	sh = NewShared(Config{})
	big := &outbox{}
	big.Scratch = make([]byte, maxKeptScratch+1)
	sh.putOutbox(big)
	sh.putCarry(make([]byte, maxKeptScratch+1))
	sh.putCarry(nil)
	if sh.outboxes.Len()+sh.carries.Len() != 0 {
		t.Error("large buffers are kept")
	}
}
