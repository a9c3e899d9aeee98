package h2

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/h2loop/h2loop/frames"
)

// A wireRequest is a request as it is sent to two servers: fields as they are, also
// where they are none that a request may have.
type wireRequest struct {
	fields   []Field
	body     []byte
	trailers []Field

	hasBody     bool // else END_STREAM is on HEADERS
	hasTrailers bool
}

// FuzzRequest sends the same request to the server of golang.org/x/net/http2 and
// to this one. Both must take it, and see the same in it, or both refuse it; the
// differences that there are for a reason are in differences.
//
// A line of fields and of trailers is one, its name ended by a colon that is not
// the first octet.
func FuzzRequest(f *testing.F) {
	for _, fields := range requestSeeds {
		text := strings.Join(fields, "\n")
		f.Add(text, []byte(nil), "", byte(0))
		f.Add(text+"\ncontent-length: 5", []byte("hello"), "", byte(1))
		f.Add(text, []byte("hello"), "x-t: 1", byte(3))
	}
	base := strings.Join(requestSeeds[0], "\n")
	for _, length := range []string{"0", "4", "6", "05", "+5", "5, 5", "5\ncontent-length: 5", "5\ncontent-length: 6", "", "-1", "9999999999999999999"} {
		f.Add(base+"\ncontent-length: "+length, []byte("hello"), "", byte(1))
		f.Add(base+"\ncontent-length: "+length, []byte(nil), "", byte(0))
	}
	for _, trailer := range []string{":path: /", "Upper: x", "content-length: 5", "connection: close", "host: b", "x: \x00", "x:  a", "te: gzip", ""} {
		f.Add(base+"\ntrailer: x", []byte("hello"), trailer, byte(3))
	}
	f.Fuzz(func(t *testing.T, fields string, body []byte, trailers string, shape byte) {
		if len(fields)+len(trailers) > 8<<10 || len(body) > 8<<10 {
			t.Skip("limits have tests of their own")
		}
		m := wireRequest{fields: fieldsOf(fields), hasBody: shape&1 != 0, hasTrailers: shape&3 == 3}
		if m.hasBody {
			m.body = body
		}
		if m.hasTrailers {
			m.trailers = fieldsOf(trailers)
		}
		in := m.encode(int(shape >> 2))
		ours, theirs := m.toUs(t, in), m.toThem(t, in)
		switch {
		case ours.taken != theirs.taken:
			for _, d := range differences {
				if d.weTake == ours.taken && d.is(&m) {
					return
				}
			}
			t.Errorf("%+v\nours   %+v\ntheirs %+v", m, ours, theirs)
		case ours.taken && ours != theirs:
			t.Errorf("%+v\nours   %+v\ntheirs %+v", m, ours, theirs)
		}
	})
}

var requestSeeds = [][]string{
	{":method: GET", ":scheme: https", ":path: /", ":authority: a.example"},
	{":method: POST", ":scheme: http", ":path: /a?b=%20c", ":authority: a.example:80", "x-y: z", "te: trailers", "cookie: a=b", "cookie: c=d"},
	{":path: /", ":authority: a", ":scheme: https", ":method: PUT", "expect: 100-continue", "priority: u=1"},
	{":method: GET", ":scheme: https", ":path: /", "host: a.example"},
	{":method: GET", ":scheme: https", ":path: /", ":authority: a", "host: a"},
	{":method: GET", ":scheme: https", ":path: /", ":authority: a", "host: A"},
	{":method: GET", ":scheme: https", ":path: /", ":authority: a", "host: b"},
	{":method: GET", ":scheme: https", ":path: /", ":authority: a", "host: a", "host: a"},
	{":method: GET", ":scheme: https", ":path: /", ":authority: u@a"},
	{":method: GET", ":scheme: ftp", ":path: /", ":authority: a"},
	{":method: GET", ":scheme: https", ":path: *", ":authority: a"},
	{":method: OPTIONS", ":scheme: https", ":path: *", ":authority: a"},
	{":method: GET", ":scheme: https", ":path: /%zz", ":authority: a"},
	{":method: GET", ":scheme: https", ":path: /a b#c", ":authority: a"},
	{":method: GET", ":scheme: https", ":path: a", ":authority: a"},
	{":method: GE T", ":scheme: https", ":path: /", ":authority: a"},
	{":method: CONNECT", ":authority: a:443"},
	{":method: CONNECT", "host: a:443"},
	{":method: CONNECT", ":authority: a:443", ":path: ", ":scheme: https"},
	{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":path: /", ":authority: a"},
	{":method: GET", ":scheme: https", ":path: /"},
	{":method: GET", ":scheme: https", ":path: /", ":authority: a", "connection: close"},
	{":method: GET", ":scheme: https", ":path: /", ":authority: a", "transfer-encoding: chunked"},
	{":method: GET", ":scheme: https", ":path: /", ":authority: a", "te: gzip", "keep-alive: 1"},
	{":method: GET", ":scheme: https", ":path: /", ":authority: a", "upgrade: x", "proxy-connection: x"},
	{":method: GET", ":scheme: https", ":path: /", ":authority: a", "te: Trailers"},
	{":method: GET", ":scheme: https", ":path: /", ":authority: a", "Upper: x"},
	{":method: GET", ":scheme: https", ":path: /", ":authority: a", "x: \tlead", "y: trail "},
	{":method: GET", ":scheme: https", ":path: /", ":authority: a", "x: a\rb"},
	{":method: GET", ":scheme: https", "x: y", ":path: /", ":authority: a"},
	{":method: GET", ":method: GET", ":scheme: https", ":path: /", ":authority: a"},
	{":method: GET", ":scheme: https", ":path: /", ":authority: a", ":status: 200"},
	{":method: GET", ":scheme: https", ":path: /", ":authority: a", ":x: y"},
}

// A difference is between what we do with a request and what x/net/http2 does.
type difference struct {
	why     string
	weTake  bool   // and they refuse; else the reverse
	example string // what is other than in requestSeeds[0]
	is      func(*wireRequest) bool
}

var differences = []difference{
	{"a :scheme that is neither http nor https may be asked for (RFC 9113, Section 8.3.1)", true, ":scheme: ftp", func(m *wireRequest) bool {
		s, _ := m.pseudo(":scheme")
		return s != "http" && s != "https" && reScheme.MatchString(s)
	}},
	{"what is percent-encoded is for who decodes it: it is a path all the same to a proxy", true, ":path: /%zz", func(m *wireRequest) bool {
		p, _ := m.pseudo(":path")
		_, err := url.ParseRequestURI(p)
		return naivePath(p) && err != nil && strings.Contains(p, "%")
	}},
	{"hosts are compared without regard to case (RFC 9110, Section 4.2.3)", true, "host: A.example", func(m *wireRequest) bool {
		a, _ := m.pseudo(":authority")
		hosts := m.values("host")
		return len(hosts) == 1 && hosts[0] != a && strings.EqualFold(hosts[0], a)
	}},
	{"so are the codings of TE (RFC 9110, Section 10.1.4)", true, "te: Trailers", func(m *wireRequest) bool {
		return slices.ContainsFunc(m.values("te"), func(v string) bool { return v != "trailers" && strings.EqualFold(v, "trailers") })
	}},
	{"TE may come in more than one line (RFC 9110, Section 5.3)", true, "te: trailers\nte: trailers", func(m *wireRequest) bool { return len(m.values("te")) > 1 }},

	{"requests must have an authority, which :authority or Host tells (RFC 9113, Section 8.3.1)", false, ":authority", func(m *wireRequest) bool {
		a, _ := m.pseudo(":authority")
		return a == "" && strings.Join(m.values("host"), "") == ""
	}},
	{":authority must not be empty where it is sent (RFC 9113, Section 8.3.1)", false, ":authority:\nhost: a", func(m *wireRequest) bool {
		a, sent := m.pseudo(":authority")
		return sent && a == ""
	}},
	{":method is a token (RFC 9110, Section 9.1)", false, ":method: G(T", func(m *wireRequest) bool {
		method, _ := m.pseudo(":method")
		return !reToken.MatchString(method)
	}},
	{":path has the octets of a path and query; * is for OPTIONS (RFC 9113, Section 8.3.1)", false, ":path: /a b", func(m *wireRequest) bool {
		p, _ := m.pseudo(":path")
		method, _ := m.pseudo(":method")
		return !naivePath(p) && (p != "*" || method != "OPTIONS")
	}},
	{":protocol, and :scheme or :path of CONNECT, are there also if they are empty (RFC 9113, Section 8.5; RFC 8441, Section 4)", false, ":protocol:", func(m *wireRequest) bool {
		return slices.ContainsFunc(m.fields, func(f Field) bool {
			return f.Value == "" && (f.Name == ":protocol" || f.Name == ":scheme" || f.Name == ":path")
		})
	}},
	{"the value of TE is trailers (RFC 9113, Section 8.2.2)", false, "te:", func(m *wireRequest) bool {
		return slices.Contains(m.values("te"), "")
	}},
	{"values have no white space at their ends (RFC 9113, Section 8.2.1)", false, "x:  y", func(m *wireRequest) bool {
		return slices.ContainsFunc(append(slices.Clone(m.fields), m.trailers...), func(f Field) bool { return f.Value != strings.Trim(f.Value, " \t") })
	}},
	{"content-length is one number, and right also where there is no DATA (RFC 9113, Section 8.1.1)", false, "content-length: 1", func(m *wireRequest) bool {
		lengths := m.values("content-length")
		for _, l := range lengths {
			if !reLength.MatchString(l) || strings.TrimLeft(l, "0") != strings.TrimLeft(lengths[0], "0") {
				return true
			}
		}
		return len(lengths) > 0 && len(m.body) == 0 && strings.TrimLeft(lengths[0], "0") != ""
	}},
	{"trailers have no fields about a connection, no content-length and no Host (RFC 9113, Section 8.2.2; RFC 9110, Section 6.5.1)", false, "trailers: connection: close", func(m *wireRequest) bool {
		return slices.ContainsFunc(m.trailers, func(f Field) bool {
			switch f.Name {
			case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "content-length", "host":
				return true
			case "te":
				return !strings.EqualFold(f.Value, "trailers")
			default:
				return false
			}
		})
	}},
}

// TestRequestDifferences sees each difference, and that it alone accounts for its
// example.
func TestRequestDifferences(t *testing.T) {
	for _, d := range differences {
		m := wireRequest{fields: fieldsOf(strings.Join(requestSeeds[0], "\n"))}
		for line := range strings.SplitSeq(d.example, "\n") {
			f := fieldsOf(line)[0]
			at := slices.IndexFunc(m.fields, func(g Field) bool { return g.Name == f.Name })
			switch {
			case f.Name == "trailers":
				m.hasBody, m.hasTrailers, m.trailers = true, true, fieldsOf(f.Value)
			case f.Name[0] != ':':
				m.fields = append(m.fields, f)
			case at < 0:
				m.fields = slices.Insert(m.fields, 0, f)
			case f == Field{Name: line}: // without a value: it is left out
				m.fields = slices.Delete(m.fields, at, at+1)
			default:
				m.fields[at] = f
			}
		}
		in := m.encode(0)
		if ours, theirs := m.toUs(t, in), m.toThem(t, in); ours.taken != d.weTake || theirs.taken == d.weTake {
			t.Errorf("%s: %+v\nours   %+v\ntheirs %+v", d.why, m, ours, theirs)
		}
		for _, other := range differences {
			if other.is(&m) != (other.why == d.why) {
				t.Errorf("%s: so %q is %v", other.why, d.example, other.is(&m))
			}
		}
	}
}

// pseudo returns the value of a pseudo-header field, and whether it is there.
func (m *wireRequest) pseudo(name string) (value string, sent bool) {
	for _, f := range m.fields {
		if f.Name == name {
			return f.Value, true
		}
	}
	return "", false
}

func (m *wireRequest) values(name string) (values []string) {
	for _, f := range m.fields {
		if f.Name == name {
			values = append(values, f.Value)
		}
	}
	return values
}

// fieldsOf reads fields, one a line.
func fieldsOf(text string) (fields []Field) {
	for line := range strings.SplitSeq(text, "\n") {
		at := 0
		if len(line) > 1 {
			at = strings.IndexByte(line[1:], ':') + 1
		}
		if at <= 0 {
			fields = append(fields, Field{Name: line})
			continue
		}
		fields = append(fields, Field{Name: line[:at], Value: strings.TrimPrefix(line[at+1:], " ")})
	}
	return fields
}

// encode returns what a client sends. Header blocks are cut in two behind that many
// octets, if they have them and it is not 0.
func (m *wireRequest) encode(cut int) []byte {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	section := func(fields []Field, end bool) []byte {
		block.Reset()
		for _, f := range fields {
			_ = enc.WriteField(f)
		}
		if cut == 0 || cut >= block.Len() {
			return headerFrames(1, end, block.Bytes())
		}
		return headerFrames(1, end, block.Bytes(), cut)
	}
	in := append([]byte(Preface), settings()...)
	in = append(in, section(m.fields, !m.hasBody)...)
	if m.hasBody {
		in = append(in, frames.AppendData(nil, frames.Data{StreamID: 1, Data: m.body, EndStream: !m.hasTrailers})...)
	}
	if m.hasTrailers {
		in = append(in, section(m.trailers, true)...)
	}
	return in
}

// A finding is what a server makes of a request.
type finding struct {
	taken                           bool
	method, path, authority, fields string
	body, trailers                  string
}

// toUs gives the request to a Conn.
func (m *wireRequest) toUs(t *testing.T, in []byte) (got finding) {
	tc := newRawConn(t, Config{}, 0)
	tc.whole = true
	defer tc.finish()
	complete := func(s *Stream) {
		r := &s.Request
		got.taken = true
		got.method, got.path, got.authority = r.Method, r.Path, r.Authority
		got.fields, got.trailers = m.shown(r.Fields), m.shownTrailers(r.Trailers)
		mustDo(t, tc.c.WriteHeaders(s, 299, nil, true))
	}
	tc.app.request = func(s *Stream) {
		if s.RequestEnded() {
			complete(s)
		}
	}
	tc.app.body = func(s *Stream, p []byte, end bool) {
		got.body += string(p)
		if end {
			tc.c.Consume(s, len(p))
			complete(s)
		}
	}
	tc.recv(in)
	if tc.err != nil {
		t.Fatalf("%+v is an error of the connection: %v", m, tc.err)
	}
	lines := tc.drain()
	if answered := slices.Contains(lines, "HEADERS 1 :status=299 END_STREAM"); answered != got.taken {
		t.Fatalf("%+v: %v, and the client got %q", m, got, lines)
	}
	if !got.taken {
		return finding{}
	}
	return got
}

// toThem gives the request to a server of x/net/http2.
func (m *wireRequest) toThem(t *testing.T, in []byte) finding {
	server, client := net.Pipe()
	findings := make(chan finding, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		got := finding{taken: true, method: r.Method, authority: r.Host, body: string(body)}
		if r.Method != "CONNECT" {
			got.path = r.RequestURI
		}
		got.fields, got.trailers = m.shown(fieldsIn(r.Header)), m.shownTrailers(fieldsIn(r.Trailer))
		findings <- got
	})
	var running sync.WaitGroup
	running.Go(func() {
		//nolint:staticcheck // http.Server takes a listener, which a request each would be slow with
		(&http2.Server{}).ServeConn(server, &http2.ServeConnOpts{
			Handler:    handler,
			BaseConfig: &http.Server{ErrorLog: log.New(io.Discard, "", 0)},
		})
	})
	running.Go(func() { _, _ = client.Write(in) })
	answered, gone := awaitEnd(client)
	_ = client.Close()
	if !gone { // else it stays for a second behind its GOAWAY
		running.Wait()
	}
	if !answered {
		return finding{}
	}
	select {
	case got := <-findings:
		return got
	default:
		return finding{} // it has answered by itself
	}
}

// awaitEnd reads what a server sends until stream 1 has been answered or reset, or
// the connection is gone.
func awaitEnd(r io.Reader) (answered, gone bool) {
	header := make([]byte, frames.HeaderLen)
	for {
		if _, err := io.ReadFull(r, header); err != nil {
			return false, true
		}
		h, _ := frames.ParseHeader(header)
		if _, err := io.CopyN(io.Discard, r, int64(h.Length)); err != nil {
			return false, true
		}
		switch {
		case h.Type == frames.TypeGoAway:
			return false, true
		case h.Type == frames.TypeRSTStream:
			return false, false
		case h.StreamID == 1 && (h.Type == frames.TypeHeaders || h.Type == frames.TypeData) && h.Flags.Has(frames.FlagEndStream):
			return true, false
		}
	}
}

func fieldsIn(h http.Header) (fields []Field) {
	for name, values := range h {
		for _, v := range values {
			fields = append(fields, Field{Name: strings.ToLower(name), Value: v})
		}
	}
	return fields
}

// shown returns fields by their names, less those that net/http takes out of a
// request: Host, Expect, Trailer, and the lines of Cookie, which it joins.
func (m *wireRequest) shown(fields []Field) string {
	var lines []string
	for _, f := range fields {
		switch f.Name {
		case "host", "expect", "trailer", "cookie":
		default:
			lines = append(lines, f.Name+": "+f.Value)
		}
	}
	slices.Sort(lines)
	return fmt.Sprintf("%q", lines)
}

// shownTrailers returns trailers that were announced, which alone net/http keeps.
func (m *wireRequest) shownTrailers(fields []Field) string {
	announced := map[string]bool{}
	for _, v := range m.values("trailer") {
		for key := range strings.SplitSeq(v, ",") {
			announced[strings.ToLower(textproto.TrimString(key))] = true
		}
	}
	return m.shown(slices.DeleteFunc(slices.Clone(fields), func(f Field) bool { return !announced[f.Name] }))
}
