package h1

// A Limit is a bound that a peer can run into, or a rule that it breaks.
// [Shared.Crossed] counts how often each was.
type Limit uint8

const (
	LimitBadRequest      Limit = iota // no limit: the request is malformed
	LimitRequestLine                  // a request line, answered with 414
	LimitHeaderList                   // a header or trailer section, answered with 431
	LimitHeaderFields                 // its field lines, answered with 431
	LimitChunkExtensions              // of one chunk, or of one body
	LimitHeld                         // octets that come although reading should pause
	LimitUnread                       // request bodies that nobody has consumed, of the process
	LimitSkipped                      // what follows of a body whose request was answered
	LimitHeaderTime                   // a header section that takes too long to come
	LimitBodyIn                       // a request body that comes too slowly
	NumLimits
)

var limitNames = [NumLimits]string{
	LimitBadRequest:      "bad_request",
	LimitRequestLine:     "request_line",
	LimitHeaderList:      "header_list",
	LimitHeaderFields:    "header_fields",
	LimitChunkExtensions: "chunk_extensions",
	LimitHeld:            "held",
	LimitUnread:          "unread_bodies",
	LimitSkipped:         "skipped_body",
	LimitHeaderTime:      "header_time",
	LimitBodyIn:          "body_in",
}

// String returns the limit's name in metrics.
func (l Limit) String() string { return limitNames[l] }
