package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// A kind is a way to ask: a version of HTTP, with TLS or without, on connections that last
// or on a new one each time.
type kind struct {
	name   string
	tls    bool
	client *http.Client
	port   string
	close  func()
}

const (
	// goodAddr is where the load comes from, and not where attackers do.
	goodAddr = "127.0.0.2"

	patience = time.Minute // an exchange that takes longer has failed
)

// dialer connects from where the load comes.
func dialer() *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(goodAddr)}, Timeout: 20 * time.Second}
}

// newKind makes a way to ask. With fresh, each request has a connection of its own, and
// if it is over TLS, it may resume the session of another.
func (g *ground) newKind(name string, secure, fresh bool, protocols func(*http.Protocols)) *kind {
	addr := g.at.cleartext
	if secure {
		addr = g.at.tls
	}
	_, port, _ := net.SplitHostPort(addr)
	tr := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer().DialContext(ctx, network, addr)
		},
		TLSClientConfig:     &tls.Config{RootCAs: g.trust()},
		TLSHandshakeTimeout: 20 * time.Second,
		DisableKeepAlives:   fresh,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     30 * time.Second, // before the server's, which is for those who have gone
		Protocols:           new(http.Protocols),
	}
	if fresh {
		tr.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	}
	protocols(tr.Protocols)
	return &kind{name: name, tls: secure, port: port, close: tr.CloseIdleConnections, client: &http.Client{
		Transport: tr, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (g *ground) trust() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(g.ca)
	return pool
}

// kinds are all ways to ask.
func (g *ground) kinds(fresh bool) []*kind {
	h1 := func(p *http.Protocols) { p.SetHTTP1(true) }
	h2 := func(p *http.Protocols) { p.SetHTTP2(true) }
	h2c := func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }
	return []*kind{
		g.newKind("h2", true, fresh, h2),
		g.newKind("h2c", false, fresh, h2c),
		g.newKind("http/1.1 over TLS", true, fresh, h1),
		g.newKind("http/1.1", false, fresh, h1),
	}
}

// A request is what is asked for.
type request struct {
	method, host, path string
	fields             []string // names and values
	body               io.Reader
	length             int64 // of body; -1 if it is not told before
}

// do asks.
func (k *kind) do(ctx context.Context, r request) (*http.Response, error) {
	scheme := "http"
	if k.tls {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, r.method, scheme+"://"+r.host+":"+k.port+r.path, r.body)
	if err != nil {
		return nil, err
	}
	if r.body != nil {
		req.ContentLength = r.length
	}
	for i := 0; i < len(r.fields); i += 2 {
		req.Header.Set(r.fields[i], r.fields[i+1])
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.name, err)
	}
	return resp, nil
}

// expect asks, and says in what the answer is not the one that is right.
func (k *kind) expect(ctx context.Context, r request, a answer) error {
	resp, err := k.do(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := a.check(resp); err != nil {
		return fmt.Errorf("%s: %s %s%s: %w", k.name, r.method, r.host, r.path, err)
	}
	return nil
}

// An answer is one that is right.
type answer struct {
	status int
	body   []byte // nil for any
	fields []string
	gzip   bool // it may be compressed
	head   bool // it has no body, and tells the length of one
	slow   func()
}

func (a answer) check(resp *http.Response) error {
	if err := checkStatus(resp, a.status); err != nil {
		return err
	}
	for i := 0; i < len(a.fields); i += 2 {
		if got := resp.Header.Get(a.fields[i]); got != a.fields[i+1] {
			return fmt.Errorf("%s is %q, not %q", a.fields[i], got, a.fields[i+1])
		}
	}
	body := io.Reader(resp.Body)
	if a.head {
		if got := resp.Header.Get("Content-Length"); got != strconv.Itoa(len(a.body)) {
			return fmt.Errorf("content-length %q, not %d", got, len(a.body))
		}
		a.body = []byte{}
	} else if coding := resp.Header.Get("Content-Encoding"); coding != "" {
		if !a.gzip || coding != "gzip" {
			return fmt.Errorf("content-encoding %q", coding)
		}
		plain, err := gzip.NewReader(body)
		if err != nil {
			return err
		}
		body = plain
	} else if a.body != nil && resp.ContentLength >= 0 && resp.ContentLength != int64(len(a.body)) {
		return fmt.Errorf("content-length %d, not %d", resp.ContentLength, len(a.body))
	}
	if a.body == nil {
		_, err := io.Copy(io.Discard, body)
		return err
	}
	return same(body, a.body, a.slow)
}

// errRefused is an answer of a server that says it has too much to do.
var errRefused = errors.New("refused: status 503 with Retry-After")

func checkStatus(resp *http.Response, want int) error {
	switch got := resp.StatusCode; {
	case got == want:
		return nil
	case got == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
		return errRefused
	default:
		return fmt.Errorf("status %d, not %d", got, want)
	}
}

// same says where a body is another than want. It calls slow before each piece.
func same(body io.Reader, want []byte, slow func()) error {
	buffer := make([]byte, 32<<10)
	for at := 0; ; {
		if slow != nil {
			slow()
		}
		n, err := body.Read(buffer)
		if n > len(want)-at {
			return fmt.Errorf("a body of more than %d octets", len(want))
		}
		if !bytes.Equal(buffer[:n], want[at:at+n]) {
			return fmt.Errorf("other contents between octets %d and %d of %d", at, at+n, len(want))
		}
		at += n
		switch {
		case err == io.EOF && at < len(want):
			return fmt.Errorf("a body of %d octets, not %d", at, len(want))
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("after %d of %d octets: %w", at, len(want), err)
		}
	}
}
