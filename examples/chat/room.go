package main

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/h2loop/h2loop/loop"
)

const (
	pingInterval = 30 * time.Second
	maxMessage   = 4 << 10 // octets
	maxName      = 40
)

// A line is what somebody says, or what is said of them if From is empty.
type line struct {
	From string `json:"from,omitempty"`
	Text string `json:"text"`
}

// A room is where everybody hears everybody.
type room struct {
	mu     sync.Mutex
	people map[*socket]string // their names
	closed bool
}

func newRoom() *room { return &room{people: map[*socket]string{}} }

// enter has the client take part, under the name in the query.
func (r *room) enter(x *loop.Exchange) {
	name := strings.TrimSpace(x.Query().Get("name"))
	if name == "" || len(name) > maxName {
		_ = x.SendError(400, "everybody has a name")
		return
	}
	s, err := acceptSocket(x, maxMessage)
	if err != nil {
		return
	}
	s.onMessage = func(text string) { r.say(line{name, text}) }
	s.onEnd = func() { r.leave(s) }
	r.mu.Lock()
	r.people[s] = name
	closed := r.closed
	r.mu.Unlock()
	r.say(line{Text: name + " has come, over " + x.Proto()})
	s.begin(x)
	if closed && !s.ended {
		s.close(ws.StatusGoingAway, "the server is about to end")
	}
}

func (r *room) leave(s *socket) {
	r.mu.Lock()
	name, ok := r.people[s]
	delete(r.people, s)
	r.mu.Unlock()
	if ok {
		r.say(line{Text: name + " has left"})
	}
}

// say sends a line to everybody. It is encoded once.
func (r *room) say(l line) {
	text, err := json.Marshal(l)
	if err != nil {
		return
	}
	frame := ws.MustCompileFrame(ws.NewTextFrame(text))
	r.each(func(s *socket) { s.send(frame) })
}

// each calls f for every socket, on the loop of each.
func (r *room) each(f func(s *socket)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.people {
		s.do(func() { f(s) })
	}
}

// keepAlive has everybody pinged until ctx ends, and drops those who did not answer
// the last time.
func (r *room) keepAlive(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.each((*socket).ping)
		case <-ctx.Done():
			return
		}
	}
}

// close tells everybody to go.
func (r *room) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.each(func(s *socket) { s.close(ws.StatusGoingAway, "the server is about to end") })
}
