package loop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// SendJSON answers with v as JSON. If v cannot be encoded, the error says so and
// nothing is answered.
func (x *Exchange) SendJSON(status int, v any) error {
	if err := x.mayAnswer(status); err != nil {
		return err
	}
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("loop: %w", err)
	}
	x.setDefaultType("application/json")
	return x.SendStatic(status, body) // which nobody else has
}

// SendError answers with text and a line feed, as [http.Error] does: fields that
// were set for a body of another kind are left out.
func (x *Exchange) SendError(status int, text string) error {
	if err := x.mayAnswer(status); err != nil {
		return err
	}
	for _, name := range []string{"content-length", "content-encoding", "etag", "last-modified", "cache-control"} {
		_ = x.DelHeader(name)
	}
	_ = x.SetHeader("content-type", "text/plain; charset=utf-8")
	_ = x.SetHeader("x-content-type-options", "nosniff")
	return x.SendString(status, text+"\n")
}

// Redirect answers with a status from 300 to 399 that leads to a URL, or to a
// reference that is relative to that of the request. It refuses one that cannot
// be sent.
func (x *Exchange) Redirect(status int, url string) error {
	if status < 300 || status > 399 {
		return ErrStatus
	}
	if err := x.SetHeader("location", escapeNonASCII(url)); err != nil {
		return err
	}
	return x.Send(status, nil)
}

// escapeNonASCII returns s with percent-encoding for what has no place in a URL
// that is a field value.
func escapeNonASCII(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < 0x80 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// SetCookie adds a cookie to the response. It refuses one that is not valid.
func (x *Exchange) SetCookie(c *http.Cookie) error {
	if err := c.Valid(); err != nil {
		return err
	}
	return x.AddHeader("set-cookie", c.String())
}
