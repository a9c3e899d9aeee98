package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/looptest"
)

// TestAPI goes through the life of items, over either version of HTTP.
func TestAPI(t *testing.T) {
	for _, version := range []string{"HTTP/2.0", "HTTP/1.1"} {
		t.Run(version, func(t *testing.T) {
			var log bytes.Buffer
			cfg := loop.Config{Loops: 1, Hooks: loop.Hooks{RequestDone: logTo(slog.New(slog.NewTextHandler(&log, nil)))}}
			ts := looptest.NewConfig(t, cfg, newAPI("xyzzy").register)
			client := ts.Client()
			if version == "HTTP/1.1" {
				client = ts.Client1()
			}
			steps := []struct {
				method, path, token, body string
				status                    int
				want                      string // of the body, a part; "" for none at all
			}{
				{"GET", "/api/items", "", "", 200, "[]"},
				{"POST", "/api/items", "xyzzy", `{"name": "tea", "price": 250}`, 201, `{"id":1,"name":"tea","price":250}`},
				{"POST", "/api/items", "xyzzy", `{"name": "coffee"}`, 201, `"id":2`},
				{"GET", "/api/items/1", "", "", 200, `"tea"`},
				{"HEAD", "/api/items/1", "", "", 200, ""},
				{"PUT", "/api/items/1", "xyzzy", `{"name": "green tea", "price": 275}`, 200, "green tea"},
				{"GET", "/api/items?limit=1", "", "", 200, `[{"id":1,"name":"green tea","price":275}]`},
				{"GET", "/api/items?limit=1&after=1", "", "", 200, `[{"id":2,"name":"coffee","price":0}]`},
				{"DELETE", "/api/items/1", "xyzzy", "", 204, ""},
				{"GET", "/api/items/1", "", "", 404, "there is no item 1"},

				{"POST", "/api/items", "", `{"name": "tea"}`, 401, "token"},
				{"DELETE", "/api/items/2", "guess", "", 401, "token"},
				{"PATCH", "/api/items/2", "xyzzy", `{"name": "tea"}`, 405, "PATCH is not for this"},
				{"DELETE", "/api/items", "xyzzy", "", 405, "DELETE"},
				{"PUT", "/api/items/9", "xyzzy", `{"name": "tea"}`, 404, "no item 9"},
				{"GET", "/api/items/nine", "", "", 404, "numbers"},
				{"GET", "/elsewhere", "", "", 404, "nothing at /elsewhere"},
				{"GET", "/api/items?limit=many", "", "", 400, "numbers"},
				{"POST", "/api/items", "xyzzy", `{"name": "tea"`, 422, "unexpected EOF"},
				{"POST", "/api/items", "xyzzy", `{"nam": "tea"}`, 422, "unknown field"},
				{"POST", "/api/items", "xyzzy", `{"name": "tea"} {}`, 422, "behind"},
				{"POST", "/api/items", "xyzzy", `{"name": " "}`, 422, "a name"},
				{"POST", "/api/items", "xyzzy", `{"name": "` + strings.Repeat("x", maxBody) + `"}`, 413, "octets"},
			}
			for _, s := range steps {
				req, err := http.NewRequestWithContext(t.Context(), s.method, ts.URL()+s.path, strings.NewReader(s.body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("content-type", "application/json")
				if s.token != "" {
					req.Header.Set("authorization", "Bearer "+s.token)
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != s.status || resp.Proto != version || !strings.Contains(string(body), s.want) || s.want == "" && len(body) > 0 {
					t.Errorf("%s %s: %s %d %s, %v; want %d, %q", s.method, s.path, resp.Proto, resp.StatusCode, body, err, s.status, s.want)
				}
				checkFields(t, s.method+" "+s.path, resp, body)
			}
			ts.Close()
			if got := strings.Count(log.String(), "msg=request"); got != len(steps) {
				t.Errorf("%d requests are logged, want %d", got, len(steps))
			}
			if want := `method=PUT path=/api/items/1 pattern="PUT /api/items/{id}" proto=` + version; !strings.Contains(log.String(), want) {
				t.Errorf("not in the log: %s\n%s", want, log.String())
			}
		})
	}
}

func checkFields(t *testing.T, what string, resp *http.Response, body []byte) {
	t.Helper()
	get := resp.Header.Get
	want := "application/json"
	switch status := resp.StatusCode; {
	case status >= 400:
		want = "application/problem+json"
		var p struct{ Status int }
		if err := json.Unmarshal(body, &p); err != nil || p.Status != status {
			t.Errorf("%s: %d with problem %s", what, status, body)
		}
	case status == 204:
		want = ""
	}
	if got := get("Content-Type"); got != want {
		t.Errorf("%s: content-type %q, want %q", what, got, want)
	}
	for status, field := range map[int]string{201: "Location", 401: "Www-Authenticate", 405: "Allow"} {
		if (resp.StatusCode == status) != (get(field) != "") {
			t.Errorf("%s: %d, %s: %q", what, resp.StatusCode, field, get(field))
		}
	}
}

func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	ts := looptest.New(t, newAPI("xyzzy").register)
	for i, version := range []string{"--http2-prior-knowledge", "--http1.1"} {
		for _, tt := range []struct {
			args []string
			want string
		}{
			{
				[]string{"-H", "authorization: Bearer xyzzy", "-H", "content-type: application/json", "-d", `{"name": "tea", "price": 250}`, ts.URL() + "/api/items"},
				fmt.Sprintf(`{"id":%d,"name":"tea","price":250} 201`, i+1),
			},
			{[]string{ts.URL() + "/api/items/1"}, `{"id":1,"name":"tea","price":250} 200`},
			{[]string{"-X", "DELETE", ts.URL() + "/api/items/1"}, `"status":401`},
		} {
			args := append([]string{version, "-sS", "--max-time", "120", "-w", " %{http_code}"}, tt.args...)
			if out, err := exec.Command(curl, args...).CombinedOutput(); err != nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("curl %q: %v\n%s", args, err, out)
			}
		}
	}
}
