package h1

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/internal/message"
)

// A testConn plays the peer of a Conn, and the application, in memory.
type testConn struct {
	t      testing.TB
	c      Conn
	sh     *Shared
	out    []byte // what the peer has got and no want has taken
	err    error  // of Receive, Continue and Tick
	step   int    // octets that recv gives at once; 0 for all
	pieces int    // that ReceiveUpTo may take of them; 0 for all

	events []string // what the handler was told
	bodies map[*Stream][]byte

	// What the application does; by default it answers at once and consumes.
	request func(s *Stream)
	body    func(s *Stream, p []byte, end bool)
	closed  func(s *Stream, err error)

	stream   *Stream // the last one
	released map[string]int
	quiet    bool // no events
}

func newTestConn(t testing.TB, cfg Config) *testConn {
	tc := &testConn{t: t, sh: NewShared(cfg), step: 1, bodies: map[*Stream][]byte{}, released: map[string]int{}}
	tc.c.Init(tc.sh, tc, false)
	tc.c.SetRoom(1 << 20)
	return tc
}

func (tc *testConn) Request(s *Stream) {
	tc.stream = s
	if !tc.quiet { // to describe it is to ask for its fields
		tc.event(describe(&s.Request, s.RequestEnded()))
	}
	tc.bodies[s] = nil
	if tc.request != nil {
		tc.request(s)
		return
	}
	if s.RequestEnded() {
		tc.answer(s)
	}
}

func (tc *testConn) Body(s *Stream, p []byte, end bool) {
	if s != tc.stream {
		tc.t.Fatal("body of a stream that is not in progress")
	}
	tc.bodies[s] = append(tc.bodies[s], p...)
	if tc.body != nil {
		tc.body(s, p, end)
		return
	}
	tc.c.Consume(s, len(p))
	if end {
		tc.event(fmt.Sprintf("body %q%s", tc.bodies[s], fieldsText(s.Request.Trailers)))
		if !s.Answered() {
			tc.answer(s)
		}
	}
}

func (tc *testConn) Closed(s *Stream, err error) {
	if s != tc.stream {
		tc.t.Fatal("a stream is closed that is not in progress")
	}
	tc.stream = nil
	if err != nil {
		tc.event("closed: " + err.Error())
	} else {
		tc.event("closed")
	}
	if tc.closed != nil {
		tc.closed(s, err)
	}
}

func (tc *testConn) event(e string) {
	if !tc.quiet {
		tc.events = append(tc.events, e)
	}
}

// answer says "ok".
func (tc *testConn) answer(s *Stream) {
	tc.t.Helper()
	tc.respond(s, "ok")
}

func (tc *testConn) respond(s *Stream, text string) {
	tc.t.Helper()
	err := tc.c.WriteHeaders(s, 200, fields("content-length", fmt.Sprint(len(text))), false)
	if err == nil {
		err = tc.c.Write(s, []byte(text), true)
	}
	if err != nil {
		tc.t.Errorf("answering: %v", err)
	}
}

func fields(pairs ...string) (f []message.Field) {
	for i := 0; i < len(pairs); i += 2 {
		f = append(f, message.Field{Name: pairs[i], Value: pairs[i+1]})
	}
	return f
}

func fieldsText(fields []message.Field) string {
	var b strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&b, " %s=%q", f.Name, f.Value)
	}
	return b.String()
}

func describe(r *message.Request, ended bool) string {
	s := fmt.Sprintf("%s %s %s %s length=%d", r.Method, r.Scheme, r.Authority, r.Path, r.ContentLength)
	if r.Protocol != "" {
		s += " protocol=" + r.Protocol
	}
	s += fieldsText(r.ReadFields())
	if ended {
		s += " END"
	}
	return s
}

// recv gives the connection octets, one at a time unless tc.step says otherwise.
func (tc *testConn) recv(in string) {
	tc.t.Helper()
	b := []byte(in)
	step := tc.step
	if step == 0 {
		step = max(len(b), 1)
	}
	for len(b) > 0 && tc.err == nil {
		n := min(step, len(b))
		piece := bytes.Clone(b[:n])
		for rest := piece; len(rest) > 0 && tc.err == nil; {
			most := max(tc.pieces, 1)
			if tc.pieces == 0 {
				most = math.MaxInt
			}
			var n int
			n, tc.err = tc.c.ReceiveUpTo(rest, &most)
			rest = rest[n:]
		}
		for i := range piece {
			piece[i] = '!' // it was borrowed
		}
		b = b[n:]
		tc.check()
	}
	tc.flush()
}

// flush writes what there is, with plenty of room, for as long as there is any.
func (tc *testConn) flush() {
	tc.t.Helper()
	for range 10_000 {
		tc.turn(1 << 20)
		if !tc.c.HasPending() && !tc.c.WantsRoom() {
			return
		}
	}
	tc.t.Fatal("the connection never has enough of writing")
}

// turn writes one batch.
func (tc *testConn) turn(room int) {
	tc.t.Helper()
	tc.c.SetRoom(room)
	tc.c.Fill()
	tc.write()
	tc.c.SetRoom(room)
	if err := tc.c.Continue(); tc.err == nil {
		tc.err = err
	}
	tc.check()
}

func (tc *testConn) write() {
	tc.t.Helper()
	segs := tc.c.Pending()
	if len(segs) > maxSegments {
		tc.t.Fatalf("%d segments", len(segs))
	}
	for i, p := range segs {
		if len(p) == 0 {
			tc.t.Fatal("an empty segment")
		}
		tc.out = append(tc.out, p...)
		segs[i] = nil // as a partial vectored write would
	}
	tc.c.Flushed()
}

// check checks what must be true of a connection between calls.
func (tc *testConn) check() {
	tc.t.Helper()
	c := &tc.c
	charged := len(c.held) - c.at
	if c.stream != nil {
		charged += c.stream.unread
		if c.life >= lifeFinished {
			tc.t.Fatal("a stream is open on a connection that is finished")
		}
	}
	if charged != tc.sh.unread {
		tc.t.Fatalf("%d octets are held and %d charged", charged, tc.sh.unread)
	}
	if c.stream != tc.stream {
		tc.t.Fatal("the handler has not learned what became of a stream")
	}
	if c.running {
		tc.t.Fatal("running for ever")
	}
	if (c.held != nil) != (len(c.held) > c.at) {
		tc.t.Fatalf("held: %d octets from %d on", len(c.held), c.at)
	}
}

// want takes what the peer got.
func (tc *testConn) want(why, out string) {
	tc.t.Helper()
	tc.flush()
	if got := string(tc.out); got != out {
		tc.t.Fatalf("%s:\ngot  %q\nwant %q", why, got, out)
	}
	tc.out = nil
}

func (tc *testConn) wantEvents(why string, events ...string) {
	tc.t.Helper()
	if got, want := strings.Join(tc.events, "\n"), strings.Join(events, "\n"); got != want {
		tc.t.Fatalf("%s:\ngot  %s\nwant %s", why, got, want)
	}
	tc.events = nil
}

func (tc *testConn) wantFinished(why string, is bool) {
	tc.t.Helper()
	if tc.c.Finished() != is {
		tc.t.Fatalf("%s: finished is %v", why, !is)
	}
}

// region returns a releaser that counts under name.
func (tc *testConn) region(name string) message.Releaser {
	tc.released[name] += 0
	return message.ReleaseFunc(func() { tc.released[name]++ })
}

func (tc *testConn) wantReleased(why string, times map[string]int) {
	tc.t.Helper()
	for name, n := range tc.released {
		if times[name] != n {
			tc.t.Errorf("%s: %s is released %d times, want %d", why, name, n, times[name])
		}
	}
}

const (
	get = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"

	ok      = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
	okClose = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
)

// refusal is the connection's own answer.
func refusal(status int, why string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s\n",
		status, reason(status), len(why)+1, why)
}
