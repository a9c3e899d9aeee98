package h2

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/frames"
)

// A lineTracer writes what it sees.
type lineTracer struct{ lines []string }

func (t *lineTracer) Frame(sent bool, h frames.Header, payload []byte) {
	t.lines = append(t.lines, arrow(sent)+frames.Describe(h, payload))
}

func (t *lineTracer) Fields(sent bool, id frames.StreamID, r *Request, status int, fields []Field) {
	line := fmt.Sprintf("%s%d:", arrow(sent), id)
	if r != nil {
		line += " " + r.Method + " " + r.Path
	}
	if status != 0 {
		line += fmt.Sprint(" ", status)
	}
	for _, f := range fields {
		line += " " + f.Name + "=" + f.Value
	}
	t.lines = append(t.lines, line)
}

func arrow(sent bool) string {
	if sent {
		return "> "
	}
	return "< "
}

// TestTrace sees frames of both directions: split in every way (see testConn.recv), of
// batches with regions in them, each once; from the preface on, and from the midst.
func TestTrace(t *testing.T) {
	for _, late := range []bool{false, true} {
		tc := newRawConn(t, Config{}, 0)
		tr := &lineTracer{}
		if !late {
			tc.c.Trace(tr)
		}
		tc.greet()
		if late {
			tc.c.Trace(tr)
		}
		tr.lines = nil
		tc.recv(tc.get(1, "x-a: 1"))
		s := tc.stream(1)
		if err := tc.c.WriteHeaders(s, 200, []Field{{Name: "server", Value: "s"}}, false); err != nil {
			t.Fatal(err)
		}
		if err := tc.c.WriteRegion(s, make([]byte, 20_000), nil, false); err != nil {
			t.Fatal(err)
		}
		tc.drain()
		if err := tc.c.WriteTrailers(s, []Field{{Name: "x-sum", Value: "2"}}); err != nil {
			t.Fatal(err)
		}
		tc.drain()
		tc.recv(tc.post(3), data(3, "hello"), ping("12345678"))
		tc.drain()
		got := strings.Join(tr.lines, "\n")
		for _, want := range []string{
			"< HEADERS stream=1", "\n< 1: GET / x-a=1\n> HEADERS stream=1", "\n> 1: 200 server=s\n> DATA stream=1 len=16384\n> DATA stream=1 len=3616\n",
			"\n> 1: x-sum=2\n", "\n< 3: POST /\n< DATA stream=3 len=5\n< PING stream=0 len=8 data=3132333435363738\n> PING stream=0 len=8 ACK data=3132333435363738",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
		if n := strings.Count(got, "> HEADERS"); n != 2 {
			t.Errorf("%d header sections sent in\n%s", n, got)
		}
		tc.c.Trace(nil)
		n := len(tr.lines)
		tc.recv(ping("12345678"))
		tc.drain()
		if len(tr.lines) != n {
			t.Errorf("told of %q after the end", tr.lines[n:])
		}
	}
}

// TestTracePreface sees what a connection begins with.
func TestTracePreface(t *testing.T) {
	tc := newRawConn(t, Config{}, 0)
	tr := &lineTracer{}
	tc.c.Trace(tr)
	tc.greet()
	if got := strings.Join(tr.lines, "\n"); !strings.Contains(got, "> SETTINGS stream=0 len=24 MAX_CONCURRENT_STREAMS=250") ||
		!strings.Contains(got, "< SETTINGS stream=0") || !strings.Contains(got, "> SETTINGS stream=0 len=0 ACK") {
		t.Errorf("got\n%s", got)
	}
}

// TestInspect sees what streams wait for.
func TestInspect(t *testing.T) {
	tc := newTestConn(t, Config{})
	wants := func(why string, want Wait) {
		t.Helper()
		n := 0
		tc.c.Streams(func(_ *Stream, st StreamState) {
			if n++; st.WaitsFor != want {
				t.Errorf("%s: it waits for the %s, want %s", why, st.WaitsFor, want)
			}
		})
		if n != 1 {
			t.Errorf("%s: %d streams", why, n)
		}
	}
	tc.recv(tc.post(1))
	wants("no body has come", WaitPeer)
	tc.recv(dataEnd(1, "hello"))
	wants("nothing was answered", WaitApplication)
	s := tc.stream(1)
	if err := tc.c.WriteHeaders(s, 200, nil, false); err != nil {
		t.Fatal(err)
	}
	if err := tc.c.WriteRegion(s, make([]byte, 100_000), nil, true); err != nil {
		t.Fatal(err)
	}
	wants("the turn has not ended", WaitSocket)
	tc.drain()
	if st := tc.c.Inspect(); st.SendWindow != 0 || st.Life != "open" || st.PeerInitialWindow != 65535 {
		t.Errorf("%+v", st)
	}
	wants("both windows are used up", WaitStream)
	tc.recv(frames.AppendWindowUpdate(nil, frames.WindowUpdate{StreamID: 1, Increment: 1}))
	wants("the connection's is", WaitConn)
	tc.c.Shutdown()
	if st := tc.c.Inspect(); st.Life != "draining" {
		t.Errorf("%+v", st)
	}
}

// TestTraceOnce sees what is written once, however often it is asked for, and not what
// was there before.
func TestTraceOnce(t *testing.T) {
	h := newHotConn(t)
	tr := &lineTracer{}
	h.receive(t, ping("before!!"))
	h.c.Trace(tr)
	h.c.Pending()
	h.receive(t, ping("12345678"))
	h.c.Pending()
	h.c.Pending()
	h.flush()
	h.receive(t, ping("87654321"))
	h.flush()
	want := []string{
		"< PING stream=0 len=8 data=3132333435363738", "> PING stream=0 len=8 ACK data=3132333435363738",
		"< PING stream=0 len=8 data=3837363534333231", "> PING stream=0 len=8 ACK data=3837363534333231",
	}
	if !slices.Equal(tr.lines, want) {
		t.Errorf("told %q, want %q", tr.lines, want)
	}
}
