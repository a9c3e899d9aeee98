package tlsbridge

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
)

// TestAllowedForHTTP2 asks for every cipher suite of crypto/tls, and knows those
// that are not in Appendix A of RFC 9113 by their names.
func TestAllowedForHTTP2(t *testing.T) {
	all := slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites())
	for _, s := range all {
		for _, v := range s.SupportedVersions {
			aead := strings.HasSuffix(s.Name, "_GCM_SHA256") || strings.HasSuffix(s.Name, "_GCM_SHA384") || strings.HasSuffix(s.Name, "_CHACHA20_POLY1305_SHA256")
			want := v == tls.VersionTLS13 || v == tls.VersionTLS12 && aead && strings.HasPrefix(s.Name, "TLS_ECDHE_")
			if got := AllowedForHTTP2(v, s.ID); got != want {
				t.Errorf("%s with %s: %v, want %v", tls.VersionName(v), s.Name, got, want)
			}
		}
	}
	for _, s := range suitesTLS12 {
		if AllowedForHTTP2(tls.VersionTLS11, s) || AllowedForHTTP2(tls.VersionTLS10, s) {
			t.Errorf("%s is allowed below TLS 1.2", tls.CipherSuiteName(s))
		}
	}
}

// TestSuites wants prohibited suites chosen only where the tls.Config names them,
// and the bridge to tell.
func TestSuites(t *testing.T) {
	const prohibited = tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA
	named := func() *tls.Config {
		cfg := serverConfig()
		cfg.CipherSuites = []uint16{prohibited}
		return cfg
	}
	behind := func(inner *tls.Config) *tls.Config {
		return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }}
	}
	full := serverConfig()
	full.DynamicRecordSizingDisabled = true // nothing but the suites to be changed
	old := named()
	old.MinVersion = tls.VersionTLS10
	client := clientConfig(tls.VersionTLS12)
	client.CipherSuites = []uint16{prohibited}
	oldClient := clientConfig(tls.VersionTLS10)
	for _, tt := range []struct {
		name           string
		server, client *tls.Config
		complete       bool
		allows         bool
	}{
		{"default", serverConfig(), clientConfig(tls.VersionTLS12), true, true},
		{"TLS 1.3", named(), clientConfig(tls.VersionTLS13), true, true},
		{"default, client of prohibited ones", serverConfig(), client, false, false},
		{"behind GetConfigForClient", behind(full), client, false, false},
		{"named", named(), client, true, false},
		{"named behind GetConfigForClient", behind(named()), client, true, false},
		{"TLS 1.0", old, oldClient, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLink(t, tt.server, tt.client)
			if l.b.AllowsHTTP2() {
				t.Error("allowed before the handshake")
			}
			l.p.start((*tls.Conn).Handshake)
			l.run()
			if got := l.b.HandshakeComplete(); got != tt.complete || l.b.AllowsHTTP2() != tt.allows {
				t.Errorf("complete %v, want %v; allows HTTP/2 %v, want %v; server %v", got, tt.complete, l.b.AllowsHTTP2(), tt.allows, l.err)
			}
			if !tt.complete {
				if err := l.p.result(); err == nil || !strings.Contains(err.Error(), "handshake failure") {
					t.Errorf("client: %v", err)
				}
			}
			l.b.Stop()
			if l.b.AllowsHTTP2() != tt.allows {
				t.Error("it does not stay after Stop")
			}
		})
	}
	if full.CipherSuites != nil {
		t.Error("the caller's configuration was changed")
	}
}
