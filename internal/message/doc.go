// Package message has what HTTP messages are made of in any version of HTTP: a
// request, fields and what they may consist of, and the bodies of responses. The
// engines of both versions speak in its types, so that who uses them need not
// know which one it is.
package message
