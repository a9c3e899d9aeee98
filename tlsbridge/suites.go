package tlsbridge

import (
	"crypto/tls"
	"slices"
)

// suitesTLS12 are the cipher suites of TLS 1.2 that crypto/tls has and HTTP/2
// allows: those with ephemeral keys and an AEAD. RFC 9113, Section 9.2.2.
var suitesTLS12 = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// AllowedForHTTP2 reports whether HTTP/2 may use a version of TLS with a cipher
// suite: TLS 1.3 with any of its suites, and TLS 1.2 with the suites of crypto/tls
// that are not in Appendix A of RFC 9113. A server may treat another suite as a
// connection error INADEQUATE_SECURITY. RFC 9113, Sections 9.2 and 9.2.2.
func AllowedForHTTP2(version, suite uint16) bool {
	switch {
	case version > tls.VersionTLS12:
		return true
	case version == tls.VersionTLS12:
		return slices.Contains(suitesTLS12, suite)
	default:
		return false
	}
}
