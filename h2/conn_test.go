package h2

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/h2loop/h2loop/frames"
)

// A testConn plays the peer of a Conn, in memory.
//
// What it is given to send reaches the Conn one octet at a time, so that every
// test is also a test of split frames. What the Conn sends is held against the
// rules a peer knows (see peerModel), and what it owes at its end is checked
// when the test is over.
type testConn struct {
	t    testing.TB
	sh   *Shared
	c    *Conn
	app  *testApp
	peer *peerModel

	enc      *hpack.Encoder // the peer's
	encBuf   bytes.Buffer
	room     int  // what SetRoom is told each turn
	whole    bool // octets are received as they are given, not one by one
	err      error
	errSeen  bool
	lines    []string // frames received since the last want
	segments int      // of the last batch
	batchLen int      // octets of the last batch
}

// newTestConn returns a testConn after the exchange of prefaces.
func newTestConn(t testing.TB, cfg Config) *testConn {
	t.Helper()
	tc := newRawConn(t, cfg, 0)
	tc.greet()
	return tc
}

// newRawConn returns a testConn whose peer has not said anything.
func newRawConn(t testing.TB, cfg Config, record int) *testConn {
	t.Helper()
	return connOn(t, NewShared(cfg), record)
}

// connOn returns a testConn whose loop is sh.
func connOn(t testing.TB, sh *Shared, record int) *testConn {
	t.Helper()
	tc := &testConn{t: t, sh: sh, c: new(Conn), peer: newPeerModel(), room: 1 << 20}
	tc.enc = hpack.NewEncoder(&tc.encBuf)
	tc.app = &testApp{t: t, c: tc.c, open: map[*Stream]frames.StreamID{}}
	tc.c.Init(tc.sh, tc.app, record)
	tc.c.SetRoom(tc.room)
	t.Cleanup(tc.finish)
	return tc
}

// greet exchanges prefaces and acknowledgements, and forgets them.
func (tc *testConn) greet() {
	tc.t.Helper()
	tc.recv([]byte(Preface), frames.AppendSettings(nil), frames.AppendSettingsAck(nil))
	tc.turn()
	if len(tc.lines) == 0 || tc.lines[len(tc.lines)-1] != "SETTINGS ACK" {
		tc.t.Fatalf("greeting: %q", tc.lines)
	}
	tc.lines = nil
}

// recv gives the connection what the peer sends. An error ends it; a test that
// does not ask for the error fails.
func (tc *testConn) recv(sent ...[]byte) {
	tc.t.Helper()
	if tc.err != nil && !tc.errSeen {
		tc.t.Fatalf("unexpected: %v", tc.err)
	}
	for _, b := range sent {
		tc.peer.sent(b)
		step := 1
		if tc.whole {
			step = len(b)
		}
		for p := range slices.Chunk(b, max(step, 1)) {
			lent := bytes.Clone(p)
			tc.err = tc.c.Receive(lent)
			for i := range lent {
				lent[i] ^= 0x55 // Receive only borrows it
			}
			if tc.err != nil {
				return
			}
		}
		checkConn(tc.t, tc.c)
	}
}

// turn does what a loop does in one turn: one batch.
func (tc *testConn) turn() {
	tc.t.Helper()
	tc.c.SetRoom(tc.room)
	tc.c.Fill()
	checkConn(tc.t, tc.c)
	tc.flush()
}

// flush reads what is pending.
func (tc *testConn) flush() {
	tc.t.Helper()
	pending := tc.c.Pending()
	if pending != nil && !tc.c.HasPending() {
		tc.t.Fatal("pending, although HasPending says no")
	}
	if len(pending) > frames.MaxSegments {
		tc.t.Fatalf("a batch of %d segments", len(pending))
	}
	for i, p := range pending {
		if len(p) == 0 {
			tc.t.Fatalf("segment %d of the batch is empty", i)
		}
	}
	b := bytes.Join(pending, nil)
	tc.segments, tc.batchLen = len(pending), len(b)
	lines, err := tc.peer.got(b)
	if err != nil {
		tc.t.Fatalf("the peer finds: %v", err)
	}
	tc.lines = append(tc.lines, lines...)
	if tc.c.HasPending() {
		tc.c.Flushed()
	}
	tc.c.SetRoom(tc.room)
	checkConn(tc.t, tc.c)
}

// drain takes turns until nothing comes, and returns the frames received.
func (tc *testConn) drain() []string {
	tc.t.Helper()
	for range 1_000_000 {
		tc.turn()
		if tc.batchLen == 0 && !tc.c.HasPending() {
			lines := tc.lines
			tc.lines = nil
			return lines
		}
	}
	tc.t.Fatal("the connection sends without end")
	return nil
}

// want fails unless the peer has received just these frames since the last want.
func (tc *testConn) want(why string, lines ...string) {
	tc.t.Helper()
	if got := tc.drain(); !slices.Equal(got, lines) {
		tc.t.Fatalf("%s:\ngot  %s\nwant %s", why, show(got), show(lines))
	}
}

// wantTurn is want for a single turn.
func (tc *testConn) wantTurn(why string, lines ...string) {
	tc.t.Helper()
	tc.turn()
	got := tc.lines
	tc.lines = nil
	if !slices.Equal(got, lines) {
		tc.t.Fatalf("%s:\ngot  %s\nwant %s", why, show(got), show(lines))
	}
}

// wantIdle fails if there is anything to write.
func (tc *testConn) wantIdle(why string) {
	tc.t.Helper()
	tc.want(why)
}

// wantReset fails unless the one frame received is RST_STREAM.
func (tc *testConn) wantReset(why string, id frames.StreamID, code frames.ErrCode) {
	tc.t.Helper()
	tc.want(why, fmt.Sprintf("RST_STREAM %d %s", id, code))
}

// wantConnError fails unless Receive has returned a connection error, which the
// last frame received tells the peer.
func (tc *testConn) wantConnError(why string, code frames.ErrCode) {
	tc.t.Helper()
	ce, ok := errors.AsType[frames.ConnError](tc.err)
	if !ok || ce.Code != code {
		tc.t.Fatalf("%s:\ngot  %v\nwant connection error %s", why, tc.err, code)
	}
	tc.errSeen = true
	got := tc.drain()
	want := fmt.Sprintf("GOAWAY last=%d %s", tc.c.maxID, code)
	if len(got) == 0 || !strings.HasPrefix(got[len(got)-1], want) {
		tc.t.Fatalf("%s:\ngot  %s\nwant %s…", why, show(got), want)
	}
	if !tc.c.Finished() {
		tc.t.Fatalf("%s: not finished", why)
	}
	if n := tc.c.OpenStreams(); n != 0 {
		tc.t.Fatalf("%s: %d streams open after GOAWAY", why, n)
	}
	if err := tc.c.Receive(frames.AppendPing(nil, frames.Ping{})); err != nil || tc.c.HasPending() {
		tc.t.Fatalf("%s: octets after the end: %v, pending %v", why, err, tc.c.HasPending())
	}
}

// wantEvents fails unless the application was told just these things since the
// last call.
func (tc *testConn) wantEvents(why string, events ...string) {
	tc.t.Helper()
	got := tc.app.events
	tc.app.events = nil
	if !slices.Equal(got, events) {
		tc.t.Fatalf("%s:\ngot  %s\nwant %s", why, show(got), show(events))
	}
}

// wantAlive fails unless a request on stream id is served.
func (tc *testConn) wantAlive(why string, id frames.StreamID) {
	tc.t.Helper()
	tc.drain()
	keep := tc.app.request
	tc.app.request = func(s *Stream) { mustDo(tc.t, tc.c.WriteHeaders(s, 299, nil, true)) }
	tc.recv(tc.get(id))
	if tc.err != nil {
		tc.t.Fatalf("%s: %v", why, tc.err)
	}
	tc.want(why, fmt.Sprintf("HEADERS %d :status=299 END_STREAM", id))
	tc.app.request = keep
	tc.app.events = nil
}

// finish closes the connection and checks that nothing is owed.
func (tc *testConn) finish() {
	if tc.t.Failed() {
		return
	}
	if tc.err != nil && !tc.errSeen {
		tc.t.Errorf("unexpected: %v", tc.err)
	}
	tc.c.Close()
	checkClosed(tc.t, tc.c)
	if len(tc.app.open) != 0 {
		tc.t.Errorf("streams not told to be closed: %v", tc.app.open)
	}
	for _, r := range tc.app.releases {
		if r.n != 1 {
			tc.t.Errorf("%s released %d times", r.name, r.n)
		}
	}
}

// What the peer sends.

// headers returns HEADERS on stream id with fields given as "name: value".
func (tc *testConn) headers(id frames.StreamID, end bool, fields ...string) []byte {
	return frames.AppendHeaders(nil, frames.Headers{
		StreamID: id, Fragment: tc.block(fields...), EndStream: end, EndHeaders: true,
	})
}

// block encodes fields given as "name: value" with the peer's encoder.
func (tc *testConn) block(fields ...string) []byte {
	tc.encBuf.Reset()
	for _, f := range fields {
		mustDo(tc.t, tc.enc.WriteField(parseField(f)))
	}
	return bytes.Clone(tc.encBuf.Bytes())
}

func parseField(f string) Field {
	name, value, ok := strings.Cut(f[1:], ":")
	if !ok {
		panic("no colon in " + f)
	}
	return Field{Name: f[:1] + name, Value: strings.TrimPrefix(value, " ")}
}

func requestFields(method string, extra []string) []string {
	return append([]string{":method: " + method, ":scheme: https", ":path: /", ":authority: a.example"}, extra...)
}

// get returns a whole request; post the beginning of one.
func (tc *testConn) get(id frames.StreamID, extra ...string) []byte {
	return tc.headers(id, true, requestFields("GET", extra)...)
}

func (tc *testConn) post(id frames.StreamID, extra ...string) []byte {
	return tc.headers(id, false, requestFields("POST", extra)...)
}

func data(id frames.StreamID, p string) []byte {
	return frames.AppendData(nil, frames.Data{StreamID: id, Data: []byte(p)})
}

func dataEnd(id frames.StreamID, p string) []byte {
	return frames.AppendData(nil, frames.Data{StreamID: id, Data: []byte(p), EndStream: true})
}

func padded(id frames.StreamID, p string, pad uint8, end bool) []byte {
	return frames.AppendData(nil, frames.Data{StreamID: id, Data: []byte(p), Padded: true, PadLength: pad, EndStream: end})
}

func windowUpdate(id frames.StreamID, n uint32) []byte {
	return frames.AppendWindowUpdate(nil, frames.WindowUpdate{StreamID: id, Increment: n})
}

func rst(id frames.StreamID, code frames.ErrCode) []byte {
	return frames.AppendRSTStream(nil, frames.RSTStream{StreamID: id, Code: code})
}

func settings(s ...frames.Setting) []byte { return frames.AppendSettings(nil, s...) }

func setting(id frames.SettingID, v uint32) frames.Setting { return frames.Setting{ID: id, Value: v} }

func ping(data string) []byte {
	return frames.AppendPing(nil, frames.Ping{Data: [8]byte([]byte(data))})
}

// frame returns a frame of any kind, the length from payload.
func frame(t frames.Type, flags frames.Flags, id frames.StreamID, payload string) []byte {
	b := frames.AppendHeader(nil, frames.Header{Length: uint32(len(payload)), Type: t, Flags: flags, StreamID: id})
	return append(b, payload...)
}

// What the application does.

// A testApp is a Handler that notes what it is told and then does what the
// test says.
type testApp struct {
	t      testing.TB
	c      *Conn
	events []string
	open   map[*Stream]frames.StreamID
	hold   bool // bodies are not consumed

	request func(s *Stream)
	body    func(s *Stream, p []byte, end bool)
	closed  func(s *Stream, err error)

	releases []*testRelease
}

func (a *testApp) Request(s *Stream) {
	if _, ok := a.open[s]; ok {
		a.t.Errorf("stream %d announced twice", s.ID())
	}
	a.open[s] = s.ID()
	r := &s.Request
	e := fmt.Sprintf("request %d %s %s", s.ID(), r.Method, r.Path)
	if s.RequestEnded() {
		e += " end"
	}
	a.events = append(a.events, e)
	if a.request != nil {
		a.request(s)
	}
}

func (a *testApp) Body(s *Stream, p []byte, end bool) {
	if a.open[s] != s.ID() {
		a.t.Errorf("body of stream %d, which is not open", s.ID())
	}
	head := fmt.Sprintf("body %d ", s.ID())
	old := ""
	if n := len(a.events); n > 0 && strings.HasPrefix(a.events[n-1], head) && !strings.Contains(a.events[n-1], " end") {
		// Pieces make one event, however the body was split.
		old = strings.TrimPrefix(a.events[n-1], head)
		a.events = a.events[:n-1]
	}
	e := head + old + string(p)
	if end {
		e = strings.TrimSuffix(e, " ") + " end"
		for _, f := range s.Request.Trailers {
			e += " " + f.Name + "=" + f.Value
		}
	}
	a.events = append(a.events, e)
	if a.body != nil {
		a.body(s, p, end)
	}
	if !a.hold && a.open[s] != 0 {
		a.c.Consume(s, len(p))
	}
}

func (a *testApp) Closed(s *Stream, err error) {
	if a.open[s] != s.ID() {
		a.t.Errorf("stream %d closed, which is not open", s.ID())
	}
	delete(a.open, s)
	a.events = append(a.events, fmt.Sprintf("closed %d %s", s.ID(), describeEnd(err)))
	if a.closed != nil {
		a.closed(s, err)
	}
}

func describeEnd(err error) string {
	if err == nil {
		return "ok"
	}
	if se, ok := errors.AsType[frames.StreamError](err); ok {
		return se.Code.String()
	}
	if ce, ok := errors.AsType[frames.ConnError](err); ok {
		return "connection " + ce.Code.String()
	}
	return strings.TrimPrefix(err.Error(), "h2: ")
}

// stream returns the open stream id.
func (tc *testConn) stream(id frames.StreamID) *Stream {
	tc.t.Helper()
	s := tc.c.streams.get(id)
	if s == nil {
		tc.t.Fatalf("stream %d is not open", id)
	}
	return s
}

// A testRelease counts its releases, of which there must be one.
type testRelease struct {
	name string
	n    int
	then func()
}

func (r *testRelease) Release() {
	r.n++
	if r.then != nil {
		r.then()
	}
}

// release returns a Releaser that the end of the test checks.
func (tc *testConn) release(name string) *testRelease {
	r := &testRelease{name: name}
	tc.app.releases = append(tc.app.releases, r)
	return r
}

// wantReleased fails unless r was released n times so far.
func (tc *testConn) wantReleased(why string, r *testRelease, n int) {
	tc.t.Helper()
	if r.n != n {
		tc.t.Fatalf("%s: %s released %d times, want %d", why, r.name, r.n, n)
	}
}

// answer makes the application answer each request with 200 and body.
func (tc *testConn) answer(body string) {
	tc.app.request = func(s *Stream) {
		mustDo(tc.t, tc.c.WriteHeaders(s, 200, nil, false))
		mustDo(tc.t, tc.c.Write(s, []byte(body), true))
	}
}

// header answers each request with 200 and no more.
func (tc *testConn) answerHeaders() {
	tc.app.request = func(s *Stream) { mustDo(tc.t, tc.c.WriteHeaders(s, 200, nil, false)) }
}

func mustDo(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func show(lines []string) string {
	if len(lines) == 0 {
		return "nothing"
	}
	return strings.Join(lines, "\n     ")
}

// mustPanic fails unless f panics with want.
func mustPanic(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		if got := recover(); got != want {
			t.Errorf("panic %v, want %q", got, want)
		}
	}()
	f()
}

const second = time.Second
