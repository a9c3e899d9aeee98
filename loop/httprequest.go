package loop

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"os"
	"strings"
)

// describe fills in of the request what is the loop's to tell.
func (c *httpCall) describe(x *Exchange) {
	q, r := x.request, c.request
	r.Method, r.Host, r.RequestURI = q.Method, q.Authority, q.Path
	r.ContentLength = q.ContentLength
	r.Pattern = x.match.Pattern
	r.TLS = x.TLS()
	r.URL = new(url.URL)
	switch r.Proto = x.Proto(); r.Proto {
	case "HTTP/2.0":
		r.ProtoMajor = 2
	case "HTTP/1.1":
		r.ProtoMajor, r.ProtoMinor = 1, 1
	default:
		r.ProtoMajor = 1
	}
	for name, value := range x.match.PathValues() {
		r.SetPathValue(name, value)
	}
	c.protocol = q.Protocol
	if x.h1 != nil {
		r.Close = x.h1.WantsClose()
		if x.h1.Target != "" {
			r.RequestURI = x.h1.Target
		}
	}
}

// complete fills in the rest of the request, off the loop.
func (c *httpCall) complete() {
	r := c.request
	r.RemoteAddr = remoteText(c.conn.remote)
	fields := c.scratch.fields
	r.Header = make(http.Header, len(fields)+1)
	values := make([]string, len(fields))
	for i := range fields {
		key := http.CanonicalHeaderKey(fields[i].Name)
		if before, ok := r.Header[key]; ok {
			r.Header[key] = append(before, fields[i].Value)
			continue
		}
		values[i] = fields[i].Value
		r.Header[key] = values[i : i+1 : i+1]
	}
	clear(fields)
	c.scratch.fields = fields[:0]
	c.setURL()
	if _, ok := r.Header["Trailer"]; ok {
		c.announceTrailers()
	}
	if r.ProtoMajor == 1 {
		c.completeHTTP1()
		return
	}
	if c.protocol != "" {
		r.Header[":protocol"] = []string{c.protocol} // as net/http tells of it
	}
	delete(r.Header, "Host")
	if _, ok := r.Header["Expect"]; ok && c.body != nil && c.body.expects {
		delete(r.Header, "Expect")
	}
	if cookies := r.Header["Cookie"]; len(cookies) > 1 {
		// "they MUST be concatenated into a single octet string using the two-octet
		// delimiter of 0x3b, 0x20". RFC 9113, Section 8.2.3.
		r.Header["Cookie"] = []string{strings.Join(cookies, "; ")}
	}
}

// completeHTTP1 restores what HTTP/1.1 says of the connection and a handler may
// look for.
func (c *httpCall) completeHTTP1() {
	r := c.request
	if r.ContentLength < 0 {
		r.TransferEncoding = []string{"chunked"}
	}
}

// setURL parses the target. The router has found it to be well-formed.
func (c *httpCall) setURL() {
	r := c.request
	if r.Method == http.MethodConnect && c.protocol == "" {
		r.URL.Host, r.RequestURI = r.Host, r.Host
		return
	}
	path, query, asked := strings.Cut(r.RequestURI, "?")
	if isPlainPath(path) {
		r.URL.Path, r.URL.RawQuery = path, query
		r.URL.ForceQuery = asked && query == ""
		return
	}
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		r.URL = u
		return
	}
	r.URL.Path = path
}

// isPlainPath reports whether path means the same encoded and decoded, and is
// encoded like that.
func isPlainPath(path string) bool {
	for i := range len(path) {
		switch b := path[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '/' <= b && b <= '9':
		case b == '-' || b == '_' || b == '.' || b == '~':
		default:
			return false
		}
	}
	return strings.HasPrefix(path, "/")
}

// announceTrailers makes the keys of [http.Request.Trailer].
func (c *httpCall) announceTrailers() {
	r := c.request
	for _, list := range r.Header["Trailer"] {
		for name := range strings.SplitSeq(list, ",") {
			switch name = http.CanonicalHeaderKey(textproto.TrimString(name)); name {
			case "", "Transfer-Encoding", "Trailer", "Content-Length":
			default:
				if r.Trailer == nil {
					r.Trailer = http.Header{}
				}
				r.Trailer[name] = nil
			}
		}
	}
	delete(r.Header, "Trailer")
}

// remoteText returns what net/http says of the client.
func remoteText(addr netip.AddrPort) string {
	if !addr.IsValid() {
		return "@" // of a unix socket that has no name
	}
	return addr.String()
}

// openBody makes the body of the request. It is asked for at once, as the client's
// credit bounds what comes before it is read; but where the client waits to be told
// to send it, that is left to the first Read.
func (c *httpCall) openBody(x *Exchange) {
	c.request.Body = http.NoBody
	if x.conn.protocol.requestEnded(x) && !x.body.hold.end {
		if c.request.ContentLength < 0 {
			c.request.ContentLength = 0
		}
		return
	}
	b := &httpBody{call: c, reader: newBodyReader(c.of)}
	c.body = b
	c.request.Body = b
	switch err := x.mayDemand(); {
	case err != nil:
		b.gone = err
	case x.expectsContinue():
		b.expects = true
		b.reader.demand = c.demand
		x.body.hold.on, x.body.hold.anew = true, true
	default:
		_ = x.feed(b.reader)
	}
}

// demand asks the client for the body.
func (c *httpCall) demand() {
	c.onLoop(func(x *Exchange) {
		if c.continued {
			x.body.each, x.body.owes = c.body.reader.take, true
		} else {
			_ = x.feed(c.body.reader)
		}
		_ = x.ResumeBody()
	})
}

// An httpBody is the body of a request as an [http.Handler] reads it.
type httpBody struct {
	call    *httpCall
	reader  *BodyReader
	gone    error // why it cannot be had
	expects bool  // the client waits to be told to send it
	ended   bool
}

// Read reads what has come, and waits if there is nothing.
func (b *httpBody) Read(p []byte) (n int, err error) {
	if b.gone != nil {
		return 0, b.gone
	}
	n, err = b.reader.ReadContext(&b.call.readLimit, p)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.takeTrailers()
	case errors.Is(err, ErrClosed) && b.reader.isClosed():
		err = http.ErrBodyReadAfterClose
	case errors.Is(err, os.ErrDeadlineExceeded):
	case b.call.request.ProtoMajor == 1:
		err = io.ErrUnexpectedEOF // the connection is gone
	}
	return n, err
}

// takeTrailers fills in the trailers. Over HTTP/2 these are the announced ones, as
// net/http has it.
func (b *httpBody) takeTrailers() {
	if b.ended {
		return
	}
	b.ended = true
	r := b.call.request
	for name, value := range b.reader.Trailers {
		key := http.CanonicalHeaderKey(name)
		if _, ok := r.Trailer[key]; !ok && r.ProtoMajor > 1 {
			continue
		}
		if r.Trailer == nil {
			r.Trailer = http.Header{}
		}
		r.Trailer[key] = append(r.Trailer[key], value)
	}
}

// Close throws away what is left.
func (b *httpBody) Close() error { return b.reader.Close() }

// end is called when the handler has returned.
func (b *httpBody) end() { _ = b.reader.Close() }

func (r *BodyReader) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}
