package h2

import (
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
)

// The defaults, by short names.
const (
	burst            = defaultBurst
	maxAnswers       = defaultMaxAnswers
	maxContinuations = defaultMaxContinuations
	maxBlockFactor   = defaultMaxBlockFactor
)

// TestSection10_5_RapidReset opens and resets streams (CVE-2023-44487).
func TestSection10_5_RapidReset(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.whole = true
	id := frames.StreamID(1)
	for range burst {
		tc.recv(tc.get(id), rst(id, frames.ErrCodeCancel))
		id += 2
	}
	tc.wantIdle("a thousand are honest")
	tc.recv(tc.get(id), rst(id, frames.ErrCodeCancel))
	tc.wantConnError("a thousand and one are not", frames.ErrCodeEnhanceYourCalm)
}

// TestSection10_5_RapidResetRefills waits for the budget.
func TestSection10_5_RapidResetRefills(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.whole = true
	id := frames.StreamID(1)
	cancel := func(n int) {
		for range n {
			tc.recv(tc.get(id), rst(id, frames.ErrCodeCancel))
			id += 2
		}
	}
	tc.sh.Now = 1000 * time.Hour
	cancel(burst)
	tc.sh.Now += 3 * second
	cancel(30)
	tc.wantIdle("ten a second come back")
	for range 100 {
		tc.sh.Now += 150 * time.Millisecond
		cancel(1)
		tc.sh.Now += 50 * time.Millisecond
		cancel(1)
	}
	tc.wantIdle("and no fraction is lost")
	cancel(1)
	tc.wantConnError("but no more", frames.ErrCodeEnhanceYourCalm)
}

// TestSection10_5_MadeYouReset makes us send the RST_STREAM (CVE-2025-8671).
func TestSection10_5_MadeYouReset(t *testing.T) {
	for why, bad := range map[string]func(tc *testConn, id frames.StreamID) []byte{
		"WINDOW_UPDATE of 0": func(_ *testConn, id frames.StreamID) []byte { return windowUpdate(id, 0) },
		"DATA after the end": func(_ *testConn, id frames.StreamID) []byte { return data(id, "x") },
		"malformed trailers": func(tc *testConn, id frames.StreamID) []byte { return tc.headers(id, true, "X: y") },
	} {
		tc := newTestConn(t, Config{})
		tc.whole = true
		id := frames.StreamID(1)
		for range burst {
			tc.recv(tc.get(id), bad(tc, id))
			id += 2
		}
		if n := len(tc.drain()); n != burst {
			t.Errorf("%s: %d frames, want %d RST_STREAM", why, n, burst)
		}
		tc.recv(tc.get(id), bad(tc, id))
		tc.wantConnError(why, frames.ErrCodeEnhanceYourCalm)
	}
}

// TestSection10_5_HonestClient resets as many streams as it completes, for
// ever, and at once.
func TestSection10_5_HonestClient(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.whole = true
	id := frames.StreamID(1)
	for range 5 * burst {
		tc.app.request = nil
		tc.recv(tc.get(id), rst(id, frames.ErrCodeCancel))
		tc.answer("x")
		tc.recv(tc.get(id + 2))
		id += 4
		tc.turn()
		tc.lines = tc.lines[:0]
		tc.app.events = tc.app.events[:0]
	}
	tc.wantIdle("never cut")
	// Uploads that are answered early count as completed.
	for range 2 * burst {
		tc.recv(tc.post(id))
		tc.app.request = nil
		tc.turn()
		tc.recv(tc.get(id+2), rst(id+2, frames.ErrCodeCancel))
		tc.answer("x")
		tc.lines = tc.lines[:0]
		id += 4
	}
}

// TestSection10_5_HeaderListsTooLong makes us decode what is too long, again and again.
func TestSection10_5_HeaderListsTooLong(t *testing.T) {
	tc := newTestConn(t, Config{MaxHeaderListSize: 1000})
	tc.answer("x")
	tc.whole = true
	long := requestFields("GET", []string{"x-long: " + strings.Repeat("v", 1000)})
	id := frames.StreamID(1)
	each := func(fields []string) {
		tc.recv(tc.headers(id, true, fields...))
		tc.turn()
		id += 2
	}
	// A proxy sends those of one bad client among those of others.
	for range 2 * burst {
		each(long)
		for range tooLongCost {
			each(requestFields("GET", nil))
		}
	}
	tc.wantAlive("others are in the majority", id)
	id += 2
	for range burst/tooLongCost + 1 {
		each(long)
	}
	tc.lines = nil
	tc.recv(tc.headers(id, true, long...))
	tc.wantConnError("nothing but header lists that are too long", frames.ErrCodeEnhanceYourCalm)
}

// TestSection10_5_UselessFrames sends frames that do nothing (CVE-2019-9511 to
// 9518).
func TestSection10_5_UselessFrames(t *testing.T) {
	for why, b := range map[string][]byte{
		"empty DATA":                  data(1, ""),
		"DATA of padding":             padded(1, "", 0, false),
		"DATA of much padding":        padded(1, "", 255, false),
		"empty DATA on a reset":       data(3, ""),
		"PRIORITY":                    frame(frames.TypePriority, 0, 1, "\x00\x00\x00\x05\x00"),
		"unknown frame":               frame(0x99, 0, 1, ""),
		"unknown frame, payload":      frame(0x99, 0, 0, "abc"),
		"PRIORITY_UPDATE, unopened":   priorityUpdate(77, "u=1"),
		"PRIORITY_UPDATE, closed":     priorityUpdate(3, "u=1"),
		"PRIORITY_UPDATE, no change":  priorityUpdate(1, "u=3, i"),
		"PRIORITY_UPDATE, malformed":  priorityUpdate(1, "???"),
		"RST_STREAM of a closed one":  rst(3, frames.ErrCodeCancel),
		"SETTINGS ACK":                frames.AppendSettingsAck(nil),
		"GOAWAY once more":            frames.AppendGoAway(nil, frames.GoAway{}),
		"DATA on a reset, no content": padded(3, "", 1, false),
	} {
		tc := newTestConn(t, Config{})
		tc.app.request = nil
		tc.recv(tc.post(1), tc.post(3))
		tc.c.Reset(tc.stream(3), frames.ErrCodeCancel)
		if why == "GOAWAY once more" {
			tc.recv(b)
		}
		for range burst {
			tc.recv(b)
		}
		if tc.err != nil {
			t.Fatalf("%s: %v", why, tc.err)
		}
		tc.drain()
		tc.sh.Now += second
		for range 10 {
			tc.recv(b)
		}
		tc.recv(b)
		tc.wantConnError(why, frames.ErrCodeEnhanceYourCalm)
	}
}

// TestSection10_5_UsefulFrames sends as many that are not counted.
func TestSection10_5_UsefulFrames(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(tc.post(1), tc.get(3), rst(3, frames.ErrCodeCancel))
	s := tc.stream(1)
	mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
	for i := range 3 * burst {
		mustDo(t, tc.c.Write(s, []byte("x"), false))
		tc.recv(data(1, "x"), padded(1, "x", 9, false), windowUpdate(1, 1), windowUpdate(0, 1), windowUpdate(3, 1))
		if i < maxPriorityChanges {
			tc.recv(priorityUpdate(1, []string{"u=1", "u=2"}[i%2]))
		}
		if i%100 == 0 {
			tc.drain()
			tc.app.events = nil
		}
	}
	tc.drain()
}

// TestSection10_5_HonestNoise: browsers send PRIORITY_UPDATE with each request.
func TestSection10_5_HonestNoise(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.whole = true
	tc.answer("x")
	for i := range 3 * burst {
		id := frames.StreamID(2*i + 1)
		tc.recv(priorityUpdate(id, "u=1"), tc.get(id))
		tc.drain()
		tc.app.events = nil
	}
}

// TestSection10_5_Answers floods with frames that have to be answered and does
// not read (CVE-2019-9512, 9515).
func TestSection10_5_Answers(t *testing.T) {
	for why, b := range map[string][]byte{"PING": ping("12345678"), "SETTINGS": settings()} {
		tc := newTestConn(t, Config{})
		for range 2 {
			for range maxAnswers {
				tc.recv(b)
			}
			if tc.err != nil {
				t.Fatalf("%s: %v", why, tc.err)
			}
			if n := len(tc.drain()); n != maxAnswers {
				t.Fatalf("%s: %d answers", why, n)
			}
		}
		for range maxAnswers + 1 {
			tc.recv(b)
		}
		tc.wantConnError(why, frames.ErrCodeEnhanceYourCalm)
	}
}

// TestSection10_5_AnswersOfAllKinds counts them together, RST_STREAM included.
func TestSection10_5_AnswersOfAllKinds(t *testing.T) {
	tc := newTestConn(t, Config{})
	for range maxAnswers - 2 {
		tc.recv(ping("12345678"))
	}
	tc.recv(settings(), tc.headers(1, true, ":method: GET"))
	if tc.err != nil {
		t.Fatal(tc.err)
	}
	tc.recv(tc.headers(3, true, ":method: GET"))
	tc.wantConnError("", frames.ErrCodeEnhanceYourCalm)
}

func TestBucket(t *testing.T) {
	var b bucket
	of := Budget{defaultBurst, defaultPerSecond}
	b.giveBack(1)
	if b.spent != 0 {
		t.Error("more than all was given back")
	}
	for range burst {
		if !b.take(1, 0, of) {
			t.Fatal("empty too soon")
		}
	}
	if b.take(1, 0, of) || b.take(1, 99*time.Millisecond, of) {
		t.Error("not empty")
	}
	if !b.take(1, 100*time.Millisecond, of) || b.take(1, 199*time.Millisecond, of) {
		t.Error("one a tenth of a second")
	}
	b.giveBack(1)
	if !b.take(1, 199*time.Millisecond, of) {
		t.Error("what is given back can be taken")
	}
	if !b.take(1, 1000*time.Hour, of) || b.spent != 1 {
		t.Errorf("%d spent after 1000 hours, want 1", b.spent)
	}
	if b.take(1, 0, of); b.spent != 2 {
		t.Error("time that goes backwards")
	}
}
