package h1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// addSeeds gives a fuzz target what the tables of tests have.
func addSeeds(add func(in string)) {
	for _, b := range badInputs {
		if len(b.in) < 1000 {
			add(b.in)
		}
	}
	for _, in := range []string{
		get, get + get, "\r\n" + get,
		"POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + get,
		"GET http://b:80/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + get,
		"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx" + get,
		"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
		chunked("5;a=b\r\nhello\r\n0\r\nX-Y: z\r\n\r\n") + get,
		chunked("A\r\n0123456789\r\n00\r\n\r\n"),
		"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nraw",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
	} {
		add(in)
	}
}

// FuzzReceive compares octets that arrive at once with the same in pieces.
func FuzzReceive(f *testing.F) {
	addSeeds(func(in string) { f.Add([]byte(in), byte(1)) })
	f.Fuzz(func(t *testing.T, in []byte, step byte) {
		outcome := func(step, pieces int) string {
			tc := newTestConn(t, smallLimits)
			tc.step, tc.pieces = step, pieces
			tc.recv(string(in))
			if tc.err == nil && !tc.c.Finished() && tc.stream == nil && tc.c.WantsPause() {
				t.Fatal("a pause that nothing ends")
			}
			return fmt.Sprintf("%s\n%q\n%v\nfinished %v, waits %v", strings.Join(tc.events, "\n"), tc.out, tc.err, tc.c.Finished(), tc.c.NeedsTick())
		}
		whole := outcome(0, 0)
		if pieces := outcome(int(step)%17+1, 0); whole != pieces {
			t.Errorf("whole:\n%s\nin pieces:\n%s", whole, pieces)
		}
		if pieces := outcome(0, int(step)%3+1); whole != pieces {
			t.Errorf("whole:\n%s\na few at a time:\n%s", whole, pieces)
		}
	})
}

// A verdict is what becomes of the first request of some octets.
type verdict struct {
	fault  string // why it is refused, or ""
	method string
	target string
	host   string
	fields []string // names in lower case, sorted
	body   string
	inBody bool // that is found in the body
	whole  bool // the body is complete
}

// ours is what this package makes of in.
func ours(t *testing.T, in string) (v verdict, seen bool) {
	tc := newTestConn(t, Config{MaxHeaderFields: 1 << 20})
	tc.step, tc.quiet = 0, true
	var s *Stream
	tc.request = func(first *Stream) {
		if s != nil {
			return
		}
		s = first
		r := &s.Request
		v.method, v.target, v.host, v.whole = r.Method, r.Path, r.Authority, s.ended
		for _, f := range r.ReadFields() {
			v.fields = append(v.fields, f.Name+": "+f.Value)
		}
	}
	tc.body = func(b *Stream, p []byte, end bool) {
		tc.c.Consume(b, len(p))
		if b == s {
			v.body += string(p)
			v.whole = end
		}
		for _, f := range b.Request.Trailers {
			v.fields = append(v.fields, f.Name+": "+f.Value)
		}
	}
	tc.closed = func(*Stream, error) {}
	tc.recv(in)
	slices.Sort(v.fields)
	if e, ok := tc.err.(*Error); ok && !v.whole { //nolint:errorlint // never wrapped
		v.fault = e.Reason
	}
	return v, s != nil || v.fault != ""
}

// theirs is what net/http makes of in.
func theirs(in string) (v verdict) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(in)))
	if err != nil {
		return verdict{fault: err.Error()}
	}
	v.method, v.target, v.host = r.Method, r.RequestURI, r.Host
	body, err := io.ReadAll(r.Body)
	v.body, v.whole = string(body), err == nil
	if err != nil {
		v.fault, v.inBody = err.Error(), true
	}
	for _, h := range []http.Header{r.Header, r.Trailer} {
		for name, values := range h {
			for _, value := range values {
				v.fields = append(v.fields, strings.ToLower(name)+": "+value)
			}
		}
	}
	slices.Sort(v.fields)
	return v
}

// stricter has our reasons to refuse what net/http takes, and why it does.
var stricter = map[string]string{
	errBareLF.Reason:          "net/http ends lines with LF alone",
	errFold.Reason:            "net/http joins folded lines, and takes white space before the first field",
	errNoHost.Reason:          "that is for http.Server, not for ReadRequest",
	errRequestLineForm.Reason: "net/http takes CONNECT without a target",
	errConnect.Reason:         "net/http reads a body of CONNECT",
	errHost.Reason:            "http.Server looks at the octets of Host only, and ReadRequest not at all",
	errVersion.Reason:         "that is for http.Server",
	errTarget.Reason:          "package url takes octets, and forms of targets, that HTTP does not",
	errFieldName.Reason:       "net/http keeps fields with white space in their names",
	errCoding10.Reason:        "net/http ignores Transfer-Encoding in HTTP/1.0",
	errExpect.Reason:          "that is for http.Server",
	errTrailer.Reason:         "net/http ignores what may not be among trailers",
	errChunkLine.Reason:       "net/http takes white space behind the size, and any octets in extensions",
	errExtensions.Reason:      "net/http has another bound",
	errBlank.Reason:           "the empty lines are taken away before net/http sees them",
}

// laxer reports whether it is known why net/http refuses what we take: it looks at
// the percent-encodings of a path and of a host, which are for who decodes them.
func laxer(v verdict) bool {
	if strings.Contains(v.host, "%") {
		if _, err := url.Parse("http://" + v.host); err != nil {
			return true
		}
	}
	_, err := url.ParseRequestURI(v.target)
	return v.target != "*" && v.method != "CONNECT" && err != nil
}

// FuzzReadRequest compares what becomes of a request with what net/http makes of
// it. Where we take one, net/http must take the same; where we refuse one that it
// takes, it must be known why.
func FuzzReadRequest(f *testing.F) {
	addSeeds(func(in string) { f.Add([]byte(in)) })
	f.Fuzz(func(t *testing.T, b []byte) {
		in := string(b)
		got, seen := ours(t, in)
		if !seen {
			return // the header section is not complete
		}
		for strings.HasPrefix(in, "\r\n") {
			in = in[2:] // net/http takes no empty lines
		}
		want := theirs(in)
		switch {
		case got.fault != "" && want.fault == "":
			if stricter[got.fault] == "" {
				t.Errorf("%q is refused (%s), and net/http takes it", in, got.fault)
			}
		case got.fault == "" && want.fault != "":
			if !laxer(got) && (got.whole || !want.inBody) { // else it has not come to its end
				t.Errorf("%q is taken, and net/http refuses it (%s)", in, want.fault)
			}
		case got.fault == "":
			compare(t, in, got, want)
		}
	})
}

// compare compares what both have taken.
func compare(t *testing.T, in string, got, want verdict) {
	t.Helper()
	target := want.target
	if _, rest, ok := strings.Cut(target, "://"); ok && !strings.HasPrefix(target, "/") {
		target = rest[min(len(rest), max(0, strings.IndexAny(rest+"/", "/?"))):] // absolute-form
		if !strings.HasPrefix(target, "/") {
			target = "/" + target
		}
		if got.target == "*" && target == "/" {
			target = "*"
		}
	}
	if got.method == "CONNECT" {
		target = ""
	}
	if got.method != want.method || got.target != target || got.host != want.host {
		t.Errorf("%q:\ngot  %s %q of %q\nwant %s %q of %q", in, got.method, got.target, got.host, want.method, target, want.host)
	}
	if got.body != want.body || got.whole != want.whole {
		t.Errorf("%q:\ngot body  %q, whole %v\nwant body %q, whole %v", in, got.body, got.whole, want.body, want.whole)
	}
	if g, w := shown(got.fields), shown(want.fields); got.whole && g != w {
		t.Errorf("%q:\ngot  %s\nwant %s", in, g, w)
	}
}

// shown leaves out fields that one side alone does not show: those about the
// connection, the framing that net/http takes out, and trailers that it takes only
// if they were announced, all of which have their tests.
func shown(fields []string) string {
	var kept bytes.Buffer
	for _, f := range fields {
		switch name, _, _ := strings.Cut(f, ":"); name {
		case "connection", "keep-alive", "proxy-connection", "te", "upgrade", "transfer-encoding", "content-length",
			"trailer", "expect", "host", "pragma", "cache-control":
		default:
			fmt.Fprintf(&kept, "%s\n", textproto.TrimString(f))
		}
	}
	return kept.String()
}
