package h2

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/frames"
)

// TestSection8_MalformedRequests sends every kind of malformed request. Each
// costs its stream and nothing else: the field block stays in step, and the
// next request on the connection is served.
func TestSection8_MalformedRequests(t *testing.T) {
	base := []string{":method: GET", ":scheme: https", ":path: /", ":authority: a.example"}
	with := func(extra ...string) []string { return append(slices.Clone(base), extra...) }
	without := func(name string, extra ...string) []string {
		f := slices.DeleteFunc(slices.Clone(base), func(f string) bool { return strings.HasPrefix(f, name+":") })
		return append(f, extra...)
	}
	type request struct {
		why    string
		fields []string
	}
	requests := []request{
		// RFC 9113, Section 8.3: pseudo-header fields.
		{"no fields at all", nil},
		{":method is missing", without(":method")},
		{":scheme is missing", without(":scheme")},
		{":path is missing", without(":path")},
		{"neither :authority nor Host", without(":authority")},
		{":method twice", with(":method: GET")},
		{":scheme twice", with(":scheme: https")},
		{":path twice", with(":path: /")},
		{":authority twice", with(":authority: a.example")},
		{":path twice, differing", with(":path: /x")},
		{"unknown pseudo-header field", with(":foo: bar")},
		{":status in a request", with(":status: 200")},
		{"empty pseudo-header name", with("::x")},
		{"upper case pseudo-header field", without(":path", ":Path: /")},
		{":protocol without extended CONNECT", with(":protocol: websocket")},
		{"pseudo-header field after a regular one", without(":path", "x: y", ":path: /")},
		{":authority after a regular one", without(":authority", "x: y", ":authority: a.example")},

		{"empty :method", without(":method", ":method: ")},
		{":method with a space", without(":method", ":method: GE T")},
		{":method with a comma", without(":method", ":method: GET,")},
		{":method with CR", without(":method", ":method: GET\r")},
		{":method with an octet above 127", without(":method", ":method: G\xc3\x84T")},
		{"empty :scheme", without(":scheme", ":scheme: ")},
		{":scheme with a space", without(":scheme", ":scheme: ht tp")},
		{":scheme with a digit first", without(":scheme", ":scheme: 1http")},
		{":scheme with a colon", without(":scheme", ":scheme: http:")},
		{":scheme with NUL", without(":scheme", ":scheme: http\x00")},
		{":scheme with [", without(":scheme", ":scheme: [")},
		{":scheme with @", without(":scheme", ":scheme: a@")},

		{"empty :path", without(":path", ":path: ")},
		{":path without a slash", without(":path", ":path: index.html")},
		{":path is a URL", without(":path", ":path: https://a.example/")},
		{":path is a query", without(":path", ":path: ?a=b")},
		{"* for GET", without(":path", ":path: *")},
		{"** for OPTIONS", []string{":method: OPTIONS", ":scheme: https", ":path: **", ":authority: a.example"}},
		{":path with a space", without(":path", ":path: /a b")},
		{":path with a tab", without(":path", ":path: /a\tb")},
		{":path with a fragment", without(":path", ":path: /a#b")},
		{":path with NUL", without(":path", ":path: /\x00")},
		{":path with CR LF", without(":path", ":path: /\r\nx: y")},
		{":path with DEL", without(":path", ":path: /\x7f")},
		{":path with a space at the end", without(":path", ":path: / ")},

		{"empty :authority", without(":authority", ":authority: ")},
		{":authority with userinfo", without(":authority", ":authority: user@a.example")},
		{":authority with a password", without(":authority", ":authority: user:pw@a.example")},
		{":authority with a slash", without(":authority", ":authority: a.example/")},
		{":authority with a space", without(":authority", ":authority: a example")},
		{":authority with a query", without(":authority", ":authority: a.example?b")},
		{":authority with CR", without(":authority", ":authority: a.example\r")},
		{":authority with NUL", without(":authority", ":authority: \x00")},
		{":authority with an octet above 127", without(":authority", ":authority: \xc3\xa4.example")},
		{":authority with <", without(":authority", ":authority: <")},

		// RFC 9113, Section 8.3.1: Host.
		{"Host differs", with("host: b.example")},
		{"Host differs in the port", with("host: a.example:444")},
		{"Host is empty", with("host: ")},
		{"Host is empty and alone", without(":authority", "host: ")},
		{"Host twice", with("host: a.example", "host: a.example")},
		{"Host with userinfo", without(":authority", "host: user@a.example")},
		{"empty :authority beside Host", without(":authority", ":authority: ", "host: a.example")},

		// RFC 9113, Section 8.5: CONNECT.
		{"CONNECT with :scheme", []string{":method: CONNECT", ":scheme: https", ":authority: a.example:443"}},
		{"CONNECT with :path", []string{":method: CONNECT", ":path: /", ":authority: a.example:443"}},
		{"CONNECT without :authority", []string{":method: CONNECT"}},
		{"CONNECT with Host alone", []string{":method: CONNECT", "host: a.example:443"}},
		{"CONNECT with an empty :authority", []string{":method: CONNECT", ":authority: "}},
		{"CONNECT with userinfo", []string{":method: CONNECT", ":authority: a@b:443"}},
		{"CONNECT with Host differing", []string{":method: CONNECT", ":authority: a.example:443", "host: b.example:443"}},
		{"extended CONNECT not announced", []string{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":path: /", ":authority: a.example"}},

		// RFC 9113, Section 8.2.1: names and values.
		{"upper case name", with("X-Y: z")},
		{"upper case in the middle", with("x-Y: z")},
		{"empty name", with(" : z")},
		{"name with a space", with("x y: z")},
		{"name with a space at the end", with("x : z")},
		{"name with a tab", with("x\t: z")},
		{"name with CR", with("x\r: z")},
		{"name with LF", with("x\n: z")},
		{"name with NUL", with("x\x00: z")},
		{"name with DEL", with("x\x7f: z")},
		{"name with an octet above 127", with("x\x80: z")},
		{"name with @", with("x@y: z")},
		{"name with a slash", with("x/y: z")},
		{"name in brackets", with("(x): z")},
		{"name with a quote", with(`"x": z`)},

		// RFC 9113, Section 8.2.2: connection-specific fields.
		{"Connection", with("connection: close")},
		{"Connection, empty", with("connection: ")},
		{"Keep-Alive", with("keep-alive: timeout=5")},
		{"Proxy-Connection", with("proxy-connection: keep-alive")},
		{"Transfer-Encoding", with("transfer-encoding: chunked")},
		{"Transfer-Encoding identity", with("transfer-encoding: identity")},
		{"Upgrade", with("upgrade: h2c")},
		{"TE gzip", with("te: gzip")},
		{"TE trailers and more", with("te: trailers, deflate")},
		{"TE empty", with("te: ")},

		// RFC 9113, Section 8.1.1: content-length.
		{"content-length of a request without body", with("content-length: 1")},
		{"content-length empty", with("content-length: ")},
		{"content-length negative", with("content-length: -1")},
		{"content-length with a plus", with("content-length: +0")},
		{"content-length in hexadecimal", with("content-length: 0x0")},
		{"content-length with a space", with("content-length: 0 0")},
		{"content-length as a list", with("content-length: 0, 0")},
		{"content-length twice, differing", with("content-length: 0", "content-length: 1")},
		{"content-length beyond 10^18", with("content-length: 0000000000000000000")},
		{"content-length not a number", with("content-length: none")},
	}
	for b := range 256 {
		switch {
		case b >= ' ' && b != 0x7f, b == '\t':
		default:
			requests = append(requests, request{fmt.Sprintf("value with octet %#x", b), with("x: a" + string([]byte{byte(b)}) + "b")})
		}
		if b < 0x21 || b > 0x7e || strings.IndexByte(`"(),/:;<=>?@[\]{}`, byte(b)) >= 0 || b >= 'A' && b <= 'Z' {
			requests = append(requests, request{fmt.Sprintf("name with octet %#x", b), nil})
		}
	}
	for _, space := range []string{" ", "\t"} {
		requests = append(requests,
			request{"value with space first", []string{"x: " + space + "a"}},
			request{"value with space last", []string{"x: a" + space}},
			request{"value of space", []string{"x: " + space}},
		)
		for i := len(requests) - 3; i < len(requests); i++ {
			requests[i].fields = with(requests[i].fields...)
		}
	}

	tc := newTestConn(t, Config{})
	tc.app.request = func(s *Stream) {
		if s.Request.Path != "/good" {
			t.Errorf("stream %d reached the application", s.ID())
		}
		mustDo(t, tc.c.WriteHeaders(s, 200, s.Request.Fields, true))
	}
	id := frames.StreamID(1)
	for i, r := range requests {
		// A field that only the table remembers is in every bad request, and
		// in the good one that follows it.
		mark := fmt.Sprintf("x-mark: %d", i)
		var bad []byte
		if name, ok := strings.CutPrefix(r.why, "name with octet "); ok {
			var b byte
			if _, err := fmt.Sscanf(name, "%v", &b); err != nil {
				t.Fatal(err)
			}
			block := tc.block(with(mark)...)
			block = append(block, 0x40, 2, 'x', b, 1, 'v') // literal with incremental indexing
			tc.encInsert("x"+string([]byte{b}), "v")
			bad = headerFrames(id, true, block)
		} else {
			bad = tc.headers(id, true, append(slices.Clone(r.fields), mark)...)
		}
		tc.sh.Now += second // let the budget of resets refill
		tc.recv(bad)
		tc.wantReset(r.why, id, frames.ErrCodeProtocol)
		tc.wantEvents(r.why)
		tc.recv(tc.headers(id+2, true, append(without(":path", ":path: /good"), mark)...))
		tc.want(r.why+": the next request", fmt.Sprintf("HEADERS %d :status=200 x-mark=%d END_STREAM", id+2, i))
		tc.app.events = nil
		id += 4
	}
	if len(requests) < 150 {
		t.Errorf("only %d requests", len(requests))
	}
}

// encInsert makes the peer's encoder believe that it sent a field.
func (tc *testConn) encInsert(name, value string) {
	tc.encBuf.Reset()
	mustDo(tc.t, tc.enc.WriteField(Field{Name: name, Value: value}))
}

// TestSection8_WellFormedRequests are the neighbours of those above.
func TestSection8_WellFormedRequests(t *testing.T) {
	for _, tt := range []struct {
		fields []string
		want   string // method scheme authority path protocol content-length
	}{
		{requestFields("GET", nil), "GET https a.example / - 0"},
		{requestFields("OPTIONS", nil), "OPTIONS https a.example / - 0"},
		{[]string{":method: OPTIONS", ":scheme: http", ":path: *", ":authority: a.example"}, "OPTIONS http a.example * - 0"},
		{[]string{":path: /", ":authority: a.example", ":method: M-SEARCH", ":scheme: a+b-c.9"}, "M-SEARCH a+b-c.9 a.example / - 0"},
		{[]string{":method: GET", ":scheme: https", ":path: /a?b=c/d?e&f", "host: h.example:8080"}, "GET https h.example:8080 /a?b=c/d?e&f - 0"},
		{requestFields("GET", []string{"host: A.Example"}), "GET https a.example / - 0"},
		{[]string{":method: GET", ":scheme: https", ":path: /\xff\"<>[]{}|\\^`", ":authority: [::1]:80"}, "GET https [::1]:80 /\xff\"<>[]{}|\\^` - 0"},
		{[]string{":method: GET", ":scheme: https", ":path: //x", ":authority: a_b~%41:1"}, "GET https a_b~%41:1 //x - 0"},
		{[]string{":method: CONNECT", ":authority: a.example:443"}, "CONNECT  a.example:443  - 0"},
		{[]string{":method: CONNECT", ":authority: a.example:443", "host: a.example:443"}, "CONNECT  a.example:443  - 0"},
		{[]string{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":path: /chat", ":authority: a.example"}, "CONNECT https a.example /chat websocket 0"},
		{requestFields("GET", []string{"te: trailers"}), "GET https a.example / - 0"},
		{requestFields("GET", []string{"te: Trailers"}), "GET https a.example / - 0"},
		{requestFields("GET", []string{"x: ", "x: a\tb c", "x: \xff\x80", "!#$%&'*+-.^_`|~09az: v"}), "GET https a.example / - 0"},
		{requestFields("GET", []string{"content-length: 0"}), "GET https a.example / - 0"},
		{requestFields("GET", []string{"content-length: 000", "content-length: 0"}), "GET https a.example / - 0"},
		{requestFields("GET", []string{"cookie: a=b", "cookie: c=d"}), "GET https a.example / - 0"},
		{requestFields("GET", []string{"trailer: x", "expect: 100-continue", "connection2: x"}), "GET https a.example / - 0"},
	} {
		tc := newTestConn(t, Config{EnableConnectProtocol: true})
		got := ""
		var fields []Field
		tc.app.request = func(s *Stream) {
			r := &s.Request
			protocol := r.Protocol
			if protocol == "" {
				protocol = "-"
			}
			got = fmt.Sprintf("%s %s %s %s %s %d", r.Method, r.Scheme, r.Authority, r.Path, protocol, r.ContentLength)
			fields = slices.Clone(r.Fields)
		}
		tc.recv(tc.headers(1, true, tt.fields...))
		if got != tt.want {
			t.Errorf("%q:\ngot  %s\nwant %s", tt.fields, got, tt.want)
		}
		i := 0
		for _, f := range tt.fields {
			if p := parseField(f); p.Name[0] != ':' {
				if i >= len(fields) || fields[i] != p {
					t.Errorf("%q: field %d is not %v in %v", tt.fields, i, p, fields)
				}
				i++
			}
		}
		if i != len(fields) {
			t.Errorf("%q: %d fields, want %d", tt.fields, len(fields), i)
		}
	}
}

// TestSection8_2_1_EmptyName cannot be written as text.
func TestSection8_2_1_EmptyName(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(headerFrames(1, true, append(tc.block(requestFields("GET", nil)...), "\x00\x00\x01v"...)))
	tc.wantReset("", 1, frames.ErrCodeProtocol)
	tc.wantAlive("", 3)
}

// TestSection8_1_1_BadContentLength has bodies that would suit what a careless
// reader makes of the field.
func TestSection8_1_1_BadContentLength(t *testing.T) {
	for _, fields := range [][]string{
		{"content-length: :"}, // 10 as a digit
		{"content-length: +5"},
		{"content-length: 5 "},
		{"content-length: 5,5"},
		{"content-length: 0", "content-length: 5"},
		{"content-length: 5", "content-length: 0"},
		{"content-length: 1000000000000000000"},
	} {
		tc := newTestConn(t, Config{})
		tc.recv(tc.post(1, fields...))
		tc.wantReset(fields[0], 1, frames.ErrCodeProtocol)
		tc.wantAlive("", 3)
	}
	tc := newTestConn(t, Config{})
	tc.recv(tc.post(1, "content-length: 5", "content-length: 5"), dataEnd(1, "hello"))
	tc.wantIdle("the same twice is one")
}

func TestRFC8441Section4_ExtendedConnect(t *testing.T) {
	for why, fields := range map[string][]string{
		"no :scheme":        {":method: CONNECT", ":protocol: websocket", ":path: /", ":authority: a.example"},
		"no :path":          {":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: a.example"},
		"no :authority":     {":method: CONNECT", ":protocol: websocket", ":scheme: https", ":path: /"},
		"no CONNECT":        {":method: GET", ":protocol: websocket", ":scheme: https", ":path: /", ":authority: a.example"},
		"empty :protocol":   {":method: CONNECT", ":protocol: ", ":scheme: https", ":path: /", ":authority: a.example"},
		":protocol no name": {":method: CONNECT", ":protocol: web socket", ":scheme: https", ":path: /", ":authority: a.example"},
		":protocol has LF":  {":method: CONNECT", ":protocol: a\nb", ":scheme: https", ":path: /", ":authority: a.example"},
	} {
		tc := newTestConn(t, Config{EnableConnectProtocol: true})
		tc.recv(tc.headers(1, false, fields...))
		tc.wantReset(why, 1, frames.ErrCodeProtocol)
		tc.wantAlive(why, 3)
	}
}

// TestSection8_1_1_ContentLength holds content-length against what DATA brings.
func TestSection8_1_1_ContentLength(t *testing.T) {
	const bad = "RST_STREAM 1 PROTOCOL_ERROR"
	for _, tt := range []struct {
		why    string
		length string
		data   [][]byte
		reset  bool
		known  int64 // Request.ContentLength
	}{
		{"exact", "5", [][]byte{dataEnd(1, "hello")}, false, 5},
		{"exact, in two frames", "5", [][]byte{data(1, "hel"), dataEnd(1, "lo")}, false, 5},
		{"exact, then an empty frame", "5", [][]byte{data(1, "hello"), dataEnd(1, "")}, false, 5},
		{"padding does not count", "5", [][]byte{padded(1, "hel", 200, false), padded(1, "lo", 100, true)}, false, 5},
		{"padding alone at the end", "5", [][]byte{data(1, "hello"), padded(1, "", 9, true)}, false, 5},
		{"zero", "0", [][]byte{dataEnd(1, "")}, false, 0},
		{"absent", "", [][]byte{data(1, "anything"), dataEnd(1, "")}, false, -1},
		{"leading zeros", "0005", [][]byte{dataEnd(1, "hello")}, false, 5},
		{"one more", "4", [][]byte{dataEnd(1, "hello")}, true, 4},
		{"one more, later", "5", [][]byte{data(1, "hello"), dataEnd(1, "!")}, true, 5},
		{"one more, before the end", "4", [][]byte{data(1, "hello")}, true, 4},
		{"one more, with padding", "4", [][]byte{padded(1, "hello", 5, true)}, true, 4},
		{"one less", "6", [][]byte{dataEnd(1, "hello")}, true, 6},
		{"one less, with padding", "6", [][]byte{padded(1, "hello", 1, true)}, true, 6},
		{"one less, then an empty frame", "6", [][]byte{data(1, "hello"), dataEnd(1, "")}, true, 6},
		{"some where none should be", "0", [][]byte{data(1, "x")}, true, 0},
		{"none where some should be", "1", [][]byte{dataEnd(1, "")}, true, 1},
		{"far too large", "999999999999999999", [][]byte{dataEnd(1, "x")}, true, 999999999999999999},
	} {
		for _, whole := range []bool{false, true} {
			tc := newTestConn(t, Config{})
			known := int64(-2)
			tc.app.request = func(s *Stream) { known = s.Request.ContentLength }
			var extra []string
			if tt.length != "" {
				extra = []string{"content-length: " + tt.length}
			}
			tc.whole = whole
			tc.recv(tc.post(1, extra...))
			tc.recv(tt.data...)
			if tt.reset {
				tc.want(tt.why, bad)
			} else {
				tc.wantIdle(tt.why)
			}
			if known != tt.known {
				t.Errorf("%s: content-length %d, want %d", tt.why, known, tt.known)
			}
			tc.wantAlive(tt.why, 3)
		}
	}
	// Trailers end the body too.
	tc := newTestConn(t, Config{})
	tc.recv(tc.post(1, "content-length: 5"), data(1, "hell"), tc.headers(1, true, "x: y"))
	tc.wantReset("trailers after 4 octets of 5", 1, frames.ErrCodeProtocol)
	tc.recv(tc.post(3, "content-length: 5"), data(3, "hello"), tc.headers(3, true, "x: y"))
	tc.wantIdle("and after 5")
}

// TestSection8_1_1_WhatFitsIsHandedOn: the application sees the same, however
// the frame was split.
func TestSection8_1_1_WhatFitsIsHandedOn(t *testing.T) {
	for _, whole := range []bool{false, true} {
		for length, body := range map[int]string{4: "hell", 6: "hello"} {
			tc := newTestConn(t, Config{})
			tc.recv(tc.post(1, fmt.Sprintf("content-length: %d", length)))
			tc.whole = whole
			tc.recv(dataEnd(1, "hello"))
			tc.wantReset("", 1, frames.ErrCodeProtocol)
			tc.wantEvents("", "request 1 POST /", "body 1 "+body, "closed 1 PROTOCOL_ERROR")
		}
	}
}

// TestSection8_1_1_ContentLengthKeepsCredit breaks content-length more often
// than the connection window would last if the octets were lost.
func TestSection8_1_1_ContentLengthKeepsCredit(t *testing.T) {
	tc := newTestConn(t, Config{ConnWindow: 65535})
	tc.whole = true
	id := frames.StreamID(1)
	for range 50 {
		tc.recv(tc.post(id, "content-length: 5"), data(id, strings.Repeat("x", 16384)))
		tc.recv(tc.post(id+2, "content-length: 20000"), dataEnd(id+2, strings.Repeat("x", 16384)))
		tc.drain()
		id += 4
	}
	tc.wantAlive("the connection window is not worn out", id)
	if got := tc.peer.granted[0]; got < 90*16384 {
		t.Errorf("%d octets granted, of 100 frames of 16384", got)
	}
}

// A naive judge of requests, after the text of the RFCs and as slow as that.
var (
	reToken     = regexp.MustCompile("^[!#$%&'*+\\-.^_`|~0-9A-Za-z]+$")
	reFieldName = regexp.MustCompile("^[!#$%&'*+\\-.^_`|~0-9a-z]+$")
	reScheme    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+\-.]*$`)
	reAuthority = regexp.MustCompile(`^[A-Za-z0-9\-._~!$&'()*+,;=:%\[\]]+$`)
	reLength    = regexp.MustCompile(`^[0-9]{1,18}$`)
)

func naiveValue(s string) bool {
	for i := range len(s) {
		if s[i] != '\t' && (s[i] < 0x20 || s[i] == 0x7f) {
			return false
		}
	}
	return s == strings.Trim(s, " \t")
}

func naivePath(s string) bool {
	for i := range len(s) {
		if s[i] <= 0x20 || s[i] == 0x7f || s[i] == '#' {
			return false
		}
	}
	return strings.HasPrefix(s, "/")
}

// naiveRequest reports whether fields are a well-formed request.
func naiveRequest(fields []Field, ended, extended bool) bool {
	pseudo := map[string]string{}
	var lengths, hosts []string
	regular := false
	for _, f := range fields {
		if strings.HasPrefix(f.Name, ":") {
			_, twice := pseudo[f.Name]
			if twice || regular {
				return false
			}
			pseudo[f.Name] = f.Value
			continue
		}
		regular = true
		if !reFieldName.MatchString(f.Name) || !naiveValue(f.Value) {
			return false
		}
		switch f.Name {
		case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
			return false
		case "te":
			if strings.ToLower(f.Value) != "trailers" {
				return false
			}
		case "content-length":
			lengths = append(lengths, strings.TrimLeft(f.Value, "0"))
			if !reLength.MatchString(f.Value) {
				return false
			}
		case "host":
			hosts = append(hosts, f.Value)
		}
	}
	for name := range pseudo {
		if !slices.Contains([]string{":method", ":scheme", ":authority", ":path", ":protocol"}, name) {
			return false
		}
	}
	if len(hosts) > 1 || len(slices.Compact(lengths)) > 1 || len(lengths) > 0 && ended && lengths[0] != "" {
		return false
	}
	has := func(name string) bool { _, ok := pseudo[name]; return ok }
	method := pseudo[":method"]
	if !reToken.MatchString(method) {
		return false
	}
	authority := pseudo[":authority"]
	switch {
	case len(hosts) == 0:
	case has(":authority"):
		if !strings.EqualFold(authority, hosts[0]) {
			return false
		}
	case method == "CONNECT" && !has(":protocol"):
		return false
	default:
		authority = hosts[0]
	}
	if !reAuthority.MatchString(authority) {
		return false
	}
	if has(":protocol") && (method != "CONNECT" || !extended || !reToken.MatchString(pseudo[":protocol"])) {
		return false
	}
	if method == "CONNECT" && !has(":protocol") {
		return !has(":scheme") && !has(":path")
	}
	path := pseudo[":path"]
	return reScheme.MatchString(pseudo[":scheme"]) && (naivePath(path) || path == "*" && method == "OPTIONS")
}

// FuzzFields holds the validation of requests against the naive judge. Each
// line of text is a field, its name ended by a colon that is not the first
// octet.
func FuzzFields(f *testing.F) {
	for _, fields := range [][]string{
		requestFields("GET", nil),
		requestFields("POST", []string{"content-length: 5", "te: trailers", "x-y: z"}),
		requestFields("GET", []string{"host: A.example", "connection: close"}),
		{":method: OPTIONS", ":scheme: http", ":path: *", "host: b"},
		{":method: CONNECT", ":authority: a:443"},
		{":method: CONNECT", ":authority: a:443", ":protocol: websocket", ":scheme: https", ":path: /"},
		{"x: y", ":method: GET"},
		{":method: GET", ":method: GET"},
		{":method: GET", ":scheme: https", ":path: /", "host: [::1]", "content-length: 00", "content-length: 0"},
		{":path:  x", "Upper: x", "x:  lead", "y:trail "},
	} {
		f.Add(strings.Join(fields, "\n"), true, false)
		f.Add(strings.Join(fields, "\n"), false, true)
	}
	f.Fuzz(func(t *testing.T, text string, ended, extended bool) {
		fields := fieldsOf(text)
		var s Stream
		var l fieldList
		l.begin(nil)
		for _, f := range fields {
			if !l.add(f, false, 1<<20, &s.Request) {
				return
			}
		}
		err := l.finishRequest(&s, ended, extended)
		if want := naiveRequest(fields, ended, extended); (err == nil) != want {
			t.Errorf("%q: %v, the naive judge says %v", fields, err, want)
		}
		// As trailers nothing may panic, and the request stays what it is.
		before := fmt.Sprint(s.Request)
		l.begin(nil)
		for _, f := range fields {
			l.add(f, true, 1<<20, &s.Request)
		}
		if fmt.Sprint(s.Request) != before {
			t.Errorf("%q as trailers change the request", fields)
		}
	})
}
