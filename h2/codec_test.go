package h2

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/internal/message"
)

// TestRFC7541_Memos answers with few kinds of header sections, and some that
// change the table, while the peer changes its size: what is remembered of a
// section must never outlive the table that it refers to.
func TestRFC7541_Memos(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 6))
		tc := newTestConn(t, Config{})
		tc.whole = true
		var sections [][]Field
		for i := range 2 + rng.IntN(6) {
			fields := []Field{{Name: "server", Value: "h2loop"}, {Name: "content-length", Value: fmt.Sprint(13 + i%2)}}
			switch rng.IntN(6) {
			case 5:
				fields = []Field{{Name: "x-one", Value: fmt.Sprint(i)}} // all of it differs
			case 0:
				fields = append(fields, Field{Name: "x-secret", Value: "s", Sensitive: true})
			case 1:
				fields = append(fields, Field{Name: "x-big", Value: strings.Repeat("b", rng.IntN(5000))})
			case 2:
				for j := range maxMemoFields {
					fields = append(fields, Field{Name: "x-many", Value: fmt.Sprint(j)})
				}
			}
			sections = append(sections, fields)
		}
		var want []string
		tc.app.request = func(s *Stream) {
			fields := slices.Clone(sections[rng.IntN(len(sections))])
			if rng.IntN(12) == 0 {
				fields = append(fields, Field{Name: "date", Value: fmt.Sprint(rng.Uint32())})
			}
			status := 200 + rng.IntN(2)
			trailers := rng.IntN(4) == 0
			id := s.ID() // s is gone once it is answered
			mustDo(t, tc.c.WriteHeaders(s, status, fields, !trailers))
			line := fmt.Sprintf("HEADERS %d :status=%d", id, status)
			text := ""
			for _, f := range fields {
				text += " " + f.Name + "=" + f.Value
			}
			if !trailers {
				want = append(want, line+text+" END_STREAM")
				return
			}
			want = append(want, line+text, fmt.Sprintf("HEADERS %d%s END_STREAM", id, text))
			mustDo(t, tc.c.WriteTrailers(s, fields))
		}
		id := frames.StreamID(1)
		for range 300 {
			if rng.IntN(25) == 0 {
				tc.recv(settings(setting(frames.SettingHeaderTableSize, 4096*rng.Uint32N(2))))
				want = append(want, "SETTINGS ACK")
			}
			tc.recv(tc.get(id))
			id += 2
			if rng.IntN(4) == 0 {
				tc.want(fmt.Sprintf("seed %d", seed), want...)
				want = nil
				tc.app.events = nil
			}
		}
		tc.drain()
		for _, m := range tc.c.codec.memos {
			if len(m.fields) > maxMemoFields {
				t.Errorf("%d fields remembered", len(m.fields))
			}
		}
		if n := len(tc.c.codec.memos); n > maxMemos {
			t.Errorf("%d sections remembered", n)
		}
	}
}

// TestRFC7541Section4_2_SizeUpdatePassesMemos: the update comes in the very next
// block, whatever is remembered.
func TestRFC7541Section4_2_SizeUpdatePassesMemos(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.app.request = func(s *Stream) { mustDo(t, tc.c.WriteHeaders(s, 200, helloFields, true)) }
	for id := frames.StreamID(1); id < 9; id += 2 {
		tc.recv(tc.get(id))
	}
	before := tc.blocks()
	if last := before[len(before)-1]; len(last) != len(helloFields)+1 {
		t.Errorf("block %x, want only indices", last)
	}
	tc.recv(settings(setting(frames.SettingHeaderTableSize, 0), setting(frames.SettingHeaderTableSize, 4096)), tc.get(9), tc.get(11), tc.get(13))
	after := tc.blocks()
	if got := sizeUpdates(after[0]); !slices.Equal(got, []int{0, 4096}) {
		t.Errorf("size updates %v, want 0 and 4096", got)
	}
	for _, block := range after[1:] {
		if got := sizeUpdates(block); len(got) != 0 || len(block) != len(helloFields)+1 {
			t.Errorf("block %x, want only indices", block)
		}
	}
}

// TestMemosAreUsed changes what is remembered of a section, and sees it sent.
func TestMemosAreUsed(t *testing.T) {
	tc := newTestConn(t, Config{})
	answer := func(fields ...Field) {
		tc.app.request = func(s *Stream) { mustDo(t, tc.c.WriteHeaders(s, 200, fields, true)) }
	}
	a, b := Field{Name: "x-a", Value: "a"}, Field{Name: "x-b", Value: "b"}
	id := frames.StreamID(1)
	get := func() string {
		t.Helper()
		tc.recv(tc.get(id))
		id += 2
		return strings.SplitN(tc.drain()[0], " ", 3)[2]
	}
	for range 3 {
		answer(a)
		get()
		answer(b)
		get()
	}
	for i := range tc.c.codec.memos {
		m := &tc.c.codec.memos[i]
		m.block = append(m.block, 0xbf) // and the older entry of the table
	}
	for _, f := range []Field{a, b} {
		answer(f)
		if got, want := get(), ":status=200 "+f.Name+"="+f.Value; len(got) <= len(want+" END_STREAM") {
			t.Errorf("%s: it was encoded anew", got)
		}
	}
	answer(Field{Name: "x-a", Value: "a", Sensitive: true})
	if got := get(); got != ":status=200 x-a=a END_STREAM" {
		t.Errorf("%s: sensitive fields are another section", got)
	}
	answer(a, b)
	if got := get(); got != ":status=200 x-a=a x-b=b END_STREAM" {
		t.Errorf("%s: more fields are another section", got)
	}
}

// TestManyFields has a request with more fields than a free stream keeps room
// for.
func TestManyFields(t *testing.T) {
	tc := newTestConn(t, Config{})
	many := requestFields("POST", nil)
	for i := range 2 * message.MaxKeptFields {
		many = append(many, fmt.Sprintf("x-%d: y", i))
	}
	got := 0
	tc.app.request = func(s *Stream) { got = len(s.Request.Fields) }
	tc.recv(tc.headers(1, false, many...), tc.headers(1, true, many[4:]...), rst(1, frames.ErrCodeCancel))
	if got != 2*message.MaxKeptFields {
		t.Errorf("%d fields", got)
	}
	if s := tc.sh.streams.Values()[0]; cap(s.Request.Fields) != 0 || cap(s.Request.Trailers) != 0 {
		t.Errorf("a free stream keeps %d and %d fields", cap(s.Request.Fields), cap(s.Request.Trailers))
	}
}

// TestRest has a connection give back what it needs for answers only, and go on:
// its peer has a table that is no longer known here.
func TestRest(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.app.request = func(s *Stream) { mustDo(t, tc.c.WriteHeaders(s, 200, helloFields, true)) }
	table := func(v uint32) []byte { return settings(setting(frames.SettingHeaderTableSize, v)) }
	tc.c.Rest()
	if tc.c.MayRest() {
		t.Error("there is something to give back before the first request")
	}
	id := frames.StreamID(1)
	answers := func() (first []byte) {
		t.Helper()
		for range 3 {
			tc.recv(tc.get(id))
			id += 2
		}
		return tc.blocks()[0] // which the peer can decode, or this would have failed
	}
	answers()
	for _, tt := range []struct {
		why    string
		before []byte
		want   []int
	}{
		{"as it was", nil, []int{0, 4096}},
		{"a smaller table while it rests", table(100), []int{0, 100}},
		{"a larger one", table(4096), []int{0, 4096}},
		{"none", table(0), []int{0, 0}},
	} {
		if !tc.c.MayRest() {
			t.Errorf("%s: there is nothing to give back", tt.why)
		}
		tc.c.Rest()
		if tc.c.MayRest() || tc.c.codec.enc != nil || tc.c.codec.memos != nil || tc.c.streams.slots != nil {
			t.Errorf("%s: something was not given back", tt.why)
		}
		if tt.before != nil {
			tc.recv(tt.before)
		}
		if got := sizeUpdates(answers()); !sameSizes(got, tt.want) {
			t.Errorf("%s: size updates %v, want %v", tt.why, got, tt.want)
		}
	}
}

// TestRestNotNow asks connections to rest that have something to do.
func TestRestNotNow(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answer("hello")
	tc.recv(tc.get(1))
	tc.drain()
	get := tc.get(3)
	tc.recv(get[:12])
	if tc.c.Rest(); tc.c.codec.enc == nil || tc.c.MayRest() {
		t.Error("it rests although a frame is unfinished")
	}
	tc.app.request = func(*Stream) {}
	tc.recv(get[12:])
	if tc.c.Rest(); tc.c.codec.enc == nil || tc.c.MayRest() {
		t.Error("it rests although a stream is open")
	}
}
