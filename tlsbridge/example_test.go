package tlsbridge_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http/httptest"

	"github.com/h2loop/h2loop/tlsbridge"
)

// A connection that answers in capitals. The loop is one blocking net.Conn here;
// the calls are those of an event loop.
func ExampleBridge() {
	certificate, roots := testCertificate()
	srv, err := tlsbridge.NewServer(&tls.Config{Certificates: []tls.Certificate{certificate}}, tlsbridge.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	bufs := tlsbridge.NewBuffers()

	clientSide, conn := net.Pipe()
	go func() {
		defer clientSide.Close()
		c := tls.Client(clientSide, &tls.Config{RootCAs: roots, ServerName: "example.com"})
		_, _ = io.WriteString(c, "hello")
		answer := make([]byte, len("HELLO"))
		_, err := io.ReadFull(c, answer)
		fmt.Printf("client read %q, %v\n", answer, err)
		_ = c.Close()
	}()

	b := srv.NewBridge(bufs)
	defer b.Stop()
	var out [][]byte
	open := func(plain []byte) error {
		out = append(out, bytes.ToUpper(plain)) // queue; do not call Seal here
		return nil
	}
	for buf := make([]byte, 4096); ; {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		ended := b.Receive(buf[:n], open)
		if len(out) > 0 {
			if err := b.Seal(out); err != nil {
				fmt.Println("seal:", err)
				return
			}
			out = nil
		}
		if ended != nil {
			fmt.Println("receive:", ended)
			b.CloseNotify()
		}
		if p := b.Pending(); len(p) > 0 {
			_, _ = conn.Write(p)
			b.Sent()
		}
		if ended != nil {
			return
		}
	}

	// Output:
	// client read "HELLO", <nil>
	// receive: EOF
}

// A handshake whose steps run on a goroutine that is not the loop's, because the
// certificate's key is RSA.
func ExampleBridge_Hold() {
	certificate, roots := testCertificate()
	srv, err := tlsbridge.NewServer(&tls.Config{Certificates: []tls.Certificate{certificate}}, tlsbridge.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	steps, stepped := make(chan *tlsbridge.Bridge), make(chan *tlsbridge.Bridge)
	defer close(steps)
	go func() { // a pool of one
		for b := range steps {
			b.Step()
			stepped <- b
		}
	}()

	clientSide, conn := net.Pipe()
	go func() {
		defer clientSide.Close()
		c := tls.Client(clientSide, &tls.Config{RootCAs: roots, ServerName: "example.com"})
		_, _ = io.WriteString(c, "hello")
		_ = c.Close()
	}()

	b := srv.NewBridge(tlsbridge.NewBuffers())
	defer b.Stop()
	if srv.Blocking() {
		fmt.Println("held")
		b.Hold()
	}
	open := func(plain []byte) error {
		fmt.Printf("server read %q\n", plain)
		return nil
	}
	for buf := make([]byte, 4096); ; {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		ended := b.Receive(buf[:n], open)
		for ended == nil && b.Ready() {
			steps <- b // a loop would go on with other connections
			ended = (<-stepped).Stepped(open)
		}
		if p := b.Pending(); len(p) > 0 {
			_, _ = conn.Write(p)
			b.Sent()
		}
		if ended != nil {
			fmt.Println("receive:", ended)
			return
		}
	}

	// Output:
	// held
	// server read "hello"
	// receive: EOF
}

// testCertificate borrows the certificate of net/http's tests.
func testCertificate() (tls.Certificate, *x509.CertPool) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.TLS.Certificates[0], roots
}
