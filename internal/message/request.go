package message

import "golang.org/x/net/http2/hpack"

// A Field is one header or trailer field.
type Field = hpack.HeaderField

// A Request is what a client asks for. Its strings are safe for ever; its slices
// are good until the handler has learned that the exchange is over.
type Request struct {
	Method    string
	Scheme    string
	Authority string // :authority or an absolute target's, or the Host field where there is none
	Path      string // with the query
	Protocol  string // of extended CONNECT (RFC 8441) or of Upgrade, else empty

	Fields        []Field // in order, names in lower case, without pseudo-header fields; see ReadFields
	Trailers      []Field
	ContentLength int64 // -1 if the peer did not say

	// Late, unless it is nil, has the fields in place of Fields. Most answers need
	// none of them, and their strings cost more than to see that they are well-formed.
	Late LateFields
}

// LateFields make the fields of a request when somebody asks for them.
type LateFields interface {
	// AppendFields appends them to dst.
	AppendFields(dst []Field) []Field
}

// ReadFields returns Fields, which it makes first if that was put off.
func (r *Request) ReadFields() []Field {
	if late := r.Late; late != nil {
		r.Late, r.Fields = nil, late.AppendFields(r.Fields[:0])
	}
	return r.Fields
}

// MaxKeptFields bounds the slices that [Request.Reset] keeps.
const MaxKeptFields = 64

// Reset makes r as good as new, keeping the memory of its slices.
func (r *Request) Reset() {
	*r = Request{Fields: EmptiedFields(r.Fields), Trailers: EmptiedFields(r.Trailers)}
}

// EmptiedFields returns f without its fields, to be used again, or nil if it is large.
func EmptiedFields(f []Field) []Field {
	if cap(f) > MaxKeptFields {
		return nil
	}
	clear(f)
	return f[:0]
}

// Field returns the value of the first field with name, which is in lower case,
// or "".
func (r *Request) Field(name string) string {
	fields := r.ReadFields()
	for i := range fields {
		if fields[i].Name == name {
			return fields[i].Value
		}
	}
	return ""
}
