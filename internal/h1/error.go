package h1

import (
	"errors"
	"strconv"

	"github.com/h2loop/h2loop/internal/message"
)

// An Error is what a peer has done wrong. It ends the connection.
type Error struct {
	Status  int    // that answers it; 0 for none
	Reason  string // in the body of that answer
	Section string // of RFC 9112, unless it names another; or empty

	limit Limit
}

// Error says what was wrong, and which rule says so.
func (e *Error) Error() string {
	s := "h1: " + e.Reason
	switch {
	case e.Section == "":
	case e.Section[0] == 'R':
		s += " (" + e.Section + ")"
	default:
		s += " (RFC 9112, Section " + e.Section + ")"
	}
	return s
}

// bad returns the error of a request that is malformed.
func bad(reason, section string) *Error {
	return &Error{Status: 400, Reason: reason, Section: section}
}

// Errors that [Handler.Closed] reports besides an [Error].
var (
	ErrConnClosed = errors.New("h1: connection closed")
	ErrReset      = errors.New("h1: response cut off by the application")
	ErrTimeout    = errors.New("h1: the peer was too slow")
	ErrShort      = errors.New("h1: the response is shorter than its content-length")
)

// fail ends the connection for what the peer has done: with an answer, if there
// is a request that has none, or would have been one. It returns e as an error.
func (c *Conn) fail(e *Error) error {
	if c.life >= lifeFinished {
		return e
	}
	c.shared.Crossed[e.limit]++
	var err error = e
	if e.limit == LimitBodyIn {
		err = ErrTimeout
	}
	if s := c.stream; s != nil && s.answered {
		c.cut(err)
		return e
	}
	if e.Status != 0 && (c.stream != nil || c.recv.phase == phaseHead) {
		c.refuse(e)
	}
	c.finish(err)
	return e
}

// refuse answers on behalf of the application, which may never see the request.
func (c *Conn) refuse(e *Error) {
	text := e.Reason + "\n"
	fields := [5]message.Field{
		{Name: "content-type", Value: "text/plain; charset=utf-8"},
		{Name: "content-length", Value: strconv.Itoa(len(text))},
	}
	n := 2
	if c.shared.Date != "" {
		fields[n] = message.Field{Name: "date", Value: c.shared.Date}
		n++
	}
	if e.Status == 503 {
		fields[n] = message.Field{Name: "retry-after", Value: "10"}
		n++
	}
	fields[n] = message.Field{Name: "connection", Value: "close"}
	o := c.outbox()
	o.scratch = appendStatusLine(o.scratch, e.Status)
	for _, f := range fields[:n+1] {
		o.scratch = appendField(o.scratch, f)
	}
	o.scratch = append(o.scratch, "\r\n"...)
	isHead := c.recv.line.method == "HEAD"
	if c.stream != nil {
		isHead = c.stream.Request.Method == "HEAD"
	}
	if isHead {
		text = ""
	}
	o.scratch = append(o.scratch, text...)
	if c.stream != nil {
		c.stream.sent += int64(len(text))
	}
	if r, ok := c.handler.(Refuser); ok {
		r.Refused(c.stream, e.Status, len(text), e)
	}
}
