package loop_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/loop"
)

// hello is a server of one page.
func hello(srv *loop.Server) { srv.Handle("/", loop.Static(200, "text/plain", []byte("hello"))) }

// send writes b, whole or an octet at a time. The server may close meanwhile.
func send(nc net.Conn, b []byte, byByte bool) {
	if !byByte {
		_, _ = nc.Write(b)
		return
	}
	for i := range b {
		if _, err := nc.Write(b[i : i+1]); err != nil {
			return
		}
	}
}

// readAll reads until the server closes, which must not cost octets: a reset
// does.
func readAll(t *testing.T, nc net.Conn) []byte {
	t.Helper()
	b, err := io.ReadAll(nc)
	if err != nil {
		t.Errorf("reading ended with %v after %d octets", err, len(b))
	}
	return b
}

// TestPlaintextOnTLS tells a client that speaks HTTP/1.1 in cleartext what to do
// instead.
func TestPlaintextOnTLS(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, hello)
	for name, request := range map[string]string{
		"GET":     "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"POST":    "POST /some/where HTTP/1.1\r\nHost: example.com\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300000),
		"PUT":     "PUT /p HTTP/1.1\r\n\r\n", // begins like the preface
		"PRI":     "PRI /p HTTP/1.1\r\n\r\n",
		"OPTIONS": "OPTIONS * HTTP/1.1\r\n\r\n",
		"proxy":   "GET http://example.com/ HTTP/1.1\r\n\r\n",
		"HTTP/0":  "GET /\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, byByte := range []bool{false, true} {
				if byByte && len(request) > 1000 {
					continue
				}
				nc := dialAddr(t, "tcp", ts.addr(overTLS))
				send(nc, []byte(request), byByte)
				want400(t, readAll(t, nc), "https://")
			}
		})
	}
}

func want400(t *testing.T, got []byte, says string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(got)), nil)
	if err != nil {
		t.Errorf("%v in %q", err, got)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 400 || !strings.Contains(string(body), says) || !resp.Close {
		t.Errorf("got %q (%v), want 400 that says %q and closes", got, err, says)
	}
}

// TestGarbage sends what is no protocol: the connection is closed, without an
// answer that nobody would understand. What is almost HTTP/1.1 has one.
func TestGarbage(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, hello)
	for name, tt := range map[string]struct {
		octets []byte
		status string // in cleartext; "" for none
	}{
		"zeros":        {make([]byte, 100), ""},
		"random":       {pattern(5000), ""},
		"SSH":          {[]byte("SSH-2.0-OpenSSH_9.9\r\n"), ""},
		"only a space": {[]byte(" / HTTP/1.1\r\n\r\n"), ""},
		"three words":  {[]byte("INVALID CONNECTION PREFACE\r\n\r\n"), ""},
		"lower case":   {[]byte("get / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), "200"}, // a route for any method
		"no Host":      {[]byte("\r\nGET / HTTP/1.1\r\n\r\n"), "400"},
		"one word":     {[]byte(strings.Repeat("A", 20_000)), "414"},
		"almost":       {[]byte("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"), "505"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, byByte := range []bool{false, true} {
				if byByte && len(tt.octets) > 10_000 {
					continue
				}
				nc := dialAddr(t, "tcp", ts.addr(overTLS))
				send(nc, tt.octets, byByte)
				if got := readAll(t, nc); len(got) > 0 && tt.status == "" {
					t.Errorf("over TLS answered with %q", got)
				}
				nc = dialAddr(t, "tcp", ts.addr(cleartext))
				send(nc, tt.octets, byByte)
				got := string(readAll(t, nc))
				if tt.status == "" && got != "" || tt.status != "" && !strings.HasPrefix(got, "HTTP/1.1 "+tt.status+" ") {
					t.Errorf("in cleartext answered with %q, want %q", got, tt.status)
				}
			}
		})
	}
	ts.open(cleartext).fetch("/").want(t, "200", "hello") // and lives
	ts.open(overTLS).fetch("/").want(t, "200", "hello")
}

// TestSection3_4_Preface begins HTTP/2 with something else than SETTINGS, and
// without ALPN.
func TestSection3_4_Preface(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, hello)
	t.Run("no ALPN", func(t *testing.T) {
		nc := tls.Client(dialAddr(t, "tcp", ts.addr(overTLS)), clientTLS())
		openOn(t, nc).fetch("/").want(t, "200", "hello")
	})
	t.Run("no ALPN byte by byte", func(t *testing.T) {
		p := newPeer(t, tls.Client(dialAddr(t, "tcp", ts.addr(overTLS)), clientTLS()))
		p.byByte = true
		p.begin()
		p.fetch("/").want(t, "200", "hello")
	})
	t.Run("server first", func(t *testing.T) {
		// "The server connection preface consists of a potentially empty
		// SETTINGS frame … that MUST be the first frame the server sends".
		// Over TLS with ALPN it need not wait for the client's.
		p := newPeer(t, tls.Client(dialAddr(t, "tcp", ts.addr(overTLS)), clientTLS("h2")))
		p.until("the server's SETTINGS", func() bool { return p.settings != nil })
	})
	t.Run("invalid after ALPN", func(t *testing.T) {
		p := newPeer(t, tls.Client(dialAddr(t, "tcp", ts.addr(overTLS)), clientTLS("h2")))
		send(p.nc, []byte("GET / HTTP/1.1\r\n\r\n"), false)
		p.untilClosed()
		wantGoAway(t, p, frames.ErrCodeProtocol)
	})
	for name, first := range map[string][]byte{
		"PING first":         frames.AppendPing(nil, frames.Ping{}),
		"SETTINGS ACK first": frames.AppendSettingsAck(nil),
		"HEADERS first":      frames.AppendHeaders(nil, frames.Headers{StreamID: 1, Fragment: []byte{0x82}, EndHeaders: true}),
		"garbage after it":   pattern(1000),
	} {
		t.Run(name, func(t *testing.T) {
			forEachTransport(t, func(t *testing.T, tr transport) {
				for _, byByte := range []bool{false, true} {
					ts.t = t
					p := newPeer(t, ts.connect(tr))
					send(p.nc, append([]byte(h2.Preface), first...), byByte)
					p.untilClosed()
					if len(p.goAways) != 1 || p.goAways[0].code == frames.ErrCodeNo {
						t.Errorf("GOAWAY: %v", p.goAways)
					}
				}
			})
		})
	}
}

// wantGoAway fails the test unless the server's only GOAWAY has code.
func wantGoAway(t *testing.T, p *peer, code frames.ErrCode) {
	t.Helper()
	if len(p.goAways) != 1 || p.goAways[0].code != code {
		t.Errorf("GOAWAY: %v, want one with %v", p.goAways, code)
	}
}

// A tricklingConn sends every octet by itself.
type tricklingConn struct{ net.Conn }

func (c tricklingConn) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := c.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// TestTLSByteByByte splits every record of the peer at every octet.
func TestTLSByteByByte(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, hello)
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			cfg := clientTLS("h2")
			cfg.MinVersion, cfg.MaxVersion = version, version
			p := openOn(t, tls.Client(tricklingConn{dialAddr(t, "tcp", ts.addr(overTLS))}, cfg))
			p.fetch("/").want(t, "200", "hello")
		})
	}
}

// TestALPN offers protocols that are not spoken.
func TestALPN(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, hello)
	connect := func(protocols ...string) *tls.Conn {
		return tls.Client(dialAddr(t, "tcp", ts.addr(overTLS)), clientTLS(protocols...))
	}
	wantAlert(t, connect("h3").Handshake(), "no application protocol")
	wantAlert(t, connect("spdy/3", "http/0.9").Handshake(), "no application protocol")

	nc := connect("http/1.1", "h2")
	openOn(t, nc).fetch("/").want(t, "200", "hello")
	if p := nc.ConnectionState().NegotiatedProtocol; p != "h2" {
		t.Errorf("negotiated %q", p)
	}

	nc = connect("http/1.1")
	send(nc, []byte("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), false)
	if got := readAll(t, nc); !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
		t.Errorf("answered with %q", got)
	}
	if p := nc.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
		t.Errorf("negotiated %q", p)
	}

	// The preface is no request of HTTP/1.1, if that was chosen.
	nc = connect("http/1.1")
	send(nc, []byte(h2.Preface), false)
	if got := readAll(t, nc); !strings.HasPrefix(string(got), "HTTP/1.1 505 ") {
		t.Errorf("answered with %q", got)
	}

	// Where the embedding program wants HTTP/2 only. For a client of HTTP/1.1
	// only, crypto/tls makes an exception: it goes on as if the client had not
	// offered a protocol. So it can be told more.
	cfg := serverTLS()
	cfg.NextProtos = []string{"h2"}
	only := newServer(t, loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0", TLS: cfg}}}, hello)
	nc = tls.Client(dialAddr(t, "tcp", only.srv.Addrs()[0].String()), clientTLS("http/1.1"))
	send(nc, []byte("GET / HTTP/1.1\r\n\r\n"), false)
	want400(t, readAll(t, nc), "HTTP/2 only")
}

// wantAlert fails the test unless the server has sent that alert.
func wantAlert(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || err.Error() != "remote error: tls: "+text {
		t.Errorf("%v, want the alert: %s", err, text)
	}
}

// TestTLSFailures breaks off handshakes in several ways.
func TestTLSFailures(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{MaxHandshakeBytes: 8 << 10}, hello)
	t.Run("closed in the middle", func(t *testing.T) {
		for range 20 {
			nc := dialAddr(t, "tcp", ts.addr(overTLS))
			client := tls.Client(nc, clientTLS("h2"))
			go func() { _ = client.Handshake() }()
			var b [1]byte
			_, _ = nc.Read(b[:]) // the server has begun to answer
			_ = nc.Close()
		}
	})
	t.Run("old version", func(t *testing.T) {
		cfg := clientTLS("h2")
		cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
		wantAlert(t, tls.Client(dialAddr(t, "tcp", ts.addr(overTLS)), cfg).Handshake(), "protocol version not supported")
	})
	t.Run("too much", func(t *testing.T) {
		nc := dialAddr(t, "tcp", ts.addr(overTLS))
		// A record that says it is a handshake message of 16 KiB.
		send(nc, append([]byte{22, 3, 1, 0x40, 0}, make([]byte, 16<<10)...), false)
		_ = readAll(t, nc)
	})
	t.Run("garbage after the handshake", func(t *testing.T) {
		ts.t = t
		raw := ts.dial(overTLS)
		p := openOn(t, tls.Client(raw, clientTLS("h2")))
		send(raw, append([]byte{23, 3, 3, 0, 50}, make([]byte, 50)...), false)
		p.untilClosed()
		wantAlert(t, p.err, "bad record MAC")
	})
	ts.t = t
	ts.open(overTLS).fetch("/").want(t, "200", "hello")
}

// TestSilentPeers connects and leaves again without a word, or resets.
func TestSilentPeers(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, hello)
	for _, tr := range transports {
		for i := range 100 {
			nc, err := net.Dial("tcp", ts.addr(tr))
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				_ = nc.(*net.TCPConn).SetLinger(0) // reset
			}
			_ = nc.Close()
		}
	}
	ts.open(cleartext).fetch("/").want(t, "200", "hello")
}
