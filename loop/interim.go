package loop

import (
	"errors"
	"slices"
	"strings"

	"github.com/h2loop/h2loop/internal/message"
)

// ErrInterim is returned for an interim response whose status is not from 100 to
// 199, or is 101.
var ErrInterim = errors.New("loop: the status of an interim response must be from 100 to 199, and not 101")

// A Field is a name and a value. Names are in lower case.
type Field = message.Field

// Inform sends an interim response with fields of its own: 103 with the links of
// Early Hints, or 102. It may be called any number of times before the answer.
// 100 needs no call: it is sent when the request body is first asked for.
func (x *Exchange) Inform(status int, fields ...Field) error {
	switch {
	case x.isDead():
		return ErrClosed
	case x.answered:
		return ErrAnswered
	case status < 100 || status > 199 || status == 101:
		return ErrInterim
	}
	for i := range fields {
		if err := message.CheckField(fields[i].Name, fields[i].Value); err != nil {
			return err
		}
	}
	if x.off != nil {
		fields = slices.Clone(fields)
		return x.tell(func(y *Exchange) { _ = y.Inform(status, fields...) })
	}
	x.conn.loop.touch(x.conn)
	return x.conn.protocol.writeHeaders(x, status, fields, false)
}

// AddTrailer adds a field to the trailer section of the response, which comes
// behind the body. It may be called until the body has ended: for one that is
// streamed, from within the last Pull of its source. Over HTTP/1.1 there are
// trailers only if the response has begun after the first of them was added, or is
// of unknown length.
func (x *Exchange) AddTrailer(name, value string) error {
	if x.isDead() {
		return ErrClosed
	}
	name = strings.ToLower(name)
	if err := message.CheckTrailer(name, value); err != nil {
		return err
	}
	x.trailers = append(x.trailers, message.Field{Name: name, Value: value})
	return nil
}

// writeTrailers ends the response with the trailers, if there are any.
func (x *Exchange) writeTrailers() error {
	if len(x.trailers) == 0 || x.request == nil {
		return nil
	}
	return x.conn.protocol.writeTrailers(x, x.trailers)
}
