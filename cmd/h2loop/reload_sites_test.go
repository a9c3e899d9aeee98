package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// reload sends SIGHUP, and waits for what is logged of it.
func (p *process) reload(want string) logLine {
	p.t.Helper()
	p.signal(syscall.SIGHUP)
	return p.waitFor(want)
}

// TestReloadConfig changes everything that can be changed, says what cannot, and refuses
// what is wrong.
func TestReloadConfig(t *testing.T) {
	in := installTwoSites(t)
	p := start(t, in.configure(twoSites)...)
	c := in.client(p, true)
	want := func(url, want string) *http.Response {
		t.Helper()
		got, resp := fetch(t, c, url)
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
		return resp
	}
	want("https://one.test/", "200 one")

	// A site more, other headers, redirects, rules and roots, on the same connection.
	in.write("three/index.html", "three")
	in.write("uno/index.html", "uno")
	in.write("uno/a.css", "css")
	changed := strings.NewReplacer(
		`root = "one"`, `root = "uno"`, "X-Site", "X-Other", "/new/", "/newer/", "max-age=60", "max-age=61",
		`max_age = "365d"`, `max_age = "366d"`,
	).Replace(twoSites) + "[[sites]]\nroot = 'three'\ncertificates = [{cert = 'one.crt', key = 'one.key'}]\n"
	in.configure(changed)
	p.reload("reloaded")
	if resp := want("https://one.test/", "200 uno"); resp.Header.Get("X-Other") != "one" || resp.Header.Get("X-Site") != "" ||
		!strings.Contains(resp.Header.Get("Strict-Transport-Security"), "31622400") {
		t.Errorf("header: %v", resp.Header)
	}
	if resp := want("https://one.test/old/x", "301"); resp.Header.Get("Location") != "/newer/x" {
		t.Errorf("Location %q", resp.Header.Get("Location"))
	}
	if resp := want("https://one.test/a.css", "200 css"); resp.Header.Get("Cache-Control") != "max-age=61" {
		t.Errorf("Cache-Control %q", resp.Header.Get("Cache-Control"))
	}
	want("http://three.test/", "200 three")

	// What is wrong changes nothing, and is named.
	for _, tt := range []struct{ text, want string }{
		{changed + "rooot = 'x'\n", "h2loop.toml:31:1: sites[2].rooot: there is no such field"},
		{strings.Replace(changed, "two.key", "one.key", 1), "does not match"},
		{strings.Replace(changed, `"two"`, `"missing"`, 1), "sites[1].root: stat "},
		{"", "that takes a restart"},
		{changed + "limits = {", "inline table"},
		{"limits.accept_rate.burst = 5\n" + strings.Replace(changed, `"uno"`, `"one"`, 1), "h2loop.toml:3:1: limits.accept_rate.burst: it needs a per_second"},
	} {
		in.configure(tt.text)
		if l := p.reload("not reloaded: "); !strings.Contains(l.Message, tt.want) || l.Level != "error" {
			t.Errorf("%s: %q, want %q", l.Level, l.Message, tt.want)
		}
		want("https://one.test/", "200 uno")
	}
	if err := os.Remove(in.path("h2loop.toml")); err != nil {
		t.Fatal(err)
	}
	p.reload("not reloaded: open ")

	// What takes a restart is told, and the rest holds.
	in.configure("loops = 3\nlimits.http2.max_concurrent_streams = 1\n" + strings.Replace(changed, `"uno"`, `"one"`, 1))
	if l := p.reload("these changes take a restart"); strings.Join(l.Fields, " ") != "loops" {
		t.Errorf("fields %q", l.Fields)
	}
	p.waitFor("reloaded")
	want("https://one.test/", "200 one")

	// A site that is gone.
	in.configure(twoSites)
	p.reload("reloaded")
	want("http://three.test/", "421")
}

// TestReloadRemovesSite has a site removed, and its directory, while large files of it are
// being sent: they arrive whole, and the directory is closed behind the last.
func TestReloadRemovesSite(t *testing.T) {
	in := installTwoSites(t)
	hash := writeFile(t, in.path("one"), 4<<20)
	with := "log.level = 'debug'\n" + twoSites
	p := start(t, in.configure(with)...)
	var bodies []io.ReadCloser
	for i := range 10 {
		c := in.client(p, i%2 == 0)
		tr := c.Transport.(*http.Transport)
		tr.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10, MaxReceiveBufferPerConnection: 128 << 10}
		resp, err := c.Get("https://one.test/big")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		bodies = append(bodies, resp.Body)
	}
	in.configure("log.level = 'debug'\n[[sites]]" + strings.SplitN(twoSites, "\n\n[[sites]]", 2)[1])
	p.reload("reloaded")
	if got, _ := fetch(t, in.client(p, true), "http://one.test/"); !strings.HasPrefix(got, "421 ") {
		t.Errorf("the site is still there: %q", got)
	}
	p.signal(syscall.SIGHUP)
	for l := p.waitFor(""); l.Message != "reloaded"; l = p.waitFor("") {
		if l.Message == "closed" {
			t.Error("the directory was closed under the downloads")
		}
	}
	if err := os.RemoveAll(in.path("one")); err != nil {
		t.Fatal(err)
	}
	finish(t, bodies, hash)
	for l := p.waitFor("closed"); l.Directory != in.path("one"); l = p.waitFor("closed") {
	}
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestReloadSitesUnderLoad reloads twenty times, now with a good configuration and now with
// a bad one, while h2load asks for a file over new and old connections: nothing fails.
func TestReloadSitesUnderLoad(t *testing.T) {
	h2load, err := exec.LookPath("h2load")
	if err != nil {
		t.Skip("h2load is not installed")
	}
	in := installTwoSites(t)
	site := "[[sites]]\nroot = '%'\ncertificates = [{cert = 'one.crt', key = 'one.key'}]\n"
	in.write("uno/index.html", "uno")
	config := func(i int) string {
		text := strings.Replace(site, "%", []string{"one", "uno"}[i%2], 1)
		if i%2 == 1 {
			text += "headers = {X-Odd = 'yes'}\n[limits]\nidle_timeout = '1m'\nhttp2.max_concurrent_streams = 100\n"
		}
		return text
	}
	p := start(t, in.configure(config(0))...)
	rounds := make(chan string)
	stop := make(chan struct{})
	go func() {
		defer close(rounds)
		for i := 0; ; i++ {
			argv := []string{"-n2000", "-c20", "-m10", p.urls[0]}
			if i%2 == 1 {
				argv = append([]string{"--h1"}, argv...)
			}
			out, err := exec.Command(h2load, argv...).CombinedOutput()
			result := string(out)
			if err != nil {
				result += err.Error()
			}
			select {
			case rounds <- result:
			case <-stop:
				return
			}
		}
	}()
	for i := range 20 {
		if i%5 == 4 {
			in.configure(config(i) + "nonsense = 1\n")
			p.reload("not reloaded: ")
		} else {
			in.certificate("one", "one.test")
			in.configure(config(i))
			p.reload("reloaded")
		}
		if i%4 == 3 { // so that load goes on throughout
			if out := <-rounds; !strings.Contains(out, "2000 succeeded, 0 failed, 0 errored, 0 timeout") ||
				!strings.Contains(out, "status codes: 2000 2xx") {
				t.Errorf("h2load:\n%s", out)
			}
		}
	}
	close(stop)
	for range rounds { // until h2load has ended
	}
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestWatch replaces the files of a certificate, and sends no signal: first one of them,
// then the other, then garbage.
func TestWatch(t *testing.T) {
	in := installTwoSites(t)
	p := start(t, in.configure("tls.watch = '1s'\n"+twoSites)...)
	serial := func() string {
		_, resp := fetch(t, in.client(p, true), "https://one.test/")
		return resp.TLS.PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	in.certificate("one", "one.test")
	p.waitFor("files of certificates have changed: reloaded")
	after := serial()
	if after == before {
		t.Error("the certificate is the old one")
	}
	in.write("one.key", "garbage")
	if l := p.waitFor("files of certificates have changed, and are not used: "); !strings.Contains(l.Message, "one.key") {
		t.Errorf("%q", l.Message)
	}
	if serial() != after {
		t.Error("the certificate has changed")
	}
	in.configure("tls.watch = 'off'\n" + twoSites)
	p.reload("not reloaded: ")
	in.certificate("one", "one.test")
	p.waitFor("files of certificates have changed: reloaded")
	if serial() == after {
		t.Error("the certificate is the old one")
	}
}
