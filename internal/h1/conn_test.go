package h1

import (
	"strings"
	"testing"
)

func TestGet(t *testing.T) {
	for _, step := range []int{0, 1, 2, 7} {
		tc := newTestConn(t, Config{})
		tc.step = step
		for range 5 {
			tc.recv("GET /a/b?c=d HTTP/1.1\r\nHost: a.example:80\r\nUser-Agent:  x y \t\r\nEMPTY:\r\nCookie: a=b; c\r\n\r\n")
			tc.want("an answer", ok)
			tc.wantEvents("a request",
				`GET http a.example:80 /a/b?c=d length=0 user-agent="x y" empty="" cookie="a=b; c" END`, "closed")
			tc.wantFinished("connections persist", false)
		}
	}
}

// TestSection9_3_2_Pipelining has many requests arrive at once: their answers
// leave in one batch, in order.
func TestSection9_3_2_Pipelining(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.request = func(s *Stream) { tc.respond(s, s.Request.Path) }
	in, want := "", ""
	for p := range strings.SplitSeq("a bb ccc dddd eeeee f g h i j k l m n o p", " ") {
		in += "GET /" + p + " HTTP/1.1\r\nHost: a\r\n\r\n"
		want += "HTTP/1.1 200 OK\r\ncontent-length: " + string(rune('1'+len(p))) + "\r\n\r\n/" + p
	}
	if err := tc.c.Receive([]byte(in)); err != nil {
		t.Fatal(err)
	}
	tc.c.Fill()
	tc.write()
	if string(tc.out) != want {
		t.Errorf("the first batch is %q", tc.out)
	}
	tc.out = nil
	tc.want("nothing is left", "")
	if tc.c.WantsPause() {
		t.Error("the connection wants a pause")
	}
}
