package files

import (
	"net/url"
	"strings"

	"github.com/h2loop/h2loop/loop"
)

// An outcome is what a request is to be answered with. It holds contents in one of
// three ways: blob, chunk or file.
type outcome struct {
	status int
	res    *resource // nil if there is none
	rep    *rep      // of res, that was chosen
	parts  []part    // nil for the whole
	kind   string    // content type of parts, if it is not that of res

	blob  *blob   // all of the representation
	chunk *chunk  // all that is to be sent
	file  *opened // it is yet to be read
}

// drop gives back what no answer will.
func (r *outcome) drop(f *Files) {
	f.buffers.put(r.chunk)
	r.chunk = nil
	if r.file != nil {
		f.closeFile(r.file)
		r.file = nil
	}
	if r.blob != nil {
		r.blob.unref()
		r.blob = nil
	}
}

// take has r be the answer of a status, and of those parts that spans stand for.
func (r *outcome) take(status int, res *resource, p *rep, spans []span) {
	r.status, r.res, r.rep, r.parts, r.kind = status, res, p, nil, ""
	switch {
	case len(spans) == 1:
		r.parts = []part{{span: spans[0]}}
	case len(spans) > 1:
		r.parts, r.kind = multipartOf(spans, p.length(), res.kind)
	}
}

// length returns that of the body.
func (r *outcome) length() int64 {
	if r.parts != nil {
		return lengthOf(r.parts)
	}
	return r.rep.length()
}

// send answers, and gives away what r holds. t is needed if there is a file.
func (r *outcome) send(f *Files, x *loop.Exchange, t *fetch) {
	switch r.status {
	case 200, 206:
		r.describeTo(x)
		kind := r.res.kind
		if r.kind != "" {
			kind = r.kind
		}
		_ = x.SetHeader("content-type", kind)
		_ = x.SetHeader("x-content-type-options", "nosniff")
		if r.rep.coding != identity {
			_ = x.SetHeader("content-encoding", codingNames[r.rep.coding])
		}
		if len(r.parts) == 1 {
			_ = x.SetHeader("content-range", contentRange(r.parts[0].span, r.rep.length()))
		}
		r.sendBody(f, x, t)
		return
	case 304:
		r.describeTo(x)
		_ = x.Send(304, nil)
		return
	}
	if r.res != nil && r.res.negotiated {
		_ = x.AddHeader("vary", "accept-encoding")
	}
	switch r.status {
	case 403:
		sendText(x, 403, "403 forbidden")
	case 404:
		sendText(x, 404, notFound)
	case 406:
		sendText(x, 406, "Not Acceptable")
	case 412:
		sendText(x, 412, "Precondition Failed")
	case 416:
		_ = x.SetHeader("content-range", "bytes */"+decimal(r.rep.length()))
		sendText(x, 416, "Range Not Satisfiable")
	case 503:
		sendBusy(x)
	default:
		sendText(x, 500, "Internal Server Error")
	}
}

// describeTo says what is the same in 200, 206 and 304.
func (r *outcome) describeTo(x *loop.Exchange) {
	if !r.rep.made {
		_ = x.SetHeader("accept-ranges", "bytes")
	}
	_ = x.SetHeader("etag", r.rep.etag)
	_ = x.SetHeader("last-modified", r.res.lastModified)
	if r.res.negotiated {
		_ = x.AddHeader("vary", "accept-encoding") // beside what else the application says
	}
	if r.res.cacheControl != "" {
		_ = x.SetHeader("cache-control", r.res.cacheControl)
	}
}

func (r *outcome) sendBody(f *Files, x *loop.Exchange, t *fetch) {
	b, c, file := r.blob, r.chunk, r.file
	r.blob, r.chunk, r.file = nil, nil, nil
	switch {
	case file != nil:
		parts := r.parts
		if parts == nil {
			parts = []part{{span: span{0, r.rep.length()}}}
		}
		_ = x.SendSource(r.status, lengthOf(parts), newBody(f, t.async, file, parts))
	case c != nil:
		_ = x.SendOwned(r.status, c.p, func() { f.buffers.put(c) })
	case b != nil && r.parts == nil:
		_ = x.SendOwned(r.status, b.p, b.release)
	case b != nil && len(r.parts) == 1:
		s := r.parts[0]
		_ = x.SendOwned(r.status, b.p[s.start:s.end()], b.release)
	case b != nil:
		src := &blobSource{b: b, parts: r.parts}
		_ = x.SendSource(r.status, lengthOf(r.parts), src)
	case x.Method() == "HEAD":
		_ = x.SetHeader("content-length", decimal(r.length()))
		_ = x.Send(r.status, nil)
	default:
		_ = x.Send(r.status, nil)
	}
}

// A blobSource is several parts of contents that are in memory.
type blobSource struct {
	b     *blob
	parts []part
}

// Pull returns what is next of a part.
func (s *blobSource) Pull(most int) (p []byte, end bool, err error) {
	at := &s.parts[0]
	if len(at.lead) > 0 {
		p, at.lead = at.lead, nil
	} else {
		n := min(at.length, int64(max(most, 1)))
		p = s.b.p[at.start:][:n]
		at.start, at.length = at.start+n, at.length-n
	}
	if at.length == 0 {
		s.parts = s.parts[1:]
	}
	return p, len(s.parts) == 0, nil
}

// Release gives the contents back.
func (s *blobSource) Release() { s.b.unref() }

// slashed returns where a directory that was asked for as path, without a
// slash behind it, is found.
func slashed(path, query string) string {
	// Two slashes, or what a browser takes for them, would begin a host.
	to := "/" + strings.TrimLeft(path, "/\\") + "/"
	to = strings.ReplaceAll(to, "\\", "%5C")
	if query != "" {
		to += "?" + query
	}
	var b strings.Builder
	for i := range len(to) {
		if to[i] < 0x80 {
			b.WriteByte(to[i])
		} else {
			b.WriteString(url.PathEscape(to[i : i+1])) // a field value is ASCII
		}
	}
	return b.String()
}
