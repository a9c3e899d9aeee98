package loop

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/internal/message"
)

var (
	_ http.Flusher    = (*httpCall)(nil)
	_ io.StringWriter = (*httpCall)(nil)
	_ io.ReaderFrom   = (*httpCall)(nil)
)

// Header returns the header of the response, and of its trailers.
func (c *httpCall) Header() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.header == nil {
		c.header = http.Header{}
	}
	return c.header
}

// WriteHeader decides the status, and what the header section is to be; or sends an
// interim response.
func (c *httpCall) WriteHeader(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.returned {
		return
	}
	if c.hijacked.Load() != nil {
		c.logMisuse("WriteHeader on a hijacked connection")
		return
	}
	if c.status != 0 {
		c.logMisuse("superfluous WriteHeader")
		return
	}
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status)) // the words of net/http
	}
	if status < 200 && (status != http.StatusSwitchingProtocols || c.request.ProtoMajor != 1) {
		c.inform(status)
		return
	}
	c.decide(status)
}

// logMisuse says what the handler has done, and where.
func (c *httpCall) logMisuse(what string) {
	event := c.srv.log.Warn().Str("pattern", c.pattern)
	if _, file, line, ok := runtime.Caller(2); ok {
		event = event.Str("caller", path.Base(file)+":"+strconv.Itoa(line))
	}
	event.Msg(what)
}

// decide fixes the header section. mu is held.
func (c *httpCall) decide(status int) {
	c.status = status
	if status == http.StatusSwitchingProtocols {
		c.scratch.body = c.appendSwitch(c.scratch.body[:0]) // for Hijack
		return
	}
	if values := c.header["Content-Length"]; len(values) > 0 && values[0] != "" {
		n, err := strconv.ParseInt(values[0], 10, 64)
		if err == nil && n >= 0 {
			c.length = n
		} else {
			c.srv.log.Warn().Str("pattern", c.pattern).Str("value", values[0]).Msg("invalid content-length left out")
		}
	}
	s := c.scratch
	s.fields = c.appendFields(s.fields[:0], true)
}

// appendFields appends the header as fields, those of one name behind one another and
// the names in order, so that like responses are like octets. What cannot be sent is
// left out. final says that this is for the answer, of which more is to be known.
func (c *httpCall) appendFields(fields []message.Field, final bool) []message.Field {
	names := c.scratch.names[:0]
	for key := range c.header {
		names = append(names, key)
	}
	if len(names) > 1 {
		slices.Sort(names)
	}
	c.scratch.names = names
	for _, key := range names {
		values := c.header[key]
		name := lowerName(key)
		if !c.takesField(key, name, values, final) {
			continue
		}
		for _, v := range values {
			v = trimValue(v)
			if !message.IsFieldValue(v) {
				c.srv.log.Warn().Str("pattern", c.pattern).Str("field", key).Msg("field with a control octet left out")
				continue
			}
			fields = append(fields, message.Field{Name: name, Value: v})
		}
	}
	if final && c.length >= 0 && c.status != 204 {
		fields = append(fields, message.Field{Name: "content-length", Value: strconv.FormatInt(c.length, 10)})
	}
	return fields
}

// takesField reports whether the fields of a name are to be sent, and notes what they
// say to the adapter.
func (c *httpCall) takesField(key, name string, values []string, final bool) bool {
	switch name {
	case "content-length":
		return false
	case "connection":
		c.head.closes = c.head.closes || final && len(values) > 0 && strings.EqualFold(values[0], "close")
		return false
	case "trailer":
		if final {
			c.declareTrailers(values)
		}
	case "date":
		c.head.hasDate = true
	case "content-type":
		c.head.hasType = true
		c.head.long = len(values) > 0 && isLongLived(values[0])
	case "content-encoding":
		c.head.encoded = len(values) > 0 && values[0] != ""
	}
	if strings.HasPrefix(key, http.TrailerPrefix) {
		c.head.announce = c.head.announce || final
		return false
	}
	return message.IsFieldName(name) && !message.IsConnectionField(name)
}

// declareTrailers notes the names in Trailer fields.
func (c *httpCall) declareTrailers(lists []string) {
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			name = http.CanonicalHeaderKey(trimValue(name))
			if name != "" && message.CheckTrailer(lowerName(name), "") == nil && !slices.Contains(c.trailers, name) {
				c.trailers = append(c.trailers, name)
			}
		}
	}
	c.head.announce = true
}

// inform sends an interim response. mu is held.
func (c *httpCall) inform(status int) {
	if status == http.StatusSwitchingProtocols {
		c.logMisuse("WriteHeader(101), which there is not over HTTP/2")
		return
	}
	fields := c.appendFields(nil, false)
	c.head = headTraits{}
	_ = c.of.loop.post(func() {
		if c.of.isOver() {
			return
		}
		x := c.of.x
		c.continued = c.continued || status == http.StatusContinue
		x.calls++
		c.of.loop.touch(x.conn)
		_ = x.conn.protocol.writeHeaders(x, status, fields, false)
		x.leave()
	})
}

// Write writes p, which it copies, to the body.
func (c *httpCall) Write(p []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mayWrite(len(p)); err != nil || len(p) == 0 {
		return 0, err
	}
	return c.write(p)
}

// WriteString is Write for a string.
func (c *httpCall) WriteString(p string) (n int, err error) { return c.Write(stringOctets(p)) }

// mayWrite says why n octets cannot be written. mu is held.
func (c *httpCall) mayWrite(n int) error {
	if c.returned {
		return errReturned
	}
	if c.hijacked.Load() != nil {
		return http.ErrHijacked
	}
	if c.status == 0 {
		c.decide(http.StatusOK)
	}
	switch {
	case n == 0:
		return nil
	case hasNoBody(c.status), c.status == http.StatusSwitchingProtocols:
		return http.ErrBodyNotAllowed
	case c.length >= 0 && int64(n) > c.length-c.written:
		return http.ErrContentLength
	}
	return nil
}

// write writes p. mu is held.
func (c *httpCall) write(p []byte) (n int, err error) {
	if c.out == nil {
		s := c.scratch
		if len(s.body)+len(p) <= cap(s.body) {
			s.body = append(s.body, p...)
			c.written += int64(len(p))
			return len(p), nil
		}
		if len(s.body) > 0 {
			n = copy(s.body[len(s.body):cap(s.body)], p)
			s.body = s.body[:len(s.body)+n]
			c.written += int64(n)
		}
		if err := c.stream(p); err != nil {
			return n, err
		}
		p = p[n:]
	}
	if err := c.writeLimit.Err(); err != nil {
		return n, err
	}
	k, err := c.out.WriteContext(&c.writeLimit, p)
	c.written += int64(k)
	if errors.Is(err, ErrClosed) {
		err = c.gone()
	}
	return n + k, err
}

// stream begins the response, which is not kept any more. next is what will be
// written to it if nothing has been so far.
func (c *httpCall) stream(next []byte) error {
	if c.of.isOver() {
		return c.gone()
	}
	s := c.scratch
	c.scratch = nil
	first := s.body
	if len(first) == 0 {
		first = next
	}
	c.detectType(s, first)
	w := &Writer{
		of:    c.of,
		room:  make(chan struct{}, 1),
		gone:  make(chan struct{}),
		left:  -1,
		empty: c.request.Method == http.MethodHead || hasNoBody(c.status),
	}
	w.wake = w.resume
	if len(s.body) > 0 && !w.empty {
		w.buf.write(s.body)
	}
	c.out = w
	if err := c.of.loop.post(func() { c.beginStream(s) }); err != nil {
		s.Release()
		(*writerSource)(w).Release()
		return err
	}
	return nil
}

// detectType finds out the content-type of a body that begins with p, unless it is
// told, or not to be.
func (c *httpCall) detectType(s *httpScratch, p []byte) {
	if len(p) > 0 && !c.head.hasType && !c.head.encoded && !hasNoBody(c.status) {
		s.fields = append(s.fields, message.Field{Name: "content-type", Value: http.DetectContentType(p)})
	}
}

// gone returns why the exchange is over.
func (c *httpCall) gone() error {
	if c.writeLimit.Err() != nil {
		return c.writeLimit.Err()
	}
	return ErrClosed
}

// Flush sends what was written so far.
func (c *httpCall) Flush() { _ = c.FlushError() }

// FlushError is Flush that tells whether anybody listens.
func (c *httpCall) FlushError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.returned {
		return errReturned
	}
	if c.hijacked.Load() != nil {
		return http.ErrHijacked
	}
	if c.status == 0 {
		c.decide(http.StatusOK)
	}
	if c.status == http.StatusSwitchingProtocols {
		return nil // it is Hijack that sends it
	}
	if c.out == nil {
		return c.stream(nil)
	}
	err := c.out.Flush()
	if c.of.isOver() && !c.out.empty {
		err = c.gone()
	}
	if c.isWhole() && errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// isWhole reports whether the response is over with what was written so far. Over HTTP/2 it
// is when the handler returns.
func (c *httpCall) isWhole() bool { return c.request.ProtoMajor == 1 && c.written == c.length }

// finish is called when the handler has returned. mu is held.
func (c *httpCall) finish() {
	switch c.status {
	case 0:
		c.decide(http.StatusOK)
	case http.StatusSwitchingProtocols:
		// The client takes what follows for the other protocol: nothing may.
		c.srv.log.Warn().Str("pattern", c.pattern).Msg("WriteHeader(101) without Hijack")
		if c.aborted = c.hijack() != nil; !c.aborted {
			_ = c.hijacked.Load().Close()
		}
		return
	}
	c.collectTrailers()
	switch {
	case c.out != nil:
		c.out.mu.Lock()
		c.out.trailers = c.last
		c.out.mu.Unlock()
	case c.length > c.written && c.request.Method != http.MethodHead && !hasNoBody(c.status):
		_ = c.stream(nil) // and see that it is too short
	default:
		c.detectType(c.scratch, c.scratch.body)
		c.head.announce = c.head.announce || len(c.last) > 0
	}
}

// copyBuffers are for ReadFrom.
var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// ReadFrom writes what r has. A handler that copies a file needs no buffer of its own.
func (c *httpCall) ReadFrom(r io.Reader) (n int64, err error) {
	buf := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	for {
		k, readErr := r.Read(buf[:])
		if k > 0 {
			k, err = c.Write(buf[:k])
			n += int64(k)
			if err != nil {
				return n, err
			}
		}
		switch {
		case errors.Is(readErr, io.EOF):
			return n, nil
		case readErr != nil:
			return n, readErr
		}
	}
}

// SetReadDeadline bounds the time until the body is read. What has passed is for ever.
func (c *httpCall) SetReadDeadline(at time.Time) error {
	if nc := c.hijacked.Load(); nc != nil {
		return nc.SetReadDeadline(at)
	}
	c.readLimit.set(at, nil)
	return nil
}

// SetWriteDeadline bounds the time until the response is written: if it has not ended
// by then, it is given up.
func (c *httpCall) SetWriteDeadline(at time.Time) error {
	if nc := c.hijacked.Load(); nc != nil {
		return nc.SetWriteDeadline(at)
	}
	c.writeLimit.set(at, c.giveUp)
	return nil
}

// giveUp resets the stream. That is not the end of the handler, which keeps its place:
// see settle.
func (c *httpCall) giveUp() {
	c.onLoop(func(x *Exchange) { x.conn.protocol.reset(x, frames.ErrCodeInternal) })
}

// onLoop has the loop call f, unless the exchange is over by then. Other than [Async.Do]
// it does not learn of that, and so leaves the handler its place.
func (c *httpCall) onLoop(f Handler) {
	_ = c.of.loop.post(func() {
		if c.of.isOver() {
			return
		}
		x := c.of.x
		x.calls++
		c.of.loop.touch(x.conn)
		f(x)
		x.leave()
	})
}

// EnableFullDuplex does nothing: the body may be read while the response is written.
func (c *httpCall) EnableFullDuplex() error { return nil }

// CloseNotify is how one learned of the end of a request before there were contexts.
func (c *httpCall) CloseNotify() <-chan bool {
	told := make(chan bool, 1)
	go func() {
		<-c.ctx.Done()
		told <- true
	}()
	return told
}
