package h2

import (
	"testing"

	"github.com/h2loop/h2loop/internal/message"
)

// checkConn checks what must be true of a connection between calls.
func checkConn(t testing.TB, c *Conn) {
	t.Helper()
	unread := 0
	for _, s := range c.streams.slots {
		if s == nil {
			continue
		}
		unread += s.unread
		checkStream(t, c, s)
	}
	if unread != c.unread {
		t.Fatalf("streams hold %d octets unread, the connection counts %d", unread, c.unread)
	}
	if c.held < 0 || c.held > c.unread {
		t.Fatalf("%d octets held of %d unread", c.held, c.unread)
	}
	if w := c.recvWindow; c.life < lifeDrained && c.recv.phase != phaseData && w.granted+w.unreturned+int32(c.held) != w.size {
		t.Fatalf("connection window %+v, held %d: octets lost", w, c.held)
	}
	checkSchedule(t, c)
}

func checkStream(t testing.TB, c *Conn, s *Stream) {
	t.Helper()
	if s.state == stateIdle || s.state == stateClosed {
		t.Fatalf("stream %d is open in state %d", s.id, s.state)
	}
	if c.streams.get(s.id) != s {
		t.Fatalf("stream %d cannot be found", s.id)
	}
	size := s.recvWindow.size
	if !c.peer.acked {
		size += c.earlyCredit()
	}
	if w := s.recvWindow; c.recv.stream != s && s.unread >= 0 && w.granted+w.unreturned+int32(s.unread) != size {
		t.Fatalf("stream %d: window %+v, unread %d: octets lost", s.id, w, s.unread)
	}
	// A stream that could send waits for its turn.
	if s.body.pending() && !s.body.idle && s.sendWindow > 0 && s.list == nil {
		t.Fatalf("stream %d is forgotten", s.id)
	}
}

func checkSchedule(t testing.TB, c *Conn) {
	t.Helper()
	inList := 0
	walk := func(l *list, check func(*Stream) bool) {
		var prev *Stream
		for s := l.head; s != nil; s = s.next {
			inList++
			if s.list != l || s.prev != prev || c.streams.get(s.id) != s || !check(s) {
				t.Fatalf("stream %d is in the wrong list, or not rightly in it", s.id)
			}
			prev = s
		}
		if l.tail != prev {
			t.Fatal("the tail of a list is not its last")
		}
	}
	walk(&c.parked, func(s *Stream) bool { return s.body.source != nil })
	if q := c.sched.levels; q != nil {
		for u := range q {
			l := &q[u]
			if l.empty() != (c.sched.mask&(1<<u) == 0) {
				t.Fatalf("level %d: mask %08b", u, c.sched.mask)
			}
			walk(&l.turns, func(s *Stream) bool {
				return int(s.priority.urgency) == u && s.priority.incremental && s.body.pending()
			})
			walk(&l.ordered, func(s *Stream) bool {
				return int(s.priority.urgency) == u && !s.priority.incremental && s.body.pending() &&
					(s.prev == nil || s.prev.id < s.id)
			})
		}
	} else if c.sched.mask != 0 {
		t.Fatalf("no levels, mask %08b", c.sched.mask)
	}
	for _, s := range c.streams.slots {
		if s != nil && s.list != nil {
			inList--
		}
	}
	if inList != 0 {
		t.Fatalf("%d streams in lists that are not theirs", inList)
	}
}

// checkClosed checks that a closed connection holds nothing, and that what it
// gave to the free lists is as good as new.
func checkClosed(t testing.TB, c *Conn) {
	t.Helper()
	switch {
	case c.life != lifeClosed:
		t.Errorf("closed, in phase %d", c.life)
	case c.streams.n != 0 || c.streams.slots != nil:
		t.Error("streams kept")
	case c.out != nil || c.HasPending() || c.Pending() != nil:
		t.Error("outbox kept")
	case c.recv.carry != nil || c.recv.stream != nil || c.block.stream != nil:
		t.Error("what was being received is kept")
	case c.sched.levels != nil || c.parked.head != nil || c.parked.tail != nil || c.lame != nil:
		t.Error("lists kept")
	case c.codec != nil || c.filling != nil || c.early != nil:
		t.Error("codec, source or priorities kept")
	case c.unread != 0 || c.held != 0:
		t.Errorf("%d octets unread, %d held", c.unread, c.held)
	}
	checkShared(t, c.shared)
}

func checkShared(t testing.TB, sh *Shared) {
	t.Helper()
	seen := map[*Stream]bool{}
	for _, s := range sh.streams.Values() {
		if seen[s] {
			t.Error("a stream is free twice")
		}
		seen[s] = true
		fields, trailers, regions := s.Request.Fields, s.Request.Trailers, s.body.regions
		for _, f := range append(fields[:cap(fields)], trailers[:cap(trailers)]...) {
			if f != (Field{}) {
				t.Errorf("a free stream remembers field %q", f)
			}
		}
		for _, r := range regions.Memory() {
			if r.Octets != nil || r.Releaser != nil {
				t.Error("a free stream remembers a region")
			}
		}
		if len(fields)+len(trailers)+regions.Len() != 0 || cap(fields) > message.MaxKeptFields || cap(trailers) > message.MaxKeptFields || len(regions.Memory()) > message.MaxKeptRegions {
			t.Error("a free stream keeps too much")
		}
		rest := *s
		rest.Request.Fields, rest.Request.Trailers, rest.body.regions = nil, nil, message.Regions{}
		if rest.Request.Method != "" || rest.Request.Path != "" || rest.App != nil || rest.id != 0 ||
			rest.state != stateIdle || rest.announced || rest.answered || rest.body.source != nil ||
			rest.body.trailers != nil || rest.body.end || rest.list != nil || rest.next != nil || rest.prev != nil ||
			rest.unread != 0 || rest.received != 0 {
			t.Errorf("a free stream is not as new: %+v", rest)
		}
	}
	boxes := map[*outbox]bool{}
	for _, o := range sh.outboxes.Values() {
		if boxes[o] {
			t.Error("an outbox is free twice")
		}
		boxes[o] = true
		if o.Len() != 0 || o.NumSegments() != 0 || len(o.releases) != 0 || o.number != 0 || o.answers != 0 {
			t.Error("a free outbox is not empty")
		}
		for _, r := range o.releases[:cap(o.releases)] {
			if r != nil {
				t.Error("a free outbox remembers a release")
			}
		}
		segs := o.Segments()
		for _, p := range segs[:cap(segs)] {
			if p != nil {
				t.Error("a free outbox remembers a segment")
			}
		}
	}
	for _, q := range sh.schedules.Values() {
		if *q != ([numUrgencies]level{}) {
			t.Error("a free schedule is not empty")
		}
	}
	for _, b := range sh.carries.Values() {
		if len(b) != 0 {
			t.Error("a free carry is not empty")
		}
	}
}
