package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/h2loop/h2loop/loop"
)

const maxMessage = 16 << 20

// A rawCodec has messages that are octets, and those of protobuf for the services that
// grpc-go brings along.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case *[]byte:
		return *v, nil
	case proto.Message:
		return proto.Marshal(v)
	}
	return nil, fmt.Errorf("a message of type %T", v)
}

func (rawCodec) Unmarshal(p []byte, v any) error {
	switch v := v.(type) {
	case *[]byte:
		*v = bytes.Clone(p)
		return nil
	case proto.Message:
		return proto.Unmarshal(p, v)
	}
	return fmt.Errorf("a message of type %T", v)
}

// The service: Echo answers with what it is told, Wait until its client has gone,
// Collect with the number of octets, Count with so many messages, Chat message by
// message, Fail with an error.
var service = grpc.ServiceDesc{
	ServiceName: "test.Service",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		unary("Echo", func(ctx context.Context, p []byte) ([]byte, error) {
			if md, ok := metadata.FromIncomingContext(ctx); ok && len(md["x-echo"]) > 0 {
				_ = grpc.SetHeader(ctx, metadata.Pairs("x-header", md["x-echo"][0], "x-header-bin", "\x00\xff"))
				_ = grpc.SetTrailer(ctx, metadata.Pairs("x-trailer", md["x-echo"][0], "x-trailer-bin", "\xff\x00"))
			}
			return p, nil
		}),
		unary("Wait", func(ctx context.Context, _ []byte) ([]byte, error) {
			waiting <- struct{}{}
			<-ctx.Done()
			waited <- context.Cause(ctx)
			return nil, status.FromContextError(ctx.Err()).Err()
		}),
		unary("Fail", func(_ context.Context, p []byte) ([]byte, error) {
			return nil, status.Error(codes.DataLoss, "lost: "+string(p)+" äöü\n")
		}),
	},
	Streams: []grpc.StreamDesc{
		{StreamName: "Collect", ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			n := 0
			for {
				var p []byte
				if err := s.RecvMsg(&p); errors.Is(err, io.EOF) {
					sum := []byte(strconv.Itoa(n))
					return s.SendMsg(&sum)
				} else if err != nil {
					return err
				}
				n += len(p)
			}
		}},
		{StreamName: "Count", ServerStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			var p []byte
			if err := s.RecvMsg(&p); err != nil {
				return err
			}
			n, _ := strconv.Atoi(string(p))
			for i := range n {
				m := []byte(strconv.Itoa(i))
				if err := s.SendMsg(&m); err != nil {
					return err
				}
			}
			return nil
		}},
		{StreamName: "Chat", ServerStreams: true, ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			for {
				var p []byte
				if err := s.RecvMsg(&p); errors.Is(err, io.EOF) {
					return nil
				} else if err != nil {
					return err
				}
				if err := s.SendMsg(&p); err != nil {
					return err
				}
			}
		}},
	},
}

// waiting has that a call of Wait has come, and waited why its context has ended.
var (
	waiting = make(chan struct{}, 100)
	waited  = make(chan error, 100)
)

func unary(name string, f func(ctx context.Context, p []byte) ([]byte, error)) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var p []byte
		if err := dec(&p); err != nil {
			return nil, err
		}
		p, err := f(ctx, p)
		return &p, err
	}}
}

// serveGRPC serves the service, that of health, and a plain route.
func serveGRPC(t *testing.T) (cleartext, overTLS string) {
	t.Helper()
	g := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage))
	g.RegisterService(&service, nil)
	healthpb.RegisterHealthServer(g, health.NewServer())
	t.Cleanup(g.Stop)
	return serve(t, func(srv *loop.Server) {
		srv.HandleHTTP("/test.Service/", g)
		srv.HandleHTTP("/grpc.health.v1.Health/", g)
		srv.HandleHTTP("/http", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "http") }))
		srv.Handle("/plain", func(x *loop.Exchange) { _ = x.SendString(200, "plain") })
	})
}

func dial(t *testing.T, addr string, secure bool) *grpc.ClientConn {
	t.Helper()
	creds := insecure.NewCredentials()
	if secure {
		creds = credentials.NewTLS(&tls.Config{RootCAs: identity().roots})
	}
	cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds), grpc.WithDefaultCallOptions(
		grpc.ForceCodec(rawCodec{}), grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

func call(ctx context.Context, cc *grpc.ClientConn, method string, p []byte, opts ...grpc.CallOption) ([]byte, error) {
	var reply []byte
	err := cc.Invoke(ctx, "/test.Service/"+method, &p, &reply, opts...)
	return reply, err
}

func stream(ctx context.Context, t *testing.T, cc *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	s, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.Service/"+method)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func send(t *testing.T, s grpc.ClientStream, p []byte) {
	t.Helper()
	if err := s.SendMsg(&p); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, s grpc.ClientStream) []byte {
	t.Helper()
	var p []byte
	if err := s.RecvMsg(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestGRPC has grpc-go's client call grpc-go's server, by its ServeHTTP.
func TestGRPC(t *testing.T) {
	cleartext, overTLS := serveGRPC(t)
	for name, cc := range map[string]*grpc.ClientConn{"h2c": dial(t, cleartext, false), "TLS": dial(t, overTLS, true)} {
		t.Run(name, func(t *testing.T) {
			for name, test := range map[string]func(t *testing.T, cc *grpc.ClientConn){
				"unary": testUnary, "streams": testStreams, "metadata": testMetadata, "large": testLarge,
				"deadline": testDeadline, "cancellation": testCancellation, "health": testHealth,
			} {
				t.Run(name, func(t *testing.T) { test(t, cc) })
			}
		})
	}
}

func testUnary(t *testing.T, cc *grpc.ClientConn) {
	for _, p := range []string{"", "hello"} {
		if got, err := call(t.Context(), cc, "Echo", []byte(p)); err != nil || string(got) != p {
			t.Errorf("%q: %q %v", p, got, err)
		}
	}
	_, err := call(t.Context(), cc, "Fail", []byte("it"))
	if s := status.Convert(err); s.Code() != codes.DataLoss || s.Message() != "lost: it äöü\n" {
		t.Errorf("%v", err)
	}
	if _, err = call(t.Context(), cc, "None", nil); status.Code(err) != codes.Unimplemented {
		t.Errorf("a method that is not there: %v", err)
	}
}

func testStreams(t *testing.T, cc *grpc.ClientConn) {
	s := stream(t.Context(), t, cc, "Collect")
	for range 1000 {
		send(t, s, make([]byte, 1000))
	}
	if err := s.CloseSend(); err != nil {
		t.Error(err)
	}
	if got := receive(t, s); string(got) != "1000000" {
		t.Errorf("collected %q", got)
	}

	s = stream(t.Context(), t, cc, "Count")
	send(t, s, []byte("1000"))
	_ = s.CloseSend()
	for i := range 1000 {
		if got := receive(t, s); string(got) != strconv.Itoa(i) {
			t.Fatalf("message %d: %q", i, got)
		}
	}
	var p []byte
	if err := s.RecvMsg(&p); !errors.Is(err, io.EOF) {
		t.Errorf("behind the last: %v", err)
	}

	s = stream(t.Context(), t, cc, "Chat")
	for i := range 200 {
		m := []byte(strconv.Itoa(i))
		send(t, s, m)
		if got := receive(t, s); !bytes.Equal(got, m) {
			t.Fatalf("message %d: %q", i, got)
		}
	}
	_ = s.CloseSend()
	if err := s.RecvMsg(&p); !errors.Is(err, io.EOF) {
		t.Errorf("behind the last: %v", err)
	}
}

func testMetadata(t *testing.T, cc *grpc.ClientConn) {
	var header, trailer metadata.MD
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-echo", "said", "x-bin", "\x01\x02")
	if _, err := call(ctx, cc, "Echo", nil, grpc.Header(&header), grpc.Trailer(&trailer)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"x-header": "said", "x-header-bin": "\x00\xff"} {
		if !slices.Equal(header[name], []string{want}) {
			t.Errorf("%s: %q", name, header[name])
		}
	}
	for name, want := range map[string]string{"x-trailer": "said", "x-trailer-bin": "\xff\x00"} {
		if !slices.Equal(trailer[name], []string{want}) {
			t.Errorf("%s: %q", name, trailer[name])
		}
	}
}

func testLarge(t *testing.T, cc *grpc.ClientConn) {
	p := make([]byte, 10<<20)
	for i := range p {
		p[i] = byte(i * i >> 7)
	}
	if got, err := call(t.Context(), cc, "Echo", p); err != nil || !bytes.Equal(got, p) {
		t.Errorf("%d octets, %v", len(got), err)
	}
	s := stream(t.Context(), t, cc, "Chat")
	for range 2 {
		send(t, s, p)
		if got := receive(t, s); !bytes.Equal(got, p) {
			t.Errorf("%d octets", len(got))
		}
	}
	_ = s.CloseSend()
}

func testDeadline(t *testing.T, cc *grpc.ClientConn) {
	// Long enough for the handler to begin on a machine that stands still.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := call(ctx, cc, "Wait", nil); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("%v", err)
	}
	<-waiting
	select {
	case why := <-waited:
		if why == nil {
			t.Error("the context of the handler has no reason")
		}
	case <-time.After(patience):
		t.Error("the handler goes on")
	}
}

func testCancellation(t *testing.T, cc *grpc.ClientConn) {
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-waiting
		cancel()
	}()
	if _, err := call(ctx, cc, "Wait", nil); status.Code(err) != codes.Canceled {
		t.Errorf("%v", err)
	}
	select {
	case why := <-waited:
		if why == nil {
			t.Error("the context of the handler has no reason")
		}
	case <-time.After(patience):
		t.Error("the handler goes on")
	}
	// So does a stream that is given up in the middle.
	ctx, cancel = context.WithCancel(t.Context())
	s := stream(ctx, t, cc, "Chat")
	send(t, s, []byte("x"))
	receive(t, s)
	cancel()
	var p []byte
	if err := s.RecvMsg(&p); status.Code(err) != codes.Canceled {
		t.Errorf("%v", err)
	}
}

func testHealth(t *testing.T, cc *grpc.ClientConn) {
	r, err := healthpb.NewHealthClient(cc).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || r.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("%v %v", r, err)
	}
}

// TestGRPCLoad makes 10 000 calls, 100 at a time. None fails.
func TestGRPCLoad(t *testing.T) {
	cleartext, overTLS := serveGRPC(t)
	for name, cc := range map[string]*grpc.ClientConn{"h2c": dial(t, cleartext, false), "TLS": dial(t, overTLS, true)} {
		t.Run(name, func(t *testing.T) {
			var next, failed atomic.Int64
			var callers sync.WaitGroup
			begun := time.Now()
			for range 100 {
				callers.Go(func() {
					for i := next.Add(1); i <= 10_000; i = next.Add(1) {
						m := strconv.AppendInt(nil, i, 10)
						if got, err := call(t.Context(), cc, "Echo", m); err != nil || !bytes.Equal(got, m) {
							failed.Add(1)
							t.Errorf("call %d: %q %v", i, got, err)
						}
					}
				})
			}
			callers.Wait()
			t.Logf("10000 calls in %v, %d failed", time.Since(begun), failed.Load())
		})
	}
}

// TestGRPCStreamsHeldOpen has 5000 streams open while plain routes answer.
func TestGRPCStreamsHeldOpen(t *testing.T) {
	const conns, each = 25, 200
	cleartext, _ := serveGRPC(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var streams []grpc.ClientStream
	var mu sync.Mutex
	var openers sync.WaitGroup
	for range conns {
		cc := dial(t, cleartext, false)
		openers.Go(func() {
			for range each {
				s, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.Service/Chat")
				if err != nil {
					t.Error(err)
					return
				}
				m := []byte("hello")
				if err := errors.Join(s.SendMsg(&m), s.RecvMsg(&m)); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				streams = append(streams, s)
				mu.Unlock()
			}
		})
	}
	openers.Wait()
	if len(streams) != conns*each {
		t.Fatalf("%d streams", len(streams))
	}
	for name, c := range clients(t) {
		for _, path := range []string{"plain", "http"} {
			begun := time.Now()
			for range 1000 {
				if status, body, _ := get(t, c, "http://"+cleartext+"/"+path); status != 200 || body != path {
					t.Fatalf("%d %q", status, body)
				}
			}
			t.Logf("%d streams are open; /%s over %s: %v a request", len(streams), path, name, time.Since(begun)/1000)
		}
	}
	for i, s := range streams {
		m := []byte(strconv.Itoa(i))
		send(t, s, m)
		if got := receive(t, s); !bytes.Equal(got, m) {
			t.Fatalf("stream %d: %q", i, got)
		}
	}
}
