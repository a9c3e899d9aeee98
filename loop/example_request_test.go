package loop_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// Cookies are those of net/http.
func ExampleExchange_SetCookie() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("POST /login", func(x *loop.Exchange) {
			_ = x.SetCookie(&http.Cookie{Name: "session", Value: "s3cr3t", Path: "/", HttpOnly: true})
			_ = x.Send(204, nil)
		})
		srv.Handle("GET /", func(x *loop.Exchange) {
			if c, err := x.Cookie("session"); err == nil {
				_ = x.SendString(200, "session "+c.Value)
				return
			}
			_ = x.SendError(401, "log in first")
		})
	})
	defer stop()
	defer http.DefaultClient.CloseIdleConnections()
	fetch("GET", url, "")
	resp, err := http.Post(url+"/login", "", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Header.Get("Set-Cookie"))
	// Output:
	// 401 log in first
	// session=s3cr3t; Path=/; HttpOnly
}

// Query has the parameters, HeaderValues the values of a field.
func ExampleExchange_Query() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /search", func(x *loop.Exchange) {
			q := x.Query()
			_ = x.SendString(200, fmt.Sprint(q.Get("q"), " in ", q["in"], ", ", x.RawQuery(), ", ", x.HeaderValues("accept-language")))
		})
	})
	defer stop()
	fetch("GET", url+"/search?q=two+words&in=a&in=b", "")
	// Output:
	// 200 two words in [a b], q=two+words&in=a&in=b, []
}

// Trailers of the request are there once its body has ended.
func ExampleExchange_Trailers() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("POST /", func(x *loop.Exchange) {
			_ = x.ReadBody(0, func(x *loop.Exchange, body []byte) {
				for name, value := range x.Trailers {
					_ = x.SendString(200, fmt.Sprint(len(body), " octets, ", name, " ", value))
				}
			})
		})
	})
	defer stop()
	defer http.DefaultClient.CloseIdleConnections()
	req, err := http.NewRequest("POST", url, io.NopCloser(strings.NewReader("a body")))
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Trailer = http.Header{"X-Checksum": {"7"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	fmt.Println(string(b))
	// Output:
	// 6 octets, x-checksum 7
}

// AfterBody answers behind a body that nobody wants.
func ExampleExchange_AfterBody() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("POST /off", func(x *loop.Exchange) {
			x.AfterBody(func(x *loop.Exchange) { _ = x.SendError(410, "this is over") })
		})
	})
	defer stop()
	fetch("POST", url+"/off", "a small body")
	// Output:
	// 410 this is over
}

// OnAbort tells of a client that has given up; Reset is how the server does.
func ExampleExchange_OnAbort() {
	told := make(chan error, 1)
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /", func(x *loop.Exchange) {
			_ = x.OnAbort(func(err error) { told <- err })
			async := x.Async()
			_ = async.Do(func(x *loop.Exchange) { _ = x.Reset(frames.ErrCodeCancel) })
		})
	})
	defer stop()
	defer http.DefaultClient.CloseIdleConnections()
	resp, err := http.Get(url)
	if err == nil {
		_ = resp.Body.Close()
	}
	fmt.Println(err != nil)
	fmt.Println(<-told)
	// Output:
	// true
	// h1: response cut off by the application
}

// OffLoop gives the exchange to a goroutine of one's own.
func ExampleExchange_OffLoop() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("POST /sort", func(x *loop.Exchange) {
			x = x.OffLoop()
			go func() {
				body, err := x.ReadAll(1 << 20) // which waits
				if err != nil {
					_ = x.SendError(400, err.Error())
					return
				}
				words := strings.Fields(string(body))
				slices.Sort(words)
				_ = x.SendString(200, strings.Join(words, " "))
			}()
		})
	})
	defer stop()
	fetch("POST", url+"/sort", "c a b")
	// Output:
	// 200 a b c
}

// Continue goes on with a request that middleware has suspended.
func ExampleAsync_Continue() {
	url, stop := serve(func(srv *loop.Server) {
		limited := func(next loop.Handler) loop.Handler {
			return func(x *loop.Exchange) {
				async := x.Suspend()
				go func() { // asks somebody, and then
					_ = async.Continue(next)
				}()
			}
		}
		srv.Handle("GET /", func(x *loop.Exchange) { _ = x.SendString(200, "in the end") }, limited)
	})
	defer stop()
	fetch("GET", url, "")
	// Output:
	// 200 in the end
}

// Abort lets no client take a part for the whole.
func ExampleStream_Abort() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /", func(x *loop.Exchange) {
			s, err := x.Stream(200, -1)
			if err != nil {
				return
			}
			_, _ = s.TryWrite([]byte("half of it"))
			async := x.Async()
			go func() { // something goes wrong
				_ = async.Do(func(*loop.Exchange) { _ = s.Abort() })
			}()
		})
	})
	defer stop()
	defer http.DefaultClient.CloseIdleConnections()
	resp, err := http.Get(url)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	fmt.Println(err != nil)
	// Output:
	// true
}

// HandleUpgrade serves another protocol: here one that shouts.
func ExampleServer_HandleUpgrade() {
	url, stop := serve(func(srv *loop.Server) {
		srv.HandleUpgrade("/shout", "shout", func(x *loop.Exchange) {
			s, err := x.Switch()
			if err != nil {
				return
			}
			_ = x.OnBody(func(_ *loop.Exchange, p []byte, end bool) {
				_, _ = s.TryWrite([]byte(strings.ToUpper(string(p))))
				if end {
					_ = s.Close()
				}
			})
		})
	})
	defer stop()
	shout(url)
	// Output:
	// 101 Switching Protocols
	// HELLO
}

// SwitchWriter is for a goroutine that reads and writes.
func ExampleExchange_SwitchWriter() {
	url, stop := serve(func(srv *loop.Server) {
		srv.HandleUpgrade("/shout", "shout", func(x *loop.Exchange) {
			w, err := x.SwitchWriter()
			if err != nil {
				return
			}
			r, err := x.BodyReader()
			if err != nil {
				return
			}
			go func() {
				defer w.Close()
				lines := bufio.NewScanner(r)
				for lines.Scan() {
					fmt.Fprintln(w, strings.ToUpper(lines.Text()))
					_ = w.Flush()
				}
			}()
		})
	})
	defer stop()
	shout(url)
	// Output:
	// 101 Switching Protocols
	// HELLO
}

// shout switches to the protocol and says something in it.
func shout(url string) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /shout HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nhello\n")
	answer := bufio.NewReader(conn)
	resp, err := http.ReadResponse(answer, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Status)
	line, _ := answer.ReadString('\n')
	fmt.Print(line)
}
