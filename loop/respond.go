package loop

import (
	"bytes"
	"slices"
	"strings"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/internal/message"
)

// A Source yields a response body piece by piece; see [Exchange.SendSource].
type Source interface {
	// Pull returns the next piece, of about max octets at most; end says
	// that it is the last. It is called on the loop, only when there is room
	// to send, and must not block. The piece is lent until the next call of
	// Pull or Release. An empty piece without end means that nothing is
	// ready: the source is asked again after [Async.Resume]. An error resets
	// the stream, so that the client does not take the body for complete.
	Pull(max int) (p []byte, end bool, err error)

	// Release is called exactly once, on the loop, when the last octet was
	// sent or the stream died.
	Release()
}

// SetHeader sets a field of the response in place of any of that name. It
// refuses, and leaves the response as it is, a name or value that may not be
// sent: see [h2.CheckField].
func (x *Exchange) SetHeader(name, value string) error {
	name = strings.ToLower(name)
	if err := x.mayHave(name, value); err != nil {
		return err
	}
	for i := range x.fields {
		if x.fields[i].Name == name {
			x.fields[i].Value = value
			return nil
		}
	}
	x.fields = append(x.fields, message.Field{Name: name, Value: value})
	return nil
}

// AddHeader adds a field to the response beside any of that name.
func (x *Exchange) AddHeader(name, value string) error {
	name = strings.ToLower(name)
	if err := x.mayHave(name, value); err != nil {
		return err
	}
	x.fields = append(x.fields, message.Field{Name: name, Value: value})
	return nil
}

// mayHave says why the response cannot have a field. The fields of a dead
// exchange are those of the next one: nothing may stick to them.
func (x *Exchange) mayHave(name, value string) error {
	switch {
	case x.isDead():
		return ErrClosed
	case x.answered:
		return ErrAnswered
	default:
		return message.CheckField(name, value)
	}
}

// DelHeader removes the fields of that name from the response.
func (x *Exchange) DelHeader(name string) error {
	switch {
	case x.isDead():
		return ErrClosed
	case x.answered:
		return ErrAnswered
	}
	name = strings.ToLower(name)
	x.fields = slices.DeleteFunc(x.fields, func(f message.Field) bool { return f.Name == name })
	return nil
}

// Answered reports whether the response has begun, or is over.
func (x *Exchange) Answered() bool {
	return x.answered || x.isDead() || x.off != nil && x.off.of.isOver()
}

// SendString answers with s, as text unless a content-type is set. It copies s.
func (x *Exchange) SendString(status int, s string) error {
	if err := x.mayAnswer(status); err != nil {
		return err
	}
	x.setDefaultType("text/plain; charset=utf-8")
	if x.off != nil {
		return x.handOver(true, func(y *Exchange) {
			if y != nil {
				_ = y.SendString(status, s)
			}
		})
	}
	if err := x.begin(status, int64(len(s))); err != nil {
		return err
	}
	if x.isEmpty(status) {
		return nil
	}
	return x.writeWhole(stringOctets(s), nil)
}

// setDefaultType sets content-type unless it is set.
func (x *Exchange) setDefaultType(value string) {
	for i := range x.fields {
		if x.fields[i].Name == "content-type" {
			return
		}
	}
	x.fields = append(x.fields, message.Field{Name: "content-type", Value: value})
}

// Send answers with body. It copies body.
func (x *Exchange) Send(status int, body []byte) error {
	if x.off != nil {
		return x.SendStatic(status, bytes.Clone(body))
	}
	if err := x.begin(status, int64(len(body))); err != nil || x.isEmpty(status) {
		return err
	}
	if len(x.trailers) > 0 {
		return x.writeWhole(bytes.Clone(body), nil)
	}
	return x.conn.protocol.write(x, body, true)
}

// SendStatic answers with body, whose octets never change: they are referenced
// until they are sent.
func (x *Exchange) SendStatic(status int, body []byte) error {
	if x.off != nil {
		if err := x.mayAnswer(status); err != nil {
			return err
		}
		return x.handOver(true, func(y *Exchange) {
			if y != nil {
				_ = y.SendStatic(status, body)
			}
		})
	}
	if err := x.begin(status, int64(len(body))); err != nil || x.isEmpty(status) {
		return err
	}
	return x.writeWhole(body, nil)
}

// SendOwned answers with body, which it takes. release is called exactly once,
// on the loop, when the last octet was sent or will not be, whatever SendOwned
// returns.
func (x *Exchange) SendOwned(status int, body []byte, release func()) error {
	if x.off != nil {
		return x.handOverOwned(status, release, func(y *Exchange) { _ = y.SendOwned(status, body, release) })
	}
	if err := x.begin(status, int64(len(body))); err != nil || x.isEmpty(status) {
		release()
		return err
	}
	return x.writeWhole(body, x.newOwnedBody(release))
}

// SendSource answers with what src yields, which must be length octets in all;
// -1 means that the length is not known. It takes src until its Release, which
// is called whatever SendSource returns.
func (x *Exchange) SendSource(status int, length int64, src Source) error {
	if x.off != nil {
		return x.handOverOwned(status, src.Release, func(y *Exchange) { _ = y.SendSource(status, length, src) })
	}
	if err := x.begin(status, length); err != nil || x.isEmpty(status) {
		src.Release()
		return err
	}
	return x.conn.protocol.writeSource(x, &appSource{src, x, x.conn.loop, x.match.Pattern, max(length, -1)})
}

// writeWhole sends body, which is all of it, and the trailers. It takes body until
// rel, if there is one, is released.
func (x *Exchange) writeWhole(body []byte, rel message.Releaser) error {
	if len(x.trailers) == 0 {
		return x.conn.protocol.writeRegion(x, body, rel, true)
	}
	if err := x.conn.protocol.writeRegion(x, body, rel, false); err != nil {
		return err
	}
	return x.writeTrailers()
}

// Reset ends the exchange at once: the client sees RST_STREAM with code.
func (x *Exchange) Reset(code frames.ErrCode) error {
	if x.isDead() {
		return ErrClosed
	}
	if x.off != nil {
		return x.tell(func(y *Exchange) { _ = y.Reset(code) })
	}
	x.conn.loop.touch(x.conn)
	x.conn.protocol.reset(x, code)
	return nil
}

// isEmpty reports whether the answer that begin has begun has no body.
func (x *Exchange) isEmpty(status int) bool {
	return x.request == nil || x.request.Method == "HEAD" || hasNoBody(status)
}

func hasNoBody(status int) bool { return status == 204 || status == 304 }

// begin sends the header section of a response of length octets, -1 if that is
// not known, and ends the response with it if there is to be no body.
func (x *Exchange) begin(status int, length int64) error {
	if err := x.mayAnswer(status); err != nil {
		return err
	}
	x.answered, x.status = true, status
	if len(x.trailers) > 0 {
		length = -1 // HTTP/1.1 has a place for trailers only then
	}
	x.complete(status, length)
	x.conn.loop.touch(x.conn)
	return x.conn.protocol.writeHeaders(x, status, x.fields, x.isEmpty(status))
}

// mayAnswer says why there cannot be an answer with status.
func (x *Exchange) mayAnswer(status int) error {
	switch {
	case x.isDead():
		return ErrClosed
	case x.answered:
		return ErrAnswered
	case status < 200 || status > 999:
		return ErrStatus
	case x.off != nil && x.off.of.isOver():
		return ErrClosed
	default:
		return nil
	}
}

// complete adds content-length and date. What the callback itself has said of
// the length holds where there is no body to contradict it, as for HEAD.
func (x *Exchange) complete(status int, length int64) {
	l := x.conn.loop
	hasLength, hasDate := length < 0 || hasNoBody(status), false
	for i := 0; i < len(x.fields); i++ {
		switch x.fields[i].Name {
		case "date":
			hasDate = true
		case "content-type":
			if isLongLived(x.fields[i].Value) {
				x.conn.protocol.setLongLived(x)
			}
		case "content-length":
			if status != 204 && x.isEmpty(status) {
				hasLength = true
				continue
			}
			x.fields = slices.Delete(x.fields, i, i+1)
			i--
		}
	}
	if !hasLength {
		x.fields = append(x.fields, message.Field{Name: "content-length", Value: l.lengthText(length)})
	}
	if !hasDate {
		x.fields = append(x.fields, message.Field{Name: "date", Value: l.date})
	}
}

// isLongLived reports whether a response of a type is one in which little may
// happen for long.
func isLongLived(contentType string) bool {
	return strings.HasPrefix(contentType, "text/event-stream") || strings.HasPrefix(contentType, "application/grpc")
}

// LongLived frees the exchange of the timeouts for bodies that come, or are taken,
// too slowly: see [h2.Config]. Responses of gRPC and of type text/event-stream, CONNECT,
// and requests of gRPC until the response begins, are free of them anyway.
func (x *Exchange) LongLived() {
	switch {
	case x.isDead():
	case x.off != nil:
		_ = x.tell((*Exchange).LongLived)
	default:
		x.conn.protocol.setLongLived(x)
	}
}

func (x *Exchange) dropFields() {
	clear(x.fields)
	x.fields = x.fields[:0]
	x.trailers = nil
}
