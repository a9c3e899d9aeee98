package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
)

// A hub keeps the last events, and wakes listeners when there are more. The events
// are there once for all: a listener has no queue of its own, only a place.
type hub struct {
	mu        sync.Mutex
	events    [][]byte // as they are sent; the last one has the number last
	last      int64
	kept      int
	closed    bool
	listeners map[*listener]struct{}
}

func newHub(kept int) *hub { return &hub{kept: kept, listeners: map[*listener]struct{}{}} }

// publish appends an event and returns its number.
func (h *hub) publish(kind, data string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	if len(h.events) == h.kept {
		h.events = h.events[1:]
	}
	h.events = append(h.events, encode(h.last, kind, data))
	for l := range h.listeners {
		l.wake()
	}
	return h.last
}

// encode returns an event as it is sent.
func encode(id int64, kind, data string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "id: %d\nevent: %s\n", id, kind)
	for line := range strings.SplitSeq(strings.ReplaceAll(data, "\r", ""), "\n") {
		fmt.Fprintf(&b, "data: %s\n", line)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// next returns the event behind number after, or the oldest that is kept, and its
// number; nil if there is none yet. closed says that there will be none.
func (h *hub) next(after int64) (event []byte, id int64, closed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if after >= h.last {
		return nil, 0, h.closed
	}
	oldest := h.last - int64(len(h.events)) + 1
	id = max(after+1, oldest)
	return h.events[id-oldest], id, false
}

// add has l woken from now on, behind the last event that its client has seen. A
// number that was not given out yet is one of a former life of the server.
func (h *hub) add(l *listener, seen int64) (place int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listeners[l] = struct{}{}
	if seen < 0 || seen > h.last {
		return h.last
	}
	return seen
}

func (h *hub) remove(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners, l)
}

// close ends the streams of all listeners, behind what was published.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for l := range h.listeners {
		l.wake()
	}
}
