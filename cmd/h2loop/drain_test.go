package main

import (
	"crypto/rand"
	"crypto/sha256"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// downloads begins n downloads of the file big, each on a connection of its own,
// in turns from each of the listeners, and has read the beginning of each. The
// windows are so small that none of them can be complete.
func downloads(t *testing.T, p *process, n int) (bodies []io.ReadCloser) {
	t.Helper()
	for i := range n {
		c := newClient(nil)
		tr := c.Transport.(*http.Transport)
		tr.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 128 << 10, MaxReceiveBufferPerConnection: 128 << 10}
		t.Cleanup(tr.CloseIdleConnections)
		resp, err := c.Get(p.urls[i%len(p.urls)] + "big")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		bodies = append(bodies, resp.Body)
	}
	return bodies
}

// writeFile writes the file big of n octets, and returns its hash.
func writeFile(t *testing.T, dir string, n int) [sha256.Size]byte {
	t.Helper()
	body := make([]byte, n)
	_, _ = rand.Read(body)
	if err := os.WriteFile(filepath.Join(dir, "big"), body, 0o600); err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(body)
}

// finish reads downloads to their ends.
func finish(t *testing.T, bodies []io.ReadCloser, want [sha256.Size]byte) {
	t.Helper()
	var wg sync.WaitGroup
	for i, body := range bodies {
		wg.Go(func() {
			h := sha256.New()
			if _, err := io.Copy(h, body); err != nil {
				t.Errorf("download %d was cut off: %v", i, err)
			} else if [sha256.Size]byte(h.Sum(nil)) != want {
				t.Errorf("download %d is not what the file is", i)
			}
		})
	}
	wg.Wait()
}

// TestDrainDownloads sends SIGTERM in the middle of a hundred downloads, over TLS
// and in cleartext: each completes, and new dials are refused.
func TestDrainDownloads(t *testing.T) {
	dir := t.TempDir()
	want := writeFile(t, dir, 2<<20)
	p := start(t, append(both, "--drain-timeout", "5m", dir)...)
	bodies := downloads(t, p, 100)
	p.signal(syscall.SIGTERM)
	p.waitFor("draining")
	for _, base := range p.urls {
		waitRefused(t, base)
	}
	finish(t, bodies, want)
	if status := p.wait(); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
}

// TestDrainBound has one reader that never finishes: the others do, and the server
// ends when the time for the drain is over.
func TestDrainBound(t *testing.T) {
	dir := t.TempDir()
	want := writeFile(t, dir, 2<<20)
	p := start(t, append(both, "--drain-timeout", "10s", dir)...)
	bodies := downloads(t, p, 11)
	p.signal(syscall.SIGTERM)
	p.waitFor("draining")
	finish(t, bodies[1:], want)
	if cut := p.waitFor("drain timed out"); cut.Connections != 1 {
		t.Errorf("%d connections were cut off, want the one that does not read", cut.Connections)
	}
	if status := p.wait(); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
	if _, err := io.Copy(io.Discard, bodies[0]); err == nil {
		t.Error("the one that does not read has everything")
	}
}
