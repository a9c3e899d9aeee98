package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestClients uses the HTTP/1.1 clients of other languages, and the load
// generators, over TLS and in cleartext. Those make as many handshakes at once as one
// address may have in progress: of more, some would have to make room for others, were
// the generator kept from the CPU for two seconds, and that is a socket error.
func TestClients(t *testing.T) {
	p := start(t, append(both, "--bench")...)
	for _, tt := range []struct {
		argv []string // with the URL behind it
		want string
	}{
		{[]string{"node", "testdata/client.js"}, "ok\n"},
		{[]string{"python3", "testdata/client.py"}, "ok\n"},
		{[]string{"h2load", "--h1", "-n10000", "-c50"}, "10000 succeeded, 0 failed, 0 errored, 0 timeout"},
		{[]string{"wrk", "--timeout", "60s", "-t1", "-c50", "-d1s"}, "Requests/sec"},
		{[]string{"wrk", "--timeout", "60s", "-t1", "-c50", "-d1s", "-s", "testdata/pipeline.lua"}, "Requests/sec"},
		{[]string{"wrk", "--timeout", "60s", "-t1", "-c50", "-d1s", "-s", "testdata/post.lua"}, "Requests/sec"},
	} {
		t.Run(strings.Join(tt.argv, " "), func(t *testing.T) {
			program, err := exec.LookPath(tt.argv[0])
			if err != nil {
				t.Skipf("%s is not installed", tt.argv[0])
			}
			for _, url := range p.urls {
				out, err := exec.Command(program, append(tt.argv[1:], url)...).CombinedOutput()
				if err != nil || !strings.Contains(string(out), tt.want) {
					t.Errorf("%q: %v\n%s", url, err, out)
				}
				// wrk tells of errors only if there are any.
				if strings.Contains(string(out), "Socket errors") || strings.Contains(string(out), "Non-2xx") {
					t.Errorf("%q:\n%s", url, out)
				}
			}
		})
	}
}
