package interop

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/h2loop/h2loop/loop"
)

// TestOpenTelemetry has otelhttp's middleware make a span of each request: a child
// of the client's, named after the pattern, with the status.
func TestOpenTelemetry(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	defer func() { _ = provider.Shutdown(context.Background()) }()
	seen := make(chan oteltrace.SpanContext, 1)
	h := otelhttp.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- oteltrace.SpanContextFromContext(r.Context())
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, r.PathValue("id"))
	}), "items",
		otelhttp.WithTracerProvider(provider),
		otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Pattern }))
	cleartext, _ := serve(t, func(srv *loop.Server) { srv.HandleHTTP("GET /items/{id}", h) })
	for name, c := range clients(t) {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequest("GET", "http://"+cleartext+"/items/7", nil)
			if err != nil {
				t.Fatal(err)
			}
			const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
			req.Header.Set("Traceparent", "00-"+trace+"-"+parent+"-01")
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if p, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusTeapot || string(p) != "7" || err != nil {
				t.Errorf("%s %q %v", resp.Status, p, err)
			}
			within := <-seen
			if within.TraceID().String() != trace {
				t.Errorf("the handler is in trace %s", within.TraceID())
			}
			span := spanWithID(t, spans, within.SpanID())
			if span.Name() != "GET /items/{id}" || span.Parent().SpanID().String() != parent {
				t.Errorf("span %q with parent %s", span.Name(), span.Parent().SpanID())
			}
			status := int64(0)
			for _, a := range span.Attributes() {
				if a.Key == "http.response.status_code" {
					status = a.Value.AsInt64()
				}
			}
			if status != http.StatusTeapot {
				t.Errorf("status %d in %v", status, span.Attributes())
			}
		})
	}
}

// spanWithID returns a span that has ended, or ends soon: the client may have its
// answer before the handler has returned.
func spanWithID(t *testing.T, spans *tracetest.SpanRecorder, id oteltrace.SpanID) trace.ReadOnlySpan {
	t.Helper()
	for range 1000 {
		for _, s := range spans.Ended() {
			if s.SpanContext().SpanID() == id {
				return s
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("span %s has not ended", id)
	return nil
}
