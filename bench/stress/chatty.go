package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// chatty is a client as busy as honest ones are: many requests at once on one
// connection, of which a third is cancelled, some before and some behind the first
// octets of the answer; bodies in small pieces; and a stream of tiny messages both
// ways for as long as that goes on. The server must not end its connection.
func chatty(args []string) error {
	flags := flag.NewFlagSet("chatty", flag.ExitOnError)
	n := flags.Int("n", 100_000, "requests")
	width := flags.Int("c", 100, "how many of them at a time")
	secure := flags.Bool("tls", false, "over TLS")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *n < 1 || *width < 1 || *width > 200 {
		return errors.New("-n is at least 1, and -c from 1 to 200")
	}
	srv, err := start("", nil, "-loops=1", "-tls=ecdsa")
	if err != nil {
		return err
	}
	return errors.Join(runChat(srv.addr, srv.addrTLS, *n, *width, *secure), srv.stop())
}

// A chat is one run of chatty.
type chat struct {
	client *http.Client
	url    string
	dials  atomic.Int32

	done, cancelled, uploads, messages atomic.Int64
}

func runChat(addr, addrTLS string, n, width int, secure bool) error {
	c := &chat{url: "http://" + addr}
	t := &http.Transport{Protocols: new(http.Protocols)}
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c.dials.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	if secure {
		c.url = "https://" + addrTLS
		t.TLSClientConfig = clientTLS()
		t.Protocols.SetHTTP2(true)
	} else {
		t.Protocols.SetUnencryptedHTTP2(true)
	}
	c.client = &http.Client{Transport: t}
	defer t.CloseIdleConnections()
	// The connection is made once, and not by many that find none.
	if _, err := c.get(context.Background(), "/hello"); err != nil {
		return err
	}
	began := time.Now()
	messages, end := context.WithCancel(context.Background())
	var streams, workers sync.WaitGroup
	failures := make(chan error, width+1)
	streams.Go(func() {
		if err := c.stream(messages); err != nil {
			failures <- fmt.Errorf("the stream of messages: %w", err)
		}
	})
	var next atomic.Int64
	for range width {
		workers.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := c.request(i); err != nil {
					failures <- fmt.Errorf("request %d: %w", i, err)
					return
				}
			}
		})
	}
	workers.Wait()
	end()
	streams.Wait()
	fmt.Printf("== %d requests, %d at once: %d answered, %d of them uploads in small pieces; %d cancelled; %d messages of a stream; %v\n"+
		"   connections: %d\n", n, width, c.done.Load(), c.uploads.Load(), c.cancelled.Load(), c.messages.Load(), time.Since(began).Round(time.Millisecond), c.dials.Load())
	close(failures)
	var err error
	for e := range failures {
		err = errors.Join(err, e)
	}
	if c.dials.Load() != 1 {
		err = errors.Join(err, errors.New("the server has ended the connection"))
	}
	return err
}

// request makes the i-th request; each third is cancelled.
func (c *chat) request(i int64) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	switch i % 6 {
	case 0: // before there is an answer
		time.AfterFunc(time.Duration(i%1000)*time.Microsecond, cancel)
		n, err := c.get(ctx, "/1m")
		if err == nil && n == 1<<20 {
			c.done.Add(1) // it was faster
			return nil
		}
		return c.wasCancelled(ctx, err)
	case 3: // in the middle of it
		resp, err := c.do(ctx, "GET", "/1m", nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.ReadFull(resp.Body, make([]byte, 100)); err != nil {
			return err
		}
		cancel()
		_, err = io.Copy(io.Discard, resp.Body)
		if err == nil {
			c.done.Add(1) // all of it had come
			return nil
		}
		return c.wasCancelled(ctx, err)
	case 1:
		resp, err := c.do(ctx, "POST", "/count", &pieces{left: 40})
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || string(b) != "1000" {
			return fmt.Errorf("an upload of 1000 octets was counted as %q: %w", b, err)
		}
		c.uploads.Add(1)
	default:
		if _, err := c.get(ctx, "/hello"); err != nil {
			return err
		}
	}
	c.done.Add(1)
	return nil
}

func (c *chat) wasCancelled(ctx context.Context, err error) error {
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	c.cancelled.Add(1)
	return nil
}

func (c *chat) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return nil, err
	}
	return c.send(req)
}

func (c *chat) send(req *http.Request) (*http.Response, error) {
	resp, err := c.client.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.Join(fmt.Errorf("%s: status %d", req.URL.Path, resp.StatusCode), resp.Body.Close())
	}
	return resp, err
}

func (c *chat) get(ctx context.Context, path string) (int64, error) {
	resp, err := c.do(ctx, "GET", path, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}

// stream sends messages of 5 octets, and reads each as it comes back.
func (c *chat) stream(ctx context.Context) error {
	r, w := io.Pipe()
	defer w.Close()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, c.url+"/echo", r)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/grpc") // which may be slow
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var back [5]byte
	for ctx.Err() == nil {
		if _, err := io.WriteString(w, "12345"); err != nil {
			return err
		}
		if _, err := io.ReadFull(resp.Body, back[:]); err != nil {
			return err
		}
		c.messages.Add(1)
	}
	return nil
}

// pieces is a body of pieces of 25 octets.
type pieces struct{ left int }

func (p *pieces) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	p.left--
	return copy(b, strings.Repeat(".", 25)), nil
}
