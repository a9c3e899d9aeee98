package main

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// slowReader takes its time over a large answer, and then takes the rest of it.
func (l *load) slowReader(ctx context.Context) error {
	k, s := next(l, l.keep), pick(l.sites)
	f := s.files[larger]
	end := time.Now().Add(time.Duration(rand.Float64() * float64(l.hold)))
	return k.expect(ctx, get(s, f), answer{status: 200, body: f.body, slow: func() {
		if time.Now().Before(end) {
			l.pause(100 * time.Millisecond)
		}
	}})
}

// A trickle is a body that comes in pieces, with pauses.
type trickle struct {
	l     *load
	piece func() []byte
	left  int // pieces
	pause time.Duration
	rest  []byte
	sent  int
}

func (t *trickle) Read(p []byte) (int, error) {
	if len(t.rest) == 0 {
		if t.left == 0 {
			return 0, io.EOF
		}
		t.left--
		t.rest = t.piece()
		t.l.pause(t.pause) // the rest comes at once if the load is to end
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	t.sent += n
	return n, nil
}

func (t *trickle) send(ctx context.Context, k *kind, fields ...string) error {
	r := request{method: http.MethodPost, host: pick(hosts), path: "/bench/upload", body: t, length: -1, fields: fields}
	resp, err := k.do(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	// It is answered once all has been sent.
	return answer{status: 200, body: []byte(strconv.Itoa(t.sent))}.check(resp)
}

// slowWriter uploads a little now and then.
func (l *load) slowWriter(ctx context.Context) error {
	t := &trickle{l: l, left: 20, pause: time.Duration(rand.Float64() * float64(l.hold/20))}
	t.piece = func() []byte { return uploaded[:500+rand.IntN(4<<10)] }
	return t.send(ctx, next(l, l.keep))
}

// grpc sends messages as a stream of gRPC does, on a stream that lives long.
func (l *load) grpc(ctx context.Context) error {
	t := &trickle{l: l, left: 200, pause: l.hold / 200}
	t.piece = func() []byte {
		n := rand.IntN(300)
		return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(n)), uploaded[:n]...)
	}
	return t.send(ctx, l.keep[rand.IntN(2)], "Content-Type", "application/grpc", "Te", "trailers")
}

// idle makes a request on one of many connections that have nothing to do otherwise.
func (l *load) idle(ctx context.Context) error {
	s := pick(l.sites)
	f := s.files[small]
	return pick(l.idlers).expect(ctx, get(s, f), answer{status: 200, body: f.body})
}
