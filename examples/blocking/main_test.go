package main

import (
	"context"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/looptest"
)

func fetch(ctx context.Context, c *http.Client, method, url, body string) (status int, got, retryAfter string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), resp.Header.Get("Retry-After"), err
}

func TestUsers(t *testing.T) {
	ts := looptest.NewConfig(t, config(), func(srv *loop.Server) { register(srv, &store{latency: time.Millisecond}) })
	for name, c := range map[string]*http.Client{"ada": ts.Client(), "bob": ts.Client1()} {
		for _, tt := range []struct {
			method, path, body string
			status             int
			want               string
		}{
			{"GET", "/users/" + name, "", 404, "no such user\n"},
			{"PUT", "/users/" + name, name + "@example.com", 204, ""},
			{"GET", "/users/" + name, "", 200, `{"email":"` + name + `@example.com","name":"` + name + `"}`},
			{"PUT", "/users/" + name, strings.Repeat("x", 1001), 413, "Content Too Large\n"},
			{"POST", "/users/" + name, "", 405, "Method Not Allowed\n"},
		} {
			status, got, _, err := fetch(t.Context(), c, tt.method, ts.URL()+tt.path, tt.body)
			if err != nil || status != tt.status || got != tt.want {
				t.Errorf("%s %s: %d %q, %v; want %d %q", tt.method, tt.path, status, got, err, tt.status, tt.want)
			}
		}
	}
}

// TestQueueFull asks for more than there is room for. What does not fit is told at
// once, when to come again, and comes again; what needs no store does not notice.
func TestQueueFull(t *testing.T) {
	const latency = 500 * time.Millisecond
	s := &store{latency: latency}
	s.emails.Store("ada", "ada@example.com")
	ts := looptest.NewConfig(t, config(), func(srv *loop.Server) { register(srv, s) })
	url := ts.URL() + "/users/ada"

	const requests = 100 // 8 at once, 32 in the queue, 60 too many
	var (
		mu              sync.Mutex
		served, refused int
		asked           sync.WaitGroup
	)
	for range requests {
		asked.Go(func() {
			status, _, retryAfter, err := fetch(t.Context(), ts.Client(), "GET", url, "")
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && status == 200:
				served++
			case err == nil && status == 503 && retryAfter == "1":
				refused++
			default:
				t.Errorf("%d, Retry-After %q, %v", status, retryAfter, err)
			}
		})
	}
	began := time.Now()
	if status, got, _, err := fetch(t.Context(), ts.Client(), "GET", ts.URL()+"/healthz", ""); err != nil || status != 200 {
		t.Errorf("healthz: %d %q, %v", status, got, err)
	}
	t.Logf("healthz took %v", time.Since(began))
	asked.Wait()
	t.Logf("%d served, %d refused", served, refused)
	if served < 40 || refused == 0 {
		t.Errorf("%d are served and %d refused of %d: there is room for 40", served, refused, requests)
	}

	// As told, one after the other.
	for {
		status, _, retryAfter, err := fetch(t.Context(), ts.Client(), "GET", url, "")
		if err != nil {
			t.Fatal(err)
		}
		if status == 200 {
			break
		}
		seconds, err := strconv.Atoi(retryAfter)
		if err != nil {
			t.Fatalf("%d, Retry-After %q", status, retryAfter)
		}
		time.Sleep(time.Duration(seconds) * time.Second)
	}
}

// TestClientLeaves sees the store learn that nobody waits any more.
func TestClientLeaves(t *testing.T) {
	ts := looptest.NewConfig(t, config(), func(srv *loop.Server) { register(srv, &store{latency: time.Hour}) })
	for _, c := range []*http.Client{ts.Client(), ts.Client1()} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if _, _, _, err := fetch(ctx, c, "GET", ts.URL()+"/users/ada", ""); err == nil {
			t.Error("answered within an hour")
		}
		cancel()
	}
	ts.Close() // waits for the handlers
}

func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	ts := looptest.NewConfig(t, config(), func(srv *loop.Server) { register(srv, &store{latency: time.Millisecond}) })
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-T", "-", ts.URL() + "/users/ada"}, "204"},
		{[]string{"--http2-prior-knowledge", ts.URL() + "/users/ada"}, `{"email":"ada@example.com","name":"ada"}200`},
	} {
		cmd := exec.Command(curl, append([]string{"-sS", "--max-time", "120", "-w", "%{http_code}"}, tt.args...)...)
		cmd.Stdin = strings.NewReader("ada@example.com")
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != tt.want {
			t.Errorf("curl %q: %v\n%s", tt.args, err, out)
		}
	}
}
