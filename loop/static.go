package loop

import (
	"unsafe"

	"github.com/h2loop/h2loop/internal/message"
)

// Static returns a handler that always gives the same answer: what can be
// decided beforehand is. body must never change. It panics if contentType
// cannot be sent, or status is no final one.
func Static(status int, contentType string, body []byte) Handler {
	fields := []message.Field{{Name: "content-type", Value: contentType}}
	if err := message.CheckField(fields[0].Name, contentType); err != nil {
		panic("loop: Static: " + err.Error())
	}
	if status < 200 || status > 999 {
		panic("loop: Static: " + ErrStatus.Error())
	}
	if hasNoBody(status) {
		fields = nil
	}
	answer := func(x *Exchange) {
		x.fields = append(x.fields, fields...)
		_ = x.SendStatic(status, body)
	}
	return func(x *Exchange) { x.AfterBody(answer) }
}

// stringOctets lends the octets of s. Nobody writes to them: regions are only
// ever read.
func stringOctets(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s))
}
