package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// An actor does the same thing again and again.
type actor struct {
	name  string
	every time.Duration // on average, at rate 1
	most  int           // at the same time; what is due beyond that is left out
	act   func(ctx context.Context) error
}

// A load is who acts, upon what.
type load struct {
	*ground
	srv    *server
	s      settings
	watch  *watch
	keep   []*kind // connections that last
	fresh  []*kind // a new one for each request
	hold   time.Duration
	ending chan struct{} // closed when what is slow is to come to its end
	idlers []*kind
	asked  atomic.Int64 // turns of kinds
}

func newLoad(g *ground, srv *server, s settings, length time.Duration, w *watch) *load {
	l := &load{
		ground: g, srv: srv, s: s, watch: w,
		keep: g.kinds(false), fresh: g.kinds(true),
		// In a short run what is slow is not so slow, and whoever stalls goes away itself.
		hold: min(20*time.Second, length/4), ending: make(chan struct{}),
	}
	for i := range idleConnections {
		k := g.kinds(false)[i%4]
		l.idlers = append(l.idlers, k)
	}
	return l
}

const idleConnections = 48

// actors are all there are, with their rates.
func (l *load) actors(length time.Duration) []actor {
	const ms, s = time.Millisecond, time.Second
	now := []actor{
		{"probe", 20 * ms, 50, l.probe},
		{"small", 3 * ms, 50, l.small},
		{"odd", 20 * ms, 20, l.odd},
		{"pipeline", 100 * ms, 4, l.pipeline},
		{"large", 150 * ms, 4, l.large},
		{"range", 60 * ms, 8, l.ranges},
		{"upload", 60 * ms, 8, l.upload},
		{"large upload", 1500 * ms, 2, l.largeUpload},
		{"new connection", 30 * ms, 20, l.newConnection},
		{"reset", 150 * ms, 8, l.reset},
		{"aborted upload", 400 * ms, 4, l.abortUpload},
		{"vanish", 300 * ms, 8, l.vanish},
		{"slow reader", 1500 * ms, 16, l.slowReader},
		{"slow writer", 1500 * ms, 16, l.slowWriter},
		{"grpc", 1500 * ms, 16, l.grpc},
		{"idle", 250 * ms, idleConnections, l.idle},
		{"stall", 700 * ms, 40, l.stall},
	}
	if l.attacker != "" {
		now = append(now, actor{"attack", min(5*s, length/8), 1, l.attackOnce})
	}
	for i := range now {
		now[i].every = time.Duration(float64(now[i].every) / l.s.rate)
	}
	return append(now,
		actor{"reload", min(30*s, length/5), 1, l.reload},
		actor{"rotate", min(20*s, length/6), 1, l.rotate})
}

// run makes load, and returns when all of it has come to its end.
func (l *load) run(ctx context.Context, length time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer l.closeAll()
	end := make(chan struct{})
	var all sync.WaitGroup
	for _, a := range l.actors(length) {
		all.Go(func() { l.play(ctx, a, end) })
	}
	wait := time.NewTimer(length)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	case <-l.srv.ended:
	}
	close(end)
	close(l.ending)
	force := time.AfterFunc(patience+15*time.Second, cancel) // for what does not end
	defer force.Stop()
	all.Wait()
	select {
	case <-l.srv.ended:
		return fmt.Errorf("the server has ended: %w: %s", l.srv.err, l.srv.log.String())
	default:
		return context.Cause(ctx)
	}
}

func (l *load) closeAll() {
	for _, kinds := range [][]*kind{l.keep, l.fresh, l.idlers} {
		for _, k := range kinds {
			k.close()
		}
	}
}

// play has an actor act, until end is closed, and waits for what it has begun.
func (l *load) play(ctx context.Context, a actor, end <-chan struct{}) {
	var under sync.WaitGroup
	defer under.Wait()
	slots := make(chan struct{}, a.most)
	for due := time.Now(); ; {
		due = due.Add(time.Duration((0.5 + rand.Float64()) * float64(a.every)))
		select {
		case <-end:
			return
		case <-time.After(time.Until(due)):
		}
		select {
		case slots <- struct{}{}:
		default:
			l.watch.leftOut(a.name)
			continue
		}
		under.Go(func() {
			err := a.act(ctx)
			<-slots
			if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
				l.watch.count(a.name, err)
			}
		})
	}
}

// next returns one of several, in turns.
func next[T any](l *load, of []T) T { return of[int(l.asked.Add(1))%len(of)] }

// pick returns any of several.
func pick[T any](of []T) T { return of[rand.IntN(len(of))] }

// pause waits, but not if the load is to end.
func (l *load) pause(d time.Duration) {
	select {
	case <-l.ending:
	case <-time.After(d):
	}
}

// probe asks for what costs least, and notes how long it takes.
func (l *load) probe(ctx context.Context) error {
	k := next(l, l.keep)
	begun := time.Now()
	err := k.expect(ctx, request{method: http.MethodGet, host: pick(hosts), path: "/bench/hello"}, answer{status: 200, body: []byte("Hello, World!")})
	l.watch.took(time.Since(begun))
	return err
}
