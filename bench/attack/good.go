package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A goodClient is one of those that a server is there for: it makes a request now
// and then, over HTTP/2 and HTTP/1.1, over TLS and in cleartext, on connections
// that last and on new ones.
type goodClient struct {
	kinds []goodKind
}

type goodKind struct {
	name   string
	client *http.Client
	url    string
	fresh  bool
}

// goodAddr is where the good client comes from: not where attackers do.
const goodAddr = "127.0.0.2"

const (
	goodEvery    = 10 * time.Millisecond // a request begins so often
	goodPatience = 20 * time.Second      // one that takes longer has failed
)

func newGoodClient(t targets) *goodClient {
	g := &goodClient{}
	add := func(name, url string, fresh bool, protocols func(*http.Protocols)) {
		tr := &http.Transport{
			DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(goodAddr)}, Timeout: goodPatience}).DialContext,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // a certificate for development
			DisableKeepAlives: fresh,
			Protocols:         new(http.Protocols),
		}
		protocols(tr.Protocols)
		g.kinds = append(g.kinds, goodKind{name: name, client: &http.Client{Transport: tr, Timeout: goodPatience}, url: url, fresh: fresh})
	}
	h1 := func(p *http.Protocols) { p.SetHTTP1(true) }
	h2 := func(p *http.Protocols) { p.SetHTTP2(true) }
	h2c := func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }
	add("h2", "https://"+t.tls+"/bench/hello", false, h2)
	add("h2c", "http://"+t.cleartext+"/bench/hello", false, h2c)
	add("file", "http://"+t.cleartext+"/small", false, h2c)
	add("http/1.1", "http://"+t.cleartext+"/bench/hello", false, h1)
	add("new h2c", "http://"+t.cleartext+"/bench/hello", true, h2c)
	add("new h2", "https://"+t.tls+"/bench/hello", true, h2)
	return g
}

func (g *goodClient) close() {
	for _, k := range g.kinds {
		k.client.CloseIdleConnections()
	}
}

// warm makes a request of each kind.
func (g *goodClient) warm(ctx context.Context) error {
	for _, k := range g.kinds {
		if err := k.get(ctx); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

func (k *goodKind) get(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return err
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// goodFigures are what the good client has seen.
type goodFigures struct {
	times    []time.Duration // from when a request was due, sorted
	failures []string
}

// p99 is the time that one of a hundred requests exceeds.
func (f *goodFigures) p99() time.Duration {
	if len(f.times) == 0 {
		return 0
	}
	return f.times[len(f.times)*99/100]
}

// during makes requests, at a constant rate, until f returns.
func (g *goodClient) during(ctx context.Context, f func()) (figures goodFigures) {
	end := make(chan struct{})
	go func() {
		defer close(end)
		f()
	}()
	var mu sync.Mutex
	var under sync.WaitGroup
	due := time.NewTicker(goodEvery)
	defer due.Stop()
	for i := 0; ; i++ {
		begun := time.Now()
		k := &g.kinds[i%len(g.kinds)]
		under.Go(func() {
			err := k.get(ctx)
			took := time.Since(begun)
			mu.Lock()
			defer mu.Unlock()
			figures.times = append(figures.times, took)
			if err != nil {
				figures.failures = append(figures.failures, k.name+": "+err.Error())
			}
		})
		select {
		case <-due.C:
		case <-end:
			under.Wait()
			slices.Sort(figures.times)
			return figures
		}
	}
}
