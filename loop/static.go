package loop

import "unsafe"

// Static returns a handler that always gives the same answer. body must never
// change.
func Static(status int, contentType string, body []byte) Handler {
	return func(x *Exchange) {
		_ = x.SetHeader("content-type", contentType)
		_ = x.SendStatic(status, body)
	}
}

// stringOctets lends the octets of s. Nobody writes to them: regions are only
// ever read.
func stringOctets(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s))
}
