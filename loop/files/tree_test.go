package files

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/loop"
)

// TestTree has Go's own source served whole, over both versions of HTTP, over TLS
// and in cleartext, and sees each file arrive as it is.
func TestTree(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes its time")
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("there is no Go to serve: %v", err)
	}
	root := filepath.Join(strings.TrimSpace(string(goroot)), "src")
	sums := sumTree(t, root)
	fds := countFDs(t)
	dir, err := New(root, Options{Queue: 4096})
	if err != nil {
		t.Fatal(err)
	}
	nop := zerolog.Nop()
	srv, err := loop.New(loop.Config{
		Listeners: []loop.Listener{{Address: "127.0.0.1:0"}, {Address: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}}}},
		Logger:    &nop,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("/{path...}", dir.Handler("path"))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	s := &site{t: t, dir: root, files: dir}
	for i, scheme := range []string{"http", "https"} {
		for _, version := range []int{1, 2} {
			t.Run(fmt.Sprint(scheme, " ", version), func(t *testing.T) {
				fetchTree(t, fmt.Sprintf("%s://%s/", scheme, srv.Addrs()[i]), version, sums)
				s.wantNothingHeld()
			})
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := dir.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	s.eventually("all descriptors are closed", func() bool { return countFDs(t) <= fds })
	if n := dir.cache.held.Load(); n != 0 {
		t.Errorf("%d octets are held by a cache that is closed", n)
	}
}

func countFDs(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// testCertificate returns the one that net/http tests with.
func testCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	return srv.TLS.Certificates[0]
}

// sumTree returns the sums of the files below root that are served.
func sumTree(t *testing.T, root string) map[string][sha256.Size]byte {
	t.Helper()
	sums := make(map[string][sha256.Size]byte)
	n := 0
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != root && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		if n++; raceDetector && n%10 != 0 {
			return nil // it is slow
		}
		body, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		sums[rel] = sha256.Sum256(body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 1000 {
		t.Skipf("%s has %d files only", root, n)
	}
	return sums
}

// fetchTree asks for each file, a few at a time.
func fetchTree(t *testing.T, url string, version int, sums map[string][sha256.Size]byte) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(version == 1)
	protocols.SetHTTP2(version == 2)
	protocols.SetUnencryptedHTTP2(version == 2)
	transport := &http.Transport{
		Protocols:           protocols,
		DisableCompression:  true,
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		MaxIdleConnsPerHost: 8,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 4 * long}
	names := make(chan string)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for name := range names {
				resp, err := client.Get(url + name)
				if err != nil {
					t.Error(err)
					continue
				}
				sum, err := sumOf(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || resp.ProtoMajor != version || sum != sums[name] {
					t.Errorf("%s: %s %d, %v, or not what is there", name, resp.Proto, resp.StatusCode, err)
				}
			}
		})
	}
	for name := range sums {
		names <- strings.ReplaceAll(name, "%", "%25")
	}
	close(names)
	wg.Wait()
}
