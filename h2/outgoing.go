package h2

import "github.com/h2loop/h2loop/internal/message"

// CheckField returns an error that says why a response may not have the field,
// or nil: the name must be a token in lower case and no pseudo-header field, the
// value must have no control octets and no space at its ends, and fields that
// are about a connection have no place in HTTP/2 (RFC 9113, Sections 8.2.1 and
// 8.2.2).
func CheckField(name, value string) error { return message.CheckField(name, value) }
