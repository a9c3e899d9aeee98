package loop

import (
	"net/http"
	"net/url"
	"strings"
)

// Proto returns the version of HTTP that the request came in: "HTTP/2.0",
// "HTTP/1.1" or "HTTP/1.0".
func (x *Exchange) Proto() string {
	switch {
	case x.refused != "":
		return x.refused
	case x.isDead():
		return ""
	case x.off != nil:
		return x.off.version
	}
	return x.conn.protocol.version(x)
}

// Query returns the query, parsed. It is parsed once, and the map is that of the
// exchange; pairs that are malformed are left out.
func (x *Exchange) Query() url.Values {
	if x.values == nil {
		values, _ := url.ParseQuery(x.query)
		if x.isDead() {
			return values // nothing may stick to a dead exchange
		}
		x.values = values
	}
	return x.values
}

// HeaderValues returns the values of the request fields of that name, in order.
// The name is matched without regard to case.
func (x *Exchange) HeaderValues(name string) (values []string) {
	fields := x.seen().ReadFields()
	for i := range fields {
		if len(fields[i].Name) == len(name) && strings.EqualFold(fields[i].Name, name) {
			values = append(values, fields[i].Value)
		}
	}
	return values
}

// Cookies returns the cookies of the request, as net/http parses them: what is
// malformed is left out.
func (x *Exchange) Cookies() []*http.Cookie { return x.cookieRequest().Cookies() }

// Cookie returns the first cookie of that name, or [http.ErrNoCookie].
func (x *Exchange) Cookie(name string) (*http.Cookie, error) { return x.cookieRequest().Cookie(name) }

func (x *Exchange) cookieRequest() *http.Request {
	return &http.Request{Header: http.Header{"Cookie": x.HeaderValues("cookie")}}
}
