package loop_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// A behaviour is something that a handler does or sees. It is run by net/http's own
// server and by HandleHTTP, over each version of HTTP, with the same client, and what
// the client gets and the handler notes must be the same.
type behaviour struct {
	name    string
	method  string // default GET
	target  string // default /
	headers []string
	body    func() io.Reader
	trailer http.Header // of the request, announced
	handler func(w http.ResponseWriter, r *http.Request, n *notes)

	responded chan<- bool // is told when the response begins, if not nil

	only   string            // the version, if it makes no sense over the other one
	ignore map[string]string // lines that are not compared, and why

	// differs tells, by version and line, why something is not the same. What is
	// listed here must differ.
	differs map[string]string
}

// notes are what a handler has seen.
type notes struct {
	mu    sync.Mutex
	lines map[string]string
	done  chan struct{} // closed when the handler has returned
	once  sync.Once
}

func (n *notes) add(name, format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines["handler: "+name] = fmt.Sprintf(format, args...)
}

// says is how errors are compared: by what they are, where net/http says it, and not
// by their words.
func says(err error) string {
	var netErr net.Error
	switch {
	case err == nil:
		return "nil"
	case errors.Is(err, http.ErrBodyNotAllowed):
		return "ErrBodyNotAllowed"
	case errors.Is(err, http.ErrContentLength):
		return "ErrContentLength"
	case errors.Is(err, http.ErrHijacked):
		return "ErrHijacked"
	case errors.Is(err, http.ErrNotSupported):
		return "ErrNotSupported"
	case errors.Is(err, http.ErrBodyReadAfterClose):
		return "ErrBodyReadAfterClose"
	case errors.As(err, &netErr) && netErr.Timeout():
		return "timeout"
	case errors.Is(err, io.EOF):
		return "EOF"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "ErrUnexpectedEOF"
	default:
		return "some error"
	}
}

const (
	overH1 = "HTTP/1.1"
	overH2 = "HTTP/2.0"
)

// TestHTTPBehaviours runs the table.
func TestHTTPBehaviours(t *testing.T) {
	t.Parallel()
	table := httpBehaviours()
	if len(table) < 60 {
		t.Errorf("%d behaviours", len(table))
	}
	var current struct {
		sync.Mutex
		notes map[string]*notes
	}
	current.notes = map[string]*notes{}
	byName := map[string]behaviour{}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		current.Lock()
		n := current.notes[r.Header.Get("X-Run")]
		current.Unlock()
		b := byName[r.Header.Get("X-Name")]
		defer n.once.Do(func() { close(n.done) }) // a client may try again
		r.Header.Del("X-Run")
		r.Header.Del("X-Name")
		b.handler(w, r, n)
	})
	for _, b := range table {
		if _, twice := byName[b.name]; twice {
			t.Errorf("two behaviours are called %q", b.name)
		}
		byName[b.name] = b
	}
	theirs := standardServer(t, h)
	ours := newServer(t, loop.Config{}, func(srv *loop.Server) { srv.HandleHTTP("/", h) })
	ours.expectLog("on purpose")
	addrs := map[string]string{"net/http": theirs, "h2loop": ours.addr(cleartext)}
	run := 0
	for _, version := range []string{overH1, overH2} {
		c := versionClient(t, version)
		for _, b := range table {
			if b.only != "" && b.only != version {
				continue
			}
			t.Run(b.name+" over "+strings.ReplaceAll(version, "/", " "), func(t *testing.T) {
				outcomes := map[string]map[string]string{}
				for who, addr := range addrs {
					run++
					n := &notes{lines: map[string]string{}, done: make(chan struct{})}
					id := fmt.Sprint(run)
					current.Lock()
					current.notes[id] = n
					current.Unlock()
					outcomes[who] = b.run(t, c, "http://"+addr, id, n)
				}
				b.compare(t, version, outcomes["net/http"], outcomes["h2loop"])
			})
		}
	}
}

// standardServer runs h on net/http's server and returns its address.
func standardServer(t *testing.T, h http.Handler) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	mux := http.NewServeMux()
	mux.Handle("/", h)
	srv := &http.Server{Handler: mux, Protocols: protocols, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return ln.Addr().String()
}

// versionClient returns a client that speaks one version of HTTP, over cleartext.
func versionClient(t *testing.T, version string) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(version == overH1)
	protocols.SetUnencryptedHTTP2(version == overH2)
	rt := &http.Transport{Protocols: protocols, DisableCompression: true, ExpectContinueTimeout: patience}
	t.Cleanup(rt.CloseIdleConnections)
	return &http.Client{
		Transport:     rt,
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// run makes the request and returns what came of it, by name.
func (b behaviour) run(t *testing.T, c *http.Client, base, id string, n *notes) map[string]string {
	t.Helper()
	got := map[string]string{}
	var body io.Reader
	if b.body != nil {
		body = b.body()
	}
	method := b.method
	if method == "" {
		method = "GET"
	}
	var interim []string
	var mu sync.Mutex
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			mu.Lock()
			defer mu.Unlock()
			interim = append(interim, fmt.Sprint(code, h))
			return nil
		},
		GotFirstResponseByte: func() {
			if b.responded != nil {
				b.responded <- true
			}
		},
	})
	req, err := http.NewRequestWithContext(ctx, method, base+"/"+strings.TrimPrefix(b.target, "/"), body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(b.headers); i += 2 {
		if b.headers[i] == "Host" {
			req.Host = b.headers[i+1]
			continue
		}
		req.Header.Add(b.headers[i], b.headers[i+1])
	}
	req.Header.Set("X-Run", id)
	req.Header.Set("X-Name", b.name)
	req.Trailer = b.trailer
	if strings.Contains(strings.ToLower(b.name), "hijack") {
		// What has been hijacked and closed looks to the client as if it could be used
		// again: the request that finds out would not reach a handler.
		defer c.CloseIdleConnections()
	}
	resp, err := c.Do(req)
	got["error"] = fmt.Sprint(err != nil)
	if err == nil {
		p, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		got["status"] = fmt.Sprint(resp.StatusCode)
		got["body"] = string(p)
		got["body error"] = fmt.Sprint(err != nil)
		got["length"] = fmt.Sprint(resp.ContentLength)
		got["trailers"] = fmt.Sprint(resp.Trailer)
		if len(resp.Header["Date"]) > 0 && resp.Header.Get("Date") != "my date" {
			resp.Header.Set("Date", "now")
		}
		for name, values := range resp.Header {
			got["header "+name] = fmt.Sprintf("%q", values)
		}
		got["closes"] = fmt.Sprint(resp.Close)
	}
	wait(t, "the handler to return", n.done)
	mu.Lock()
	got["interim"] = fmt.Sprint(interim)
	mu.Unlock()
	n.mu.Lock()
	maps.Copy(got, n.lines)
	n.mu.Unlock()
	return got
}

// compare holds ours against theirs.
func (b behaviour) compare(t *testing.T, version string, theirs, ours map[string]string) {
	t.Helper()
	names := slices.Collect(maps.Keys(theirs))
	for name := range ours {
		if _, ok := theirs[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		a, inTheirs := theirs[name]
		z, inOurs := ours[name]
		same := a == z && inTheirs == inOurs
		if b.ignore[name] != "" {
			continue
		}
		why := b.differs[version+" "+name]
		switch {
		case !same && why == "":
			t.Errorf("%s: net/http %.300q, h2loop %.300q", name, a, z)
		case same && why != "":
			t.Errorf("%s is the same, although %s", name, why)
		}
	}
}

// A slowReader gives its pieces one by one.
type slowReader struct {
	pieces []string
	at     int
	before func(i int)
}

func (s *slowReader) Read(p []byte) (int, error) {
	if s.at == len(s.pieces) {
		return 0, io.EOF
	}
	if s.before != nil {
		s.before(s.at)
	}
	n := copy(p, s.pieces[s.at])
	s.at++
	return n, nil
}

// text and pieces are bodies of a length that is known, and not.
func text(s string) func() io.Reader { return func() io.Reader { return strings.NewReader(s) } }

func pieces(p ...string) func() io.Reader {
	return func() io.Reader { return &slowReader{pieces: p} }
}

const (
	whyHop       = "the fields that are about the connection are not handed on"
	whyInject    = "a field with a line break is left out over either version, and not mended"
	whyLonger    = "what goes beyond the announced length is refused over either version, and the body then is as long as announced"
	whyMalformed = "net/http takes the field out and yet believes over HTTP/1.1 that it is there"
	whyReset     = "how much of a body comes before it is given up, beyond what was flushed, is a matter of buffers"
)

//nolint:errcheck // what handlers do not look at, as handlers do
func httpBehaviours() []behaviour {
	big := string(pattern(100_000))
	type W = http.ResponseWriter
	type R = *http.Request
	responded := make(chan bool, 4)
	return []behaviour{
		{name: "nothing", handler: func(W, R, *notes) {}},
		{name: "small body", handler: func(w W, _ R, n *notes) {
			k, err := io.WriteString(w, "Hello")
			n.add("write", "%d %v", k, err)
		}},
		{name: "html is sniffed", handler: func(w W, _ R, _ *notes) { io.WriteString(w, "<html><p>hello") }},
		{name: "png is sniffed", handler: func(w W, _ R, _ *notes) { w.Write([]byte("\x89PNG\r\n\x1a\nrest")) }},
		{name: "sniffed from the first two writes", handler: func(w W, _ R, _ *notes) {
			io.WriteString(w, "<!DOC")
			io.WriteString(w, "TYPE html>")
		}},
		{name: "sniffed before a flush", handler: func(w W, _ R, _ *notes) {
			io.WriteString(w, "<!DOC")
			w.(http.Flusher).Flush()
			io.WriteString(w, "TYPE html>")
		}},
		{name: "content-type that is set", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Content-Type", "text/x")
			io.WriteString(w, "<html>")
		}},
		{name: "content-type that is nil", handler: func(w W, _ R, _ *notes) {
			w.Header()["Content-Type"] = nil
			io.WriteString(w, "<html>")
		}},
		{name: "content-encoding is not sniffed", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Content-Encoding", "x")
			io.WriteString(w, "<html>")
		}},
		{name: "date that is set", handler: func(w W, _ R, _ *notes) { w.Header().Set("Date", "my date") }},
		{name: "date that is nil", handler: func(w W, _ R, _ *notes) { w.Header()["Date"] = nil }},
		{name: "4096 octets", handler: func(w W, _ R, _ *notes) { io.WriteString(w, big[:4096]) }, differs: map[string]string{
			overH1 + " header Content-Length": "net/http keeps 2 KiB over HTTP/1.1, and 4 KiB over HTTP/2",
			overH1 + " length":                "the same",
		}},
		{name: "4097 octets", handler: func(w W, _ R, _ *notes) { io.WriteString(w, big[:4097]) }},
		{name: "large body in one", handler: func(w W, _ R, n *notes) {
			k, err := io.WriteString(w, big)
			n.add("write", "%d %v", k, err)
		}},
		{name: "large body in pieces", handler: func(w W, _ R, _ *notes) {
			for i := 0; i < len(big); i += 1000 {
				io.WriteString(w, big[i:i+1000])
			}
		}},
		{name: "large body of a length", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Content-Length", fmt.Sprint(len(big)))
			io.WriteString(w, big)
		}},
		{name: "body copied from a reader", handler: func(w W, _ R, n *notes) {
			k, err := io.Copy(w, struct{ io.Reader }{strings.NewReader(big)})
			n.add("copy", "%d %v", k, err)
		}},
		{name: "body from a reader that fails", handler: func(w W, _ R, n *notes) {
			k, err := io.Copy(w, io.MultiReader(strings.NewReader("abc"), errReader{errors.New("on purpose")}))
			n.add("copy", "%d %v", k, err)
		}},
		{name: "flush and more", handler: func(w W, _ R, _ *notes) {
			io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			io.WriteString(w, "b")
		}},
		{name: "flush before anything", handler: func(w W, _ R, n *notes) {
			n.add("flush", "%v", http.NewResponseController(w).Flush())
			io.WriteString(w, "b")
		}},
		{name: "flush alone", handler: func(w W, _ R, _ *notes) { w.(http.Flusher).Flush() }},
		{name: "status 404 with a body", handler: func(w W, _ R, _ *notes) { http.Error(w, "gone astray", 404) }},
		{name: "status 299", handler: func(w W, _ R, _ *notes) { w.WriteHeader(299) }},
		{name: "status 599", handler: func(w W, _ R, _ *notes) { w.WriteHeader(599) }},
		{name: "204", handler: func(w W, _ R, _ *notes) { w.WriteHeader(204) }},
		{name: "204 with a body", handler: func(w W, _ R, n *notes) {
			w.WriteHeader(204)
			k, err := io.WriteString(w, "body")
			n.add("write", "%d %s", k, says(err))
		}},
		{name: "204 with a flush", handler: func(w W, _ R, _ *notes) {
			w.WriteHeader(204)
			w.(http.Flusher).Flush()
		}, differs: map[string]string{overH2 + " length": "the end comes with the header section, and not when the handler returns"}},
		{name: "204 with a content-length", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Content-Length", "4")
			w.WriteHeader(204)
		}, differs: map[string]string{
			overH2 + " header Content-Length": `"A server MUST NOT send a Content-Length header field in any response with a status code of … 204" (RFC 9110, Section 8.6)`,
			overH2 + " length":                "the same",
			overH2 + " body error":            "the same",
		}},
		{name: "304", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(304)
		}},
		{name: "304 with a body", handler: func(w W, _ R, n *notes) {
			w.WriteHeader(304)
			k, err := io.WriteString(w, "body")
			n.add("write", "%d %s", k, says(err))
		}},
		{name: "WriteHeader twice", handler: func(w W, _ R, _ *notes) {
			w.WriteHeader(201)
			w.WriteHeader(500)
			io.WriteString(w, "x")
		}},
		{name: "WriteHeader after Write", handler: func(w W, _ R, _ *notes) {
			io.WriteString(w, "x")
			w.WriteHeader(500)
		}},
		{name: "header set after WriteHeader", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("X-Early", "1")
			w.WriteHeader(200)
			w.Header().Set("X-Late", "1")
			w.Header().Del("X-Early")
		}},
		{name: "header set after Write", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("X-Early", "1")
			io.WriteString(w, "x")
			w.Header().Set("X-Late", "1")
		}},
		{name: "header of many values", handler: func(w W, _ R, _ *notes) {
			for i := range 5 {
				w.Header().Add("X-Many", fmt.Sprint(i))
			}
			w.Header().Add("Set-Cookie", "a=b")
			w.Header().Add("Set-Cookie", "c=d")
		}},
		{name: "header in lower case", handler: func(w W, _ R, _ *notes) { w.Header()["x-lower"] = []string{"1"} }},
		{name: "header with spaces", handler: func(w W, _ R, _ *notes) { w.Header().Set("X-Spaces", "  a b \t") }, differs: map[string]string{
			overH2 + " header X-Spaces": `"A field value MUST NOT start or end with an ASCII whitespace character" (RFC 9113, Section 8.2.1)`,
		}},
		{name: "empty header", handler: func(w W, _ R, _ *notes) { w.Header().Set("X-Empty", "") }},
		{name: "header with a bad name", handler: func(w W, _ R, _ *notes) { w.Header()["X Bad"] = []string{"1"} }},
		{name: "header with a line break", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("X-Break", "a\r\nX-Injected: b")
			w.Header().Set("X-Fine", "1")
		}, differs: map[string]string{overH1 + " header X-Break": whyInject}},
		{name: "length that is too long", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "short")
		}},
		{name: "length that is too short", handler: func(w W, _ R, n *notes) {
			w.Header().Set("Content-Length", "4")
			k, err := io.WriteString(w, "four")
			n.add("first", "%d %s", k, says(err))
			k, err = io.WriteString(w, "more")
			n.add("second", "%d %s", k, says(err))
		}, differs: map[string]string{
			overH2 + " body error":      whyLonger,
			overH2 + " handler: second": whyLonger,
		}},
		{name: "length that is malformed", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Content-Length", "4x")
			io.WriteString(w, "four")
		}, differs: map[string]string{overH1 + " header Content-Length": whyMalformed, overH1 + " length": whyMalformed}},
		{name: "length that is negative", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Content-Length", "-4")
			io.WriteString(w, "four")
		}, differs: map[string]string{overH1 + " header Content-Length": whyMalformed, overH1 + " length": whyMalformed}},
		{name: "HEAD", method: "HEAD", handler: func(w W, _ R, n *notes) {
			k, err := io.WriteString(w, "Hello")
			n.add("write", "%d %v", k, err)
		}},
		{name: "HEAD of nothing", method: "HEAD", handler: func(W, R, *notes) {}},
		{name: "HEAD of a length", method: "HEAD", handler: func(w W, _ R, _ *notes) { w.Header().Set("Content-Length", "1000") }},
		{name: "HEAD of much", method: "HEAD", handler: func(w W, _ R, n *notes) {
			k, err := io.WriteString(w, big)
			n.add("write", "%d %v", k, err)
		}, differs: map[string]string{overH2 + " handler: write": "net/http says that it is short, as if this were an error"}},
		{name: "HEAD with a flush", method: "HEAD", handler: func(w W, _ R, _ *notes) {
			io.WriteString(w, "Hello")
			w.(http.Flusher).Flush()
			io.WriteString(w, "Hello")
		}},
		{name: "announced trailers", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Trailer", "X-One, x-two")
			w.Header().Add("Trailer", "X-Three")
			io.WriteString(w, "body")
			w.Header().Set("X-One", "1")
			w.Header().Set("X-Two", "2")
			w.Header().Set("X-Not", "3")
		}},
		{name: "announced trailers that are not set", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Trailer", "X-One")
			io.WriteString(w, "body")
		}},
		{name: "announced trailers behind a flush", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Trailer", "X-One")
			w.(http.Flusher).Flush()
			io.WriteString(w, big)
			w.Header().Set("X-One", "1")
		}},
		{name: "trailers that are told by their prefix", handler: func(w W, _ R, _ *notes) {
			io.WriteString(w, "body")
			w.(http.Flusher).Flush()
			w.Header().Set(http.TrailerPrefix+"X-One", "1")
			w.Header().Add(http.TrailerPrefix+"X-Two", "2")
			w.Header().Add(http.TrailerPrefix+"X-Two", "3")
		}},
		{name: "prefix before the header", handler: func(w W, _ R, _ *notes) {
			w.Header().Set(http.TrailerPrefix+"X-One", "1")
			io.WriteString(w, "body")
		}},
		{name: "trailers and no body", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Trailer", "X-One")
			w.WriteHeader(200)
			w.Header().Set("X-One", "1")
		}},
		{name: "trailers that are forbidden", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Trailer", "Content-Length, X-One, Transfer-Encoding")
			io.WriteString(w, "body")
			w.(http.Flusher).Flush()
			w.Header().Set("X-One", "1")
			w.Header().Set("Content-Length", "9")
		}},
		{name: "103", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Link", "</a.css>")
			w.WriteHeader(103)
			w.Header().Set("X-More", "1")
			w.WriteHeader(103)
			io.WriteString(w, "x")
		}},
		{name: "102 and 404", handler: func(w W, _ R, _ *notes) {
			w.WriteHeader(102)
			w.WriteHeader(404)
		}},
		{name: "status 99", handler: func(w W, _ R, n *notes) {
			defer func() { n.add("panic", "%v", recover()) }()
			w.WriteHeader(99)
		}},
		{name: "status 1000", handler: func(w W, _ R, n *notes) {
			defer func() { n.add("panic", "%v", recover()) }()
			w.WriteHeader(1000)
		}},
		{name: "ErrAbortHandler", handler: func(W, R, *notes) { panic(http.ErrAbortHandler) }},
		{name: "ErrAbortHandler after a flush", handler: func(w W, _ R, _ *notes) {
			io.WriteString(w, "some")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}},
		{name: "panic", handler: func(W, R, *notes) { panic("on purpose") }},
		{name: "panic within a length", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Content-Length", fmt.Sprint(len(big)))
			io.WriteString(w, big[:50_000])
			panic("on purpose")
		}, ignore: map[string]string{"body": whyReset}},
		{name: "redirect", handler: func(w W, r R, _ *notes) { http.Redirect(w, r, "/elsewhere?x=1", http.StatusTemporaryRedirect) }},
		{name: "ServeContent", headers: []string{"Range", "bytes=10-19"}, handler: func(w W, r R, _ *notes) {
			http.ServeContent(w, r, "a.txt", time.Unix(1e9, 0), strings.NewReader(big))
		}},
		{name: "ServeContent, not modified", headers: []string{"If-Modified-Since", "Sun, 09 Sep 2001 01:46:40 GMT"}, handler: func(w W, r R, _ *notes) {
			http.ServeContent(w, r, "a.txt", time.Unix(1e9, 0), strings.NewReader(big))
		}},
		{name: "connection: close", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Connection", "close")
			io.WriteString(w, "x")
		}},
		{name: "fields about the connection", handler: func(w W, _ R, _ *notes) {
			w.Header().Set("Keep-Alive", "x")
			io.WriteString(w, "x")
		}, differs: map[string]string{
			overH1 + " header Keep-Alive": whyHop,
			overH2 + " header Keep-Alive": "RFC 9113, Section 8.2.2, forbids it",
		}},
		{name: "the request", method: "POST", target: "/a%2Fb/c%20d;x?q=1&r=%20#no", body: text("body"), headers: []string{
			"X-One", "1", "X-One", "2", "Cookie", "a=b", "User-Agent", "me", "Referer", "there", "Content-Type", "text/x",
		}, handler: seeRequest},
		{name: "the request line", target: "/plain/path_-.~?", headers: []string{"Host", "example.com:80"}, handler: seeRequest},
		{name: "empty query value", target: "/x?a=&b", handler: seeRequest},
		{name: "UTF-8 in the path", target: "/%C3%A4/ä", handler: seeRequest},
		{name: "method of one's own", method: "BREW", handler: seeRequest},
		{name: "OPTIONS", method: "OPTIONS", target: "/x", handler: seeRequest},
		{name: "cookies", headers: []string{"Cookie", "a=b; c=d", "Cookie", "e=f"}, handler: func(_ W, r R, n *notes) {
			n.add("cookies", "%v", r.Cookies())
			n.add("header", "%q", r.Header["Cookie"])
		}},
		{name: "context", handler: func(_ W, r R, n *notes) {
			srv, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
			n.add("server", "%v %v", srv != nil, ok)
			addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
			n.add("address", "%T %v", addr, ok)
			n.add("error", "%v", r.Context().Err())
			ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
			n.add("derived", "%v", ctx.Err())
			cancel()
			n.add("ended", "%v", ctx.Err())
		}},
		{name: "the context ends with the handler", handler: func(_ W, r R, n *notes) {
			go func() {
				<-r.Context().Done()
			}()
			n.add("remote", "%v", strings.HasPrefix(r.RemoteAddr, "127.0.0.1:"))
		}},
		{name: "no body", method: "POST", handler: func(_ W, r R, n *notes) {
			p, err := io.ReadAll(r.Body)
			n.add("body", "%q %v %v", p, err, r.ContentLength)
		}},
		{name: "body of a length", method: "POST", body: text("some body"), handler: seeBody},
		{name: "body of no known length", method: "POST", body: pieces("some ", "body"), handler: seeBody},
		{name: "large body", method: "POST", body: text(big), handler: seeBody},
		{name: "body echoed", method: "POST", body: text(big), handler: func(w W, r R, n *notes) {
			p, _ := io.ReadAll(r.Body)
			w.Write(p)
		}},
		{name: "body read after Close", method: "POST", body: text("some body"), handler: func(_ W, r R, n *notes) {
			n.add("close", "%v", r.Body.Close())
			_, err := r.Body.Read(make([]byte, 10))
			n.add("read", "%s", says(err))
		}, differs: map[string]string{overH2 + " handler: read": "net/http gives an error without a name here"}},
		{name: "body that is not read", method: "POST", body: text("some body"), handler: func(w W, _ R, _ *notes) {
			io.WriteString(w, "x")
		}},
		{name: "body that is read in part", method: "POST", body: text(big[:30_000]), handler: func(w W, r R, n *notes) {
			p := make([]byte, 10)
			k, err := io.ReadFull(r.Body, p)
			n.add("read", "%d %v", k, err)
			io.WriteString(w, "x")
		}},
		{name: "request trailers", method: "POST", body: pieces("some ", "body"), trailer: http.Header{"X-Sum": {"1"}}, handler: func(_ W, r R, n *notes) {
			n.add("announced", "%v %q", r.Trailer, r.Header["Trailer"])
			io.Copy(io.Discard, r.Body)
			n.add("trailers", "%v", r.Trailer)
		}},
		{name: "MaxBytesReader", method: "POST", body: text(big), handler: func(w W, r R, n *notes) {
			r.Body = http.MaxBytesReader(w, r.Body, 1000)
			p, err := io.ReadAll(r.Body)
			tooLong := new(http.MaxBytesError)
			n.add("read", "%d %v", len(p), errors.As(err, &tooLong))
			http.Error(w, "too long", http.StatusRequestEntityTooLarge)
		}, differs: map[string]string{
			overH1 + " closes":            "the rest, which is short, is read and the connection goes on: http.MaxBytesReader has a way of its own to tell net/http's server",
			overH1 + " header Connection": "the same",
		}},
		{name: "form", method: "POST", target: "/?a=1", body: text("b=2&a=3"), headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, handler: func(_ W, r R, n *notes) {
			n.add("form", "%v %v", r.ParseForm(), r.Form)
		}},
		{name: "expect: 100-continue", method: "POST", body: text("some body"), headers: []string{"Expect", "100-continue"}, handler: seeBody},
		{name: "expect: 100-continue in vain", method: "POST", body: text("some body"), headers: []string{"Expect", "100-continue"}, handler: func(w W, r R, n *notes) {
			n.add("expect", "%q", r.Header["Expect"])
			http.Error(w, "no", http.StatusForbidden)
		}},
		{name: "100 by WriteHeader", method: "POST", body: text("some body"), headers: []string{"Expect", "100-continue"}, handler: func(w W, r R, n *notes) {
			w.WriteHeader(100)
			p, err := io.ReadAll(r.Body)
			n.add("read", "%q %v", p, err)
		}},
		{name: "full duplex", method: "POST", body: text("some body"), handler: func(w W, r R, n *notes) {
			n.add("enable", "%v", http.NewResponseController(w).EnableFullDuplex())
			io.WriteString(w, "first ")
			http.NewResponseController(w).Flush()
			p, err := io.ReadAll(r.Body)
			n.add("read", "%q %v", p, err)
			w.Write(p)
		}},
		{name: "read deadline", method: "POST", body: func() io.Reader {
			for len(responded) > 0 {
				<-responded // of a client that did not wait for it
			}
			return &slowReader{pieces: []string{"x", "y"}, before: func(i int) {
				if i > 0 {
					<-responded // net/http closes: the response should be here before
				}
			}}
		}, handler: func(w W, r R, n *notes) {
			n.add("set", "%v", http.NewResponseController(w).SetReadDeadline(time.Now().Add(30*time.Millisecond)))
			_, err := io.ReadAll(r.Body)
			n.add("read", "%s", says(err))
			w.WriteHeader(408)
		}, responded: responded, differs: map[string]string{overH1 + " closes": "the rest of the body is discarded as it comes, and the connection goes on"}},
		{name: "write deadline that holds", handler: func(w W, _ R, n *notes) {
			n.add("set", "%v", http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour)))
			io.WriteString(w, "x")
			n.add("unset", "%v", http.NewResponseController(w).SetWriteDeadline(time.Time{}))
		}},
		{name: "write deadline that has passed", handler: func(w W, _ R, n *notes) {
			n.add("set", "%v", http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-time.Hour)))
			_, err := io.WriteString(w, big)
			n.add("write", "%v", err != nil)
		}},
		{name: "Hijack", handler: func(w W, _ R, n *notes) {
			_, ok := w.(http.Hijacker)
			nc, brw, err := http.NewResponseController(w).Hijack()
			n.add("hijack", "%v %s", ok, says(err))
			if err != nil {
				return
			}
			n.add("buffered", "%d %d", brw.Reader.Buffered(), brw.Writer.Buffered())
			_, _, err = http.NewResponseController(w).Hijack()
			n.add("again", "%s", says(err))
			_, err = io.WriteString(w, "x")
			n.add("write", "%s", says(err))
			w.WriteHeader(500)
			io.WriteString(brw, "HTTP/1.1 299 Mine\r\nX-Raw: 1\r\nContent-Length: 4\r\n\r\nbody")
			n.add("flush", "%v", brw.Flush())
			n.add("close", "%v", nc.Close())
			n.add("close again", "%v", errors.Is(nc.Close(), net.ErrClosed))
			_, err = nc.Read(make([]byte, 1))
			n.add("read", "%v", errors.Is(err, net.ErrClosed))
			_, err = nc.Write([]byte("x"))
			n.add("write to it", "%v", errors.Is(err, net.ErrClosed))
			n.add("addresses", "%s %T %T", nc.LocalAddr().Network(), nc.LocalAddr(), nc.RemoteAddr())
		}},
		{name: "Hijack and return", only: overH1, handler: func(w W, r R, n *notes) {
			nc, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				n.add("hijack", "%v", err)
				return
			}
			go func() {
				defer nc.Close()
				<-r.Context().Done() // when the handler has returned
				for part := range strings.Lines("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody") {
					io.WriteString(nc, part)
				}
			}()
		}},
		{name: "Hijack with a header set", only: overH1, handler: func(w W, _ R, n *notes) {
			w.Header().Set("X-Lost", "1")
			nc, _, err := w.(http.Hijacker).Hijack()
			n.add("hijack", "%v", err)
			io.WriteString(nc, "HTTP/1.1 204 None\r\n\r\n")
			nc.Close()
		}},
		{name: "Hijack behind a body", only: overH1, method: "POST", body: text("some body"), handler: func(w W, r R, n *notes) {
			p, err := io.ReadAll(r.Body)
			n.add("body", "%q %v", p, err)
			nc, _, err := w.(http.Hijacker).Hijack()
			n.add("hijack", "%v", err)
			io.WriteString(nc, "HTTP/1.1 204 None\r\n\r\n")
			nc.Close()
		}},
		{name: "Hijack behind a response that has begun", only: overH1, handler: func(w W, _ R, n *notes) {
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			nc, _, err := w.(http.Hijacker).Hijack()
			n.add("hijack", "%s", says(err))
			if err == nil {
				io.WriteString(nc, "0\r\n\r\n")
				nc.Close()
			}
		}, differs: map[string]string{overH1 + " handler: hijack": "there is nothing to be said for it"}},
		{name: "WriteHeader(101) and Hijack", only: overH1, headers: []string{"Connection", "Upgrade", "Upgrade", "mine"}, handler: func(w W, r R, n *notes) {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "mine")
			w.Header().Set("X-More", "1")
			w.WriteHeader(101)
			k, err := io.WriteString(w, "x")
			n.add("write", "%d %s", k, says(err))
			nc, _, err := w.(http.Hijacker).Hijack()
			n.add("hijack", "%s", says(err))
			if err == nil {
				io.WriteString(nc, "now it is mine")
				nc.Close()
			}
		}},
		{name: "deadlines of a hijacked connection", only: overH1, handler: func(w W, _ R, n *notes) {
			nc, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				n.add("hijack", "%v", err)
				return
			}
			defer nc.Close()
			n.add("set", "%v", nc.SetReadDeadline(time.Now().Add(-time.Second)))
			_, err = nc.Read(make([]byte, 1))
			n.add("past", "%s", says(err))
			n.add("set for all", "%v", nc.SetDeadline(time.Now().Add(20*time.Millisecond)))
			_, err = nc.Read(make([]byte, 1))
			n.add("soon", "%s", says(err))
			big := make([]byte, 1<<20)
			for err = nil; err == nil; { // until the sockets are full
				_, err = nc.Write(big)
			}
			n.add("write", "%s", says(err))
			n.add("unset", "%v", nc.SetDeadline(time.Time{}))
		}, ignore: map[string]string{"error": "what the client makes of all that is of no interest"}},
		{name: "interfaces", handler: func(w W, r R, n *notes) {
			_, flusher := w.(http.Flusher)
			_, text := w.(io.StringWriter)
			_, notifier := w.(interface{ CloseNotify() <-chan bool })
			n.add("has", "%v %v %v", flusher, text, notifier)
		}},
		{name: "StripPrefix", target: "/a/b/c", handler: func(w W, r R, n *notes) {
			http.StripPrefix("/a", http.HandlerFunc(func(w W, r R) { io.WriteString(w, r.URL.Path) })).ServeHTTP(w, r)
		}},
		{name: "TimeoutHandler that is in time", handler: func(w W, r R, n *notes) {
			http.TimeoutHandler(http.HandlerFunc(func(w W, _ R) { io.WriteString(w, "x") }), time.Hour, "late").ServeHTTP(w, r)
		}},
		{name: "TimeoutHandler that is late", handler: func(w W, r R, n *notes) {
			http.TimeoutHandler(http.HandlerFunc(func(_ W, r R) { <-r.Context().Done() }), time.Millisecond, "late").ServeHTTP(w, r)
		}},
		{name: "ServeMux within", target: "/x/7", handler: func(w W, r R, n *notes) {
			mux := http.NewServeMux()
			mux.HandleFunc("/x/{id}", func(w W, r R) { fmt.Fprint(w, r.PathValue("id"), r.Pattern) })
			mux.ServeHTTP(w, r)
		}},
		{name: "write of nothing", handler: func(w W, _ R, n *notes) {
			k, err := w.Write(nil)
			n.add("write", "%d %v", k, err)
			w.WriteHeader(404)
		}},
		{name: "header of 100 fields", handler: func(w W, _ R, _ *notes) {
			for i := range 100 {
				w.Header().Set(fmt.Sprint("X-Field-", i), strings.Repeat("v", i))
			}
		}},
		{name: "bufio over it", handler: func(w W, _ R, _ *notes) {
			b := bufio.NewWriter(w)
			b.WriteString(big)
			b.Flush()
		}},
	}
}

// seeRequest notes all there is to a request.
func seeRequest(_ http.ResponseWriter, r *http.Request, n *notes) {
	n.add("line", "%s %s %s %d %d", r.Method, r.RequestURI, r.Proto, r.ProtoMajor, r.ProtoMinor)
	n.add("host", "%v", strings.HasPrefix(r.Host, "127.0.0.1:") || r.Host == "example.com:80")
	n.add("url", "%+v", *r.URL)
	n.add("header", "%v", r.Header)
	n.add("tls", "%v", r.TLS != nil)
	n.add("length", "%d %v", r.ContentLength, r.TransferEncoding)
	n.add("close", "%v", r.Close)
	n.add("body", "%v", r.Body != nil)
	n.add("trailer", "%v", r.Trailer)
	n.add("query", "%v", r.URL.Query())
}

// seeBody notes the body.
func seeBody(_ http.ResponseWriter, r *http.Request, n *notes) {
	n.add("length", "%d %v", r.ContentLength, r.TransferEncoding)
	n.add("expect", "%q", r.Header["Expect"])
	p, err := io.ReadAll(r.Body)
	n.add("body", "%q %v", p, err)
	k, err := r.Body.Read(make([]byte, 1))
	n.add("again", "%d %v", k, err)
}

// An errReader fails.
type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }
