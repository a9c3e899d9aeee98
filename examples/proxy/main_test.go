package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/looptest"
)

// begin runs a proxy to a server that h serves, and returns its URL, which is of TLS,
// and a client for each version of HTTP.
func begin(t *testing.T, patience time.Duration, h http.HandlerFunc) (url string, clients map[string]*http.Client) {
	t.Helper()
	backend := httptest.NewServer(h)
	t.Cleanup(backend.Close)
	return front(t, patience, backend.URL)
}

func front(t *testing.T, patience time.Duration, behind string) (string, map[string]*http.Client) {
	t.Helper()
	u, err := url.Parse(behind)
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy(u, patience, slog.New(slog.DiscardHandler))
	t.Cleanup(p.transport.CloseIdleConnections)
	ts := looptest.NewTLS(t, func(srv *loop.Server) { register(srv, p) })
	return ts.URL(), map[string]*http.Client{"HTTP/2": ts.Client(), "HTTP/1.1": ts.Client1()}
}

// TestHandsOn has requests and responses go through as they are, with what the proxy
// has to say of the client.
func TestHandsOn(t *testing.T) {
	url, clients := begin(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // or net/http throws some of the body away
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s for %s by %s at %s", r.Method, r.URL, r.Proto,
			r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Host")))
		w.Header().Set("X-Host", r.Host)
		w.WriteHeader(201)
		n, _ := io.Copy(w, r.Body)
		w.Header().Set("X-Sum", fmt.Sprint(n, " ", r.Trailer.Get("X-Told")))
	})
	body := bytes.Repeat([]byte("some of it, "), 200_000)
	for name, c := range clients {
		req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/a%2Fb?q=1&r", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = -1
		req.Trailer = http.Header{"X-Told": {"octets"}}
		req.Header.Set("X-Forwarded-For", "192.0.2.1") // which is not to be believed
		resp, err := c.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 201 || !bytes.Equal(got, body) {
			t.Errorf("%s: %d, %d octets of %d, %v", name, resp.StatusCode, len(got), len(body), err)
		}
		host := strings.TrimPrefix(url, "https://")
		if got, want := resp.Header.Get("X-Seen"), "POST /a%2Fb?q=1&r HTTP/1.1 for 127.0.0.1 by https at "+host; got != want {
			t.Errorf("%s: the server behind sees %q, want %q", name, got, want)
		}
		if got := resp.Header.Get("X-Host"); got != host {
			t.Errorf("%s: host %q, want %q", name, got, host)
		}
		if got, want := resp.Trailer.Get("X-Sum"), fmt.Sprintf("%d octets", len(body)); got != want {
			t.Errorf("%s: trailer %q, want %q", name, got, want)
		}
	}
}

// TestStreams has each line come as it is written, and the end of the client be that of
// the request behind.
func TestStreams(t *testing.T) {
	goOn, ended := make(chan bool), make(chan bool, 1)
	url, clients := begin(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintln(w, "line", i)
			_ = http.NewResponseController(w).Flush()
			<-goOn
		}
		<-r.Context().Done()
		ended <- true
	})
	for name, c := range clients {
		resp, err := c.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(resp.Body)
		for i := range 3 {
			if got, err := lines.ReadString('\n'); err != nil || got != fmt.Sprintln("line", i) {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			goOn <- true
		}
		resp.Body.Close()
		select {
		case <-ended:
		case <-time.After(2 * time.Minute):
			t.Fatalf("%s: the request behind goes on", name)
		}
	}
}

// TestUpgrade talks in another protocol through the proxy, more than fits between.
func TestUpgrade(t *testing.T) {
	url, clients := begin(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "shout" {
			http.Error(w, "shout", http.StatusUpgradeRequired)
			return
		}
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "shout")
		w.WriteHeader(http.StatusSwitchingProtocols)
		nc, brw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		buf := make([]byte, 32<<10)
		for {
			n, err := brw.Read(buf)
			if _, errWrite := nc.Write(bytes.ToUpper(buf[:n])); err != nil || errWrite != nil {
				return
			}
		}
	})
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "shout")
	resp, err := clients["HTTP/1.1"].Do(req)
	if err != nil {
		t.Fatal(err)
	}
	nc, ok := resp.Body.(io.ReadWriteCloser)
	if resp.StatusCode != http.StatusSwitchingProtocols || !ok {
		t.Fatalf("%s, %T", resp.Status, resp.Body)
	}
	defer nc.Close()
	body := bytes.Repeat([]byte("louder "), 1<<20)
	sent := make(chan error, 1)
	go func() {
		_, err := nc.Write(body)
		sent <- err
	}()
	got := make([]byte, len(body))
	if n, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, bytes.ToUpper(body)) {
		t.Errorf("%d octets, %v", n, err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	for name, c := range clients {
		if resp, err := c.Get(url); err != nil || resp.StatusCode != http.StatusUpgradeRequired {
			t.Errorf("%s: %v, %v", name, resp, err)
		} else {
			resp.Body.Close()
		}
	}
}

// TestFailures has the proxy answer for a server that is not there, and for one that
// takes too long; what has an answer of its own is not asked of either.
func TestFailures(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.7:0") // where nobody else takes the port meanwhile
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + ln.Addr().String()
	ln.Close()
	enough := make(chan bool)
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-enough }))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(enough) })
	for _, tt := range []struct {
		behind   string
		patience time.Duration
		status   int
		says     string
	}{
		{gone, time.Minute, 502, "cannot be reached"},
		{slow.URL, 500 * time.Millisecond, 504, "takes too long"},
	} {
		url, clients := front(t, tt.patience, tt.behind)
		for name, c := range clients {
			for path, want := range map[string]struct {
				status int
				says   string
			}{"/": {tt.status, tt.says}, "/readyz": {200, "ready"}} {
				resp, err := c.Get(url + path)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != want.status || !strings.Contains(string(body), want.says) {
					t.Errorf("%s %s: %d %q, %v", name, path, resp.StatusCode, body, err)
				}
			}
		}
	}
}
