package loop_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/h2loop/h2loop/loop"
)

// TestH2spec runs h2spec, strictly, against a page that is static and against
// one that reads the body of the request.
func TestH2spec(t *testing.T) {
	t.Parallel()
	tool := findH2spec(t)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/static", loop.Static(200, "text/plain", []byte("Hello, World!\n")))
		srv.Handle("/body", func(x *loop.Exchange) {
			// h2spec wants a response that has a body.
			_ = x.ReadBody(0, func(x *loop.Exchange, body []byte) { _ = x.Send(200, append(body, "Goodbye!\n"...)) })
		})
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		for _, path := range []string{"/static", "/body"} {
			t.Run(path[1:], func(t *testing.T) {
				t.Parallel()
				runH2spec(t, tool, ts.addr(tr), path, tr == overTLS)
			})
		}
	})
}

func findH2spec(t *testing.T) string {
	t.Helper()
	if tool, err := exec.LookPath("h2spec"); err == nil {
		return tool
	}
	tool, err := filepath.Abs("../bin/h2spec")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tool); err != nil {
		t.Skip("h2spec is neither in PATH nor in bin: make h2spec installs it")
	}
	return tool
}

func runH2spec(t *testing.T, tool, addr, path string, tls bool) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	results := filepath.Join(t.TempDir(), "results.xml")
	args := []string{"--strict", "-o", "30", "-h", host, "-p", port, "-P", path, "-j", results}
	if tls {
		args = append(args, "-t", "-k")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, tool, args...).CombinedOutput()
	if err != nil {
		if at := bytes.Index(out, []byte("Failures:")); at >= 0 {
			out = out[at:]
		}
		t.Fatalf("h2spec: %v\n%s", err, out)
	}
	if n := h2specPassed(t, results); n < 140 {
		t.Errorf("h2spec ran %d tests that passed, want 140 at least:\n%s", n, out)
	}
}

// h2specPassed reads the report: an h2spec that runs nothing passes too.
func h2specPassed(t *testing.T, file string) (passed int) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Suites []struct {
			Cases []struct {
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b, &report); err != nil {
		t.Fatal(err)
	}
	for _, s := range report.Suites {
		for _, c := range s.Cases {
			if c.Failure == nil && c.Error == nil && c.Skipped == nil {
				passed++
			}
		}
	}
	return passed
}
