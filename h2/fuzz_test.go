package h2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/frames"
)

// A fuzzApp answers by the stream's number, in every way there is, and never
// depends on how a body was split.
type fuzzApp struct {
	t    *testing.T
	c    *Conn
	log  []string
	open map[*Stream]*fuzzStream
	rels []*testRelease
}

type fuzzStream struct {
	id     frames.StreamID
	way    int
	length int
}

func (a *fuzzApp) release() *testRelease {
	r := &testRelease{}
	a.rels = append(a.rels, r)
	return r
}

func (a *fuzzApp) Request(s *Stream) {
	st := &fuzzStream{id: s.ID(), way: int(s.ID()/2) % 10}
	a.open[s] = st
	a.log = append(a.log, fmt.Sprintf("request %d %+v", s.ID(), s.Request))
	switch st.way {
	case 0:
		_ = a.c.WriteHeaders(s, 200, nil, false)
		_ = a.c.Write(s, []byte("Hello, World!"), true)
	case 1:
		_ = a.c.WriteHeaders(s, 200, []Field{{Name: "x-path", Value: s.Request.Path}}, false)
		_ = a.c.WriteRegion(s, make([]byte, 30000), a.release(), true)
	case 2:
		_ = a.c.WriteHeaders(s, 103, nil, false)
		_ = a.c.WriteHeaders(s, 200, nil, false)
		_ = a.c.WriteSource(s, &fuzzSource{testRelease: a.release(), app: a, s: s, left: 5})
	case 3:
		_ = a.c.WriteHeaders(s, 204, nil, true)
	case 4:
		_ = a.c.WriteHeaders(s, 200, nil, false)
		_ = a.c.WriteSource(s, &fuzzSource{testRelease: a.release(), app: a, s: s, left: 3, act: true})
	case 5:
		_ = a.c.WriteHeaders(s, 200, nil, false)
	case 6:
		if s.RequestEnded() {
			a.c.Reset(s, frames.ErrCodeCancel)
		}
	}
}

func (a *fuzzApp) Body(s *Stream, p []byte, end bool) {
	st := a.open[s]
	if st == nil || st.id != s.ID() {
		a.t.Fatalf("body of a stream that is not open")
	}
	st.length += len(p)
	head := fmt.Sprintf("body %d ", st.id)
	last := len(a.log) - 1
	switch {
	case st.way == 6:
		if st.length > 0 || end {
			a.c.Reset(s, frames.ErrCodeCancel)
			return
		}
	case last >= 0 && strings.HasPrefix(a.log[last], head):
		a.log[last] += string(p)
	default:
		a.log = append(a.log, head+string(p))
	}
	if st.way != 7 {
		a.c.Consume(s, len(p))
	}
	if !end {
		return
	}
	a.log = append(a.log, fmt.Sprintf("end %d %d %v", st.id, st.length, s.Request.Trailers))
	switch st.way {
	case 5:
		_ = a.c.Write(s, []byte("part"), false)
		_ = a.c.WriteTrailers(s, s.Request.Trailers)
	case 8, 7:
		_ = a.c.WriteHeaders(s, 200, nil, false)
		_ = a.c.WriteRegion(s, make([]byte, st.length), a.release(), true)
	case 9:
		a.c.Shutdown()
		_ = a.c.WriteHeaders(s, 200, nil, true)
	}
}

func (a *fuzzApp) Closed(s *Stream, err error) {
	st := a.open[s]
	if st == nil || st.id != s.ID() {
		a.t.Fatalf("closed a stream that is not open")
	}
	delete(a.open, s)
	a.log = append(a.log, fmt.Sprintf("closed %d %v", st.id, err))
}

// A fuzzSource yields pieces of growing size, pauses, and may act on others.
type fuzzSource struct {
	*testRelease
	app  *fuzzApp
	s    *Stream
	left int
	act  bool
	buf  []byte
}

func (f *fuzzSource) Pull(limit int) (p []byte, end bool, err error) {
	if f.n != 0 || limit <= 0 {
		f.app.t.Fatalf("released %d times, asked for %d", f.n, limit)
	}
	f.left--
	if f.act {
		f.app.c.streams.each(func(s *Stream) {
			if s != f.s && s.priority.urgency > 5 {
				f.app.c.Reset(s, frames.ErrCodeCancel)
			}
		})
		if f.left == 1 {
			return nil, false, nil // idle for ever
		}
	}
	f.buf = append(f.buf[:0], bytes.Repeat([]byte{'s'}, 10_000>>(2*max(f.left, 0)))...)
	return f.buf, f.left <= 0, nil
}

// converse lets a connection receive in, in the pieces that split makes of
// what remains, so many frames at a time, if frames says how many, with a turn after every turnEvery octets, and returns all that
// comes of it.
func converse(t *testing.T, cfg Config, in []byte, turnEvery int, split func(left int) int, frames func() int, check bool) (log []string, out []byte) {
	sh := NewShared(cfg)
	c := new(Conn)
	app := &fuzzApp{t: t, c: c, open: map[*Stream]*fuzzStream{}}
	c.Init(sh, app, 0)
	peer := newPeerModel()
	turn := func(room int) {
		c.SetRoom(room)
		c.Fill()
		b := bytes.Join(c.Pending(), nil)
		out = append(out, b...)
		if check {
			checkConn(t, c)
			if _, err := peer.got(b); err != nil {
				t.Fatalf("the peer finds: %v\nsent %x\ngot %x", err, in, out)
			}
		}
		if c.HasPending() {
			c.Flushed()
		}
		c.SetRoom(room)
	}
	turn(100_000)
	var err error
	for segment := range slices.Chunk(append([]byte(Preface), in...), turnEvery) {
		if check {
			peer.sent(segment)
		}
		for len(segment) > 0 && err == nil {
			n := min(max(split(len(segment)), 1), len(segment))
			lent := bytes.Clone(segment[:n])
			err = receiveAll(c, lent, frames)
			clear(lent)
			segment = segment[n:]
			if check {
				checkConn(t, c)
			}
		}
		if err != nil {
			log = append(log, err.Error())
			break
		}
		turn(20_000)
		app.log = append(app.log, "turn")
	}
	turn(100_000)
	turn(100_000)
	c.Close()
	checkClosed(t, c)
	for i, r := range app.rels {
		if r.n != 1 {
			t.Fatalf("release %d came %d times", i, r.n)
		}
	}
	if len(app.open) != 0 {
		t.Fatalf("streams not told to be closed: %v", app.open)
	}
	return append(log, app.log...), out
}

// receiveAll has c receive b, frames() frames at a time.
func receiveAll(c *Conn, b []byte, frames func() int) error {
	if frames == nil {
		return c.Receive(b)
	}
	for len(b) > 0 {
		most := frames()
		n, err := c.ReceiveUpTo(b, &most)
		if b = b[n:]; err != nil {
			return err
		}
	}
	return nil
}

// FuzzReceiveSplit gives a connection the same octets whole, one at a time,
// in random pieces, and a few frames at a time: what the application is told, and every octet sent, must be
// the same. The windows are large enough for no WINDOW_UPDATE to be due, for
// when that is depends on what has arrived.
func FuzzReceiveSplit(f *testing.F) {
	for _, in := range conversations(f) {
		f.Add(in, uint16(0), uint64(1))
		f.Add(in, uint16(100), uint64(2))
	}
	f.Fuzz(func(t *testing.T, in []byte, turnEvery uint16, seed uint64) {
		if len(in) > 60_000 {
			t.Skip("WINDOW_UPDATE may come due")
		}
		every := int(turnEvery)
		if every == 0 {
			every = 1 << 20
		}
		var cfg Config
		rng := rand.New(rand.NewPCG(seed, 4))
		wholeLog, wholeOut := converse(t, cfg, in, every, func(left int) int { return left }, nil, false)
		for _, name := range []string{"by the octet", "in random pieces", "a few frames at a time"} {
			split, frames := func(int) int { return 1 }, func() int { return 1 + rng.IntN(3) }
			switch name {
			case "by the octet":
				frames = nil
			case "in random pieces":
				split = func(int) int { return 1 + rng.IntN(30) }
			default:
				split = func(left int) int { return left }
			}
			log, out := converse(t, cfg, in, every, split, frames, name == "in random pieces")
			if !slices.Equal(log, wholeLog) {
				t.Fatalf("%x\nwhole:\n%s\n%s:\n%s", in, strings.Join(wholeLog, "\n"), name, strings.Join(log, "\n"))
			}
			if !bytes.Equal(out, wholeOut) {
				t.Fatalf("%x\nwhole:\n%x\n%s:\n%x", in, wholeOut, name, out)
			}
		}
		// Small limits, for the rules alone.
		small := Config{
			MaxConcurrentStreams: 3, MaxHeaderListSize: 300, StreamWindow: 50, MaxStreamWindow: 200,
			MaxUnread: 20, EnableConnectProtocol: true,
		}
		converse(t, small, in, every, func(int) int { return 1 + rng.IntN(50) }, nil, true)
	})
}

// conversations are sensible things for a client to say, and some that are not.
func conversations(t testing.TB) [][]byte {
	var all [][]byte
	say := func(talk func(tc *testConn) [][]byte) {
		tc := newRawConn(t, Config{}, 0)
		all = append(all, bytes.Join(append([][]byte{settings()}, talk(tc)...), nil))
	}
	say(func(tc *testConn) [][]byte {
		return [][]byte{frames.AppendSettingsAck(nil), tc.get(1), tc.get(3), tc.get(5), tc.get(7), tc.get(9), ping("12345678")}
	})
	say(func(tc *testConn) (b [][]byte) {
		for id := frames.StreamID(1); id < 41; id += 2 {
			b = append(b, tc.post(id, "content-length: 10", "x-y: z"), data(id, "hello"), padded(id, "world", 5, true))
		}
		return b
	})
	say(func(tc *testConn) (b [][]byte) {
		for id := frames.StreamID(1); id < 21; id += 2 {
			b = append(b, headerFrames(id, false, tc.block(requestFields("PUT", []string{"a: b"})...), 2, 2),
				data(id, "body"), headerFrames(id, true, tc.block("x-trailer: 1"), 3))
		}
		return b
	})
	say(func(tc *testConn) [][]byte {
		return [][]byte{
			settings(setting(frames.SettingInitialWindowSize, 10), setting(frames.SettingMaxFrameSize, 20000), setting(frames.SettingHeaderTableSize, 0)),
			tc.get(3), tc.get(5, "priority: u=1, i"), windowUpdate(3, 100), windowUpdate(0, 1<<20),
			settings(setting(frames.SettingInitialWindowSize, 1<<20), setting(frames.SettingHeaderTableSize, 4096)), tc.get(13), tc.get(15),
		}
	})
	say(func(tc *testConn) [][]byte {
		return [][]byte{
			priorityUpdate(9, "u=7"), priorityUpdate(3, "u=0, i"), tc.get(3, "priority: u=6"), tc.get(5), tc.get(9), tc.get(25),
			priorityUpdate(5, "u=6"), frame(frames.TypePriority, 0, 3, "\x00\x00\x00\x01\x10"), rst(3, frames.ErrCodeCancel),
			frame(0x42, 1, 3, "unknown"),
		}
	})
	say(func(tc *testConn) [][]byte {
		return [][]byte{
			tc.post(1), data(1, ""), dataEnd(1, "late"), data(1, "too late"), tc.post(13), data(13, "x"), data(13, "y"),
			tc.headers(15, true, ":method: GET"), tc.headers(17, true, requestFields("GET", []string{"Bad: x"})...), tc.get(19),
			frames.AppendGoAway(nil, frames.GoAway{}), tc.get(21), data(21, "x"),
		}
	})
	say(func(tc *testConn) [][]byte {
		return [][]byte{
			tc.post(19), dataEnd(19, "x"), frames.AppendPing(nil, frames.Ping{Ack: true, Data: drainPing}), tc.get(21), tc.get(23),
			windowUpdate(0, 0),
		}
	})
	say(func(tc *testConn) [][]byte {
		return [][]byte{tc.post(15), data(15, strings.Repeat("x", 20000)[:16384]), tc.get(17, "x: "+strings.Repeat("y", 400)), dataEnd(15, "z"), data(2, "x")}
	})
	say(func(tc *testConn) [][]byte {
		return [][]byte{
			tc.headers(1, false, ":method: CONNECT", ":protocol: websocket", ":scheme: https", ":path: /", ":authority: a"),
			data(1, "tunnel"), tc.headers(3, false, ":method: CONNECT", ":authority: a:443"), data(3, "tunnel"), rst(3, 8), dataEnd(1, ""),
			frame(frames.TypeHeaders, frames.FlagEndHeaders, 5, "\x80"),
		}
	})
	return all
}
