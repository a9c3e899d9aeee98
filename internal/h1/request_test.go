package h1

import (
	"strings"
	"testing"
)

// TestRequests has what a connection must take, and what it makes of it. Each
// input is given whole, one octet at a time and twice on a connection.
func TestRequests(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		// RFC 9112, Section 2.2.
		{"empty lines before", "\r\n\r\n" + get, "GET http a.example / length=0 END"},
		// Section 2.3.
		{"a later minor version", "GET / HTTP/1.7\r\nHost: a\r\n\r\n", "GET http a / length=0 END"},
		// Section 3.1.
		{"an unknown method", "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", "BREW http a /pot length=0 END"},
		{"a method in lower case", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "get http a / length=0 END"},
		// Section 3.2.
		{"a query", "GET /a?b=%20&c=/?d HTTP/1.1\r\nHost: a\r\n\r\n", "GET http a /a?b=%20&c=/?d length=0 END"},
		{"two slashes", "GET //a/b HTTP/1.1\r\nHost: a\r\n\r\n", "GET http a //a/b length=0 END"},
		{"octets above 0x7f", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", "GET http a /\xc3\xa4 length=0 END"},
		{"absolute-form", "GET http://B.example:80/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET http B.example:80 /x?y length=0 END"},
		{"absolute-form, https", "GET HTTPS://b HTTP/1.1\r\nHost: b\r\n\r\n", "GET https b / length=0 END"},
		{"absolute-form, only a query", "GET http://b?x=/y HTTP/1.1\r\nHost: b\r\n\r\n", "GET http b /?x=/y length=0 END"},
		{"absolute-form, an address", "GET http://[::1]:8080/ HTTP/1.1\r\nHost: b\r\n\r\n", "GET http [::1]:8080 / length=0 END"},
		{"asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS http a * length=0 END"},
		{"OPTIONS in absolute-form", "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS http b * length=0 END"},
		{"OPTIONS in absolute-form with a path", "OPTIONS http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS http b / length=0 END"},
		{"authority-form", "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", "CONNECT http b:443  length=0 END"},
		{"authority-form, an address", "CONNECT [::1]:443 HTTP/1.1\r\nHost: b\r\n\r\n", "CONNECT http [::1]:443  length=0 END"},
		// Host.
		{"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET http  / length=0 END"},
		{"an address as Host", "GET / HTTP/1.1\r\nHost: [fe80::1]:8080\r\n\r\n", "GET http [fe80::1]:8080 / length=0 END"},
		{"an empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", "GET http a: / length=0 END"},
		{"no Host in HTTP/1.0", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET http  / length=0 END"},
		// Section 5.
		{
			"names and values", "GET / HTTP/1.1\r\nhOsT: a\r\nX-A:\r\nX-b: \t a b\tc \t\r\nx!#$%&'*+-.^_`|~9: \xff\r\n\r\n",
			`GET http a / length=0 x-a="" x-b="a b\tc" x!#$%&'*+-.^_` + "`" + `|~9="\xff" END`,
		},
		{"the same name again", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 2\r\nX: 3\r\n\r\n", `GET http a / length=0 x="1" y="2" x="3" END`},
		{
			"fields about the connection", "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nTE: trailers\r\nUpgrade: x\r\nX: y\r\n\r\n",
			`GET http a / length=0 x="y" END`,
		},
		// Section 6.
		{"a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", `POST http a / length=5 content-length="5"` + "\n" + `body "hello"`},
		{"a body of GET", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", `GET http a / length=5 content-length="5"` + "\n" + `body "hello"`},
		{"a body like a request", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n\r\n" + get, `POST http a / length=35 content-length="35"` + "\n" + `body "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"`},
		{"a length twice", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 05\r\n\r\nhello", `POST http a / length=5 content-length="5"` + "\n" + `body "hello"`},
		{"a length of 0", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 000\r\n\r\n", `POST http a / length=0 content-length="000" END`},
		{"no body", "POST / HTTP/1.1\r\nHost: a\r\n\r\n", `POST http a / length=0 END`},
		{"a body of HTTP/1.0", "POST / HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi", `POST http  / length=2 content-length="2"` + "\n" + `body "hi"`},
		{"Expect of HTTP/1.0", "POST / HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi", `POST http  / length=2 content-length="2"` + "\n" + `body "hi"`},
		// Section 7.1.
		{"chunks", chunked("5\r\nhello\r\n1\r\n,\r\n00A\r\n 123456789\r\n0\r\n\r\n"), `POST http a / length=-1` + "\n" + `body "hello, 123456789"`},
		{"no chunks", chunked("0\r\n\r\n"), "POST http a / length=-1\nbody \"\""},
		{"the last chunk with many digits", chunked("0000000000000000\r\n\r\n"), "POST http a / length=-1\nbody \"\""},
		{"extensions", chunked("1;a=b;c=\"d;\\\"\";e\r\nx\r\n2 \t; a\r\nyz\r\n0;last\r\n\r\n"), "POST http a / length=-1\nbody \"xyz\""},
		{"trailers", chunked("1\r\nx\r\n0\r\nX-Sum: 1 \r\nY:\r\n\r\n"), "POST http a / length=-1\n" + `body "x" x-sum="1" y=""`},
		{"Chunked in upper case", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:  CHUNKED \r\n\r\n0\r\n\r\n", "POST http a / length=-1\nbody \"\""},
		// RFC 9110, Section 7.8.
		{
			"an upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n",
			`GET http a / length=0 protocol=websocket sec-websocket-key="k" END`,
		},
		{"an upgrade to one of two", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: a/1 , b\r\n\r\n", `GET http a / length=0 protocol=a/1 END`},
		{"an upgrade to HTTP/2", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", `GET http a / length=0 END`},
		{"an upgrade to nothing", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: a b\r\n\r\n", `GET http a / length=0 END`},
		{"an upgrade that the connection does not know of", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n", `GET http a / length=0 END`},
		{"an upgrade of HTTP/1.0", "GET / HTTP/1.0\r\nConnection: upgrade, keep-alive\r\nUpgrade: x\r\n\r\n", `GET http  / length=0 END`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, step := range []int{0, 1, 3} {
				tc := newTestConn(t, Config{})
				tc.step = step
				tc.request = func(s *Stream) {
					switch {
					case s.Request.Method == "CONNECT":
						if err := tc.c.WriteHeaders(s, 403, nil, true); err != nil {
							t.Error(err)
						}
					case s.RequestEnded():
						tc.answer(s)
					}
				}
				for range 4 { // the later ones may be remembered
					tc.recv(tt.in)
					tc.wantEvents("a request", tt.want, "closed")
					if tc.c.Finished() || tc.c.NeedsTick() {
						t.Fatalf("finished %v, waits %v", tc.c.Finished(), tc.c.NeedsTick())
					}
				}
				if n := strings.Count(string(tc.out), "HTTP/1.1 "); n != 4 {
					t.Errorf("%d answers: %q", n, tc.out)
				}
			}
		})
	}
}

func chunked(body string) string {
	return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body
}

// TestStringsAreSafe sees that strings of a request outlive its octets, and its
// stream.
func TestStringsAreSafe(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.step = 0
	var kept []string
	tc.request = func(s *Stream) {
		r := &s.Request
		kept = append(kept, r.Method, r.Authority, r.Path, r.ReadFields()[0].Name, r.Fields[0].Value)
		tc.answer(s)
	}
	tc.recv("BREW /one HTTP/1.1\r\nHost: first\r\nX-A: b\r\n\r\n")
	tc.recv("WHEN /two HTTP/1.1\r\nHost: other\r\nX-Z: y\r\n\r\n")
	if got := strings.Join(kept, " "); got != "BREW first /one x-a b WHEN other /two x-z y" {
		t.Errorf("%s", got)
	}
}

// TestLateFields sees that fields can be asked for as long as there is a request:
// while it comes, when its octets are gone, in Closed, and when another connection has
// been handled meanwhile; and that nothing is made of them if nobody asks.
func TestLateFields(t *testing.T) {
	const in = "PUT /a HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nConnection: close, x\r\nx-TWO:\t2 \r\n\r\n"
	const want = ` x-one="1" x-two="2"`
	for range 3 { // remembered, the third time
		tc := newTestConn(t, Config{})
		tc.step, tc.quiet = 0, true
		tc.request = func(*Stream) {}
		tc.recv(in)
		if got := fieldsText(tc.stream.Request.ReadFields()); got != want {
			t.Errorf("when the octets are gone: %s", got)
		}
		tc.c.Close()

		other := newTestConn(t, Config{})
		other.step = 0
		again := newTestConn(t, Config{})
		again.sh, again.step, again.quiet = other.sh, 0, true
		again.c.Init(again.sh, again, false)
		again.c.SetRoom(1 << 20)
		again.request = func(s *Stream) {
			other.recv("GET /b HTTP/1.1\r\nHost: b\r\nX-Other: y\r\n\r\n")
			again.answer(s)
		}
		closed := ""
		again.closed = func(s *Stream, _ error) { closed = fieldsText(s.Request.ReadFields()) }
		again.recv(in)
		other.wantEvents("the other", `GET http b /b length=0 x-other="y" END`, "closed")
		if closed != want {
			t.Errorf("in Closed: %s", closed)
		}
		s := again.sh.streams.Values()[again.sh.streams.Len()-1]
		if s.Request.Late != nil || s.late.block != nil || s.late.memo != nil || len(s.late.lines) != 0 {
			t.Errorf("a free stream has %+v", s.late)
		}
	}
	tc := newTestConn(t, Config{})
	tc.step, tc.quiet = 0, true
	tc.request = func(s *Stream) {
		tc.answer(s)
		if s.Request.Fields != nil {
			t.Error("fields that nobody asked for")
		}
	}
	tc.recv(in)
}

// TestMemos sees that what is remembered of heads tells nothing but what they say:
// not to a connection of another scheme, and not for a head that is longer.
func TestMemos(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.step = 0
	for range 3 {
		tc.recv(get)
		tc.wantEvents("the same", "GET http a.example / length=0 END", "closed")
	}
	if tc.c.last == nil {
		t.Error("the head is not remembered")
	}
	tc.recv("GET / HTTP/1.1\r\nHost: a.example\r\nX: y\r\n\r\n")
	tc.wantEvents("a field more", `GET http a.example / length=0 x="y" END`, "closed")
	tc.recv("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n")
	tc.wantEvents("another version", "GET http a.example / length=0 END", "closed")
	tc.wantFinished("HTTP/1.0 does not persist", true)

	other := newTestConn(t, Config{})
	other.sh = tc.sh
	other.c.Init(tc.sh, other, true)
	other.step = 0
	other.recv(get)
	other.wantEvents("another scheme", "GET https a.example / length=0 END", "closed")
	if other.c.last == nil {
		t.Error("the head is not remembered for another connection")
	}
	const secret = "GET / HTTP/1.1\r\nHost: a.example\r\nCookie: a=b\r\n\r\n"
	for range 3 {
		other.recv(secret)
	}
	if other.c.last != nil {
		t.Error("a head with credentials is remembered")
	}
}
