package loop

import "time"

// tick is how often the timers of a loop are looked at. Nothing that is timed
// here needs to be exact.
const tick = 100 * time.Millisecond

// wheelSlots times tick is how far a wheel reaches; what lies beyond comes by
// and is put off again. It is a power of two.
const wheelSlots = 1024

// A timer runs a function on its loop, some time after its deadline. It is
// cheap to arm late: most timers of connections are never due, so they are
// moved on when they ring and not whenever octets come.
type timer struct {
	ring       func()
	deadline   time.Duration // on the loop's clock
	armed      bool
	prev, next *timer
}

// A wheel holds the timers of one loop, a list for each tick.
type wheel struct {
	slots [wheelSlots]timer // heads of circular lists, made on first use
	at    int64             // ticks seen
}

func slotOf(d time.Duration) int64 { return int64((d + tick - 1) / tick) }

// arm makes t ring once the clock has reached deadline.
func (w *wheel) arm(t *timer, deadline time.Duration) {
	w.stop(t)
	t.deadline, t.armed = deadline, true
	at := min(max(slotOf(deadline), w.at+1), w.at+wheelSlots-1)
	head := &w.slots[at&(wheelSlots-1)]
	if head.next == nil {
		head.next, head.prev = head, head
	}
	t.prev, t.next = head.prev, head
	t.prev.next, head.prev = t, t
}

// armBy makes t ring once the clock has reached deadline, or before if it is armed so.
func (w *wheel) armBy(t *timer, deadline time.Duration) {
	if !t.armed || t.deadline > deadline {
		w.arm(t, deadline)
	}
}

// stop makes t not ring.
func (w *wheel) stop(t *timer) {
	if !t.armed {
		return
	}
	t.prev.next, t.next.prev = t.next, t.prev
	t.prev, t.next, t.armed = nil, nil, false
}

// advance rings what is due at now. A timer may arm or stop any timer.
func (w *wheel) advance(now time.Duration) {
	for last := int64(now / tick); w.at < last; {
		w.at++
		head := &w.slots[w.at&(wheelSlots-1)]
		if head.next == nil || head.next == head {
			continue
		}
		// What is armed again meanwhile goes to a later slot, or, a whole
		// round ahead at most, never to this one.
		for t := head.next; t != head; t = head.next {
			w.stop(t)
			if t.deadline > now {
				w.arm(t, t.deadline)
				continue
			}
			t.ring()
		}
	}
}
