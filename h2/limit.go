package h2

// A Limit is a bound that a peer can run into. [Shared.Crossed] counts how often
// each was.
type Limit uint8

const (
	LimitStreams       Limit = iota // concurrent streams
	LimitWork                       // requests whose stream has closed and whose work goes on
	LimitHeaderList                 // a decoded header list, answered with 431
	LimitHeaderBlock                // an encoded header block, or one string of it
	LimitContinuations              // CONTINUATION frames of one block
	LimitUnread                     // request bodies that nobody has consumed, of the process
	LimitResets                     // resets that the peer caused
	LimitAnswers                    // control frames that the peer makes us queue
	LimitNoise                      // frames of no use
	LimitHeaderTime                 // a header section that takes too long to come
	LimitBodyIn                     // a request body that comes too slowly
	LimitBodyOut                    // a response body that is taken too slowly
	LimitKeepAlive                  // no answer to PING
	NumLimits
)

var limitNames = [NumLimits]string{
	LimitStreams:       "streams",
	LimitWork:          "work",
	LimitHeaderList:    "header_list",
	LimitHeaderBlock:   "header_block",
	LimitContinuations: "continuations",
	LimitUnread:        "unread_bodies",
	LimitResets:        "resets",
	LimitAnswers:       "answers",
	LimitNoise:         "noise",
	LimitHeaderTime:    "header_time",
	LimitBodyIn:        "body_in",
	LimitBodyOut:       "body_out",
	LimitKeepAlive:     "keepalive",
}

// String returns the limit's name in metrics.
func (l Limit) String() string { return limitNames[l] }
