package loop_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/loop"
)

// TestConnections looks at connections and streams in every state that they wait in.
func TestConnections(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("GET /hold/{x}", func(x *loop.Exchange) { x.Async() })
		srv.Handle("/large/{x}", func(x *loop.Exchange) { _ = x.SendStatic(200, pattern(64<<20)) })
		srv.Handle("POST /body", func(x *loop.Exchange) {
			_ = x.ReadBody(0, func(x *loop.Exchange, _ []byte) { _ = x.Send(200, nil) })
		})
	})
	one := func(what string, cond func(c *loop.ConnState) bool) loop.ConnState {
		t.Helper()
		var c loop.ConnState
		eventually(t, what, func() bool {
			conns, stuck := ts.srv.Connections(loop.ConnQuery{Wait: patience})
			if len(stuck) > 0 || len(conns) != 1 {
				return false
			}
			c = conns[0]
			return cond(&c)
		})
		return c
	}
	waits := func(id frames.StreamID, what h2.Wait) loop.ConnState {
		t.Helper()
		return one(string(what), func(c *loop.ConnState) bool {
			i := slices.IndexFunc(c.Streams, func(s loop.StreamState) bool { return s.ID == uint32(id) })
			return i >= 0 && c.Streams[i].WaitsFor == what
		})
	}
	p := ts.open(overTLS, frames.Setting{ID: frames.SettingInitialWindowSize, Value: 1000})
	held := p.get("/hold/a?b", "priority", "u=1, i")
	c := waits(held, h2.WaitApplication)
	s := c.Streams[0]
	if s.Method != "GET" || s.Path != "/hold/a?b" || s.Host != "example.com" || s.Pattern != "GET /hold/{x}" ||
		s.State != "half-closed (remote)" || s.Urgency != 1 || !s.Incremental || s.SendWindow != 1000 || s.Answered {
		t.Errorf("stream %+v", s)
	}
	if c.Protocol != "HTTP/2.0" || c.State != "open" || c.Blocked != "" || c.TLS == nil || c.TLS.ALPN != "h2" || c.TLS.Version != "TLS 1.3" ||
		c.HTTP2 == nil || c.HTTP2.SendWindow != 65535 || c.HTTP2.RecvWindow != 1<<20 || c.HTTP2.PeerInitialWindow != 1000 ||
		c.Requests != 1 || c.Received == 0 || c.Sent == 0 || c.ID == 0 || !c.Remote.IsValid() {
		t.Errorf("connection %+v %+v %+v", c, c.TLS, c.HTTP2)
	}
	if c.TCP == nil || c.TCP.RTT <= 0 || c.TCP.CWND <= 0 || c.TCP.MSS <= 0 {
		t.Errorf("TCP %+v", c.TCP)
	}
	body := p.post("/body")
	waits(body, h2.WaitPeer)
	large := p.get("/large/1")
	c = waits(large, h2.WaitStream)
	if s := c.Streams[2]; s.SendWindow != 0 || s.Queued != 64<<20-1000 || s.Sent != 1000 || !s.Answered || c.Queued != s.Queued {
		t.Errorf("stream %+v", s)
	}
	p.grant(large, 1<<30)
	if c = waits(large, h2.WaitConn); c.Blocked != "connection window" || c.HTTP2.SendWindow != 0 {
		t.Errorf("connection %+v", c)
	}
	p.grant(0, 1<<30)
	if c = waits(large, h2.WaitSocket); c.Unacked == 0 {
		t.Errorf("connection %+v", c)
	}
	one("the socket is full", func(c *loop.ConnState) bool { return c.Blocked == "socket" })
	_ = p.nc.Close()
	eventually(t, "it is gone", func() bool {
		conns, _ := ts.srv.Connections(loop.ConnQuery{Wait: patience})
		return len(conns) == 0
	})
	nc := ts.dial(cleartext)
	if _, err := nc.Write([]byte("GET /hold/1 HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	c = one("a request of HTTP/1.1", func(c *loop.ConnState) bool { return len(c.Streams) == 1 })
	if s := c.Streams[0]; c.Protocol != "HTTP/1.1" || c.TLS != nil || c.HTTP2 != nil || s.Path != "/hold/1" || s.WaitsFor != h2.WaitApplication {
		t.Errorf("connection %+v", c)
	}
}

// TestConnectionsPages pages through many connections, and finds one of them.
func TestConnectionsPages(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{Loops: 3, HandshakeTimeout: time.Hour}, hello)
	const n = 200
	for range n {
		ts.dial(cleartext)
	}
	eventually(t, "all are open", func() bool { return ts.srv.Stats().Connections == n })
	var ids []uint64
	q := loop.ConnQuery{Limit: 70, Wait: patience}
	for {
		conns, stuck := ts.srv.Connections(q)
		if len(stuck) > 0 {
			t.Fatalf("loops %d are stuck", stuck)
		}
		for _, c := range conns {
			ids = append(ids, c.ID)
			if c.State != "handshake" {
				t.Errorf("state %q", c.State)
			}
		}
		if len(conns) < q.Limit {
			break
		}
		q.Below = conns[len(conns)-1].ID
	}
	slices.Reverse(ids)
	if len(ids) != n || !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != n {
		t.Errorf("%d connections: %d", len(ids), ids)
	}
	for _, tt := range []struct {
		q    loop.ConnQuery
		want int
	}{
		{loop.ConnQuery{ID: ids[17]}, 1},
		{loop.ConnQuery{ID: 1 << 40}, 0},
		{loop.ConnQuery{}, n},
		{loop.ConnQuery{Remote: netip.MustParsePrefix("127.0.0.0/8")}, n},
		{loop.ConnQuery{Remote: netip.MustParsePrefix("10.0.0.0/8")}, 0},
	} {
		tt.q.Wait = patience
		if conns, _ := ts.srv.Connections(tt.q); len(conns) != tt.want {
			t.Errorf("%+v: %d connections, want %d", tt.q, len(conns), tt.want)
		}
	}
}

// TestConnectionsStuck tells of those of the loops that turn, and which does not.
func TestConnectionsStuck(t *testing.T) {
	t.Parallel()
	free, entered := make(chan struct{}), make(chan int, 1)
	ts := newServer(t, loop.Config{Loops: 2, SlowCallback: -1}, func(srv *loop.Server) {
		srv.Handle("/block", func(x *loop.Exchange) {
			entered <- x.Loop()
			<-free
			_ = x.SendString(200, "at last")
		})
	})
	p, other := ts.open(cleartext), ts.open(cleartext)
	other.ping()
	id := p.get("/block")
	at := wait(t, "the callback", entered)
	eventually(t, "the other loop to answer in time", func() bool {
		conns, stuck := ts.srv.Connections(loop.ConnQuery{Wait: 200 * time.Millisecond})
		if !slices.Contains(stuck, at) {
			t.Fatalf("loops %d are stuck, and not %d; connections %+v", stuck, at, conns)
		}
		if len(stuck) > 1 {
			return false // the machine was slow: in time or not, the other loop turns
		}
		if len(conns) != 1 || conns[0].Loop == at {
			t.Errorf("loop %d is stuck; connections %+v", at, conns)
		}
		return true
	})
	close(free)
	p.answer(id).want(t, "200", "at last")
}

// startTrace runs a trace; lines returns what it has told so far, without times.
func startTrace(t *testing.T, srv *loop.Server, q loop.TraceQuery) (lines func() string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan string, 10_000)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, err := srv.Trace(ctx, q, func(l loop.TraceLine) error {
			direction := "recv "
			if l.Sent {
				direction = "send "
			}
			told <- direction + l.Text + "\n"
			return nil
		})
		if err != nil {
			t.Errorf("trace: %v", err)
		}
	}()
	var text strings.Builder
	lines = func() string {
		for {
			select {
			case l := <-told:
				text.WriteString(l)
			default:
				return text.String()
			}
		}
	}
	return lines, func() {
		cancel()
		<-ended
	}
}

// TestTrace traces connections of both versions, new ones and one that is open.
func TestTrace(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("GET /a", func(x *loop.Exchange) {
			_ = x.SetHeader("set-cookie", "secret=1")
			_ = x.SendString(200, "hello")
		})
	})
	old := ts.open(cleartext)
	old.fetch("/a").want(t, "200", "hello")
	lines, stop := startTrace(t, ts.srv, loop.TraceQuery{Remote: netip.MustParsePrefix("127.0.0.1/32")})
	eventually(t, "the trace begins", func() bool {
		old.fetch("/a", "cookie", "secret=2").want(t, "200", "hello")
		return strings.Contains(lines(), "send DATA")
	})
	if _, err := ts.srv.Trace(t.Context(), loop.TraceQuery{ConnID: 1}, nil); !errors.Is(err, loop.ErrTracing) {
		t.Errorf("a second trace: %v", err)
	}
	before := len(lines())
	p := ts.open(cleartext, frames.Setting{ID: frames.SettingInitialWindowSize, Value: 3})
	id := p.get("/a", "authorization", "secret=3", "x-evil", "a\"\x9bb")
	p.until("the window is used up", func() bool { return len(p.streams[id].body) == 3 })
	p.grant(id, 100)
	p.answer(id).want(t, "200", "hello")
	p.ping()
	var text string
	wants := []string{
		"recv SETTINGS stream=0 len=6 INITIAL_WINDOW_SIZE=3", "send SETTINGS stream=0 len=24 MAX_CONCURRENT_STREAMS=250",
		"send SETTINGS stream=0 len=0 ACK", "recv HEADERS stream=1", "recv     :method: GET", "recv     :path: /a",
		"recv     authorization: <8 octets>", `recv     x-evil: "a\"\x9bb"`, "send HEADERS stream=1", "send     :status: 200",
		"send     set-cookie: <8 octets>", "send DATA stream=1 len=3", "recv WINDOW_UPDATE stream=1 len=4 increment=100",
		"send DATA stream=1 len=2 END_STREAM", "recv PING", "send PING",
	}
	eventually(t, "it is all told", func() bool { text = lines()[before:]; return strings.Contains(text, "send PING") })
	at := 0
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
		// Each direction is in order.
		if strings.HasPrefix(want, "send") && want[5] != ' ' {
			i := strings.Index(text[at:], want)
			if i < 0 {
				t.Errorf("%q comes too early in\n%s", want, text)
				continue
			}
			at += i
		}
	}
	before = len(lines())
	nc := ts.dial(cleartext)
	if _, err := nc.Write([]byte("GET /a HTTP/1.1\r\nHost: h1\r\nCookie: secret=4\r\nX-Mine: 1\r\nConnection: close\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "HTTP/1.1 is told", func() bool { return strings.Contains(lines(), "body of 5 octets") })
	text = lines()
	for _, want := range []string{
		"recv GET /a HTTP/1.1, host h1", "recv     cookie: <8 octets>", "recv     x-mine: 1", "recv     connection: close",
		"send status 200", "send body of 5 octets",
	} {
		if !strings.Contains(text[before:], want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "secret=") {
		t.Errorf("secrets in\n%s", text)
	}
	stop()
	// Another trace may begin, of one connection, with secrets; it ends by itself.
	conns, _ := ts.srv.Connections(loop.ConnQuery{Wait: patience})
	n := 0
	ended := make(chan error, 1)
	go func() {
		_, err := ts.srv.Trace(context.Background(), loop.TraceQuery{ConnID: conns[len(conns)-1].ID, Frames: 30, Secrets: true}, func(l loop.TraceLine) error {
			if n++; l.ConnID != conns[len(conns)-1].ID {
				t.Errorf("a line of connection %d", l.ConnID)
			}
			return nil
		})
		ended <- err
	}()
	for over := false; !over; {
		old.fetch("/a").want(t, "200", "hello")
		p.ping()
		select {
		case err := <-ended:
			if over = true; err != nil || n != 30 {
				t.Errorf("%v after %d lines", err, n)
			}
		default:
		}
	}
	if _, err := ts.srv.Trace(t.Context(), loop.TraceQuery{}, nil); err == nil {
		t.Error("a trace of everything was taken")
	}
}

// TestTraceSlowReader has lines dropped that nobody takes: the loop does not wait.
func TestTraceSlowReader(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{Loops: 1}, hello)
	p := ts.open(cleartext)
	p.fetch("/")
	ctx, cancel := context.WithCancel(t.Context())
	entered, free, dropped := make(chan struct{}, 1), make(chan struct{}), make(chan uint64, 1)
	go func() {
		n, _ := ts.srv.Trace(ctx, loop.TraceQuery{Remote: netip.MustParsePrefix("0.0.0.0/0")}, func(loop.TraceLine) error {
			select {
			case entered <- struct{}{}:
			default:
			}
			<-free
			return nil
		})
		dropped <- n
	}()
	for begun := false; !begun; {
		p.fetch("/")
		select {
		case <-entered:
			begun = true
		default:
		}
	}
	for range 5 {
		var ids []frames.StreamID
		for range 200 {
			ids = append(ids, p.get("/"))
		}
		for _, id := range ids {
			p.answer(id).want(t, "200", "hello")
		}
	}
	cancel()
	close(free)
	if n := wait(t, "the trace to end", dropped); n == 0 {
		t.Error("nothing was dropped")
	}
}
