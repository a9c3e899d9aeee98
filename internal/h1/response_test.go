package h1

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/internal/message"
)

func mustDo(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// begin sends a request and returns its stream, with the response left open.
func (tc *testConn) begin(in string) *Stream {
	tc.t.Helper()
	tc.request = func(*Stream) {}
	tc.recv(in)
	if tc.stream == nil {
		tc.t.Fatal("no request")
	}
	tc.events = nil
	return tc.stream
}

// TestSection6_3_Framing sees how a response of each kind is told from the next.
func TestSection6_3_Framing(t *testing.T) {
	const (
		get10 = "GET / HTTP/1.0\r\n\r\n"
		keep  = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
		head  = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
	)
	length := fields("content-length", "5")
	for _, tt := range []struct {
		name     string
		in       string
		status   int
		fields   []message.Field
		end      bool // with the header section
		want     string
		finished bool
	}{
		{"a length", get, 200, length, false, "200 OK\r\ncontent-length: 5\r\n\r\nhello", false},
		{"no length", get, 200, nil, false, "200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", false},
		{"a bad length", get, 200, fields("content-length", "5, 5"), false, "200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", false},
		{"two lengths", get, 200, fields("content-length", "5", "content-length", "6"), false, "200 OK\r\ncontent-length: 5\r\n\r\nhello", false},
		{"no body", get, 200, nil, true, "200 OK\r\ncontent-length: 0\r\n\r\n", false},
		{"HEAD", head, 200, length, false, "200 OK\r\ncontent-length: 5\r\n\r\n", false},
		{"HEAD at once", head, 200, length, true, "200 OK\r\ncontent-length: 5\r\n\r\n", false},
		{"HEAD without a length", head, 200, nil, false, "200 OK\r\n\r\n", false},
		{"204", get, 204, length, false, "204 No Content\r\n\r\n", false},
		{"304", get, 304, length, false, "304 Not Modified\r\ncontent-length: 5\r\n\r\n", false},
		{"HTTP/1.0", get10, 200, length, false, "200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello", true},
		{"HTTP/1.0 without a length", get10, 200, nil, false, "200 OK\r\nconnection: close\r\n\r\nhello", true},
		{"HTTP/1.0 that persists", keep, 200, length, false, "200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello", false},
		{"HTTP/1.0 that cannot persist", keep, 200, nil, false, "200 OK\r\nconnection: close\r\n\r\nhello", true},
		{"HTTP/1.0 with both options", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", 200, length, false, "200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello", true},
		{"close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: x,CLOSE\r\n\r\n", 200, length, false, "200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello", true},
		{"fields that are not its to set", get, 200, fields("connection", "close", "transfer-encoding", "gzip", "keep-alive", "x", "upgrade", "x", "x", "y"), true, "200 OK\r\nx: y\r\ncontent-length: 0\r\n\r\n", false},
		{"fields that cannot be sent", get, 200, fields("x", "a\r\nb: c", "y\n", "z", "", "e", "a b", "c", "d", " e", "f", "g"), true, "200 OK\r\nf: g\r\ncontent-length: 0\r\n\r\n", false},
		{"a status nobody knows", get, 799, nil, true, "799 \r\ncontent-length: 0\r\n\r\n", false},
		{"CONNECT refused", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405, length, false, "405 Method Not Allowed\r\ncontent-length: 5\r\n\r\nhello", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, how := range []string{"Write", "WriteRegion", "WriteSource"} {
				tc := newTestConn(t, Config{})
				s := tc.begin(tt.in)
				mustDo(t, tc.c.WriteHeaders(s, tt.status, tt.fields, tt.end))
				if !tt.end {
					switch how {
					case "Write":
						mustDo(t, tc.c.Write(s, []byte("hello"), true))
					case "WriteRegion":
						mustDo(t, tc.c.WriteRegion(s, []byte("hello"), tc.region("p"), true))
					case "WriteSource":
						mustDo(t, tc.c.WriteSource(s, &testSource{tc: tc, name: "p", pieces: []string{"hello"}}))
					}
				}
				tc.want(how, "HTTP/1.1 "+tt.want)
				tc.wantEvents(how, "closed")
				tc.wantFinished(how, tt.finished)
				tc.wantReleased(how, map[string]int{"p": 1})
				if err := tc.c.Write(s, nil, true); !errors.Is(err, ErrEnded) {
					t.Errorf("writing on: %v", err)
				}
				if tt.finished {
					tc.recv(get)
					tc.want("nothing is served on a connection that is finished", "")
				}
			}
		})
	}
}

// A testSource yields pieces.
type testSource struct {
	tc     *testConn
	name   string
	pieces []string // "" for nothing now
	err    error    // behind them
	noEnd  bool     // the last piece does not say that it is
	pulled func()
}

func (src *testSource) Pull(int) ([]byte, bool, error) {
	if src.pulled != nil {
		src.pulled()
	}
	if len(src.pieces) == 0 {
		return nil, src.err == nil, src.err
	}
	p := src.pieces[0]
	src.pieces = src.pieces[1:]
	return []byte(p), len(src.pieces) == 0 && src.err == nil && !src.noEnd, nil
}

func (src *testSource) Release() { src.tc.region(src.name).Release() }

func TestSection7_1_ChunkRoundTrip(t *testing.T) {
	for _, n := range []int{1, 9, 10, 15, 16, 17, 255, 256, 4095, 4096, copyLimit, copyLimit + 1, 100_000} {
		tc := newTestConn(t, Config{})
		s := tc.begin(get)
		body := strings.Repeat("abcdefg", n/7+1)[:n]
		mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
		mustDo(t, tc.c.Write(s, []byte(body), false))
		mustDo(t, tc.c.Write(s, nil, false))
		mustDo(t, tc.c.WriteRegion(s, []byte(body), nil, false))
		mustDo(t, tc.c.WriteTrailers(s, fields("x-sum", "1", "content-length", "5", "bad", "a\n")))
		for tc.c.WantsRoom() || tc.c.HasPending() {
			tc.turn(700)
		}
		_, raw, _ := strings.Cut(string(tc.out), "\r\n\r\n")
		// What was sent is a body that we take.
		back := newTestConn(t, Config{})
		back.step = 0
		back.recv(chunked(raw))
		back.wantEvents("the same comes back", "POST http a / length=-1", `body "`+body+body+`" x-sum="1"`, "closed")
	}
}

// TestContentLengthIsKept has responses that are not as long as they say.
func TestContentLengthIsKept(t *testing.T) {
	for _, tt := range []struct {
		name string
		send func(tc *testConn, s *Stream) error
		want string
		err  error
	}{
		{"one write too long", func(tc *testConn, s *Stream) error { return tc.c.Write(s, []byte("hello, world"), true) }, "hello", nil},
		{"two writes too long", func(tc *testConn, s *Stream) error {
			mustDo(tc.t, tc.c.Write(s, []byte("hel"), false))
			return tc.c.WriteRegion(s, []byte("lo, world"), tc.region("p"), true)
		}, "hello", nil},
		{"a source too long", func(tc *testConn, s *Stream) error {
			return tc.c.WriteSource(s, &testSource{tc: tc, name: "p", pieces: []string{"hel", "lo, ", "world"}})
		}, "hello", nil},
		{"a source that does not say it is done", func(tc *testConn, s *Stream) error {
			return tc.c.WriteSource(s, &testSource{tc: tc, name: "p", pieces: []string{"hello"}, noEnd: true})
		}, "hello", nil},
		{"a write too short", func(tc *testConn, s *Stream) error { return tc.c.Write(s, []byte("hell"), true) }, "hell", ErrShort},
		{"nothing", func(tc *testConn, s *Stream) error { return tc.c.Write(s, nil, true) }, "", ErrShort},
		{"a source too short", func(tc *testConn, s *Stream) error {
			return tc.c.WriteSource(s, &testSource{tc: tc, name: "p", pieces: []string{"he", "ll"}})
		}, "hell", ErrShort},
		{"a source that fails", func(tc *testConn, s *Stream) error {
			return tc.c.WriteSource(s, &testSource{tc: tc, name: "p", pieces: []string{"he"}, err: errTest})
		}, "he", errTest},
		{"trailers", func(tc *testConn, s *Stream) error {
			mustDo(tc.t, tc.c.Write(s, []byte("hello"), false))
			return tc.c.WriteTrailers(s, fields("x", "y"))
		}, "hello", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tc := newTestConn(t, Config{})
			s := tc.begin(get)
			mustDo(t, tc.c.WriteHeaders(s, 200, fields("content-length", "5"), false))
			mustDo(t, tt.send(tc, s))
			tc.want("as much as was promised", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"+tt.want)
			tc.wantReleased("gone", map[string]int{"p": 1})
			if tt.err == nil {
				tc.wantEvents("complete", "closed")
			} else {
				tc.wantEvents("not complete", "closed: "+tt.err.Error())
			}
			tc.wantFinished("a part must not look whole", tt.err != nil)
			if tc.c.Aborted() {
				t.Error("the length tells that it is a part")
			}
		})
	}
}

var errTest = errors.New("test")

// TestReset cuts responses off.
func TestReset(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
		answer         bool
		aborted        bool
	}{
		{"before the answer", get, "", false, false},
		{"in chunks", get, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n", true, false},
		{"up to the end of the connection", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhe", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tc := newTestConn(t, Config{})
			s := tc.begin(tt.in)
			if tt.answer {
				mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
				mustDo(t, tc.c.Write(s, []byte("he"), false))
				mustDo(t, tc.c.WriteSource(s, &testSource{tc: tc, name: "p"}))
			}
			tc.c.Reset(s)
			tc.c.Reset(s)
			tc.want("no end", tt.want)
			tc.wantEvents("told once", "closed: "+ErrReset.Error())
			tc.wantFinished("the connection goes with it", true)
			if tc.c.Aborted() != tt.aborted {
				t.Errorf("aborted %v", tc.c.Aborted())
			}
			if tt.answer {
				tc.wantReleased("gone", map[string]int{"p": 1})
			}
		})
	}
}

func TestErrorsOfWriting(t *testing.T) {
	tc := newTestConn(t, Config{})
	s := tc.begin(get)
	for _, tt := range []struct {
		what      string
		got, want error
	}{
		{"Write", tc.c.Write(s, nil, true), ErrNotAnswered},
		{"WriteRegion", tc.c.WriteRegion(s, nil, tc.region("a"), true), ErrNotAnswered},
		{"WriteSource", tc.c.WriteSource(s, &testSource{tc: tc, name: "b"}), ErrNotAnswered},
		{"WriteTrailers", tc.c.WriteTrailers(s, nil), ErrNotAnswered},
		{"99", tc.c.WriteHeaders(s, 99, nil, false), ErrStatus},
		{"1000", tc.c.WriteHeaders(s, 1000, nil, false), ErrStatus},
		{"interim and last", tc.c.WriteHeaders(s, 103, nil, true), ErrStatus},
		{"no upgrade was asked for", tc.c.WriteHeaders(s, 101, nil, false), ErrStatus},
		{"interim", tc.c.WriteHeaders(s, 103, fields("link", "x", "content-length", "3"), false), nil},
		{"final", tc.c.WriteHeaders(s, 200, nil, false), nil},
		{"twice", tc.c.WriteHeaders(s, 200, nil, false), ErrAnswered},
		{"interim behind", tc.c.WriteHeaders(s, 103, nil, false), ErrAnswered},
		{"a source", tc.c.WriteSource(s, &testSource{tc: tc, name: "c", pieces: []string{"x", "", "y"}}), nil},
		{"behind a source", tc.c.Write(s, nil, true), ErrEnded},
		{"trailers", tc.c.WriteTrailers(s, fields("t", "u")), nil},
	} {
		if !errors.Is(tt.got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, tt.got, tt.want)
		}
	}
	tc.wantReleased("on error", map[string]int{"a": 1, "b": 1})
	tc.want("up to where the source has nothing",
		"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
	tc.c.Resume(s)
	tc.want("the rest", "1\r\ny\r\n0\r\nt: u\r\n\r\n")
	if err := tc.c.WriteHeaders(s, 200, nil, false); !errors.Is(err, ErrEnded) {
		t.Errorf("a stream that is closed: %v", err)
	}
}

// TestRFC9110Section10_1_1_Expect has clients that wait to be told to send their
// body.
func TestRFC9110Section10_1_1_Expect(t *testing.T) {
	const in = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n"
	tc := newTestConn(t, Config{})
	s := tc.begin(in)
	if s.RequestEnded() {
		t.Fatal("there is a body")
	}
	mustDo(t, tc.c.WriteHeaders(s, 100, nil, false))
	tc.want("told", "HTTP/1.1 100 Continue\r\n\r\n")
	tc.recv("hello")
	tc.want("answered", ok)
	tc.wantFinished("the connection goes on", false)

	tc.request = nil
	s = tc.begin(in)
	tc.respond(s, "no")
	tc.want("the body will not come", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
	tc.wantEvents("over", "closed")
	tc.wantFinished("what would come next cannot be told from a body", true)

	// One that does not wait.
	tc = newTestConn(t, Config{})
	s = tc.begin(in + "he")
	tc.respond(s, "no")
	tc.want("the body comes", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno")
	tc.request = nil
	tc.recv("llo" + get)
	tc.want("the next request", ok)
	// HTTP/1.0 does not know of interim responses.
	tc = newTestConn(t, Config{})
	s = tc.begin("POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n")
	mustDo(t, tc.c.WriteHeaders(s, 100, nil, false))
	mustDo(t, tc.c.WriteHeaders(s, 103, nil, false))
	tc.want("nothing", "")
}

// TestRFC9110Section7_8_Upgrade makes a connection a stream of octets.
func TestRFC9110Section7_8_Upgrade(t *testing.T) {
	const (
		upgrade = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"
		connect = "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"
	)
	for _, tt := range []struct {
		in     string
		status int
		want   string
	}{
		{upgrade, 101, "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\nconnection: upgrade\r\nupgrade: WebSocket\r\n\r\n"},
		{connect, 200, "HTTP/1.1 200 OK\r\nsec-websocket-accept: x\r\n\r\n"},
	} {
		for _, late := range []bool{false, true} {
			for _, step := range []int{0, 1} {
				tc := newTestConn(t, Config{})
				tc.step = step
				got := ""
				accept := func(s *Stream) {
					if !s.RequestEnded() {
						t.Error("no body is announced")
					}
					mustDo(t, tc.c.WriteHeaders(s, tt.status, fields("sec-websocket-accept", "x", "content-length", "0"), false))
					if s.RequestEnded() {
						t.Error("octets will come")
					}
				}
				tc.request = func(s *Stream) {
					if !late {
						accept(s)
					}
				}
				tc.body = func(s *Stream, p []byte, end bool) {
					got += string(p)
					tc.c.Consume(s, len(p))
					mustDo(t, tc.c.Write(s, p, false))
				}
				tc.recv(tt.in + "raw\r\n\r\nGET ")
				if late {
					if got != "" || !tc.c.WantsPause() {
						t.Fatalf("got %q before the answer", got)
					}
					accept(tc.stream)
					tc.flush()
				}
				tc.recv(get)
				tc.want("what came goes back", tt.want+"raw\r\n\r\nGET "+get)
				if got != "raw\r\n\r\nGET "+get {
					t.Errorf("got %q", got)
				}
				big := strings.Repeat("x", 5000)
				mustDo(t, tc.c.WriteRegion(tc.stream, []byte(big), tc.region("p"), false))
				mustDo(t, tc.c.Write(tc.stream, []byte("bye"), true))
				tc.want("raw, and the end", big+"bye")
				tc.wantReleased("sent", map[string]int{"p": 1})
				tc.wantFinished("the end of one side ends both", true)
				tc.events = nil
			}
		}
	}
	// It is refused.
	tc := newTestConn(t, Config{})
	tc.recv(upgrade + get)
	tc.want("an ordinary answer", ok+ok)
	// It has a body, which comes first.
	tc = newTestConn(t, Config{})
	s := tc.begin("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\n")
	if err := tc.c.WriteHeaders(s, 101, nil, false); !errors.Is(err, ErrStatus) {
		t.Errorf("in the midst of a body: %v", err)
	}
	tc.body = func(s *Stream, p []byte, end bool) { tc.c.Consume(s, len(p)) }
	tc.recv("hi")
	mustDo(t, tc.c.WriteHeaders(s, 101, nil, false))
	tc.recv("raw")
	if string(tc.bodies[s]) != "hiraw" {
		t.Errorf("got %q", tc.bodies[s])
	}
}

// TestHijack gives a connection away behind a request, and what has come with it.
func TestHijack(t *testing.T) {
	tc := newTestConn(t, Config{})
	var s *Stream
	got := ""
	tc.request = func(of *Stream) { s = of }
	tc.body = func(s *Stream, p []byte, _ bool) {
		got += string(p)
		tc.c.Consume(s, len(p))
	}
	tc.recv("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab")
	if err := tc.c.Hijack(s); !errors.Is(err, ErrNotEnded) {
		t.Errorf("in the midst of a body: %v", err)
	}
	tc.recv("cGET / HTTP/1.1\r\n")
	mustDo(t, tc.c.Hijack(s))
	if err := tc.c.Hijack(s); !errors.Is(err, ErrAnswered) {
		t.Errorf("again: %v", err)
	}
	mustDo(t, tc.c.Write(s, []byte("raw"), false))
	tc.want("what was written, and nothing else", "raw")
	tc.recv("\r\n")
	if got != "abcGET / HTTP/1.1\r\n\r\n" {
		t.Errorf("%q", got)
	}
	mustDo(t, tc.c.Write(s, []byte("end"), true))
	tc.want("the rest", "end")
	if !tc.c.Finished() {
		t.Error("it goes on behind its end")
	}
	if err := tc.c.Hijack(s); !errors.Is(err, ErrEnded) {
		t.Errorf("too late: %v", err)
	}
}

// TestSentMemos sees that an answer is the same whether it is remembered or not, and
// is not taken for another that has the same place.
func TestSentMemos(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.step = 0
	var status int
	var answer []message.Field
	tc.request = func(s *Stream) {
		if err := tc.c.WriteHeaders(s, status, answer, false); err != nil {
			t.Error(err)
		}
		if err := tc.c.Write(s, []byte("ok"), true); err != nil {
			t.Error(err)
		}
	}
	for range 3 * keepMissed {
		for _, tt := range []struct {
			status int
			fields []message.Field
			want   string
		}{
			{200, fields("content-length", "2", "x", "ab"), "200 OK\r\ncontent-length: 2\r\nx: ab\r\n\r\nok"},
			{200, fields("content-length", "1", "x", "ba"), "200 OK\r\ncontent-length: 1\r\nx: ba\r\n\r\no"},
			{200, fields("content-lengthx", "", "x", "ab"), "200 OK\r\ncontent-lengthx: \r\nx: ab\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
			{200, fields("content-length", "2", "x", "\x00b"), "200 OK\r\ncontent-length: 2\r\n\r\nok"},
			{204, fields("content-length", "2", "x", "ab"), "204 No Content\r\nx: ab\r\n\r\n"},
			{200, fields("set-cookie", "a", "content-length", "2"), "200 OK\r\nset-cookie: a\r\ncontent-length: 2\r\n\r\nok"},
		} {
			// Often enough to be kept, and then once more.
			for range keepMissed + 1 {
				status, answer = tt.status, tt.fields
				tc.recv(get)
				tc.want("an answer", "HTTP/1.1 "+tt.want)
			}
			kept := tc.sh.sent.place(status, answer).is(status, answer)
			if secret := answer[0].Name == "set-cookie"; kept == secret {
				t.Errorf("%d %v: remembered is %v", status, answer, kept)
			}
		}
	}
	status, answer = 200, fields("content-length", "2", "x", "ab")
	for range keepMissed + 1 {
		tc.recv(get)
	}
	tunnel := newTestConn(t, Config{})
	tunnel.sh, tunnel.step = tc.sh, 0
	tunnel.c.Init(tc.sh, tunnel, false)
	tunnel.request = func(s *Stream) {
		if err := tunnel.c.WriteHeaders(s, status, answer, false); err != nil {
			t.Error(err)
		}
	}
	tunnel.recv("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
	tunnel.want("of a tunnel there is no length", "HTTP/1.1 200 OK\r\nx: ab\r\n\r\n")
}

// TestConnectWithoutTunnel answers CONNECT with success and its end: what follows was
// meant for the tunnel, and is no request (RFC 9110, Section 9.3.6).
func TestConnectWithoutTunnel(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.step = 0
	tc.request = func(s *Stream) { mustDo(t, tc.c.WriteHeaders(s, 204, nil, true)) }
	tc.recv("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
	for _, e := range tc.events {
		if strings.Contains(e, "smuggled") {
			t.Errorf("%q is taken for a request", e)
		}
	}
	tc.wantFinished("the tunnel is over", true)
}

// TestRefusedBehindHEAD refuses what is not a request: its answer has contents,
// whatever the request before it was.
func TestRefusedBehindHEAD(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.step = 0
	tc.recv("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
	tc.flush()
	tc.out = nil
	tc.recv("GET / HTTP/1.1\nHost: h\n\n")
	tc.flush()
	head, body, _ := strings.Cut(string(tc.out), "\r\n\r\n")
	if want := fmt.Sprintf("content-length: %d\r\n", len(body)); body == "" || !strings.Contains(head, want) {
		t.Errorf("%q", tc.out)
	}
}
