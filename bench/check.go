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

// check sends one request of w to the server at port and fails if the answer
// is not the one the workload is about.
func check(ctx context.Context, g *ground, w workload, port int) error {
	pem, err := os.ReadFile(g.cert)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	var protocols http.Protocols
	protocols.SetHTTP2(w.tls)
	protocols.SetUnencryptedHTTP2(!w.tls)
	transport := &http.Transport{Protocols: &protocols, TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()

	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	method, body := http.MethodGet, []byte(nil)
	if w.upload {
		method = http.MethodPost
		if body, err = os.ReadFile(g.upload); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, w.url(port), bytes.NewReader(body))
	if err != nil {
		return err
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
	if resp.ProtoMajor != 2 || resp.StatusCode/100 != 2 || !w.upload && n != int64(w.size) {
		return fmt.Errorf("%s %s: %s %s with %d octets", method, w.path, resp.Proto, resp.Status, n)
	}
	return nil
}
