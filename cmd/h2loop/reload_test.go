package main

import (
	"crypto/x509"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestReload replaces the certificate under a connection, and by bad ones.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCertificate(t, dir)
	p := start(t, append(both, "--cert", cert, "--key", key)...)
	roots := rootsOf(t, cert)
	old := newClient(roots)
	get(t, old, p.urls[0]+"hello")

	reload := func(want string) {
		t.Helper()
		p.signal(syscall.SIGHUP)
		p.waitFor(want)
	}
	writeCertificate(t, dir)
	reload("reloaded")
	get(t, old, p.urls[0]+"hello") // on the connection there is
	if _, err := newClient(roots).Get(p.urls[0] + "hello"); err == nil {
		t.Error("new connections have the old certificate")
	}
	renewed := newClient(rootsOf(t, cert))
	get(t, renewed, p.urls[0]+"hello")

	otherCert, _ := writeCertificate(t, t.TempDir())
	b, err := os.ReadFile(otherCert)
	if err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	for why, bad := range map[string][]byte{"does not match": b, "failed to find": []byte("garbage")} {
		if err := os.WriteFile(cert, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		p.signal(syscall.SIGHUP)
		if l := p.waitFor("not reloaded: "); !strings.Contains(l.Message, why) {
			t.Errorf("%q does not say %q", l.Message, why)
		}
		renewed.CloseIdleConnections()
		get(t, renewed, p.urls[0]+"hello")
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	reload("not reloaded: ")
	if err := os.WriteFile(cert, good, 0o600); err != nil {
		t.Fatal(err)
	}
	reload("reloaded")
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestNothingToReload survives SIGHUP without a certificate of its own.
func TestNothingToReload(t *testing.T) {
	p := start(t, both...)
	p.signal(syscall.SIGHUP)
	p.waitFor("not reloaded: there is no --config")
	get(t, newClient(nil), p.urls[0]+"hello")
}

// TestReloadUnderLoad reloads twenty times while h2load makes connections: not one
// request fails.
func TestReloadUnderLoad(t *testing.T) {
	h2load, err := exec.LookPath("h2load")
	if err != nil {
		t.Skip("h2load is not installed")
	}
	dir := t.TempDir()
	cert, key := writeCertificate(t, dir)
	p := start(t, append(both, "--cert", cert, "--key", key)...)
	rounds := make(chan string)
	stop := make(chan struct{})
	go func() {
		defer close(rounds)
		for {
			out, err := exec.Command(h2load, "-n2000", "-c20", "-m10", p.urls[0]+"hello").CombinedOutput()
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
		writeCertificate(t, dir)
		p.signal(syscall.SIGHUP)
		p.waitFor("reloaded")
		if i%4 == 3 { // so that load goes on throughout
			if out := <-rounds; !strings.Contains(out, "2000 succeeded, 0 failed, 0 errored, 0 timeout") {
				t.Errorf("h2load:\n%s", out)
			}
		}
	}
	close(stop)
	for range rounds { // until h2load has ended
	}
}

// rootsOf trusts the certificate in a file.
func rootsOf(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		t.Fatalf("%s has no certificate", file)
	}
	return roots
}
