package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
)

// check sends each kind of request of w to the server at port and fails if an
// answer is not the one the workload is about.
func check(ctx context.Context, g *ground, w workload, port int) error {
	pem, err := os.ReadFile(g.cert)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	var protocols http.Protocols
	protocols.SetHTTP1(w.http1)
	protocols.SetHTTP2(w.tls && !w.http1)
	protocols.SetUnencryptedHTTP2(!w.tls && !w.http1)
	transport := &http.Transport{
		Protocols:          &protocols,
		TLSClientConfig:    &tls.Config{RootCAs: roots},
		DisableCompression: true,
	}
	defer transport.CloseIdleConnections()

	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	if !w.varied {
		return checkOne(ctx, g, w, transport, w.url(port), nil)
	}
	for i, target := range variedTargets() {
		if err := checkOne(ctx, g, w, transport, w.origin(port)+target, variedFields[i%len(variedFields)]); err != nil {
			return err
		}
	}
	return nil
}

func checkOne(ctx context.Context, g *ground, w workload, transport *http.Transport, url string, fields []field) error {
	method, body := http.MethodGet, []byte(nil)
	if w.upload {
		method = http.MethodPost
		var err error
		if body, err = os.ReadFile(g.body(w.size)); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for _, f := range fields {
		req.Header.Set(f.name, f.value)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return err
	}
	major := 2
	if w.http1 {
		major = 1
	}
	if resp.ProtoMajor != major || resp.StatusCode/100 != 2 || !w.upload && n != int64(w.size) {
		return fmt.Errorf("%s %s: %s %s with %d octets", method, url, resp.Proto, resp.Status, n)
	}
	if resp.Close {
		return fmt.Errorf("%s %s: the connection does not persist", method, url)
	}
	return nil
}
