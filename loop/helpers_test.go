package loop_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"flag"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/internal/leaktest"
	"github.com/h2loop/h2loop/loop"
)

// patience is how long anything may take that is to happen at once, and how long a
// connection of a test may live. No test depends on how much of it is used, and a slow
// machine that has other work needs much of it.
const patience = 2 * time.Minute

// TestMain fails if the tests leave goroutines or descriptors behind.
func TestMain(m *testing.M) {
	flag.Parse()
	if isDefault("test.parallel") {
		// The parallel tests mostly wait: for timeouts and for slow readers.
		_ = flag.Set("test.parallel", "16")
	}
	os.Exit(leaktest.Run(m))
}

func isDefault(name string) bool {
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return !set
}

// A transport is a way to reach a test server.
type transport string

const (
	cleartext transport = "cleartext"
	overTLS   transport = "TLS"
)

var transports = []transport{cleartext, overTLS}

func (tr transport) scheme() string {
	if tr == overTLS {
		return "https"
	}
	return "http"
}

// forEachTransport runs f once for each way to reach a server.
func forEachTransport(t *testing.T, f func(t *testing.T, tr transport)) {
	for _, tr := range transports {
		t.Run(string(tr), func(t *testing.T) { f(t, tr) })
	}
}

// A testServer is a server in this process.
type testServer struct {
	t     *testing.T
	srv   *loop.Server
	log   *logBuffer
	stop  context.CancelFunc // begins the drain
	ended chan struct{}      // closed when Run has returned
	err   error              // what it returned, once ended is closed
}

// newServer runs a server with the routes that register adds, and with a
// cleartext and a TLS listener unless cfg has listeners. The end of the test
// drains it, and fails if Run returns an error or an error was logged; see
// [testServer.expectLog].
func newServer(t *testing.T, cfg loop.Config, register func(*loop.Server)) *testServer {
	t.Helper()
	if cfg.Listeners == nil {
		cfg.Listeners = []loop.Listener{{Address: "127.0.0.1:0"}, {Address: "127.0.0.1:0", TLS: serverTLS()}}
	}
	if cfg.Loops == 0 {
		cfg.Loops = 2
	}
	if cfg.ShedDelay == 0 {
		cfg.ShedDelay = -1 // a slow machine is no reason to refuse a request
	}
	ts := &testServer{t: t, log: &logBuffer{}, ended: make(chan struct{})}
	if cfg.Logger == nil {
		log := zerolog.New(ts.log)
		cfg.Logger = &log
	}
	srv, err := loop.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ts.srv = srv
	if register != nil {
		register(srv)
	}
	// The context of the test ends before its clean-up begins.
	ctx, stop := context.WithCancel(context.Background())
	ts.stop = stop
	go func() {
		defer close(ts.ended)
		ts.err = srv.Run(ctx)
	}()
	t.Cleanup(func() {
		ts.shutdown()
		ts.log.check(t)
	})
	return ts
}

// shutdown ends the server and fails the test if it does not end well.
func (ts *testServer) shutdown() {
	ts.t.Helper()
	ts.stop()
	wait(ts.t, "Run to return", ts.ended)
	if ts.err != nil {
		ts.t.Errorf("Run: %v", ts.err)
	}
}

// addr returns the address for tr of a server with the usual two listeners.
func (ts *testServer) addr(tr transport) string {
	i := 0
	if tr == overTLS {
		i = 1
	}
	return ts.srv.Addrs()[i].String()
}

func (ts *testServer) url(tr transport, path string) string {
	return tr.scheme() + "://" + ts.addr(tr) + path
}

// expectLog says that the test makes the server log errors that contain text.
func (ts *testServer) expectLog(text string) {
	ts.log.mu.Lock()
	defer ts.log.mu.Unlock()
	ts.log.expected = append(ts.log.expected, text)
}

// A logBuffer keeps the lines of a server's log.
type logBuffer struct {
	mu       sync.Mutex
	lines    []string
	expected []string
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, string(p))
	return len(p), nil
}

// find returns the lines that contain every one of texts.
func (b *logBuffer) find(texts ...string) (lines []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.lines {
		if containsAll(l, texts) {
			lines = append(lines, l)
		}
	}
	return lines
}

func containsAll(s string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(s, text) {
			return false
		}
	}
	return true
}

// check fails the test for errors that were logged and not expected, and for
// those that were expected and not logged.
func (b *logBuffer) check(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := map[string]bool{}
	for _, l := range b.lines {
		var line struct{ Level, Message string }
		if err := json.Unmarshal([]byte(l), &line); err != nil {
			t.Errorf("log line is not JSON: %q", l)
		}
		if line.Level != "error" && line.Level != "fatal" {
			continue
		}
		known := false
		for _, text := range b.expected {
			if strings.Contains(l, text) {
				known, seen[text] = true, true
			}
		}
		if !known {
			t.Errorf("logged: %.300s", l)
		}
	}
	for _, text := range b.expected {
		if !seen[text] {
			t.Errorf("no error logged that contains %q", text)
		}
	}
	if t.Failed() {
		for _, l := range b.lines[max(0, len(b.lines)-20):] {
			t.Logf("log: %.300s", l)
		}
	}
}

// wait waits for c to be closed, or to deliver.
func wait[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}

// eventually polls cond until it holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// identity is the certificate of all test servers, and who trusts it.
var identity = sync.OnceValue(func() (id struct {
	cert  tls.Certificate
	roots *x509.CertPool
},
) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "127.0.0.1"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		DNSNames:              []string{"localhost", "example.com"},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	id.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	id.roots = x509.NewCertPool()
	id.roots.AddCert(leaf)
	return id
})

func serverTLS() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{identity().cert}} }

// clientTLS returns the config of a client that offers protocols by ALPN.
func clientTLS(protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: identity().roots, ServerName: "127.0.0.1", NextProtos: protocols}
}

// client returns a net/http client that speaks HTTP/2 only, over cleartext by
// prior knowledge. It does not follow redirects.
func (ts *testServer) client() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	rt := &http.Transport{Protocols: protocols, TLSClientConfig: clientTLS(), DisableCompression: true}
	ts.t.Cleanup(rt.CloseIdleConnections)
	return &http.Client{
		Transport:     rt,
		Timeout:       2 * patience, // a test that hangs should say where
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// A reply is a response that was read to its end.
type reply struct {
	*http.Response
	body []byte
	err  error // of reading the body
}

// do makes a request of c. Headers are names and values by turns.
func (ts *testServer) do(c *http.Client, method, url string, body io.Reader, headers ...string) reply {
	ts.t.Helper()
	req, err := http.NewRequestWithContext(ts.t.Context(), method, url, body)
	if err != nil {
		ts.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		ts.t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp, b, err}
}

// want fails the test unless the reply has that status and body.
func (r reply) want(t *testing.T, status int, body string) {
	t.Helper()
	if r.err != nil {
		t.Errorf("reading the body: %v", r.err)
	}
	if r.StatusCode != status || string(r.body) != body {
		t.Errorf("got %d %.200q, want %d %.200q", r.StatusCode, r.body, status, body)
	}
}

// pattern returns n octets in which no run of some length comes twice, so that
// octets which are lost, doubled or moved are noticed.
func pattern(n int) []byte {
	b := make([]byte, 0, n+8)
	for i := uint64(1); len(b) < n; i++ {
		v := i * 0x9E3779B97F4A7C15 // Knuth's multiplicative hash
		b = append(b, byte(v>>56), byte(v>>48), byte(v>>40), byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	return b[:n]
}

// wantSame compares large bodies.
func wantSame(t *testing.T, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	t.Errorf("%d octets, want %d; the first that differs is at %d", len(got), len(want), at)
}
