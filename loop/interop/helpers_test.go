package interop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
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

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

// patience is how long anything may take that is to happen at once.
const patience = time.Minute

// serve runs a server with the routes that register adds, and returns its addresses
// for cleartext and for TLS. Errors in its log fail the test.
func serve(t *testing.T, register func(*loop.Server)) (cleartext, overTLS string) {
	t.Helper()
	out := &logBuffer{}
	logger := zerolog.New(out).Level(zerolog.ErrorLevel)
	srv, err := loop.New(loop.Config{
		Listeners: []loop.Listener{
			{Address: "127.0.0.1:0"},
			{Address: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{identity().cert}}},
		},
		Logger: &logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	register(srv)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if text := out.String(); text != "" {
			t.Errorf("logged: %s", text)
		}
	})
	return srv.Addrs()[0].String(), srv.Addrs()[1].String()
}

// A logBuffer keeps a log.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// identity is the certificate of the servers, and who trusts it.
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
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
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

// clients returns clients of net/http, by what they speak: each reaches addr in
// cleartext.
func clients(t *testing.T) map[string]*http.Client {
	all := map[string]*http.Client{}
	for name, set := range map[string]func(p *http.Protocols, on bool){
		"h2c":      (*http.Protocols).SetUnencryptedHTTP2,
		"HTTP 1.1": (*http.Protocols).SetHTTP1,
	} {
		protocols := new(http.Protocols)
		set(protocols, true)
		rt := &http.Transport{Protocols: protocols, DisableCompression: true}
		t.Cleanup(rt.CloseIdleConnections)
		all[name] = &http.Client{Transport: rt, Timeout: patience}
	}
	return all
}

// get fetches a URL.
func get(t *testing.T, c *http.Client, url string) (status int, body string, h http.Header) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	p, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(p), resp.Header
}
