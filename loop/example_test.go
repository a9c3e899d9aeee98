package loop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// A server with a route, which ends when its context does.
func Example() {
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0"}}})
	if err != nil {
		log.Fatal(err)
	}
	srv.Handle("GET /items/{id}", func(x *loop.Exchange) {
		_ = x.SendString(200, "item "+x.PathValue("id"))
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- srv.Run(ctx) }()

	fetch("GET", "http://"+srv.Addrs()[0].String()+"/items/7", "")

	stop() // drains
	fmt.Println(<-ended)
	// Output:
	// 200 item 7
	// <nil>
}

// Patterns are those of http.ServeMux.
func ExampleServer_Handle() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /files/{path...}", func(x *loop.Exchange) {
			_ = x.SendString(200, x.PathValue("path"))
		})
		srv.Handle("GET /logo", loop.Static(200, "text/plain", []byte("(logo)")))
	})
	defer stop()
	fetch("GET", url+"/files/a/b.txt", "")
	fetch("GET", url+"/logo", "")
	fetch("POST", url+"/logo", "")
	fetch("GET", url+"/other", "")
	// Output:
	// 200 a/b.txt
	// 200 (logo)
	// 405 Method Not Allowed
	// 404 404 page not found
}

// Static is for answers that never change.
func ExampleStatic() {
	robots := []byte("User-agent: *\nDisallow: /private/\n")
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /robots.txt", loop.Static(200, "text/plain", robots))
	})
	defer stop()
	fetch("GET", url+"/robots.txt", "")
	// Output:
	// 200 User-agent: *
	// Disallow: /private/
}

// Send copies: the buffer can be used again at once.
func ExampleExchange_Send() {
	var buf bytes.Buffer // one is enough: with one loop, callbacks run one after the other
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /time/{zone}", func(x *loop.Exchange) {
			buf.Reset()
			fmt.Fprintf(&buf, "{%q: %q}", x.PathValue("zone"), time.Unix(0, 0).UTC().Format(time.Kitchen))
			_ = x.SetHeader("content-type", "application/json")
			_ = x.Send(200, buf.Bytes())
		})
	})
	defer stop()
	fetch("GET", url+"/time/utc", "")
	// Output:
	// 200 {"utc": "12:00AM"}
}

// SendStatic references octets that never change, however many responses are on
// their way.
func ExampleExchange_SendStatic() {
	page := []byte("the same for everybody")
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /", func(x *loop.Exchange) {
			_ = x.SetHeader("x-for", x.RawQuery())
			_ = x.SendStatic(200, page)
		})
	})
	defer stop()
	fetch("GET", url+"/?you", "")
	// Output:
	// 200 the same for everybody
}

// SendOwned lends octets until it calls back.
func ExampleExchange_SendOwned() {
	released := make(chan string, 1)
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /", func(x *loop.Exchange) {
			block := bytes.Repeat([]byte("block "), 3) // from a pool, perhaps
			_ = x.SendOwned(200, block, func() { released <- "released" })
		})
	})
	defer stop()
	fetch("GET", url+"/", "")
	fmt.Println(<-released)
	// Output:
	// 200 block block block
	// released
}

// A countdown is a body that is made as it is sent.
type countdown struct{ n int }

func (c *countdown) Pull(int) (p []byte, end bool, err error) {
	p = fmt.Appendf(nil, "%d ", c.n)
	c.n--
	return p, c.n == 0, nil
}

func (c *countdown) Release() {}

// Writer is for a body that a goroutine writes.
func ExampleExchange_Writer() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /report", func(x *loop.Exchange) {
			w, err := x.Writer(200, -1)
			if err != nil {
				return
			}
			go func() {
				defer w.Close()
				for i := range 3 {
					if _, err := fmt.Fprintf(w, "line %d\n", i); err != nil {
						return // the client has gone away
					}
				}
				_ = w.AddTrailer("lines", "3")
			}()
		})
	})
	defer stop()
	fetch("GET", url+"/report", "")
	// Output:
	// 200 line 0
	// line 1
	// line 2
}

// BodyReader is for a body that a goroutine reads.
func ExampleExchange_BodyReader() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("POST /sum", func(x *loop.Exchange) {
			async := x.Async()
			body, err := x.BodyReader()
			if err != nil {
				return
			}
			go func() {
				n, err := io.Copy(io.Discard, body)
				_ = async.Do(func(x *loop.Exchange) {
					if x != nil && err == nil {
						_ = x.SendString(200, fmt.Sprint(n, " octets"))
					}
				})
			}()
		})
	})
	defer stop()
	fetch("POST", url+"/sum", strings.Repeat("x", 1_000_000))
	// Output:
	// 200 1000000 octets
}

// Context ends when there is nobody any more to answer.
func ExampleExchange_Context() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /", func(x *loop.Exchange) {
			ctx, async := x.Context(), x.Async()
			go func() {
				select { // a query that takes a context, perhaps
				case <-ctx.Done():
				case <-time.After(time.Millisecond):
				}
				_ = async.Do(func(x *loop.Exchange) {
					if x != nil {
						_ = x.SendString(200, "in time")
					}
				})
			}()
		})
	})
	defer stop()
	fetch("GET", url+"/", "")
	// Output:
	// 200 in time
}

// SendSource asks for a body piece by piece, as the client takes it.
func ExampleExchange_SendSource() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /", func(x *loop.Exchange) { _ = x.SendSource(200, -1, &countdown{10}) })
	})
	defer stop()
	fetch("GET", url+"/", "")
	// Output:
	// 200 10 9 8 7 6 5 4 3 2 1
}

// Stream is for a body that comes to be over time: server-sent events, for one.
// TryWrite never blocks; it takes less than it is given when the client is slow.
func ExampleExchange_Stream() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /events", func(x *loop.Exchange) {
			_ = x.SetHeader("content-type", "text/event-stream")
			s, err := x.Stream(200, -1)
			if err != nil {
				return
			}
			publish := func(x *loop.Exchange, event string) {
				if x == nil {
					return // the client has gone away
				}
				if event == "" {
					_ = s.Close()
					return
				}
				line := "data: " + event + "\n"
				if n, err := s.TryWrite([]byte(line)); err != nil || n < len(line) {
					_ = x.Reset(frames.ErrCodeCancel) // it is too slow
				}
			}
			async := x.Async()
			go func() {
				for _, event := range []string{"one", "two", ""} {
					_ = async.Do(func(x *loop.Exchange) { publish(x, event) })
				}
			}()
		})
	})
	defer stop()
	fetch("GET", url+"/events", "")
	// Output:
	// 200 data: one
	// data: two
}

// ReadBody gathers the body of a request.
func ExampleExchange_ReadBody() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("POST /upper", func(x *loop.Exchange) {
			_ = x.ReadBody(20, func(x *loop.Exchange, body []byte) {
				_ = x.Send(200, bytes.ToUpper(body))
			})
		})
	})
	defer stop()
	fetch("POST", url+"/upper", "shout")
	fetch("POST", url+"/upper", strings.Repeat("shout", 100))
	// Output:
	// 200 SHOUT
	// 413 Content Too Large
}

// OnBody takes a body of any length, without keeping it.
func ExampleExchange_OnBody() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("POST /count", func(x *loop.Exchange) {
			n := 0
			_ = x.OnBody(func(x *loop.Exchange, p []byte, end bool) {
				if n += len(p); end {
					_ = x.SendString(200, fmt.Sprint(n, " octets"))
				}
			})
		})
	})
	defer stop()
	fetch("POST", url+"/count", strings.Repeat("x", 1_000_000))
	// Output:
	// 200 1000000 octets
}

// PauseBody holds an upload up while what has come of it is being written.
func ExampleExchange_PauseBody() {
	store := func([]byte) { time.Sleep(time.Millisecond) } // blocks
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("POST /store", func(x *loop.Exchange) {
			async, n := x.Async(), 0
			_ = x.OnBody(func(x *loop.Exchange, p []byte, end bool) {
				_ = x.PauseBody()
				n += len(p)
				p = bytes.Clone(p)
				go func() {
					store(p)
					_ = async.Do(func(x *loop.Exchange) {
						switch {
						case x == nil: // the client has gone away
						case end:
							_ = x.SendString(200, fmt.Sprint("stored ", n))
						default:
							_ = x.ResumeBody()
						}
					})
				}()
			})
		})
	})
	defer stop()
	fetch("POST", url+"/store", strings.Repeat("x", 100_000))
	// Output:
	// 200 stored 100000
}

// What may block does so elsewhere, and comes back to answer.
func ExampleExchange_Async() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /slow", func(x *loop.Exchange) {
			async := x.Async()
			go func() {
				time.Sleep(10 * time.Millisecond) // a database, perhaps
				_ = async.Do(func(x *loop.Exchange) {
					if x == nil {
						return // the client has gone away
					}
					_ = x.SendString(200, "the answer")
				})
			}()
		})
	})
	defer stop()
	fetch("GET", url+"/slow", "")
	// Output:
	// 200 the answer
}

// A ticker is a source that has something to say only now and then.
type ticker struct {
	lines chan string
	async loop.Async
}

func (t *ticker) Pull(int) (p []byte, end bool, err error) {
	select {
	case line, more := <-t.lines:
		return []byte(line), !more, nil
	default:
		return nil, false, nil // nothing yet: Resume will be called
	}
}

func (t *ticker) Release() {}

func (t *ticker) run() {
	for _, line := range []string{"tick ", "tock ", "tick"} {
		t.lines <- line
		_ = t.async.Resume()
	}
	close(t.lines)
	_ = t.async.Resume()
}

// Use has middleware run before every handler; a group has some of its own.
func ExampleServer_Use() {
	server := func(next loop.Handler) loop.Handler {
		return func(x *loop.Exchange) {
			_ = x.SetHeader("server", "example")
			next(x)
		}
	}
	authorized := func(next loop.Handler) loop.Handler {
		return func(x *loop.Exchange) {
			if x.Header("authorization") == "" {
				_ = x.SendError(401, "who are you?")
				return
			}
			next(x)
		}
	}
	url, stop := serve(func(srv *loop.Server) {
		srv.Use(server)
		api := srv.Group("/api")
		api.Use(authorized)
		api.Handle("GET /items/{id}", func(x *loop.Exchange) { _ = x.SendString(200, x.PathValue("id")) })
		srv.Handle("GET /", func(x *loop.Exchange) { _ = x.SendString(200, "hello") })
		fmt.Println(srv.Routes())
	})
	defer stop()
	fetch("GET", url+"/", "")
	fetch("GET", url+"/api/items/7", "")
	// Output:
	// [{GET /api/items/{id} loop} {GET / loop}]
	// 200 hello
	// 401 who are you?
}

// Suspend is for middleware that has to ask before a request goes on.
func ExampleExchange_Suspend() {
	mayPass := func(token string) bool { time.Sleep(time.Millisecond); return token != "" }
	check := func(next loop.Handler) loop.Handler {
		return func(x *loop.Exchange) {
			token, async := x.Query().Get("token"), x.Suspend()
			go func() {
				if mayPass(token) {
					_ = async.Continue(next)
					return
				}
				_ = async.Do(func(x *loop.Exchange) {
					if x != nil {
						_ = x.SendError(403, "no")
					}
				})
			}()
		}
	}
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /", func(x *loop.Exchange) { _ = x.SendString(200, "yes") }, check)
	})
	defer stop()
	fetch("GET", url+"/?token=1", "")
	fetch("GET", url+"/", "")
	// Output:
	// 200 yes
	// 403 no
}

// Hooks observe requests: for metrics, or a log of them.
func ExampleHooks() {
	done := make(chan string, 1)
	srv, err := loop.New(loop.Config{
		Listeners: []loop.Listener{{Address: "127.0.0.1:0"}},
		Hooks: loop.Hooks{
			RequestDone: func(x *loop.Exchange, d loop.RequestInfo) {
				done <- fmt.Sprintf("%s %s: %d, %d octets, pattern %q", x.Method(), x.Path(), d.Status, d.Sent, x.Pattern())
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	srv.Handle("GET /items/{id}", func(x *loop.Exchange) { _ = x.SendString(200, "an item") })
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- srv.Run(ctx) }()
	fetch("GET", "http://"+srv.Addrs()[0].String()+"/items/7", "")
	fmt.Println(<-done)
	stop()
	fmt.Println(<-ended)
	// Output:
	// 200 an item
	// GET /items/7: 200, 7 octets, pattern "GET /items/{id}"
	// <nil>
}

// HandleBlocking is for handlers that wait: for a database, a disk, another server.
func ExampleServer_HandleBlocking() {
	query := func(ctx context.Context, order string) (string, error) { return "stored " + order, ctx.Err() }
	url, stop := serve(func(srv *loop.Server) {
		srv.HandleBlocking("POST /orders", func(ctx context.Context, x *loop.Exchange) error {
			order, err := x.ReadAll(1 << 20)
			if err != nil {
				return err // a body that is too large is answered with 413
			}
			result, err := query(ctx, string(order))
			if err != nil {
				return err // and anything else with 500
			}
			return x.SendString(201, result)
		})
	})
	defer stop()
	fetch("POST", url+"/orders", "two apples")
	// Output:
	// 201 stored two apples
}

// OnError answers for handlers that fail.
func ExampleServer_OnError() {
	url, stop := serve(func(srv *loop.Server) {
		srv.HandleBlocking("GET /items/{id}", func(context.Context, *loop.Exchange) error {
			return fs.ErrNotExist
		})
		srv.OnError(func(x *loop.Exchange, err error) {
			if errors.Is(err, fs.ErrNotExist) {
				_ = x.SendError(404, "no such item")
			}
		})
	})
	defer stop()
	fetch("GET", url+"/items/7", "")
	// Output:
	// 404 no such item
}

// Resume has a source asked again that had nothing to say.
func ExampleAsync_Resume() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /events", func(x *loop.Exchange) {
			t := &ticker{lines: make(chan string, 1), async: x.Async()}
			_ = x.SendSource(200, -1, t)
			go t.run()
		})
	})
	defer stop()
	fetch("GET", url+"/events", "")
	// Output:
	// 200 tick tock tick
}

// SendJSON encodes a value.
func ExampleExchange_SendJSON() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /items/{id}", func(x *loop.Exchange) {
			_ = x.SendJSON(200, map[string]string{"id": x.PathValue("id"), "lang": x.Query().Get("lang")})
		})
	})
	defer stop()
	fetch("GET", url+"/items/7?lang=en", "")
	// Output:
	// 200 {"id":"7","lang":"en"}
}

// Redirect leads elsewhere.
func ExampleExchange_Redirect() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /old", func(x *loop.Exchange) { _ = x.Redirect(301, "/new") })
	})
	defer stop()
	fetch("GET", url+"/old", "")
	// Output:
	// 301
}

// Inform lets a browser load what a page needs while the page is being made.
func ExampleExchange_Inform() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /", func(x *loop.Exchange) {
			_ = x.Inform(103, loop.Field{Name: "link", Value: "</style.css>; rel=preload; as=style"})
			_ = x.SendString(200, "the page")
		})
	})
	defer stop()
	fetch("GET", url+"/", "")
	// Output:
	// 200 the page
}

// AddTrailer adds what is known only at the end.
func ExampleExchange_AddTrailer() {
	url, stop := serve(func(srv *loop.Server) {
		srv.Handle("GET /", func(x *loop.Exchange) {
			_ = x.AddTrailer("checksum", "cafe")
			_ = x.SendString(200, "the body")
		})
	})
	defer stop()
	fetch("GET", url+"/", "")
	// Output:
	// 200 the body
}

// serve runs a server on one loop until stop is called.
func serve(register func(*loop.Server)) (url string, stop func()) {
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0"}}, Loops: 1})
	if err != nil {
		log.Fatal(err)
	}
	register(srv)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- srv.Run(ctx) }()
	return "http://" + srv.Addrs()[0].String(), func() {
		cancel()
		if err := <-ended; err != nil {
			log.Fatal(err)
		}
	}
}

// fetch makes a request and prints what comes.
func fetch(method, url, body string) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	rt := &http.Transport{Protocols: protocols}
	defer rt.CloseIdleConnections()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.StatusCode, strings.TrimSpace(string(got)))
}
