package h2

import (
	"fmt"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/frames"
)

// TestLimits crosses each limit that ends the connection: one less is served, one
// more is GOAWAY(ENHANCE_YOUR_CALM), and is counted under its name.
func TestLimits(t *testing.T) {
	const n = 20
	few := Budget{Burst: n, PerSecond: 1}
	bigBlock := func(tc *testConn, size int) []byte {
		return []byte(strings.Repeat("\x00\x01a\x01b", size/5)) // literals, five octets each
	}
	for _, tt := range []struct {
		name  string
		limit Limit
		cfg   Config
		prep  func(tc *testConn)
		abuse func(tc *testConn, i int) []byte // n of which are allowed
	}{
		{
			name: "rapid reset", limit: LimitResets, cfg: Config{ResetBudget: few},
			abuse: func(tc *testConn, i int) []byte {
				id := frames.StreamID(2*i + 1)
				return append(tc.get(id), rst(id, frames.ErrCodeCancel)...)
			},
		},
		{
			name: "made to reset", limit: LimitResets, cfg: Config{ResetBudget: few},
			abuse: func(tc *testConn, i int) []byte {
				id := frames.StreamID(2*i + 1)
				return append(tc.get(id), windowUpdate(id, 0)...)
			},
		},
		{
			name: "streams beyond the limit", limit: LimitResets, cfg: Config{ResetBudget: few, MaxConcurrentStreams: 1},
			prep:  func(tc *testConn) { tc.recv(tc.post(1)) },
			abuse: func(tc *testConn, i int) []byte { return tc.get(frames.StreamID(2*i + 3)) },
		},
		{
			name: "PING", limit: LimitAnswers, cfg: Config{MaxAnswers: n},
			abuse: func(*testConn, int) []byte { return ping("12345678") },
		},
		{
			name: "SETTINGS", limit: LimitAnswers, cfg: Config{MaxAnswers: n},
			abuse: func(*testConn, int) []byte { return settings() },
		},
		{
			name: "unknown frames", limit: LimitNoise, cfg: Config{NoiseBudget: few},
			abuse: func(*testConn, int) []byte { return frame(0x42, 0, 0, "x") },
		},
		{
			name: "PRIORITY", limit: LimitNoise, cfg: Config{NoiseBudget: few},
			abuse: func(*testConn, int) []byte { return frame(frames.TypePriority, 0, 1, "\x00\x00\x00\x00\x00") },
		},
		{
			name: "PRIORITY_UPDATE back and forth", limit: LimitNoise, cfg: Config{NoiseBudget: few},
			prep: func(tc *testConn) {
				tc.recv(tc.post(1))
				for i := range maxPriorityChanges {
					tc.recv(priorityUpdate(1, fmt.Sprintf("u=%d", i%2)))
				}
			},
			abuse: func(_ *testConn, i int) []byte { return priorityUpdate(1, fmt.Sprintf("u=%d", i%2)) },
		},
		{
			name: "WINDOW_UPDATE for nothing", limit: LimitNoise, cfg: Config{NoiseBudget: few},
			abuse: func(*testConn, int) []byte { return windowUpdate(0, 1) },
		},
		{
			name: "WINDOW_UPDATE on a closed stream", limit: LimitNoise, cfg: Config{NoiseBudget: few},
			prep:  func(tc *testConn) { tc.recv(tc.get(1), rst(1, frames.ErrCodeCancel)) },
			abuse: func(*testConn, int) []byte { return windowUpdate(1, 1) },
		},
		{
			name: "PING ACK", limit: LimitNoise, cfg: Config{NoiseBudget: few},
			abuse: func(*testConn, int) []byte { return frames.AppendPing(nil, frames.Ping{Ack: true}) },
		},
		{
			name: "HEADERS on a stream that was reset", limit: LimitNoise, cfg: Config{NoiseBudget: few},
			prep:  func(tc *testConn) { tc.recv(tc.post(1)); tc.c.Reset(tc.stream(1), frames.ErrCodeCancel) },
			abuse: func(tc *testConn, _ int) []byte { return tc.headers(1, true, "x: y") },
		},
		{
			name: "HEADERS above the last GOAWAY", limit: LimitNoise, cfg: Config{NoiseBudget: few},
			prep: func(tc *testConn) {
				tc.recv(tc.post(1))
				tc.c.Shutdown()
				tc.recv(frames.AppendPing(nil, frames.Ping{Ack: true, Data: drainPing}))
			},
			abuse: func(tc *testConn, i int) []byte { return tc.get(frames.StreamID(2*i + 3)) },
		},
		{
			name: "empty DATA", limit: LimitNoise, cfg: Config{NoiseBudget: few},
			prep:  func(tc *testConn) { tc.recv(tc.post(1)) },
			abuse: func(*testConn, int) []byte { return data(1, "") },
		},
		{
			name: "DATA of padding", limit: LimitNoise, cfg: Config{NoiseBudget: few},
			prep:  func(tc *testConn) { tc.recv(tc.post(1)) },
			abuse: func(*testConn, int) []byte { return padded(1, "", 200, false) },
		},
		{
			name: "tiny DATA that nobody reads", limit: LimitNoise, cfg: Config{NoiseBudget: few},
			prep:  func(tc *testConn) { tc.app.hold = true; tc.recv(tc.post(1)) },
			abuse: func(*testConn, int) []byte { return data(1, "tiny") },
		},
		{
			name: "mostly padding that nobody reads", limit: LimitNoise, cfg: Config{NoiseBudget: few},
			prep:  func(tc *testConn) { tc.app.hold = true; tc.recv(tc.post(1)) },
			abuse: func(*testConn, int) []byte { return padded(1, strings.Repeat("x", 100), 200, false) },
		},
		{
			name: "CONTINUATION", limit: LimitContinuations, cfg: Config{MaxContinuations: n},
			prep: func(tc *testConn) {
				tc.recv(frames.AppendHeaders(nil, frames.Headers{StreamID: 1, Fragment: tc.block(":method: GET")}))
			},
			abuse: func(*testConn, int) []byte { return frames.AppendContinuation(nil, frames.Continuation{StreamID: 1}) },
		},
		{
			name: "header block", limit: LimitHeaderBlock, cfg: Config{MaxHeaderListSize: 5 * n, MaxBlockFactor: 10},
			prep: func(tc *testConn) {
				tc.recv(frames.AppendHeaders(nil, frames.Headers{StreamID: 1}))
			},
			abuse: func(tc *testConn, _ int) []byte {
				return frames.AppendContinuation(nil, frames.Continuation{StreamID: 1, Fragment: bigBlock(tc, 50)})
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tc := newTestConn(t, tt.cfg)
			tc.whole = true
			if tt.prep != nil {
				tt.prep(tc)
			}
			for i := range n {
				tc.recv(tt.abuse(tc, i))
			}
			if tc.err != nil {
				t.Fatalf("below the limit: %v", tc.err)
			}
			tc.wantCrossed(tt.limit, 0)
			tc.lines = nil
			tc.recv(tt.abuse(tc, n))
			tc.turn()
			if len(tc.lines) == 0 {
				t.Fatal("the peer sees nothing")
			}
			if last := tc.lines[len(tc.lines)-1]; !strings.HasPrefix(last, "GOAWAY") || !strings.Contains(last, "ENHANCE_YOUR_CALM") {
				t.Errorf("the peer sees %q", last)
			}
			tc.wantCrossed(tt.limit, 1)
			tc.errSeen = true
		})
	}
}

// TestHeaderListCounted counts lists that are answered with 431.
func TestHeaderListCounted(t *testing.T) {
	tc := newTestConn(t, Config{MaxHeaderListSize: 1000})
	tc.recv(tc.get(1, "x: "+strings.Repeat("y", 900)))
	tc.turn()
	if got := strings.Join(tc.lines, " "); !strings.Contains(got, ":status=431") {
		t.Errorf("the peer sees %q", got)
	}
	tc.lines = nil
	tc.wantCrossed(LimitHeaderList, 1)
}

// TestPlaces has requests whose work goes on after their streams: they count.
func TestPlaces(t *testing.T) {
	tc := newTestConn(t, Config{MaxConcurrentStreams: 3})
	tc.app.closed = func(*Stream, error) { tc.c.HoldPlace() }
	for id := frames.StreamID(1); id <= 5; id += 2 {
		tc.recv(tc.get(id), rst(id, frames.ErrCodeCancel))
	}
	tc.wantIdle("three are at work")
	tc.recv(tc.get(7))
	tc.wantReset("there is no place for a fourth", 7, frames.ErrCodeRefusedStream)
	tc.wantCrossed(LimitWork, 1)
	tc.c.FreePlace()
	tc.app.closed = nil
	tc.recv(tc.get(9))
	tc.wantIdle("now there is")
	tc.recv(tc.get(11))
	tc.wantReset("and no other", 11, frames.ErrCodeRefusedStream)
	tc.wantCrossed(LimitWork, 2)
	tc.c.FreePlace()
	tc.c.FreePlace()
	mustPanic(t, "h2: more places freed than were held", tc.c.FreePlace)
}

// TestUnreadTotal uses up the budget for request bodies with one connection, and
// with octets that the application keeps: others get less, and it back.
func TestUnreadTotal(t *testing.T) {
	sh := NewShared(Config{MaxUnreadTotal: 100_000, ConnWindow: 65535, StreamWindow: 65535, MaxStreamWindow: 65535})
	a, b := connOn(t, sh, 0), connOn(t, sh, 0)
	a.whole, b.whole = true, true
	a.greet()
	b.greet()
	b.recv(b.post(1))
	a.app.hold = true
	a.recv(a.post(1))
	sh.ChargeBody(70_000)
	a.recv(data(1, strings.Repeat("x", 16384)), data(1, strings.Repeat("x", 16384)))
	if room := sh.BodyRoom(); room >= 0 {
		t.Errorf("room for %d octets", room)
	}
	a.lines, b.lines = nil, nil
	b.recv(b.post(3), b.get(5))
	b.wantReset("no body may begin", 3, frames.ErrCodeRefusedStream)
	b.wantCrossed(LimitUnread, 1)
	// What has begun goes on as long as somebody reads it.
	for range 20 {
		b.recv(data(1, strings.Repeat("x", 16384)))
		b.turn()
	}
	b.lines = nil
	// And what nobody reads, not: its credit comes back when somebody does.
	a.recv(data(1, strings.Repeat("x", 16384)))
	a.wantIdle("credit is held back")
	sh.ChargeBody(-70_000)
	a.c.Consume(a.stream(1), 3*16384)
	a.turn()
	if got := strings.Join(a.lines, ", "); !strings.Contains(got, "WINDOW_UPDATE 0") || !strings.Contains(got, "WINDOW_UPDATE 1") {
		t.Errorf("credit that comes back: %q", got)
	}
	a.lines = nil
	b.recv(b.post(7))
	b.wantIdle("bodies may begin again")
	b.recv(data(7, "rest"))
	b.app.hold = true
	b.recv(data(7, "rest"))
	a.c.Close()
	b.c.Close()
	if room := sh.BodyRoom(); room != 100_000 {
		t.Errorf("room for %d octets when all is over", room)
	}
}

// TestPool has the connections of two loops share the memory for request bodies:
// one gets what the other leaves, to the last octet, and all of it comes back.
func TestPool(t *testing.T) {
	cfg := Config{MaxUnreadTotal: 100 << 20}
	pool := &ownPool{left: cfg.MaxUnreadTotal}
	one, other := NewShared(cfg), NewShared(cfg)
	one.Pool, other.Pool = pool, pool
	one.ChargeBody(90 << 20)
	one.ChargeBody(-40 << 20)
	other.ChargeBody(40 << 20)
	idle := 4 * maxPoolStep
	for name, sh := range map[string]*Shared{"one": one, "other": other} {
		if room := sh.BodyRoom(); room > 10<<20 || room < 10<<20-idle {
			t.Errorf("%s has room for %d octets, want 10 MiB less %d at most", name, room, idle)
		}
	}
	other.ChargeBody(10<<20 - idle)
	if room := one.BodyRoom(); room < 0 || room > idle {
		t.Errorf("room for %d octets when all is in use", room)
	}
	other.ChargeBody(idle)
	if one.unread+other.unread != cfg.MaxUnreadTotal || one.taken+other.taken > cfg.MaxUnreadTotal {
		t.Errorf("%d octets kept, %d taken", one.unread+other.unread, one.taken+other.taken)
	}
	one.ChargeBody(-one.unread)
	other.ChargeBody(-other.unread)
	if left := pool.Left(); left < cfg.MaxUnreadTotal-idle {
		t.Errorf("%d octets left when all is over", left)
	}
}

// TestEncoderTableSize keeps the table that we encode with small, and says so.
func TestEncoderTableSize(t *testing.T) {
	for size, want := range map[uint32]string{0: "", 100: "3f45", 5000: ""} {
		tc := newTestConn(t, Config{EncoderTableSize: size})
		tc.answer("x")
		tc.recv(tc.get(1))
		tc.c.Fill()
		block := fmt.Sprintf("%x", tc.c.Pending()[0][frames.HeaderLen:])
		if !strings.HasPrefix(block, want) || want == "" && strings.HasPrefix(block, "3f") {
			t.Errorf("%d octets: the block is %s", size, block)
		}
		tc.drain() // the peer decodes it
		most := uint32(headerTableSize)
		if size > 0 {
			most = min(size, most)
		}
		tc.recv(tc.get(3)) // the first answer may have needed no table
		tc.drain()
		before := tc.c.codec.enc.MaxDynamicTableSize()
		// Whatever the peer would like.
		tc.recv(settings(setting(frames.SettingHeaderTableSize, 1<<20)), tc.get(5))
		tc.drain()
		if after := tc.c.codec.enc.MaxDynamicTableSize(); before != most || after != most {
			t.Errorf("%d octets: the table has %d and then %d, want %d", size, before, after, most)
		}
	}
}
