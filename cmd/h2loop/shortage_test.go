package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDescriptorShortage has clients take all descriptors that the process may have: on a
// connection that there is requests are answered, those for files with 503. Who comes to either listener waits, and is served once others have gone.
func TestDescriptorShortage(t *testing.T) {
	const descriptors = 100
	dir := t.TempDir()
	writeFile(t, dir, 16<<20) // more than a client takes that does not read
	p, admin := startCommandAdmin(t, exec.Command("sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, descriptors),
		binary, dir, "--bench", "--loops", "1", "--listen", "", "--listen-cleartext", "127.0.0.1:0", "--admin", ":0"))
	c := newClient(nil)
	get(t, c, p.urls[0]+"bench/hello")

	var takers []net.Conn
	leave := func() {
		for _, nc := range takers {
			_ = nc.Close()
		}
		takers = nil
	}
	defer leave()
	for range 2 * descriptors {
		nc, err := net.Dial("tcp", p.addr(0))
		if err != nil {
			t.Fatal(err)
		}
		takers = append(takers, nc)
		// Whoever waits for an answer is not taken for idle.
		if _, err := io.WriteString(nc, "GET /bench/10m HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	p.waitFor("accepting pauses")
	// One that comes takes two for a moment, so that one may be left: for a file that is
	// being sent.
	held := []io.Closer{}
	for status, end := 0, time.Now().Add(long); status != 503; {
		resp, err := c.Get(p.urls[0] + "big")
		if err != nil || time.Now().After(end) {
			t.Fatalf("files are opened where there are no descriptors: %v", err)
		}
		held = append(held, resp.Body)
		status = resp.StatusCode
	}
	p.waitFor("a file cannot be opened for want of resources")
	go func() { // its lines are of no interest now, and must not fill the pipe
		for range p.log {
		}
	}()
	if resp, body := get(t, c, p.urls[0]+"bench/hello"); resp.StatusCode != 200 || body != "Hello, World!" {
		t.Errorf("on a connection that there is: %d %q", resp.StatusCode, body)
	}
	late := make(chan error, 2)
	for _, url := range []string{admin, p.urls[0] + "bench/hello"} {
		go func() {
			resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: long}).Get(url)
			if err == nil {
				_ = resp.Body.Close()
				if resp.StatusCode != 200 {
					err = fmt.Errorf("%s: %s", url, resp.Status)
				}
			}
			late <- err
		}()
	}
	time.Sleep(100 * time.Millisecond) // for them to wait; too soon is no failure
	leave()
	for _, body := range held {
		_ = body.Close()
	}
	for range 2 {
		if err := <-late; err != nil {
			t.Errorf("who came when there was no descriptor: %v", err)
		}
	}
	for end := time.Now().Add(long); ; time.Sleep(time.Millisecond) {
		resp, body := get(t, newClient(nil), p.urls[0]+"big")
		if resp.StatusCode == 200 && len(body) == 16<<20 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("files are not opened again: %d", resp.StatusCode)
		}
	}
	waitForHealth(t, admin)
	get(t, newClient(nil), p.urls[0]+"bench/hello")
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("status %d", status)
	}
}

// startCommandAdmin is startCommand of a program that has an admin listener, whose URL it
// returns too.
func startCommandAdmin(t *testing.T, cmd *exec.Cmd) (p *process, admin string) {
	t.Helper()
	p = startCommand(t, cmd)
	if !strings.HasPrefix(p.admin, "http://127.0.0.1:") {
		t.Fatalf("the admin listener is at %q", p.admin)
	}
	return p, p.admin
}

// TestAccessLogNotRead has an access log go to a pipe that is open, and from which nobody
// reads: requests are served, lines that do not fit are dropped and counted, and neither
// SIGUSR1 nor the end waits for the reader.
func TestAccessLogNotRead(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(binary, "--listen", "", "--listen-cleartext", "127.0.0.1:0", "--admin", ":0", "--access-log", "-")
	cmd.Stdout = w
	p, admin := startCommandAdmin(t, cmd)
	_ = w.Close()
	c := newClient(nil)
	agent := strings.Repeat("a", 2000)
	request := func() { get(t, c, p.urls[0]+"hello", "user-agent", agent) }
	dropped := func() bool {
		_, text := ask(t, "GET", admin+"metrics")
		return !strings.Contains(text, "\nh2loop_access_log_dropped_total 0\n")
	}
	for sent := 0; !dropped(); sent += 100 {
		if sent > 20_000 { // of 2 KB each
			t.Fatal("nothing is dropped")
		}
		for range 100 {
			request()
		}
	}
	p.signal(syscall.SIGUSR1)
	request()
	p.signal(syscall.SIGTERM)
	p.waitFor("the access log is not taken")
	if status := p.wait(); status != 0 {
		t.Errorf("status %d", status)
	}
}
