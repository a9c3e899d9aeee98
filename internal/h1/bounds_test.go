package h1

import (
	"strings"
	"testing"
)

// TestBoundsAreExact comes up to the bounds of a head, and goes one beyond.
func TestBoundsAreExact(t *testing.T) {
	const (
		line   = "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
		fields = "GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n"
		many   = "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n"
	)
	for _, tt := range []struct {
		name, format, unit string
		n                  int // of unit
		err                *Error
	}{
		{"request line", line, "a", smallLimits.MaxRequestLine - len("GET / HTTP/1.1"), errRequestLine},
		// All but the last LF counts, for it is the one that may come next.
		{"header list", fields, "a", smallLimits.MaxHeaderBytes - len("Host: a\r\nX: \r\n\r"), errHeaderList},
		{"header fields", many, "X: y\r\n", smallLimits.MaxHeaderFields - 1, errFieldCount},
	} {
		for _, step := range []int{0, 1} {
			for more := range 2 {
				tc := newTestConn(t, smallLimits)
				tc.step = step
				tc.recv(strings.Replace(tt.format, "%s", strings.Repeat(tt.unit, tt.n+more), 1))
				if more == 0 {
					tc.want(tt.name+" as long as may be", ok)
				} else {
					tc.want(tt.name+" one longer", refusal(tt.err.Status, tt.err.Reason))
				}
			}
		}
	}
}

// TestHeldIsBounded has a client that always has requests waiting: what holds them
// must not grow for ever.
func TestHeldIsBounded(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.step, tc.quiet = 0, true
	tc.request = func(*Stream) {}
	tc.recv(strings.Repeat(get, 20))
	for range 10_000 {
		tc.answer(tc.stream)
		tc.recv(get)
		tc.out = nil
	}
	if n := cap(tc.c.held); n > 4096 {
		t.Errorf("%d octets to hold %d", n, len(tc.c.held)-tc.c.at)
	}
}

// TestEndWithinPull has sources that end their own exchange.
func TestEndWithinPull(t *testing.T) {
	for name, end := range map[string]func(tc *testConn){
		"reset":    func(tc *testConn) { tc.c.Reset(tc.stream) },
		"close":    func(tc *testConn) { tc.c.Close() },
		"shutdown": func(tc *testConn) { tc.c.Shutdown() },
	} {
		t.Run(name, func(t *testing.T) {
			tc := newTestConn(t, Config{})
			s := tc.begin(get)
			mustDo(t, tc.c.WriteHeaders(s, 200, nil, false))
			src := &testSource{tc: tc, name: "s", pieces: []string{strings.Repeat("x", 2*copyLimit), "y"}}
			src.pulled = func() {
				src.pulled = nil
				end(tc)
			}
			mustDo(t, tc.c.WriteSource(s, src))
			tc.flush()
			if name == "shutdown" {
				if !strings.HasSuffix(string(tc.out), "1\r\ny\r\n0\r\n\r\n") {
					t.Errorf("%q", tc.out)
				}
			} else if strings.Contains(string(tc.out), "x") {
				t.Errorf("%q", tc.out)
			}
			tc.wantReleased("over", map[string]int{"s": 1})
			tc.wantFinished("over", true)
			if b := &tc.sh.streams.Values()[0].body; b.idle || b.end || b.pending() {
				t.Errorf("a free stream has %+v", b)
			}
			if len(tc.events) != 1 || tc.stream != nil {
				t.Errorf("%q", tc.events)
			}
		})
	}
}
