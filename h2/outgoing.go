package h2

import "fmt"

// CheckField returns an error that says why a response may not have the field,
// or nil: the name must be a token in lower case and no pseudo-header field, the
// value must have no control octets and no space at its ends, and fields that
// are about a connection have no place in HTTP/2 (RFC 9113, Sections 8.2.1 and
// 8.2.2).
func CheckField(name, value string) error {
	switch {
	case !validFieldName(name):
		return fmt.Errorf("h2: field name %q is empty, upper case or no token", name)
	case !validFieldValue(value):
		return fmt.Errorf("h2: value %q of field %s has a control octet, or space at an end", value, name)
	}
	switch name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return fmt.Errorf("h2: field %s is about a connection, and is not allowed in HTTP/2", name)
	}
	return nil
}
