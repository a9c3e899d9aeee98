package loop

import (
	"net"
	"strconv"

	"github.com/h2loop/h2loop/internal/route"
)

// redirectHTTPS sends a client to the same place over TLS.
func redirectHTTPS(x *Exchange) {
	host := hostOf(x.Host())
	if host == "" || x.Path() == "*" || x.Method() == "CONNECT" {
		x.AfterBody(noPlaceOverTLS)
		return
	}
	if port := int(x.conn.ln.redirectHTTPS.Load()); port != 443 {
		host = net.JoinHostPort(host, strconv.Itoa(port))
	} else if isIPv6(host) {
		host = "[" + host + "]"
	}
	location := route.Location("https://"+host+x.Path(), x.RawQuery())
	x.AfterBody(func(x *Exchange) {
		// 308 keeps the method; 301 is understood by everybody, and enough for
		// methods that have no body (RFC 9110, Sections 15.4.2 and 15.4.9).
		status := 308
		if x.Method() == "GET" || x.Method() == "HEAD" {
			status = 301
		}
		_ = x.SetHeader("location", location)
		_ = x.SendError(status, "This server is at "+location)
	})
}

func noPlaceOverTLS(x *Exchange) {
	_ = x.SendError(400, "Bad Request: this port only tells where the same is over TLS, and the request does not say what")
}

// hostOf returns an authority without its port, and an IPv6 address without its
// brackets.
func hostOf(authority string) string {
	if host, _, err := net.SplitHostPort(authority); err == nil {
		return host
	}
	if n := len(authority); n > 2 && authority[0] == '[' && authority[n-1] == ']' {
		return authority[1 : n-1]
	}
	return authority
}

func isIPv6(host string) bool { return net.ParseIP(host) != nil && net.ParseIP(host).To4() == nil }
