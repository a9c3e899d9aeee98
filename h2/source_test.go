package h2

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/frames"
)

// A testSource yields pieces, one a Pull, and the end with the last.
type testSource struct {
	*testRelease
	tc     *testConn
	id     frames.StreamID
	pieces []string // "" means nothing is ready
	open   bool     // the last piece is not the end
	pulls  int
	max    []int // what Pull was told
	err    error // instead of a piece, after the last
	during func(s *testSource)
	buf    []byte // lends each piece, and is overwritten at the next Pull
}

// source returns a Source for stream id that the end of the test checks to be
// released once.
func (tc *testConn) source(id frames.StreamID, pieces ...string) *testSource {
	s := &testSource{tc: tc, id: id, pieces: pieces, testRelease: tc.release("source")}
	s.then = s.spoil
	return s
}

// spoil overwrites what was lent.
func (s *testSource) spoil() {
	for i := range s.buf {
		s.buf[i] = '!'
	}
	s.buf = s.buf[:0]
}

func (s *testSource) Pull(limit int) (p []byte, end bool, err error) {
	if s.n != 0 {
		s.tc.t.Errorf("source of %d asked after release", s.id)
	}
	if limit <= 0 {
		s.tc.t.Errorf("source of %d asked for %d octets", s.id, limit)
	}
	s.pulls++
	s.max = append(s.max, limit)
	s.spoil()
	if s.during != nil {
		s.during(s)
	}
	if len(s.pieces) == 0 {
		return nil, !s.open && s.err == nil, s.err
	}
	s.buf = append(s.buf, s.pieces[0]...)
	s.pieces = s.pieces[1:]
	return s.buf, len(s.pieces) == 0 && !s.open && s.err == nil, nil
}

// answered opens streams 1, 3 … n and answers them with 200.
func (tc *testConn) answered(n int) {
	tc.t.Helper()
	tc.answerHeaders()
	for i := range n {
		tc.recv(tc.get(frames.StreamID(2*i + 1)))
	}
	tc.drain()
	tc.app.events = nil
}

func TestSource(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answered(1)
	src := tc.source(1, "one ", "two ", "three")
	mustDo(t, tc.c.WriteSource(tc.stream(1), src))
	if src.pulls != 0 {
		t.Error("asked before a batch is about to leave")
	}
	tc.want("", `DATA 1 "one "`, `DATA 1 "two "`, `DATA 1 "three" END_STREAM`)
	tc.wantEvents("", "closed 1 ok")
	if src.pulls != 3 {
		t.Errorf("asked %d times, want 3", src.pulls)
	}
}

func TestSourceEndsEmpty(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answered(2)
	mustDo(t, tc.c.WriteSource(tc.stream(1), tc.source(1)))
	tc.want("an empty body", `DATA 1 "" END_STREAM`)
	src := tc.source(3, "abc")
	src.open = true
	src.during = func(s *testSource) { s.open = len(s.pieces) > 0 }
	mustDo(t, tc.c.WriteSource(tc.stream(3), src))
	tc.want("the end comes after the last piece", `DATA 3 "abc"`, `DATA 3 "" END_STREAM`)
}

// TestSourceAfterRegions keeps the order of one body.
func TestSourceAfterRegions(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answered(1)
	s := tc.stream(1)
	mustDo(t, tc.c.WriteRegion(s, make([]byte, 2000), tc.release("region"), false))
	src := tc.source(1, "rest")
	mustDo(t, tc.c.WriteSource(s, src))
	tc.want("", "DATA 1 len=2000", `DATA 1 "rest" END_STREAM`)
}

// TestSourceOnePieceABatch: a piece is lent until the next Pull, so there is
// none while the batch refers to it. Small pieces are copied and need not wait.
func TestSourceOnePieceABatch(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answered(2)
	big := strings.Repeat("x", 20000)
	mustDo(t, tc.c.WriteSource(tc.stream(1), tc.source(1, "a", "b", big, "c", big)))
	tc.wantTurn("until a piece is referenced", `DATA 1 "a"`, `DATA 1 "b"`, "DATA 1 len=16384", "DATA 1 len=3616")
	if !tc.c.WantsRoom() {
		t.Error("there is more")
	}
	tc.wantTurn("", `DATA 1 "c"`, "DATA 1 len=16384", "DATA 1 len=3616 END_STREAM")
	// A piece that is cut in two by the room: its end is in the next batch.
	mustDo(t, tc.c.WriteSource(tc.stream(3), tc.source(3, big, big[:2000])))
	tc.room = 10009
	tc.wantTurn("", "DATA 3 len=10000")
	tc.room = 1 << 20
	tc.wantTurn("", "DATA 3 len=10000")
	tc.wantTurn("", "DATA 3 len=2000 END_STREAM")
}

// TestSourceCopiedTail refers to the front of a piece and copies its tail: the
// next piece waits all the same.
func TestSourceCopiedTail(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answered(1)
	piece := strings.Repeat("a", 16384) + "tail"
	mustDo(t, tc.c.WriteSource(tc.stream(1), tc.source(1, piece, "next")))
	tc.c.Fill()
	if got := string(collectData(bytes.Join(tc.c.Pending(), nil))); got != piece {
		t.Errorf("%d octets, want the piece: %q…", len(got), got[:min(20, len(got))])
	}
	tc.flush()
	tc.lines = nil
	tc.want("", `DATA 1 "next" END_STREAM`)
}

func TestSourceOnlyWithRoom(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answered(2)
	src := tc.source(1, strings.Repeat("x", 70000), "y", "z")
	mustDo(t, tc.c.WriteSource(tc.stream(1), src))
	tc.room = frames.HeaderLen
	tc.wantTurn("no room")
	if src.pulls != 0 {
		t.Fatal("asked without room")
	}
	tc.room = 1 << 20
	tc.drain()
	if src.pulls != 1 {
		t.Fatalf("asked %d times, want 1: the connection window is spent", src.pulls)
	}
	if src.max[0] != 65535 {
		t.Errorf("told of %d octets, want 65535", src.max[0])
	}
	tc.recv(windowUpdate(0, 4465+1))
	tc.wantIdle("the stream window is spent")
	tc.recv(windowUpdate(1, 4465))
	tc.want("the rest of the piece", "DATA 1 len=4465")
	if src.pulls != 1 {
		t.Fatalf("asked %d times, want 1: the stream window is spent", src.pulls)
	}
	tc.recv(windowUpdate(1, 10), windowUpdate(0, 6))
	tc.room = 14
	tc.wantTurn("", `DATA 1 "y"`)
	if got := src.max[1]; got != 14-9 {
		t.Errorf("told of %d octets, want 5", got)
	}
}

func TestSourceIdle(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answered(1)
	s := tc.stream(1)
	src := tc.source(1, "a", "", "b", "", "c")
	mustDo(t, tc.c.WriteSource(s, src))
	tc.want("up to where nothing is ready", `DATA 1 "a"`)
	tc.recv(windowUpdate(1, 100), windowUpdate(0, 100), settings(setting(frames.SettingInitialWindowSize, 1<<20)), priorityUpdate(1, "u=1"))
	tc.want("windows and priorities do not wake it", "SETTINGS ACK")
	if src.pulls != 2 || tc.c.WantsRoom() {
		t.Errorf("asked %d times, want 2", src.pulls)
	}
	tc.c.Resume(s)
	tc.c.Resume(s)
	tc.want("Resume does", `DATA 1 "b"`)
	tc.c.Resume(s)
	tc.want("", `DATA 1 "c" END_STREAM`)
	tc.c.Resume(s) // of a stream that has ended
	tc.wantIdle("")
}

// TestSourceResumeBeforeIdle: Resume of a source that is not idle does nothing.
func TestSourceResumeBeforeIdle(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answered(1)
	s := tc.stream(1)
	tc.c.Resume(s)
	src := tc.source(1, "", "a")
	mustDo(t, tc.c.WriteSource(s, src))
	tc.c.Resume(s)
	src.during = func(*testSource) { tc.c.Resume(s) }
	tc.wantIdle("within Pull it does nothing either")
	src.during = nil
	tc.c.Resume(s)
	tc.want("", `DATA 1 "a" END_STREAM`)
}

func TestSourceError(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answered(1)
	src := tc.source(1, "a")
	src.err = errors.New("disk on fire")
	mustDo(t, tc.c.WriteSource(tc.stream(1), src))
	tc.want("", `DATA 1 "a"`, "RST_STREAM 1 INTERNAL_ERROR")
	tc.wantEvents("", "closed 1 disk on fire")
	tc.wantAlive("", 3)
}

// TestSourceReleaseInEveryEnding ends the stream of a source in every way, with
// a piece in the batch and without.
func TestSourceReleaseInEveryEnding(t *testing.T) {
	for why, ending := range map[string]func(tc *testConn){
		"reset by peer": func(tc *testConn) { tc.recv(rst(1, frames.ErrCodeCancel)) },
		"reset by us":   func(tc *testConn) { tc.c.Reset(tc.stream(1), frames.ErrCodeCancel) },
		"stream error":  func(tc *testConn) { tc.recv(windowUpdate(1, 0)) },
		"GOAWAY":        func(tc *testConn) { tc.c.GoAway(frames.ErrCodeNo, "") },
		"closed":        func(tc *testConn) { tc.c.Close() },
	} {
		for _, state := range []string{"new", "parked", "idle", "piece left", "flushed"} {
			tc := newTestConn(t, Config{})
			tc.answered(1)
			src := tc.source(1, strings.Repeat("x", 5000), "", "y")
			mustDo(t, tc.c.WriteSource(tc.stream(1), src))
			inBatch := false
			switch state {
			case "parked":
				tc.c.Fill()
				inBatch = true
			case "idle":
				tc.drain()
			case "piece left":
				tc.c.SetRoom(2000)
				tc.c.Fill()
				inBatch = true
			case "flushed":
				tc.turn()
			}
			ending(tc)
			if inBatch && why != "closed" {
				tc.wantReleased(why+", "+state+": the batch refers to its piece", src.testRelease, 0)
				if got := string(collectData(bytes.Join(tc.c.Pending(), nil))); strings.Trim(got, "x") != "" {
					t.Errorf("%s, %s: the piece in the batch was changed", why, state)
				}
			}
			tc.drain()
			tc.wantReleased(why+", "+state, src.testRelease, 1)
		}
	}
}

// TestSourceActsFromWithinPull has Pull do all that the documentation allows.
func TestSourceActsFromWithinPull(t *testing.T) {
	for _, tt := range []struct {
		why    string
		act    func(tc *testConn)
		want   []string
		events []string
	}{
		{
			"resets its own stream", func(tc *testConn) { tc.c.Reset(tc.stream(1), frames.ErrCodeCancel) },
			[]string{"RST_STREAM 1 CANCEL", "DATA 3 len=2000 END_STREAM", `DATA 5 "two" END_STREAM`},
			[]string{"closed 1 stream reset by the application", "closed 3 ok", "closed 5 ok"},
		},
		{
			"resets the next", func(tc *testConn) { tc.c.Reset(tc.stream(3), frames.ErrCodeCancel) },
			[]string{"RST_STREAM 3 CANCEL", `DATA 1 "one" END_STREAM`, `DATA 5 "two" END_STREAM`},
			[]string{"closed 3 stream reset by the application", "closed 1 ok", "closed 5 ok"},
		},
		{
			"resets all", func(tc *testConn) {
				for _, id := range []frames.StreamID{5, 3, 1} {
					tc.c.Reset(tc.stream(id), frames.ErrCodeCancel)
				}
			},
			[]string{"RST_STREAM 5 CANCEL", "RST_STREAM 3 CANCEL", "RST_STREAM 1 CANCEL"},
			[]string{"closed 5 stream reset by the application", "closed 3 stream reset by the application", "closed 1 stream reset by the application"},
		},
		{
			"goes away", func(tc *testConn) { tc.c.GoAway(frames.ErrCodeInternal, "") },
			[]string{"GOAWAY last=7 INTERNAL_ERROR"},
			[]string{"closed 1 connection INTERNAL_ERROR", "closed 3 connection INTERNAL_ERROR", "closed 5 connection INTERNAL_ERROR", "closed 7 connection INTERNAL_ERROR"},
		},
		{
			"closes the connection", func(tc *testConn) { tc.c.Close() }, nil,
			[]string{"closed 1 connection closed", "closed 3 connection closed", "closed 5 connection closed", "closed 7 connection closed"},
		},
		{
			"begins to shut down", func(tc *testConn) { tc.c.Shutdown() },
			[]string{"GOAWAY last=2147483647 NO_ERROR", `PING "goingawy"`, `DATA 1 "one" END_STREAM`, "DATA 3 len=2000 END_STREAM", `DATA 5 "two" END_STREAM`},
			[]string{"closed 1 ok", "closed 3 ok", "closed 5 ok"},
		},
		{
			"answers another", func(tc *testConn) { mustDo(t, tc.c.Write(tc.stream(7), []byte("hi"), true)) },
			[]string{`DATA 1 "one" END_STREAM`, "DATA 3 len=2000 END_STREAM", `DATA 5 "two" END_STREAM`, `DATA 7 "hi" END_STREAM`},
			[]string{"closed 1 ok", "closed 3 ok", "closed 5 ok", "closed 7 ok"},
		},
		{
			"ends another", func(tc *testConn) { mustDo(t, tc.c.Write(tc.stream(7), nil, true)) },
			[]string{`DATA 7 "" END_STREAM`, `DATA 1 "one" END_STREAM`, "DATA 3 len=2000 END_STREAM", `DATA 5 "two" END_STREAM`},
			[]string{"closed 7 ok", "closed 1 ok", "closed 3 ok", "closed 5 ok"},
		},
		{
			"resets its own and closes", func(tc *testConn) { tc.c.Reset(tc.stream(1), frames.ErrCodeCancel); tc.c.Close() }, nil,
			[]string{"closed 1 stream reset by the application", "closed 3 connection closed", "closed 5 connection closed", "closed 7 connection closed"},
		},
	} {
		tc := newTestConn(t, Config{})
		tc.answered(4)
		src := tc.source(1, "one")
		src.during = func(*testSource) { tt.act(tc) }
		mustDo(t, tc.c.WriteSource(tc.stream(1), src))
		mustDo(t, tc.c.WriteRegion(tc.stream(3), make([]byte, 2000), tc.release("region"), true))
		mustDo(t, tc.c.WriteSource(tc.stream(5), tc.source(5, "two")))
		tc.want(tt.why, tt.want...)
		tc.wantEvents(tt.why, tt.events...)
	}
}

// TestSourcesShareABatch has many sources lend into one batch.
func TestSourcesShareABatch(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.bigWindows(1 << 20)
	tc.answered(10)
	for id := frames.StreamID(1); id < 20; id += 2 {
		mustDo(t, tc.c.WriteSource(tc.stream(id), tc.source(id, strings.Repeat("a", 5000), strings.Repeat("b", 5000))))
	}
	for range 2 {
		tc.turn()
		if len(tc.lines) != 10 {
			t.Errorf("%d frames in a batch, want one of each source", len(tc.lines))
		}
		tc.lines = nil
	}
}

// TestRFC9218Section10_UrgentSource has an urgent source lend small pieces, one a
// batch: what is less urgent does not fill the batches up, but waits for its end.
func TestRFC9218Section10_UrgentSource(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.bigWindows(1 << 20)
	tc.answerHeaders()
	tc.recv(tc.get(1, "priority: u=5"), tc.get(3, "priority: u=1"), tc.get(5, "priority: u=1, i"))
	tc.drain()
	piece := strings.Repeat("x", 5000)
	mustDo(t, tc.c.WriteRegion(tc.stream(1), make([]byte, 10000), nil, true))
	mustDo(t, tc.c.WriteSource(tc.stream(3), tc.source(3, piece, piece)))
	mustDo(t, tc.c.WriteSource(tc.stream(5), tc.source(5, piece)))
	tc.want("the urgent ones, in turns, and then the other",
		"DATA 5 len=5000 END_STREAM", "DATA 3 len=5000", "DATA 3 len=5000 END_STREAM", "DATA 1 len=10000 END_STREAM")
}

// TestRFC9218Section10_IdleUrgentSource has an urgent source that has nothing ready:
// what is less urgent does not wait for it.
func TestRFC9218Section10_IdleUrgentSource(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.get(1, "priority: u=5"), tc.get(3, "priority: u=1"))
	tc.drain()
	src := tc.source(3)
	src.open = true
	mustDo(t, tc.c.WriteSource(tc.stream(3), src))
	mustDo(t, tc.c.WriteRegion(tc.stream(1), make([]byte, 5000), nil, true))
	tc.want("only what there is", "DATA 1 len=5000 END_STREAM")
}

// TestSourceLongerThanAsked yields more than there is room for: it is kept.
func TestSourceLongerThanAsked(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answered(1)
	tc.room = 1009
	src := tc.source(1, strings.Repeat("x", 2500))
	mustDo(t, tc.c.WriteSource(tc.stream(1), src))
	tc.want("", "DATA 1 len=1000", "DATA 1 len=1000", "DATA 1 len=500 END_STREAM")
}
