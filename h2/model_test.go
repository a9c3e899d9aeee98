package h2

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/h2loop/h2loop/frames"
)

// TestStreamTableModel holds the table against a map, with identifiers that
// collide as badly as a peer may choose them.
func TestStreamTableModel(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 2))
		stride := []frames.StreamID{2, 4, 8, 64, 1024}[seed%5]
		var table streamTable
		model := map[frames.StreamID]*Stream{}
		var ids []frames.StreamID
		next := frames.StreamID(1)
		most := 1 + rng.IntN(300)
		for range 3000 {
			if len(ids) == 0 || len(ids) < most && rng.IntN(2) == 0 {
				next += stride * frames.StreamID(1+rng.IntN(3))
				s := &Stream{id: next}
				table.put(s)
				model[next] = s
				ids = append(ids, next)
			} else {
				i := rng.IntN(len(ids))
				table.remove(model[ids[i]])
				delete(model, ids[i])
				ids = slices.Delete(ids, i, i+1)
			}
			if table.n != len(model) {
				t.Fatalf("seed %d: %d streams, want %d", seed, table.n, len(model))
			}
			if table.n*2 > len(table.slots) {
				t.Fatalf("seed %d: %d streams in %d slots", seed, table.n, len(table.slots))
			}
			for range 3 {
				id := 1 + frames.StreamID(rng.Uint32N(uint32(next)+10))
				if table.get(id) != model[id] {
					t.Fatalf("seed %d: stream %d: %v, want %v", seed, id, table.get(id), model[id])
				}
			}
		}
		for id, s := range model {
			if table.get(id) != s {
				t.Fatalf("seed %d: stream %d is lost", seed, id)
			}
		}
		seen := 0
		table.each(func(s *Stream) {
			if model[s.id] != s {
				t.Errorf("seed %d: stream %d", seed, s.id)
			}
			table.remove(s)
			seen++
		})
		if seen != len(model) || table.n != 0 {
			t.Errorf("seed %d: %d visited of %d, %d left", seed, seen, len(model), table.n)
		}
	}
	var empty streamTable
	if empty.get(1) != nil {
		t.Error("a stream in an empty table")
	}
	empty.each(func(*Stream) { t.Error("a stream in an empty table") })
}

// TestStreamTableEachSkipsTheClosed: a callback may close other streams too.
func TestStreamTableEachSkipsTheClosed(t *testing.T) {
	var table streamTable
	var all []*Stream
	for id := frames.StreamID(1); id < 20; id += 2 {
		s := &Stream{id: id}
		table.put(s)
		all = append(all, s)
	}
	visited := 0
	table.each(func(s *Stream) {
		visited++
		i := slices.Index(all, s)
		for _, x := range all[i-i%2 : i-i%2+2] { // s and its neighbour
			table.remove(x)
		}
	})
	if visited != 5 {
		t.Errorf("%d visited, want one of each pair", visited)
	}
}

func TestClosedRing(t *testing.T) {
	var c closedRing
	for id := frames.StreamID(1); id < 2000; id += 2 {
		c.addReset(id)
		c.addEnded(id + 1)
	}
	for id := frames.StreamID(1); id < 2000; id += 2 {
		if want := id >= 2000-2*rememberReset; c.wasReset(id) != want {
			t.Errorf("reset %d remembered: %v", id, !want)
		}
		if want := id+1 > 2000-2*rememberEnded; c.wasEnded(id+1) != want {
			t.Errorf("end of %d remembered: %v", id+1, !want)
		}
	}
	if len(c.reset) != rememberReset || len(c.ended) != rememberEnded {
		t.Errorf("%d and %d", len(c.reset), len(c.ended))
	}
}

// TestSchedulerModel holds the scheduler against a slow one that looks at all
// streams each time.
func TestSchedulerModel(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 3))
		sh := NewShared(Config{})
		var q scheduler
		var parked list
		var waiting []*Stream // in the order of their turns, for each level
		other := [numUrgencies]bool{}
		all := make([]*Stream, 20)
		for i := range all {
			all[i] = &Stream{id: frames.StreamID(2*i + 1)}
		}
		naiveNext := func() *Stream {
			var turn, ordered *Stream
			u := uint8(numUrgencies)
			for _, s := range waiting {
				u = min(u, s.priority.urgency)
			}
			for _, s := range waiting {
				switch {
				case s.priority.urgency != u:
				case s.priority.incremental && turn == nil:
					turn = s
				case !s.priority.incremental && (ordered == nil || s.id < ordered.id):
					ordered = s
				}
			}
			if turn == nil || ordered != nil && other[u] {
				return ordered
			}
			return turn
		}
		remove := func(s *Stream) {
			waiting = slices.DeleteFunc(waiting, func(x *Stream) bool { return x == s })
			u := s.priority.urgency
			if !slices.ContainsFunc(waiting, func(x *Stream) bool { return x.priority.urgency == u }) {
				other[u] = false
			}
		}
		for range 2000 {
			s := all[rng.IntN(len(all))]
			switch rng.IntN(4) {
			case 0:
				if s.list == nil {
					s.priority = priority{urgency: uint8(rng.IntN(3)), incremental: rng.IntN(2) == 0}
					q.push(s, sh)
					waiting = append(waiting, s)
				}
			case 1:
				if s.list == nil {
					parked.pushBack(s)
				} else if s.list == &parked {
					q.remove(s, &parked, sh)
				}
			case 2:
				if s.list != &parked && rng.IntN(3) == 0 {
					q.remove(s, &parked, sh)
					remove(s)
				}
			case 3:
				if q.empty() != (len(waiting) == 0) {
					t.Fatalf("seed %d: empty %v, %d wait", seed, q.empty(), len(waiting))
				}
				if q.empty() {
					if q.levels != nil {
						t.Fatalf("seed %d: levels kept", seed)
					}
					continue
				}
				s := q.next()
				if want := naiveNext(); s != want {
					t.Fatalf("seed %d: stream %d is next, want %d", seed, s.id, want.id)
				}
				q.sent(s)
				other[s.priority.urgency] = s.priority.incremental
				if s.priority.incremental {
					i := slices.Index(waiting, s)
					waiting = append(slices.Delete(waiting, i, i+1), s)
				}
			}
		}
	}
}

func TestSection6_9_1_SendWindow(t *testing.T) {
	for _, tt := range []struct {
		w     sendWindow
		delta int64
		ok    bool
		want  sendWindow
		avail int
	}{
		{0, 1, true, 1, 1},
		{0, maxWindow, true, maxWindow, maxWindow},
		{1, maxWindow, false, 1, 1},
		{maxWindow, 1, false, maxWindow, maxWindow},
		{maxWindow, 0, true, maxWindow, maxWindow},
		{-1, maxWindow, true, maxWindow - 1, maxWindow - 1},
		{0, -maxWindow, true, -maxWindow, 0},
		{-maxWindow, -maxWindow, true, math.MinInt32, 0},
		{-5, 5, true, 0, 0},
		{100, -150, true, -50, 0},
		{0, 1 << 40, false, 0, 0},
	} {
		w := tt.w
		if ok := w.grow(tt.delta); ok != tt.ok || w != tt.want || w.avail() != tt.avail {
			t.Errorf("%d grows by %d: %v, %d, %d available; want %v, %d, %d", tt.w, tt.delta, ok, w, w.avail(), tt.ok, tt.want, tt.avail)
		}
	}
	w := sendWindow(5)
	w.take(5)
	mustPanic(t, "h2: sendWindow overdrawn", func() { w.take(1) })
	w = -3
	w.take(0)
	mustPanic(t, "h2: sendWindow overdrawn", func() { w.take(1) })
	if w != -3 {
		t.Errorf("window %d, want -3", w)
	}
}

func TestSection6_9_RecvWindow(t *testing.T) {
	w := newRecvWindow(100)
	if w.take(101) || !w.take(0) || !w.take(100) || w.take(1) || !w.take(0) {
		t.Errorf("%+v", w)
	}
	w.consume(49)
	if n := w.giveBack(); n != 0 {
		t.Errorf("%d given back for 49 of 100", n)
	}
	w.consume(1)
	if n := w.giveBack(); n != 50 {
		t.Errorf("%d given back, want 50", n)
	}
	if n := w.giveBack(); n != 0 {
		t.Errorf("%d given back twice", n)
	}
	w.enlarge(60)
	if n := w.giveBack(); n != 0 {
		t.Errorf("%d given back for 60 of 160", n)
	}
	w.consume(20)
	if n := w.giveBack(); n != 80 || w.granted != 130 || w.size != 160 {
		t.Errorf("%d given back, %+v", n, w)
	}
	if w.take(math.MaxUint32) {
		t.Error("2^32-1 taken")
	}
	tiny := newRecvWindow(1)
	if n := tiny.giveBack(); n != 0 {
		t.Errorf("%d given back of nothing", n)
	}
	w = newRecvWindow(10)
	w.granted = -5 // see Conn.earlyCredit
	if !w.take(0) || w.take(1) {
		t.Error("a window below zero takes empty frames only")
	}
}

// TestSection5_1_Transitions walks the whole table.
func TestSection5_1_Transitions(t *testing.T) {
	const none = numStates
	want := [numStates][numInputs]streamState{
		//                    recvHeaders           recvData              recvEnd                recvReset    sendHeaders            sendData               sendEnd               sendReset
		stateIdle:             {stateOpen, none, none, none, none, none, none, none},
		stateOpen:             {stateOpen, stateOpen, stateHalfClosedRemote, stateClosed, stateOpen, stateOpen, stateHalfClosedLocal, stateClosed},
		stateHalfClosedRemote: {none, none, none, stateClosed, stateHalfClosedRemote, stateHalfClosedRemote, stateClosed, stateClosed},
		stateHalfClosedLocal:  {stateHalfClosedLocal, stateHalfClosedLocal, stateClosed, stateClosed, none, none, none, stateClosed},
		stateClosed:           {none, none, none, none, none, none, none, none},
	}
	for from := range numStates {
		for in := range numInputs {
			s := from
			ok := s.on(in)
			if w := want[from][in]; ok != (w != none) || ok && s != w || !ok && s != from {
				t.Errorf("state %d, input %d: %d, %v", from, in, s, ok)
			}
		}
	}
}
