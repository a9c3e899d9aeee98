package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/h2loop/h2loop/examples/grpc/words"
	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/looptest"
)

// eachTransport runs f with a server that is reached in cleartext, and with one over TLS.
func eachTransport(t *testing.T, f func(t *testing.T, ts *looptest.Server, cc *grpc.ClientConn)) {
	for name, start := range map[string]func(testing.TB, func(*loop.Server)) *looptest.Server{
		"cleartext": looptest.New, "TLS": looptest.NewTLS,
	} {
		t.Run(name, func(t *testing.T) {
			ts := start(t, register)
			creds := insecure.NewCredentials()
			if name == "TLS" {
				creds = credentials.NewTLS(ts.Client().Transport.(*http.Transport).TLSClientConfig.Clone())
			}
			cc, err := grpc.NewClient(ts.Addr(), grpc.WithTransportCredentials(creds))
			if err != nil {
				t.Fatal(err)
			}
			defer cc.Close()
			f(t, ts, cc)
		})
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestWords calls a method of each kind.
func TestWords(t *testing.T) {
	eachTransport(t, func(t *testing.T, _ *looptest.Server, cc *grpc.ClientConn) {
		client, ctx := words.NewWordsClient(cc), within(t)
		if got, err := client.Count(ctx, &words.Text{Text: "one two  three"}); err != nil || got.GetWords() != 3 {
			t.Errorf("Count: %v, %v", got, err)
		}
		if _, err := client.Count(ctx, &words.Text{}); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "nothing to count") {
			t.Errorf("Count of nothing: %v", err)
		}
		if _, err := client.Count(ctx, &words.Text{Text: strings.Repeat("x", 1<<20)}); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("Count of too much: %v", err)
		}

		many := strings.Repeat("word ", 100_000)
		split, err := client.Split(ctx, &words.Text{Text: many})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; ; n++ {
			if _, err = split.Recv(); err != nil {
				break
			}
		}
		if n != 100_000 || !errors.Is(err, io.EOF) {
			t.Errorf("Split: %d words, %v", n, err)
		}

		sum, err := client.Sum(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if err := sum.Send(&words.Text{Text: many[:50_000]}); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := sum.CloseAndRecv(); err != nil || got.GetWords() != 1_000_000 {
			t.Errorf("Sum: %v, %v", got, err)
		}

		shout, err := client.Shout(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"each", "is", "answered", "before", "the", "next"} {
			if err := shout.Send(&words.Text{Text: word}); err != nil {
				t.Fatal(err)
			}
			if got, err := shout.Recv(); err != nil || got.GetText() != strings.ToUpper(word) {
				t.Fatalf("Shout: %v, %v", got, err)
			}
		}
		_ = shout.CloseSend()
		if _, err := shout.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("Shout ends with %v", err)
		}
	})
}

// TestBeside asks for the page, over either version of HTTP, on the port of gRPC, and
// for what is not there.
func TestBeside(t *testing.T) {
	eachTransport(t, func(t *testing.T, ts *looptest.Server, cc *grpc.ClientConn) {
		for version, c := range map[string]*http.Client{"HTTP/2": ts.Client(), "HTTP/1.1": ts.Client1()} {
			for path, want := range map[string]int{"/": 200, "/nowhere": 404, "/words.Words/Count": 405} {
				resp, err := c.Get(ts.URL() + path)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.StatusCode != want {
					t.Errorf("%s %s: %d, want %d", version, path, resp.StatusCode, want)
				}
			}
		}
		err := cc.Invoke(within(t), "/words.Words/Nothing", &words.Text{}, &words.Text{})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("a method that is not there: %v", err)
		}
	})
}

// TestHealth has who watches the health learn of the end.
func TestHealth(t *testing.T) {
	eachTransport(t, func(t *testing.T, ts *looptest.Server, cc *grpc.ClientConn) {
		ctx, cancel := context.WithCancel(within(t))
		defer cancel()
		watch, err := grpc_health_v1.NewHealthClient(cc).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		want := func(state grpc_health_v1.HealthCheckResponse_ServingStatus) {
			t.Helper()
			if got, err := watch.Recv(); err != nil || got.GetStatus() != state {
				t.Fatalf("%v, %v, want %v", got, err, state)
			}
		}
		want(grpc_health_v1.HealthCheckResponse_SERVING)
		ended := make(chan error, 1)
		go func() { ended <- ts.Server().Shutdown(within(t)) }()
		want(grpc_health_v1.HealthCheckResponse_NOT_SERVING)
		cancel() // as who watches goes elsewhere
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
