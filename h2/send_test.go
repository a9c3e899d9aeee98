package h2

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/h2loop/h2loop/frames"
)

// bigWindows lets the server send n octets on the connection and each stream.
func (tc *testConn) bigWindows(n uint32) {
	tc.t.Helper()
	tc.recv(settings(setting(frames.SettingInitialWindowSize, n)), windowUpdate(0, n-65535))
	tc.want("", "SETTINGS ACK")
}

func TestSection8_1_Responses(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.app.request = func(s *Stream) {
		switch s.ID() {
		case 1:
			mustDo(t, tc.c.WriteHeaders(s, 204, []Field{{Name: "x", Value: "y"}}, true))
		case 3:
			mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
			mustDo(t, tc.c.Write(s, []byte("hel"), false))
			mustDo(t, tc.c.Write(s, nil, false))
			mustDo(t, tc.c.Write(s, []byte("lo"), true))
		case 5:
			mustDo(t, tc.c.WriteHeaders(s, 999, nil, false))
			mustDo(t, tc.c.Write(s, nil, true))
		}
	}
	tc.recv(tc.get(1), tc.get(3), tc.get(5))
	tc.want("", "HEADERS 1 :status=204 x=y END_STREAM",
		"HEADERS 3 :status=200", `DATA 3 "hel"`, `DATA 3 "lo" END_STREAM`,
		"HEADERS 5 :status=999", `DATA 5 "" END_STREAM`)
	if n := tc.c.OpenStreams(); n != 0 {
		t.Errorf("%d streams open", n)
	}
}

// TestSection8_1_ResponseLiteral is the answer as it is on the wire.
func TestSection8_1_ResponseLiteral(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answer("Hello, World!")
	tc.recv(tc.get(1))
	got := bytes.Join(tc.c.Pending(), nil)
	want := "\x00\x00\x01\x01\x04\x00\x00\x00\x01\x88" + "\x00\x00\x0d\x00\x01\x00\x00\x00\x01Hello, World!"
	if string(got) != want {
		t.Errorf("%x, want %x", got, want)
	}
	if n := len(tc.c.Pending()); n != 1 {
		t.Errorf("%d segments, want 1", n)
	}
}

func TestSection8_1_InterimResponses(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(tc.post(1))
	s := tc.stream(1)
	mustDo(t, tc.c.WriteHeaders(s, 100, nil, false))
	tc.want("100-continue", "HEADERS 1 :status=100")
	if s.Answered() {
		t.Error("an interim response is not the answer")
	}
	if err := tc.c.Write(s, []byte("x"), false); !errors.Is(err, ErrNotAnswered) {
		t.Errorf("DATA after 100: %v", err)
	}
	mustDo(t, tc.c.WriteHeaders(s, 103, []Field{{Name: "link", Value: "</a>"}}, false))
	mustDo(t, tc.c.WriteHeaders(s, 103, nil, false))
	mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
	if !s.Answered() {
		t.Error("not answered")
	}
	if err := tc.c.WriteHeaders(s, 103, nil, false); !errors.Is(err, ErrAnswered) {
		t.Errorf("interim response after the final one: %v", err)
	}
	if err := tc.c.WriteHeaders(s, 200, nil, false); !errors.Is(err, ErrAnswered) {
		t.Errorf("final response twice: %v", err)
	}
	tc.want("any number, then the answer", "HEADERS 1 :status=103 link=</a>", "HEADERS 1 :status=103", "HEADERS 1 :status=200")
}

func TestWriteErrors(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(tc.post(1), tc.post(3), tc.post(5))
	s := tc.stream(1)
	for _, status := range []int{-1, 0, 99, 1000, 101} {
		if err := tc.c.WriteHeaders(s, status, nil, false); !errors.Is(err, ErrStatus) {
			t.Errorf("status %d: %v", status, err)
		}
	}
	if err := tc.c.WriteHeaders(s, 103, nil, true); !errors.Is(err, ErrStatus) {
		t.Errorf("interim response with END_STREAM: %v", err)
	}
	wantErr := func(want error) {
		t.Helper()
		rel, src := tc.release("region"), tc.source(1, "x")
		for i, err := range []error{
			tc.c.Write(s, []byte("x"), false),
			tc.c.WriteRegion(s, []byte("x"), rel, false),
			tc.c.WriteRegion(s, []byte("x"), nil, false),
			tc.c.WriteSource(s, src),
			tc.c.WriteTrailers(s, nil),
		} {
			if !errors.Is(err, want) {
				t.Errorf("%d: %v, want %v", i, err, want)
			}
		}
		tc.wantReleased("what cannot be queued is released at once", rel, 1)
		tc.wantReleased("a source too", src.testRelease, 1)
	}
	wantErr(ErrNotAnswered)
	tc.wantIdle("nothing was sent")
	mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
	mustDo(t, tc.c.Write(s, []byte("all"), true))
	wantErr(ErrEnded)
	tc.drain() // the request was not complete: RST_STREAM
	wantErr(ErrNotAnswered)
	if err := tc.c.WriteHeaders(s, 200, nil, false); !errors.Is(err, ErrEnded) {
		t.Errorf("answer to a closed stream: %v", err)
	}

	// The end is known before it is sent.
	s = tc.stream(3)
	mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
	tc.room = 0
	tc.drain()
	mustDo(t, tc.c.Write(s, []byte("waits"), true))
	if !s.Queued() {
		t.Error("not queued")
	}
	wantErr(ErrEnded)
	s = tc.stream(5)
	mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
	src := tc.source(5, "x")
	mustDo(t, tc.c.WriteSource(s, src))
	if !s.Queued() {
		t.Error("not queued")
	}
	rel := tc.release("region")
	if err := tc.c.WriteRegion(s, []byte("x"), rel, false); !errors.Is(err, ErrEnded) {
		t.Errorf("region beside a source: %v", err)
	}
	second := tc.source(5, "y")
	if err := tc.c.WriteSource(s, second); !errors.Is(err, ErrEnded) {
		t.Errorf("two sources: %v", err)
	}
	mustDo(t, tc.c.WriteTrailers(s, []Field{{Name: "x", Value: "y"}}))
	if err := tc.c.WriteTrailers(s, nil); !errors.Is(err, ErrEnded) {
		t.Errorf("trailers twice: %v", err)
	}
	tc.room = 1 << 20
	tc.want("", "HEADERS 5 :status=200", `DATA 3 "waits" END_STREAM`, `DATA 5 "x"`, "HEADERS 5 x=y END_STREAM",
		"RST_STREAM 3 NO_ERROR", "RST_STREAM 5 NO_ERROR")
}

func TestSection8_1_TrailersOut(t *testing.T) {
	fields := []Field{{Name: "x-sum", Value: "7"}}
	for _, tt := range []struct {
		why   string
		write func(tc *testConn, s *Stream)
		want  []string
	}{
		{"alone", func(*testConn, *Stream) {}, []string{"HEADERS 1 x-sum=7 END_STREAM"}},
		{
			"after a direct write", func(tc *testConn, s *Stream) { mustDo(t, tc.c.Write(s, []byte("abc"), false)) },
			[]string{`DATA 1 "abc"`, "HEADERS 1 x-sum=7 END_STREAM"},
		},
		{
			"after a region", func(tc *testConn, s *Stream) { mustDo(t, tc.c.WriteRegion(s, make([]byte, 20000), nil, false)) },
			[]string{"DATA 1 len=16384", "DATA 1 len=3616", "HEADERS 1 x-sum=7 END_STREAM"},
		},
		{
			"after a source", func(tc *testConn, s *Stream) { mustDo(t, tc.c.WriteSource(s, tc.source(1, "ab", "cd"))) },
			[]string{`DATA 1 "ab"`, `DATA 1 "cd"`, "HEADERS 1 x-sum=7 END_STREAM"},
		},
		{"after a source that ends empty", func(tc *testConn, s *Stream) {
			src := tc.source(1, "ab", "")
			mustDo(t, tc.c.WriteSource(s, src))
		}, []string{`DATA 1 "ab"`, "HEADERS 1 x-sum=7 END_STREAM"}},
	} {
		tc := newTestConn(t, Config{})
		tc.answerHeaders()
		tc.recv(tc.get(1))
		tc.drain()
		s := tc.stream(1)
		tt.write(tc, s)
		given := append([]Field(nil), fields...)
		mustDo(t, tc.c.WriteTrailers(s, given))
		given[0] = Field{Name: "changed", Value: "later"}
		tc.want(tt.why, tt.want...)
	}
}

// TestSection8_1_TrailersWithoutFields still end the stream.
func TestSection8_1_TrailersWithoutFields(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.get(1), tc.get(3), tc.get(5))
	tc.drain()
	mustDo(t, tc.c.WriteTrailers(tc.stream(1), nil))
	tc.want("", `DATA 1 "" END_STREAM`)
	mustDo(t, tc.c.WriteRegion(tc.stream(3), make([]byte, 2000), nil, false))
	mustDo(t, tc.c.WriteTrailers(tc.stream(3), []Field{}))
	tc.want("", `DATA 3 len=2000 END_STREAM`)
	mustDo(t, tc.c.WriteSource(tc.stream(5), tc.source(5, "a")))
	mustDo(t, tc.c.WriteTrailers(tc.stream(5), nil))
	tc.want("", `DATA 5 "a" END_STREAM`)
}

// TestSection8_1_TrailersFromWithinPull is how a source sends a checksum.
func TestSection8_1_TrailersFromWithinPull(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.get(1))
	tc.drain()
	s := tc.stream(1)
	src := tc.source(1, "ab", "cd")
	src.during = func(src *testSource) {
		if len(src.pieces) == 1 {
			mustDo(t, tc.c.WriteTrailers(s, []Field{{Name: "x-sum", Value: "abcd"}}))
		}
	}
	mustDo(t, tc.c.WriteSource(s, src))
	tc.want("", `DATA 1 "ab"`, `DATA 1 "cd"`, "HEADERS 1 x-sum=abcd END_STREAM")
}

// TestSection8_1_LameStream resets, with NO_ERROR, a stream that is answered in
// full while its request is not complete.
func TestSection8_1_LameStream(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answer("no")
	tc.recv(tc.post(1), data(1, "some"))
	tc.want("the peer is asked to stop", "HEADERS 1 :status=200", `DATA 1 "no" END_STREAM`, "RST_STREAM 1 NO_ERROR")
	tc.wantEvents("the application sees success", "request 1 POST /", "body 1 some", "closed 1 ok")
	tc.recv(data(1, "more"), dataEnd(1, "and the end"))
	tc.wantIdle("what is in flight is thrown away")
	tc.wantEvents("")

	tc.recv(tc.post(3), dataEnd(3, "all"))
	tc.want("END_STREAM came in the same turn", "HEADERS 3 :status=200", `DATA 3 "no" END_STREAM`)
	tc.recv(tc.post(5), rst(5, frames.ErrCodeCancel))
	tc.want("the peer's RST_STREAM came in the same turn", "HEADERS 5 :status=200", `DATA 5 "no" END_STREAM`)
	tc.recv(tc.post(7), tc.post(9), tc.post(11), dataEnd(9, ""))
	tc.want("some of them", "HEADERS 7 :status=200", `DATA 7 "no" END_STREAM`, "HEADERS 9 :status=200", `DATA 9 "no" END_STREAM`,
		"HEADERS 11 :status=200", `DATA 11 "no" END_STREAM`, "RST_STREAM 7 NO_ERROR", "RST_STREAM 11 NO_ERROR")
	if n := tc.c.OpenStreams(); n != 0 {
		t.Errorf("%d streams open", n)
	}
	if len(tc.c.lame) != 0 {
		t.Errorf("%d lame streams remembered", len(tc.c.lame))
	}
}

// TestSection8_1_LameInFill: the answer ends when the batch is filled, and
// nothing else may come to cause another turn.
func TestSection8_1_LameInFill(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.post(1))
	tc.drain()
	mustDo(t, tc.c.WriteRegion(tc.stream(1), make([]byte, 5000), nil, true))
	tc.wantTurn("in the same turn", "DATA 1 len=5000 END_STREAM", "RST_STREAM 1 NO_ERROR")
}

// TestSection8_1_LameBeforeData: RST_STREAM does not wait behind DATA.
func TestSection8_1_LameBeforeData(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.post(1), tc.get(3))
	tc.drain()
	mustDo(t, tc.c.Write(tc.stream(1), nil, true))
	mustDo(t, tc.c.WriteRegion(tc.stream(3), make([]byte, 5000), nil, true))
	tc.wantTurn("", `DATA 1 "" END_STREAM`, "RST_STREAM 1 NO_ERROR", "DATA 3 len=5000 END_STREAM")
}

// TestSection8_1_LameAnswersAnother answers one stream in another's Closed.
func TestSection8_1_LameAnswersAnother(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	for id := frames.StreamID(1); id < 11; id += 2 {
		tc.recv(tc.post(id))
	}
	tc.drain()
	tc.app.closed = func(s *Stream, _ error) {
		if next := tc.c.streams.get(s.ID() + 2); next != nil {
			mustDo(t, tc.c.Write(next, nil, true))
		}
	}
	mustDo(t, tc.c.Write(tc.stream(1), nil, true))
	var want []string
	for id := 1; id < 11; id += 2 {
		want = append(want, fmt.Sprintf(`DATA %d "" END_STREAM`, id), fmt.Sprintf("RST_STREAM %d NO_ERROR", id))
	}
	tc.wantTurn("all in one turn", want...)
}

func TestRegionIsNotCopied(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.get(1))
	tc.drain()
	body := bytes.Repeat([]byte("0123456789"), 4000)
	rel := tc.release("body")
	mustDo(t, tc.c.WriteRegion(tc.stream(1), body, rel, true))
	tc.c.Fill()
	referenced := 0
	for _, p := range tc.c.Pending() {
		if off := uintptr(unsafe.Pointer(&p[0])) - uintptr(unsafe.Pointer(&body[0])); off < uintptr(len(body)) {
			referenced += len(p)
		}
	}
	if referenced != len(body) {
		t.Errorf("%d octets of %d are referenced where they lie", referenced, len(body))
	}
	tc.wantReleased("the batch has not left", rel, 0)
	tc.flush()
	tc.wantReleased("the batch has left", rel, 1)
}

// TestRegionsOfAllSizes sends regions around every threshold and compares what
// arrives.
func TestRegionsOfAllSizes(t *testing.T) {
	for _, n := range []int{0, 1, copyLimit - 1, copyLimit, copyLimit + 1, 16383, 16384, 16385, 32768, 40000} {
		for _, split := range []bool{false, true} {
			for _, region := range []bool{false, true} {
				tc := newTestConn(t, Config{})
				tc.answerHeaders()
				tc.recv(tc.get(1))
				tc.drain()
				s := tc.stream(1)
				body := make([]byte, n)
				for i := range body {
					body[i] = byte(i * 7)
				}
				rel := tc.release("region")
				given := bytes.Clone(body)
				write := func(p []byte, end bool) {
					if region {
						mustDo(t, tc.c.WriteRegion(s, p, rel, end))
						return
					}
					rel.n = 1
					mustDo(t, tc.c.Write(s, p, end))
				}
				if split {
					write(given, false)
					rel = tc.release("rest")
					write(nil, true)
				} else {
					write(given, true)
				}
				if !region {
					clear(given) // Write has copied it
				}
				tc.c.Fill()
				got := collectData(bytes.Join(tc.c.Pending(), nil))
				if !bytes.Equal(got, body) {
					t.Errorf("%d octets: the body is not what was written", n)
				}
				tc.drain()
				if tc.c.OpenStreams() != 0 {
					t.Errorf("%d octets: not ended", n)
				}
			}
		}
	}
}

// collectData returns the payloads of the DATA frames in b.
func collectData(b []byte) (body []byte) {
	for {
		h, ok := frames.ParseHeader(b)
		if !ok {
			return body
		}
		end := frames.HeaderLen + int(h.Length)
		if h.Type == frames.TypeData {
			body = append(body, b[frames.HeaderLen:end]...)
		}
		b = b[end:]
	}
}

func TestReleaseInEveryEnding(t *testing.T) {
	for why, ending := range map[string]func(tc *testConn){
		"sent":          func(tc *testConn) { tc.recv(windowUpdate(1, 1<<20), windowUpdate(0, 1<<20)); tc.drain() },
		"reset by peer": func(tc *testConn) { tc.recv(rst(1, frames.ErrCodeCancel)); tc.drain() },
		"reset by us":   func(tc *testConn) { tc.c.Reset(tc.stream(1), frames.ErrCodeCancel); tc.drain() },
		"stream error":  func(tc *testConn) { tc.recv(windowUpdate(1, 0)); tc.drain() },
		"GOAWAY":        func(tc *testConn) { tc.c.GoAway(frames.ErrCodeNo, ""); tc.drain() },
		"conn error": func(tc *testConn) {
			tc.recv(ping("12345678")[:8], []byte{1}, make([]byte, 8))
			tc.wantConnError("", frames.ErrCodeProtocol)
		},
		"closed":              func(tc *testConn) { tc.c.Close(); tc.c.Close() },
		"closed, batch ready": func(tc *testConn) { tc.recv(windowUpdate(1, 10000)); tc.c.Fill(); tc.c.Close() },
		"reset, batch ready": func(tc *testConn) {
			tc.recv(windowUpdate(1, 10000), windowUpdate(0, 10000))
			tc.c.Fill()
			tc.c.Reset(tc.stream(1), frames.ErrCodeCancel)
			for i, r := range tc.app.releases {
				tc.wantReleased("the batch still refers to it", r, i%3%2) // but for 1 and 4
			}
			tc.drain()
		},
		"GOAWAY, batch ready": func(tc *testConn) { tc.recv(windowUpdate(1, 10000)); tc.c.Fill(); tc.c.GoAway(0, ""); tc.drain() },
	} {
		tc := newTestConn(t, Config{})
		tc.answerHeaders()
		tc.recv(settings(setting(frames.SettingInitialWindowSize, 1000)), tc.get(1))
		tc.drain()
		s := tc.stream(1)
		var rels []*testRelease
		for i := range 5 {
			rels = append(rels, tc.release(fmt.Sprintf("%s: region %d", why, i)))
		}
		body := make([]byte, 30000)
		mustDo(t, tc.c.WriteRegion(s, body[:3000], rels[0], false))
		mustDo(t, tc.c.WriteRegion(s, nil, rels[1], false))
		mustDo(t, tc.c.WriteRegion(s, body[:10], rels[2], false))
		mustDo(t, tc.c.WriteRegion(s, body, rels[3], false))
		mustDo(t, tc.c.WriteRegion(s, nil, rels[4], true))
		tc.turn()
		for _, r := range rels {
			want := 0
			if r == rels[1] || r == rels[4] {
				want = 1 // nothing of it has to wait
			}
			tc.wantReleased(why+", before", r, want)
		}
		ending(tc)
		for _, r := range rels {
			tc.wantReleased(why, r, 1)
		}
	}
}

// TestRoom cuts no more DATA than there is room for, headers included, and says
// whether more waits.
func TestRoom(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.bigWindows(1 << 20)
	tc.answerHeaders()
	tc.recv(tc.get(1), tc.get(3))
	tc.drain()
	mustDo(t, tc.c.WriteRegion(tc.stream(1), make([]byte, 100000), nil, true))
	mustDo(t, tc.c.WriteSource(tc.stream(3), tc.source(3, strings.Repeat("x", 50000))))
	for _, room := range []int{0, 1, 9, -5} {
		tc.room = room
		tc.turn()
		if tc.batchLen != 0 {
			t.Errorf("room for %d octets: %d sent", room, tc.batchLen)
		}
		if !tc.c.WantsRoom() {
			t.Errorf("room for %d octets: room is what is missing", room)
		}
	}
	for _, room := range []int{10, 100, 16392, 16393, 16394, 40000, 16393 * 2} {
		tc.room = room
		tc.turn()
		if tc.batchLen > room || tc.batchLen < room-frames.HeaderLen {
			t.Errorf("room for %d octets: %d sent", room, tc.batchLen)
		}
	}
	tc.lines = nil
	tc.room = 1 << 20
	tc.drain()
	if tc.c.WantsRoom() {
		t.Error("nothing waits")
	}
}

func TestWantsRoomIsAboutRoom(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.get(1), tc.get(3))
	tc.drain()
	mustDo(t, tc.c.WriteRegion(tc.stream(1), make([]byte, 65535), nil, true))
	mustDo(t, tc.c.WriteRegion(tc.stream(3), make([]byte, 10), nil, true))
	tc.drain()
	if tc.c.WantsRoom() {
		t.Error("the connection window is what is missing")
	}
	tc.recv(windowUpdate(0, 1))
	if !tc.c.WantsRoom() {
		t.Error("now there is one octet to send")
	}
}

// TestTLSRecords cuts DATA so that each record is full but the last.
func TestTLSRecords(t *testing.T) {
	const record = 16384
	for _, before := range []int{0, 1, 100, record - 1100, record - 1000, record - 20, record - 9, record - 8} {
		tc := newRawConn(t, Config{}, record)
		tc.greet()
		tc.bigWindows(1 << 24)
		tc.answerHeaders()
		tc.recv(tc.get(1))
		tc.drain()
		for n := 0; n < before/17; n++ {
			tc.recv(ping("12345678"))
		}
		mustDo(t, tc.c.WriteRegion(tc.stream(1), make([]byte, 1<<20), nil, false))
		tc.room = 10 * record
		tc.c.SetRoom(tc.room)
		tc.peer.headers = nil
		tc.turn()
		at := 0
		for i, h := range tc.peer.headers {
			at += frames.HeaderLen + int(h.Length)
			if h.Type != frames.TypeData || i == 0 {
				continue
			}
			last := i == len(tc.peer.headers)-1
			prev := tc.peer.headers[i-1].Type == frames.TypeData
			if prev && !last && at%record != 0 {
				t.Errorf("%d octets before: frame %d ends %d octets into a record", before, i, at%record)
			}
			if h.Length > record-frames.HeaderLen && prev && !last {
				t.Errorf("%d octets before: frame of %d", before, h.Length)
			}
		}
		tc.c.Reset(tc.stream(1), frames.ErrCodeCancel)
	}
}

// TestTLSRecordsFromAnyStart begins anywhere in a record: frames end where
// records do, and no frame is a waste, unless the peer's frame size forces it.
func TestTLSRecordsFromAnyStart(t *testing.T) {
	for _, tt := range []struct{ record, step int }{{500, 1}, {16384, 97}} {
		for before := 10; before < tt.record; before += tt.step {
			if before > tt.record-40 {
				before -= tt.step - 1 // the end of a record octet by octet
			}
			tc := newRawConn(t, Config{}, tt.record)
			tc.greet()
			tc.bigWindows(1 << 24)
			tc.answered(2)
			tc.whole = true
			// DATA that is not cut by records, so as to begin where we want.
			tc.c.record = 0
			mustDo(t, tc.c.WriteRegion(tc.stream(1), make([]byte, before-frames.HeaderLen), nil, true))
			tc.c.Fill()
			tc.c.record = tt.record
			mustDo(t, tc.c.WriteRegion(tc.stream(3), make([]byte, 4*tt.record), nil, true))
			tc.room = 10 * tt.record
			tc.peer.headers = nil
			tc.turn()
			tc.lines = nil
			if tc.c.OpenStreams() != 0 {
				t.Fatalf("record %d, %d octets before: the body did not leave in one turn", tt.record, before)
			}
			at := before
			for i, h := range tc.peer.headers[1:] {
				at += frames.HeaderLen + int(h.Length)
				last := i == len(tc.peer.headers)-2
				if !last && at%tt.record != 0 {
					t.Errorf("record %d, %d octets before: frame %d of %d octets ends %d octets into a record", tt.record, before, i, h.Length, at%tt.record)
				}
				if !last && int(h.Length) < tt.record/16 && tt.record < 16384 {
					t.Errorf("record %d, %d octets before: a frame of %d", tt.record, before, h.Length)
				}
				if i == 0 && int(h.Length) > tt.record+tt.record/16 {
					t.Errorf("record %d, %d octets before: a frame of %d", tt.record, before, h.Length)
				}
			}
		}
	}
}

// TestTLSRecordsOfOneBatch looks at a whole batch: all but the last record of it
// are full by the frames' own ends.
func TestTLSRecordsOfOneBatch(t *testing.T) {
	tc := newRawConn(t, Config{}, 16384)
	tc.greet()
	tc.bigWindows(1 << 24)
	tc.answerHeaders()
	tc.recv(tc.get(1))
	mustDo(t, tc.c.WriteRegion(tc.stream(1), make([]byte, 10<<20), nil, true))
	total := 0
	for range 100 {
		tc.room = 16384 * 16
		tc.peer.headers = nil
		tc.turn()
		if tc.batchLen == 0 {
			break
		}
		total += tc.batchLen
		at := 0
		for _, h := range tc.peer.headers {
			if h.Type == frames.TypeData && at/16384 != (at+9+int(h.Length)-1)/16384 {
				t.Fatalf("a frame of %d octets at %d spans records", h.Length, at)
			}
			at += 9 + int(h.Length)
		}
	}
	if total < 10<<20 {
		t.Errorf("%d octets sent", total)
	}
}

// TestSection6_9_OctetByOctet opens windows one octet at a time, now this one,
// now that.
func TestSection6_9_OctetByOctet(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(settings(setting(frames.SettingInitialWindowSize, 0)), tc.get(1), tc.get(3))
	tc.drain()
	mustDo(t, tc.c.WriteRegion(tc.stream(1), []byte("abcdef"), nil, true))
	tc.wantIdle("no window")
	for i, o := range "abcdef" {
		tc.recv(windowUpdate(1, 1))
		end := ""
		if i == 5 {
			end = " END_STREAM"
		}
		tc.want("one octet", fmt.Sprintf("DATA 1 %q%s", string(o), end))
	}
	// Exhaust the connection.
	tc.recv(windowUpdate(3, 1<<20))
	mustDo(t, tc.c.WriteRegion(tc.stream(3), make([]byte, 65535-6), nil, false))
	tc.drain()
	mustDo(t, tc.c.WriteRegion(tc.stream(3), []byte("xyz"), nil, false))
	mustDo(t, tc.c.WriteTrailers(tc.stream(3), []Field{{Name: "a", Value: "b"}}))
	tc.wantIdle("the connection window is spent")
	tc.recv(windowUpdate(0, 1))
	tc.want("", `DATA 3 "x"`)
	tc.recv(windowUpdate(0, 1))
	tc.want("", `DATA 3 "y"`)
	tc.recv(windowUpdate(0, 1))
	tc.want("", `DATA 3 "z"`, "HEADERS 3 a=b END_STREAM")
}

// TestSection6_9_EmptyFrameNeedsNoWindow ends streams with both windows shut.
func TestSection6_9_EmptyFrameNeedsNoWindow(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(settings(setting(frames.SettingInitialWindowSize, 0)), tc.get(1), tc.get(3))
	tc.drain()
	tc.room = 0
	tc.drain()
	mustDo(t, tc.c.Write(tc.stream(1), nil, true))
	mustDo(t, tc.c.WriteRegion(tc.stream(3), nil, nil, true))
	tc.want("neither window nor room is needed", `DATA 1 "" END_STREAM`, `DATA 3 "" END_STREAM`)
}

// TestMaxSegments queues thousands of regions too large to be copied.
func TestMaxSegments(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.bigWindows(1 << 24)
	tc.answerHeaders()
	tc.recv(tc.get(1), tc.get(3))
	tc.drain()
	one := make([]byte, copyLimit+1)
	for i := range 2000 {
		mustDo(t, tc.c.WriteRegion(tc.stream(1), one, tc.release("region"), i == 1999))
		mustDo(t, tc.c.WriteRegion(tc.stream(3), one[:copyLimit], tc.release("region"), i == 1999))
	}
	tc.room = 1 << 30
	turns, most := 0, 0
	for tc.c.WantsRoom() {
		for range 100 {
			tc.recv(ping("12345678"))
		}
		tc.turn() // checks the number of segments
		tc.lines = nil
		most = max(most, tc.segments)
		turns++
	}
	if tc.peer.dataOctets != 2000*(2*copyLimit+1) {
		t.Errorf("%d octets", tc.peer.dataOctets)
	}
	if most < 1020 || turns > 6 {
		t.Errorf("%d turns of up to %d segments, want the vectors full", turns, most)
	}
}

// TestQueueThatNeverRunsEmpty appends to a body that always has a region
// waiting.
func TestQueueThatNeverRunsEmpty(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.bigWindows(1 << 30)
	tc.answerHeaders()
	tc.recv(tc.get(1))
	tc.drain()
	s := tc.stream(1)
	mustDo(t, tc.c.WriteRegion(s, make([]byte, 2000), nil, false))
	for range 10000 {
		mustDo(t, tc.c.WriteRegion(s, make([]byte, 2000), tc.release("region"), false))
		tc.room = 2000 + frames.HeaderLen
		tc.turn()
	}
	if n := len(s.body.regions.Memory()); n > 64 {
		t.Errorf("the queue has grown to %d", n)
	}
	tc.lines = nil
}

// TestSmallAnswersAreDirect: they join the batch in the order of their answers
// and cost no queue; beyond directLimit the scheduler decides.
func TestSmallAnswersAreDirect(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.bigWindows(1 << 20)
	tc.answerHeaders()
	for id := frames.StreamID(1); id < 101; id += 2 {
		tc.recv(tc.get(id))
	}
	tc.drain()
	direct := 0
	for id := frames.StreamID(1); id < 101; id += 2 {
		mustDo(t, tc.c.Write(tc.stream(id), make([]byte, 1000), true))
		if tc.c.streams.get(id) == nil {
			direct++
		}
	}
	if direct != directLimit/1009 {
		t.Errorf("%d answers of 1000 octets are direct, want %d", direct, directLimit/1009)
	}
	if got := len(tc.drain()); got != 50 {
		t.Errorf("%d frames", got)
	}
}

// TestIsDirectTakesNothing asks for more than may be direct, with nothing
// pending: no outbox may be taken for that.
func TestIsDirectTakesNothing(t *testing.T) {
	for _, record := range []int{0, 16384} {
		tc := newRawConn(t, Config{}, record)
		tc.greet()
		tc.bigWindows(1 << 20)
		tc.answerHeaders()
		tc.recv(settings(setting(frames.SettingMaxFrameSize, 1<<20)), tc.get(1))
		tc.drain()
		tc.c.SetRoom(1 << 20)
		mustDo(t, tc.c.Write(tc.stream(1), make([]byte, 40000), false))
		if tc.c.HasPending() {
			t.Error("there is nothing to write yet")
		}
		src := tc.source(1)
		src.open = true
		tc.c.Reset(tc.stream(1), 0)
		tc.drain()
		tc.recv(tc.get(3))
		tc.drain()
		src.id = 3
		mustDo(t, tc.c.WriteSource(tc.stream(3), src))
		tc.c.Fill()
		if tc.c.HasPending() {
			t.Error("a source that has nothing makes nothing pending")
		}
	}
}

// TestWriteQueuesBehind keeps the order of one stream's octets.
func TestWriteQueuesBehind(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.bigWindows(1 << 20)
	tc.answerHeaders()
	tc.recv(tc.get(1))
	tc.drain()
	s := tc.stream(1)
	mustDo(t, tc.c.WriteRegion(s, bytes.Repeat([]byte("a"), 5000), nil, false))
	mustDo(t, tc.c.Write(s, []byte("b"), false))
	mustDo(t, tc.c.WriteRegion(s, []byte("c"), nil, false))
	mustDo(t, tc.c.Write(s, []byte("d"), true))
	tc.want("", "DATA 1 len=5000", `DATA 1 "b"`, `DATA 1 "c"`, `DATA 1 "d" END_STREAM`)
}

func TestFlushedMayWriteMore(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.get(1))
	tc.drain()
	s := tc.stream(1)
	rel := tc.release("first")
	rel.then = func() {
		if tc.c.HasPending() {
			t.Error("the batch has left")
		}
		mustDo(t, tc.c.WriteRegion(s, make([]byte, 2000), tc.release("second"), true))
	}
	mustDo(t, tc.c.WriteRegion(s, make([]byte, 3000), rel, false))
	tc.wantTurn("one batch", "DATA 1 len=3000")
	tc.wantTurn("the release has written the next", "DATA 1 len=2000 END_STREAM")

	// A release that writes at once, and one that closes.
	tc.recv(tc.get(3), tc.get(5))
	tc.drain()
	rel = tc.release("first")
	rel.then = func() { mustDo(t, tc.c.Write(tc.stream(5), []byte("direct"), true)) }
	mustDo(t, tc.c.WriteRegion(tc.stream(3), make([]byte, 3000), rel, true))
	tc.wantTurn("", "DATA 3 len=3000 END_STREAM")
	if !tc.c.HasPending() {
		t.Error("the release has written")
	}
	tc.wantTurn("", `DATA 5 "direct" END_STREAM`)
}

// TestModelOfBodies sends random bodies with random windows, rooms and frame
// sizes, and compares what arrives.
func TestModelOfBodies(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		record := []int{0, 16384, 1000}[seed%3]
		tc := newRawConn(t, Config{}, record)
		tc.greet()
		tc.answerHeaders()
		want := map[frames.StreamID][]byte{}
		got := map[frames.StreamID][]byte{}
		ended := map[frames.StreamID]bool{}
		id := frames.StreamID(1)
		fill := func(n int) []byte {
			p := make([]byte, n)
			for i := range p {
				p[i] = byte(rng.Uint32())
			}
			return p
		}
		turn := func() {
			tc.c.SetRoom(tc.room)
			tc.c.Fill()
			b := bytes.Join(tc.c.Pending(), nil)
			for len(b) > 0 {
				h, _ := frames.ParseHeader(b)
				if h.Type == frames.TypeData {
					got[h.StreamID] = append(got[h.StreamID], b[9:9+h.Length]...)
				}
				b = b[9+h.Length:]
			}
			tc.flush()
			tc.lines = nil
		}
		for range 300 {
			var open []*Stream
			tc.c.streams.each(func(s *Stream) { open = append(open, s) })
			switch rng.IntN(8) {
			case 0:
				tc.recv(tc.get(id, fmt.Sprintf("priority: u=%d%s", rng.IntN(8), []string{"", ", i"}[rng.IntN(2)])))
				id += 2
			case 1:
				tc.recv(settings(setting(frames.SettingInitialWindowSize, rng.Uint32N(100000)), setting(frames.SettingMaxFrameSize, 16384+rng.Uint32N(50000))))
			case 2:
				tc.recv(windowUpdate(0, 1+rng.Uint32N(50000)))
			case 3, 4, 5:
				if len(open) == 0 {
					continue
				}
				s := open[rng.IntN(len(open))]
				id := s.id // s may be gone once it is written
				tc.recv(windowUpdate(id, 1+rng.Uint32N(30000)))
				if ended[id] {
					continue
				}
				p := fill(rng.IntN(40000))
				if rng.IntN(2) == 0 {
					p = p[:min(len(p), rng.IntN(50))]
				}
				end := rng.IntN(4) == 0
				var err error
				switch rng.IntN(3) {
				case 0:
					err = tc.c.Write(s, p, end)
				case 1:
					err = tc.c.WriteRegion(s, p, tc.release("region"), end)
				case 2:
					var pieces []string
					for rest := p; len(rest) > 0; {
						n := min(len(rest), 1+rng.IntN(20000))
						pieces = append(pieces, string(rest[:n]))
						rest = rest[n:]
					}
					err, end = tc.c.WriteSource(s, tc.source(id, pieces...)), true
				}
				mustDo(t, err)
				ended[id] = end
				want[id] = append(want[id], p...)
			default:
				tc.room = rng.IntN(60000)
				turn()
			}
		}
		tc.room = 1 << 20
		tc.recv(windowUpdate(0, 1<<30))
		tc.c.streams.each(func(s *Stream) { tc.recv(windowUpdate(s.id, 1<<30)) })
		for range 50 {
			turn()
		}
		for id, body := range want {
			if !bytes.Equal(got[id], body) {
				t.Fatalf("seed %d: stream %d: %d octets arrived, %d were written", seed, id, len(got[id]), len(body))
			}
			if open := tc.c.streams.get(id) != nil; open == ended[id] {
				t.Errorf("seed %d: stream %d open %v, ended %v", seed, id, open, ended[id])
			}
		}
	}
}
