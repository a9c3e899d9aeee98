package h1

import (
	"strings"
	"testing"
)

// TestSection9_3_2_LateAnswers has an application that answers later: what was
// pipelined meanwhile is held, and comes one by one.
func TestSection9_3_2_LateAnswers(t *testing.T) {
	for _, step := range []int{0, 1} {
		tc := newTestConn(t, Config{})
		tc.step = step
		tc.request = func(*Stream) {}
		tc.recv("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
		tc.wantEvents("only the first", "GET http a /1 length=0 END")
		if !tc.c.WantsPause() {
			t.Error("no pause though requests wait")
		}
		tc.respond(tc.stream, "/1")
		tc.wantEvents("it is over", "closed")
		mustDo(t, tc.c.Continue())
		// The second is answered when its body has come, which it has.
		tc.wantEvents("the others", `POST http a /2 length=2 content-length="2"`, `body "hi"`, "closed", "GET http a /3 length=0 END")
		if tc.c.WantsPause() {
			t.Error("a pause though nothing waits")
		}
		tc.respond(tc.stream, "/3")
		tc.want("in order", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/1"+ok+"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/3")
	}
}

// TestAnswerFromWithin ends an exchange wherever one may be ended from; the next
// request must neither be lost nor begin within the call.
func TestAnswerFromWithin(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.step = 0
	depth := 0
	tc.request = func(s *Stream) {
		if depth++; depth > 1 {
			t.Fatal("a request begins within another's callback")
		}
		tc.answer(s)
		mustDo(t, tc.c.Continue())
		depth--
	}
	tc.closed = func(*Stream, error) { mustDo(t, tc.c.Continue()) }
	tc.recv(get + get + get)
	tc.want("three answers", ok+ok+ok)

	// While what was held is handled.
	first := tc.begin(get)
	tc.recv(get + get)
	depth = 0
	tc.request = func(s *Stream) {
		if depth++; depth > 1 {
			t.Fatal("a request begins within another's callback")
		}
		mustDo(t, tc.c.Continue())
		tc.answer(s)
		mustDo(t, tc.c.Continue())
		depth--
	}
	tc.answer(first)
	tc.want("three answers", ok+ok+ok)

	// In a source.
	big := strings.Repeat("b", 2*copyLimit)
	tc.request = func(s *Stream) {
		mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
		src := &testSource{tc: tc, name: "s", pieces: []string{"x", big}}
		src.pulled = func() { mustDo(t, tc.c.Continue()) }
		mustDo(t, tc.c.WriteSource(s, src))
	}
	tc.recv(get + get)
	want := "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n800\r\n" + big + "\r\n0\r\n\r\n"
	tc.want("two answers", want+want)
	tc.wantReleased("twice", map[string]int{"s": 2})
}

// TestHeld crosses the bound of what is held.
func TestHeld(t *testing.T) {
	for _, step := range []int{0, 1} {
		tc := newTestConn(t, Config{MaxHeld: 1000})
		tc.step = step
		s := tc.begin(get)
		tc.recv(strings.Repeat("x", 1000))
		tc.wantFinished("as much as may be", false)
		tc.recv("x")
		tc.wantFinished("more than may be", true)
		tc.want("no answer", "")
		tc.wantEvents("gone", "closed: "+errHeld.Error())
		if tc.sh.Crossed[LimitHeld] != 1 || s == nil {
			t.Errorf("counted %d times", tc.sh.Crossed[LimitHeld])
		}
	}
}

// TestHoldPlace has an application that works on for a request that is over: the next
// one waits until it does not.
func TestHoldPlace(t *testing.T) {
	for _, step := range []int{0, 1} {
		tc := newTestConn(t, Config{MaxHeld: 1000})
		tc.step = step
		tc.closed = func(*Stream, error) { tc.c.HoldPlace() }
		tc.recv(get)
		tc.want("the first", ok)
		if tc.c.WantsPause() || tc.c.OpenStreams() != 1 || !tc.c.NeedsTick() {
			t.Errorf("pause %v, streams %d, ticks %v", tc.c.WantsPause(), tc.c.OpenStreams(), tc.c.NeedsTick())
		}
		tc.events = nil
		tc.recv("\r\n" + get + get)
		tc.wantEvents("nothing begins")
		if !tc.c.WantsPause() || tc.c.WantsRoom() {
			t.Errorf("pause %v, room %v", tc.c.WantsPause(), tc.c.WantsRoom())
		}
		tc.c.FreePlace()
		tc.want("the second alone", ok)
		tc.closed = nil
		tc.c.FreePlace()
		tc.want("the third", ok)
		if tc.c.WantsPause() || tc.c.OpenStreams() != 0 || tc.c.NeedsTick() {
			t.Errorf("pause %v, streams %d, ticks %v", tc.c.WantsPause(), tc.c.OpenStreams(), tc.c.NeedsTick())
		}
		tc.closed = func(*Stream, error) { tc.c.HoldPlace() }
		tc.recv(get)
		tc.recv(strings.Repeat("x", 1001))
		tc.wantFinished("more than is held", true)
	}
}

// TestHoldPlaceBehindBody answers before the body has come, and works on: what is left
// of the body is thrown away meanwhile.
func TestHoldPlaceBehindBody(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.request = func(s *Stream) { tc.answer(s) }
	tc.closed = func(*Stream, error) { tc.c.HoldPlace() }
	tc.recv("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
	tc.want("the answer", ok)
	tc.recv("ll")
	if tc.c.WantsPause() {
		t.Error("a pause in a body that is thrown away")
	}
	tc.recv("o" + get)
	tc.want("nothing more", "")
	tc.c.FreePlace()
	tc.want("the next", ok)
}

// TestHoldPlaceShutdown ends a connection whose application works on: a request that
// waits is the last, and without one there is nothing to wait for.
func TestHoldPlaceShutdown(t *testing.T) {
	for in, out := range map[string]string{"": "", get + get: okClose} {
		tc := newTestConn(t, Config{})
		tc.closed = func(*Stream, error) { tc.c.HoldPlace() }
		tc.recv(get + in)
		tc.want("the first", ok)
		tc.c.Shutdown()
		tc.wantFinished("it waits for a request", in == "")
		tc.c.FreePlace()
		tc.want("the last", out)
		tc.wantFinished("in the end", true)
	}
	tc := newTestConn(t, Config{})
	tc.closed = func(*Stream, error) { tc.c.HoldPlace() }
	tc.recv(get + get)
	tc.c.Shutdown()
	tc.c.Shutdown()
	tc.wantFinished("asked twice", true)
	tc.want("the first alone", ok)
}

// TestBodyWindow has an application that does not consume.
func TestBodyWindow(t *testing.T) {
	for _, in := range []string{
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 26\r\n\r\nabcdefghijklmnopqrstuvwxyz",
		chunked("3\r\nabc\r\n16\r\ndefghijklmnopqrstuvwxy\r\n1\r\nz\r\n0\r\n\r\n"),
	} {
		for _, step := range []int{0, 1} {
			tc := newTestConn(t, Config{BodyWindow: 10})
			tc.step = step
			got := ""
			tc.body = func(_ *Stream, p []byte, end bool) {
				got += string(p)
				if end {
					got += "."
				}
			}
			tc.recv(in)
			if got != "abcdefghij" || !tc.c.WantsPause() {
				t.Fatalf("got %q, pause %v", got, tc.c.WantsPause())
			}
			tc.c.Consume(tc.stream, 4)
			if got != "abcdefghij" {
				t.Fatal("more of the body within Consume")
			}
			tc.flush()
			if got != "abcdefghijklmn" || !tc.c.WantsPause() {
				t.Fatalf("got %q, pause %v", got, tc.c.WantsPause())
			}
			tc.c.Consume(tc.stream, 10)
			tc.flush()
			tc.c.Consume(tc.stream, 10)
			tc.flush()
			if want := "abcdefghijklmnopqrstuvwxyz."; got != want || tc.c.WantsPause() {
				t.Fatalf("got %q, pause %v", got, tc.c.WantsPause())
			}
			tc.answer(tc.stream) // with octets that were never consumed
			tc.body = nil
			tc.recv(get)
			tc.want("the connection goes on", ok+ok)
		}
	}
}

// TestBudget has connections that share one.
func TestBudget(t *testing.T) {
	tc := newTestConn(t, Config{MaxUnreadTotal: 10})
	tc.step = 0
	got := ""
	tc.body = func(_ *Stream, p []byte, _ bool) { got += string(p) }
	const in = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
	tc.recv(in)
	account := &testBudget{room: 10}
	tc.sh.Bodies = account
	account.room = -1
	recv := func(in string) { // what check does not understand
		mustDo(t, tc.c.Receive([]byte(in)))
	}
	recv("0123")
	if got != "0123" {
		t.Errorf("got %q: a connection that holds nothing must get on", got)
	}
	recv("45")
	if got != "0123" || !tc.c.WantsPause() || account.charged != 6 {
		t.Errorf("got %q, %d charged", got, account.charged)
	}
	tc.c.Consume(tc.stream, 4)
	mustDo(t, tc.c.Continue())
	if got != "012345" || account.charged != 2 {
		t.Errorf("got %q, %d charged", got, account.charged)
	}
	tc.c.Close()
	if account.charged != 0 {
		t.Errorf("%d octets stay charged", account.charged)
	}

	tc = newTestConn(t, Config{})
	tc.sh.Bodies = account
	mustDo(t, tc.c.Receive([]byte(get)))
	_ = tc.c.Receive([]byte(in))
	tc.c.Fill()
	tc.write()
	if string(tc.out) != ok+strings.Replace(refusal(503, errUnread.Reason), "connection:", "retry-after: 10\r\nconnection:", 1) {
		t.Errorf("%q", tc.out)
	}
	if tc.sh.Crossed[LimitUnread] != 1 {
		t.Error("not counted")
	}
}

type testBudget struct{ charged, room int }

func (b *testBudget) ChargeBody(n int) { b.charged += n }
func (b *testBudget) BodyRoom() int    { return b.room }

// TestEarlyAnswers has responses that are complete before their requests.
func TestEarlyAnswers(t *testing.T) {
	const maxSkipped = 100
	post := func(length, body string) string {
		return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + length + "\r\n\r\n" + body
	}
	long := strings.Repeat("x", 150)
	for _, tt := range []struct {
		name, in, more string
		want           string
		finished       bool
	}{
		{"a short body", post("50", ""), long[:50] + get, ok + ok, false},
		{"a body at the bound", post("100", ""), long[:100] + get, ok + ok, false},
		{"a long body", post("101", ""), long[:101] + get, okClose, true},
		{"a long body that has begun", post("150", "x"), long[:149] + get, okClose, true},
		{"a body that is nearly there", post("150", long[:60]), long[:90] + get, ok + ok, false},
		{"a body in chunks", chunked("5\r\nhel"), "lo\r\n5\r\nworld\r\n0\r\nX: y\r\n\r\n" + get, ok + ok, false},
		{"a long body in chunks", chunked("5\r\nhel"), "lo\r\n96\r\n" + long + "\r\n0\r\n\r\n" + get, ok, true},
		{"many small chunks", chunked("5\r\nhel"), "lo\r\n" + strings.Repeat("1\r\nx\r\n", 90) + "0\r\n\r\n" + get, ok, true},
		{"a bad chunk", chunked("5\r\nhel"), "lo\r\nx\r\n" + get, ok, true},
		{"a bad trailer", chunked("5\r\nhel"), "lo\r\n0\r\nHost: b\r\n\r\n" + get, ok, true},
		{"close", "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\n", "hello" + get, okClose, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, step := range []int{0, 1} {
				tc := newTestConn(t, Config{MaxSkipped: maxSkipped})
				tc.step = step
				tc.request = func(*Stream) {}
				tc.body = func(s *Stream, p []byte, _ bool) { tc.c.Consume(s, len(p)) }
				tc.recv(tt.in)
				tc.answer(tc.stream)
				tc.flush()
				if tc.stream != nil {
					t.Fatal("the exchange is not over")
				}
				tc.request, tc.body = nil, nil
				tc.err = nil
				tc.recv(tt.more)
				tc.want("answers", tt.want)
				tc.wantFinished("at the end", tt.finished)
			}
		})
	}
}

// TestEarlyAnswersAgain sees that what is thrown away is counted for each request.
func TestEarlyAnswersAgain(t *testing.T) {
	tc := newTestConn(t, Config{MaxSkipped: 100})
	tc.request = func(s *Stream) { tc.answer(s) }
	for range 5 {
		tc.recv("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n")
		tc.recv(strings.Repeat("x", 60))
		tc.want("an answer", ok)
	}
	tc.wantFinished("never too much", false)
}

// TestErrorsInBodies finds what is wrong when the response has begun, or not.
func TestErrorsInBodies(t *testing.T) {
	tc := newTestConn(t, Config{})
	s := tc.begin(chunked("5\r\nhello\r\n"))
	mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
	mustDo(t, tc.c.Write(s, []byte("part"), false))
	tc.recv("x")
	tc.want("no second answer, and no end", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n")
	tc.wantEvents("why", "closed: "+errChunkSize.Error())
	tc.wantFinished("nobody knows where the next request is", true)

	tc = newTestConn(t, Config{})
	tc.begin("HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	tc.recv("x")
	all := refusal(400, errChunkSize.Reason)
	tc.want("no body for HEAD", all[:strings.Index(all, "\r\n\r\n")+4])

	tc = newTestConn(t, Config{})
	tc.sh.Date = "Mon, 01 Jan 2024 00:00:00 GMT"
	tc.recv("HEAD / HTTP/1.1\r\n\r\n")
	all = refusal(400, errNoHost.Reason)
	tc.want("no body for HEAD", strings.Replace(all[:strings.Index(all, "\r\n\r\n")+4], "connection", "date: Mon, 01 Jan 2024 00:00:00 GMT\r\nconnection", 1))
}

// TestNoRoom sees that requests do not begin while there is no room for answers.
func TestNoRoom(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.c.SetRoom(0)
	mustDo(t, tc.c.Receive([]byte(get+get)))
	tc.wantEvents("nothing")
	if !tc.c.WantsRoom() || !tc.c.WantsPause() {
		t.Error("neither room nor a pause is wanted")
	}
	tc.c.Fill()
	tc.wantEvents("nothing yet")
	tc.want("with room", ok+ok)

	// What a pipeline may make of one batch is bounded.
	tc = newTestConn(t, Config{})
	tc.quiet = true
	big := strings.Repeat("y", 10_000)
	tc.request = func(s *Stream) {
		mustDo(t, tc.c.WriteHeaders(s, 204, fields("x", big), true))
	}
	mustDo(t, tc.c.Receive([]byte(strings.Repeat(get, 1000))))
	if n := tc.c.outLen(); n > maxBegun+11_000 || n < maxBegun {
		t.Errorf("%d octets in one batch", n)
	}
	batches := 0
	for tc.c.HasPending() || tc.c.WantsRoom() {
		tc.turn(50_000)
		batches++
	}
	if n := strings.Count(string(tc.out), "204 No Content"); n != 1000 || batches < 100 {
		t.Errorf("%d answers in %d batches", n, batches)
	}
}

// TestRegions cuts large bodies: without copies, as the room allows, and with
// releases when the octets have left.
func TestRegions(t *testing.T) {
	tc := newTestConn(t, Config{})
	s := tc.begin(get)
	body := []byte(strings.Repeat("0123456789", 10_000))
	tc.c.SetRoom(50_000)
	mustDo(t, tc.c.WriteHeaders(s, 200, fields("content-length", "100000"), false))
	mustDo(t, tc.c.WriteRegion(s, body[:40_000], tc.region("a"), false))
	mustDo(t, tc.c.WriteRegion(s, body[40_000:], tc.region("b"), true))
	tc.c.Fill()
	segs := tc.c.Pending()
	if len(segs) != 3 || &segs[1][0] != &body[0] || &segs[2][0] != &body[40_000] {
		t.Fatalf("%d segments", len(segs))
	}
	tc.wantReleased("not before it has left", nil)
	tc.write()
	tc.wantReleased("one has left", map[string]int{"a": 1})
	if n := len(tc.out); n > 50_000 || n < 49_000 {
		t.Errorf("%d octets for a room of 50000", n)
	}
	for tc.c.WantsRoom() {
		tc.turn(50_000)
	}
	tc.wantReleased("both", map[string]int{"a": 1, "b": 1})
	tc.want("whole", "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"+string(body))

	// Small ones are copied beside the header section.
	s = tc.begin(get)
	mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
	mustDo(t, tc.c.WriteRegion(s, body[:copyLimit], nil, true))
	if n := len(tc.c.Pending()); n != 1 {
		t.Errorf("%d segments", n)
	}
	tc.flush()

	// A batch has no more than 1024 segments.
	s = tc.begin(get)
	mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
	for range 3000 {
		mustDo(t, tc.c.WriteRegion(s, body[:copyLimit+1], tc.region("c"), false))
	}
	mustDo(t, tc.c.Write(s, nil, true))
	tc.c.SetRoom(1 << 30)
	tc.c.Fill()
	if n := len(tc.c.Pending()); n > maxSegments || n < maxSegments-3 {
		t.Errorf("%d segments", n)
	}
	tc.out = nil
	tc.flush()
	if n := strings.Count(string(tc.out), "401\r\n0123"); n != 3000 {
		t.Errorf("%d chunks", n)
	}
	tc.wantReleased("all", map[string]int{"a": 1, "b": 1, "c": 3000})
}

// TestSources lends pieces: none may be asked for while the last is in the batch.
func TestSources(t *testing.T) {
	tc := newTestConn(t, Config{})
	s := tc.begin(get)
	buf := make([]byte, 3000)
	n := 0
	src := pullFunc(func(int) ([]byte, bool, error) {
		n++
		for i := range buf {
			buf[i] = 'a' + byte(n)
		}
		return buf, n == 5, nil
	})
	mustDo(t, tc.c.WriteHeaders(s, 200, fields("content-length", "15000"), false))
	mustDo(t, tc.c.WriteSource(s, src))
	tc.c.Fill()
	tc.c.Fill()
	if n != 1 || !tc.c.WantsRoom() || !s.Queued() {
		t.Errorf("asked %d times in a batch", n)
	}
	want := ""
	for i := range 5 {
		want += strings.Repeat(string(rune('b'+i)), 3000)
	}
	tc.want("whole", "HTTP/1.1 200 OK\r\ncontent-length: 15000\r\n\r\n"+want)
}

type pullFunc func(int) ([]byte, bool, error)

func (f pullFunc) Pull(most int) ([]byte, bool, error) { return f(most) }
func (pullFunc) Release()                              {}

// TestHeldPieces has much held behind a request: once that is answered, no more of it is
// handled in one go than a caller that counts pieces allows.
func TestHeldPieces(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.step, tc.quiet = 0, true
	first := tc.begin(get)
	pieces := 0
	tc.body = func(s *Stream, p []byte, _ bool) {
		pieces++
		tc.c.Consume(s, len(p))
	}
	const chunks = 5000
	mustDo(t, tc.c.Receive([]byte("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat("1\r\nx\r\n", chunks))))
	mustDo(t, tc.c.WriteHeaders(first, 200, nil, true))
	if pieces != 0 {
		t.Fatalf("%d pieces were handled before", pieces)
	}
	total := 0
	for total < chunks {
		pieces = 0
		most := 16
		_, err := tc.c.ReceiveUpTo(nil, &most)
		mustDo(t, err)
		if pieces == 0 || pieces > 16 {
			t.Fatalf("%d pieces behind %d, at most 16 may be", pieces, total)
		}
		total += pieces
		pieces = 0
		tc.c.SetRoom(1 << 20)
		tc.c.Fill()
		if tc.write(); pieces > heldPieces {
			t.Fatalf("%d pieces in a turn", pieces)
		}
		total += pieces
	}
}
