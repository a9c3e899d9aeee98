package interop

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/h2loop/h2loop/loop"
)

// TestChi serves a router of chi, with its middleware.
func TestChi(t *testing.T) {
	r := chi.NewRouter()
	r.Use(middleware.RequestID, middleware.Compress(5), middleware.Recoverer)
	r.Get("/items/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "item "+chi.URLParam(r, "id"))
	})
	r.Route("/api", func(r chi.Router) {
		r.Post("/echo", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	})
	cleartext, _ := serve(t, func(srv *loop.Server) { srv.HandleHTTP("/", r) })
	for name, c := range clients(t) {
		t.Run(name, func(t *testing.T) {
			if status, body, _ := get(t, c, "http://"+cleartext+"/items/7"); status != 200 || body != "item 7" {
				t.Errorf("%d %q", status, body)
			}
			if status, _, _ := get(t, c, "http://"+cleartext+"/none"); status != http.StatusNotFound {
				t.Errorf("%d", status)
			}
			if status, _, _ := get(t, c, "http://"+cleartext+"/api/echo"); status != http.StatusMethodNotAllowed {
				t.Errorf("%d", status)
			}
			resp, err := c.Post("http://"+cleartext+"/api/echo", "text/plain", strings.NewReader("some body"))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if p, err := io.ReadAll(resp.Body); err != nil || string(p) != "some body" {
				t.Errorf("%q %v", p, err)
			}
		})
	}
}

// TestPrometheus serves metrics, which promhttp compresses.
func TestPrometheus(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector())
	cleartext, _ := serve(t, func(srv *loop.Server) {
		srv.HandleHTTP("GET /metrics", promhttp.InstrumentMetricHandler(registry, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})))
	})
	for name, c := range clients(t) {
		for range 2 {
			status, body, _ := get(t, c, "http://"+cleartext+"/metrics")
			if status != 200 || !strings.Contains(body, "\ngo_goroutines ") || !strings.Contains(body, "promhttp_metric_handler_requests_total") {
				t.Errorf("%s: %d %.200q", name, status, body)
			}
		}
	}
}

// TestConnect has connect-go's client call connect-go's handler, by each of its
// protocols.
func TestConnect(t *testing.T) {
	type text = wrapperspb.StringValue
	mux := http.NewServeMux()
	mux.Handle("/test.Text/Upper", connect.NewUnaryHandler("/test.Text/Upper", func(_ context.Context, r *connect.Request[text]) (*connect.Response[text], error) {
		if r.Msg.GetValue() == "" {
			return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("nothing"))
		}
		answer := connect.NewResponse(wrapperspb.String(strings.ToUpper(r.Msg.GetValue())))
		answer.Trailer().Set("X-Sum", "1")
		return answer, nil
	}))
	mux.Handle("/test.Text/Chat", connect.NewBidiStreamHandler("/test.Text/Chat", func(_ context.Context, s *connect.BidiStream[text, text]) error {
		for {
			m, err := s.Receive()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := s.Send(wrapperspb.String(strings.ToUpper(m.GetValue()))); err != nil {
				return err
			}
		}
	}))
	cleartext, _ := serve(t, func(srv *loop.Server) { srv.HandleHTTP("/test.Text/", mux) })
	for name, c := range clients(t) {
		for kind, opts := range map[string][]connect.ClientOption{"connect": nil, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()}} {
			if kind == "gRPC" && name != "h2c" {
				continue // which is for HTTP/2 alone
			}
			t.Run(kind+" over "+name, func(t *testing.T) {
				upper := connect.NewClient[text, text](c, "http://"+cleartext+"/test.Text/Upper", opts...)
				r, err := upper.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("hello")))
				if err != nil || r.Msg.GetValue() != "HELLO" || r.Trailer().Get("X-Sum") != "1" {
					t.Errorf("%v %v", r, err)
				}
				if _, err = upper.CallUnary(t.Context(), connect.NewRequest(&text{})); connect.CodeOf(err) != connect.CodeInvalidArgument {
					t.Errorf("%v", err)
				}
				if name != "h2c" {
					return
				}
				chat := connect.NewClient[text, text](c, "http://"+cleartext+"/test.Text/Chat", opts...).CallBidiStream(t.Context())
				for range 100 {
					if err := chat.Send(wrapperspb.String("x")); err != nil {
						t.Fatal(err)
					}
					if m, err := chat.Receive(); err != nil || m.GetValue() != "X" {
						t.Fatalf("%v %v", m, err)
					}
				}
				if err := errors.Join(chat.CloseRequest(), chat.CloseResponse()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
