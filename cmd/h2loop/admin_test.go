package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startAdmin runs the program with an admin listener, whose URL it returns.
func startAdmin(t *testing.T, args ...string) (p *process, admin string) {
	t.Helper()
	p = start(t, append(args, "--listen", "", "--listen-cleartext", "127.0.0.1:0", "--admin", ":0")...)
	if !strings.HasPrefix(p.admin, "http://127.0.0.1:") {
		t.Fatalf("the admin listener is at %q", p.admin)
	}
	return p, p.admin
}

// ask makes a request to the admin listener. Headers are names and values by turns.
func ask(t *testing.T, method, url string, headers ...string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: long}
	resp, body := do(t, c, req)
	return resp.StatusCode, body
}

// waitForHealth waits until the loops turn in time, which a machine that stands still
// keeps them from.
func waitForHealth(t *testing.T, admin string) {
	t.Helper()
	for end := time.Now().Add(long); ; time.Sleep(time.Millisecond) {
		status, body := ask(t, "GET", admin+"healthz")
		if status == 200 && body == "ok\n" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("health: %d %q", status, body)
		}
	}
}

// TestAdmin asks for what there is, and sees readiness go while a drain goes on.
func TestAdmin(t *testing.T) {
	p, admin := startAdmin(t, "--access-log", t.TempDir()+"/access.log")
	get(t, newClient(nil), p.urls[0]+"hello")
	waitForHealth(t, admin)
	for path, want := range map[string]string{
		"":             "/debug/connections",
		"debug/pprof/": "goroutine",
		"metrics":      `h2loop_requests_total{class="2xx",pattern="GET /hello",version="HTTP/2.0"} 1`,
		"metrics?":     "h2loop_access_log_dropped_total 0",
		"metrics?a":    "h2loop_loops ",
	} {
		// What is counted is counted behind the response.
		for end := time.Now().Add(long); ; time.Sleep(time.Millisecond) {
			status, body := ask(t, "GET", admin+path)
			if status == 200 && strings.Contains(body, want) {
				break
			}
			if status != 200 || time.Now().After(end) {
				t.Fatalf("/%s: %d %.2000s", path, status, body)
			}
		}
	}
	ready := func() int {
		status, _ := ask(t, "GET", admin+"readyz")
		return status
	}
	for end := time.Now().Add(long); ready() != 200; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("is never ready")
		}
	}
	// A request that goes on keeps the drain from ending.
	c := newClient(nil)
	resp, err := c.Get(p.urls[0] + "demo/bulk/a?mib=16") // and does not read
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v, %v", resp, err)
	}
	p.signal(syscall.SIGTERM)
	p.waitFor("draining")
	for end := time.Now().Add(long); ready() != 503; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("is ready while it drains")
		}
	}
	waitForHealth(t, admin)
	_ = resp.Body.Close()
	if status := p.wait(); status != 0 {
		t.Errorf("status %d", status)
	}
}

// TestAdminGuard refuses what a web page in a browser on this host may send.
func TestAdminGuard(t *testing.T) {
	_, admin := startAdmin(t)
	for _, tt := range []struct {
		method, path string
		headers      []string
		want         int
	}{
		{"GET", "metrics", nil, 200},
		{"GET", "metrics", []string{"Host", "localhost:9"}, 200},
		{"GET", "metrics", []string{"Host", "[::1]:9"}, 200},
		{"GET", "metrics", []string{"Host", "evil.example"}, 421},
		{"GET", "debug/pprof/", []string{"Host", "evil.example:80"}, 421},
		{"GET", "debug/pprof/", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"GET", "debug/pprof/", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"GET", "debug/pprof/", []string{"Sec-Fetch-Site", "none"}, 200},
		{"GET", "debug/pprof/", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"POST", "debug/pprof/symbol", []string{"Origin", "http://evil.example"}, 403},
		{"POST", "metrics", nil, 405},
		{"GET", "nowhere", nil, 404},
	} {
		if status, body := ask(t, tt.method, admin+tt.path, tt.headers...); status != tt.want {
			t.Errorf("%s /%s %q: %d %.100q, want %d", tt.method, tt.path, tt.headers, status, body, tt.want)
		}
	}
}

// TestAdminAddr does not start where the address is taken, and warns of one that others
// reach.
func TestAdminAddr(t *testing.T) {
	p, _ := startAdmin(t)
	taken := strings.TrimSuffix(strings.TrimPrefix(p.admin, "http://"), "/")
	if _, stderr, status := runOnce(t, "--listen", "", "--listen-cleartext", "127.0.0.1:0", "--admin", taken); status != 1 ||
		!strings.Contains(stderr, "cannot listen on "+taken) {
		t.Errorf("status %d: %s", status, stderr)
	}
	q := start(t, "--listen", "", "--listen-cleartext", "127.0.0.1:0", "--admin", "0.0.0.0:0")
	if !q.warned {
		t.Error("no warning")
	}
}
