package loop

import (
	"net/http"
	"net/textproto"
	"strings"
)

// lowerNames has the names that net/http's handlers set most often.
var lowerNames = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{
		"accept-ranges", "access-control-allow-credentials", "access-control-allow-headers",
		"access-control-allow-methods", "access-control-allow-origin", "access-control-expose-headers",
		"access-control-max-age", "age", "allow", "alt-svc", "cache-control", "content-disposition",
		"content-encoding", "content-language", "content-length", "content-location", "content-range",
		"content-security-policy", "content-type", "date", "etag", "expires", "grpc-encoding", "grpc-message",
		"grpc-status", "grpc-status-details-bin", "last-modified", "link", "location", "pragma",
		"proxy-authenticate", "referrer-policy", "refresh", "retry-after", "server", "set-cookie",
		"strict-transport-security", "trailer", "transfer-encoding", "vary", "via", "www-authenticate",
		"x-content-type-options", "x-forwarded-for", "x-frame-options", "x-request-id", "x-xss-protection",
	} {
		names[http.CanonicalHeaderKey(name)] = name
	}
	return names
}()

// lowerName returns name in lower case, most often without an allocation.
func lowerName(name string) string {
	if lower, ok := lowerNames[name]; ok {
		return lower
	}
	return strings.ToLower(name)
}

// trimValue returns v without white space at its ends, as net/http sends it.
func trimValue(v string) string { return textproto.TrimString(v) }

// cutTrailerPrefix returns the name of the trailer that key stands for, if it does.
func cutTrailerPrefix(key string) (name string, ok bool) {
	name, ok = strings.CutPrefix(key, http.TrailerPrefix)
	return name, ok
}
