package loop

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestWheelModel arms, stops and moves timers at random and compares what rings
// with a list.
func TestWheelModel(t *testing.T) {
	const timers = 200
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var (
			w        wheel
			ts       [timers]timer
			deadline [timers]time.Duration // what the model has; -1 if not armed
			now      time.Duration
			rung     []int
		)
		for i := range ts {
			deadline[i] = -1
			ts[i].ring = func() {
				if deadline[i] < 0 || deadline[i] > now {
					t.Fatalf("seed %d: timer %d rings at %v, its deadline is %v", seed, i, now, deadline[i])
				}
				deadline[i] = -1
				rung = append(rung, i)
				switch rnd.IntN(4) { // a timer may arm or stop any
				case 0:
					j := rnd.IntN(timers)
					deadline[j] = now + randomDelay(rnd)
					w.arm(&ts[j], deadline[j])
				case 1:
					j := rnd.IntN(timers)
					deadline[j] = -1
					w.stop(&ts[j])
				}
			}
		}
		for range 2000 {
			switch i := rnd.IntN(timers); rnd.IntN(5) {
			case 0, 1:
				deadline[i] = now + randomDelay(rnd)
				w.arm(&ts[i], deadline[i])
			case 2:
				deadline[i] = -1
				w.stop(&ts[i])
			default:
				now += randomDelay(rnd) / 4
				w.advance(now)
				// What is a whole tick late should have rung.
				for j, d := range deadline {
					if d >= 0 && d <= now.Truncate(tick)-tick {
						t.Fatalf("seed %d: timer %d has not rung at %v, its deadline is %v", seed, j, now, d)
					}
				}
			}
			for i := range ts {
				if ts[i].armed != (deadline[i] >= 0) {
					t.Fatalf("seed %d: timer %d: armed is %v", seed, i, ts[i].armed)
				}
			}
		}
		if len(rung) < timers {
			t.Fatalf("seed %d: %d timers have rung: the test shows too little", seed, len(rung))
		}
	}
}

// randomDelay is mostly short, and now and then beyond the reach of the wheel.
func randomDelay(rnd *rand.Rand) time.Duration {
	limits := []time.Duration{tick, 10 * tick, wheelSlots * tick, 3 * wheelSlots * tick}
	return time.Duration(rnd.Int64N(int64(limits[rnd.IntN(len(limits))])))
}

// TestWheelOrder rings timers of different ticks in the order of their deadlines,
// however late the wheel moves.
func TestWheelOrder(t *testing.T) {
	var w wheel
	var rung []int
	arm := func(i int, deadline time.Duration) {
		w.arm(&timer{ring: func() { rung = append(rung, i) }}, deadline)
	}
	arm(3, 50*tick)
	arm(1, tick)
	arm(4, 2000*tick)
	arm(2, 20*tick)
	w.advance(3000 * tick)
	if !slices.Equal(rung, []int{1, 2, 3, 4}) {
		t.Errorf("rung: %v", rung)
	}
}

// TestWheelEdges arms timers at, before and just after the present.
func TestWheelEdges(t *testing.T) {
	for _, tt := range []struct {
		deadline, at time.Duration
		rings        bool
	}{
		{10 * tick, 10*tick - 1, false},
		{10 * tick, 10 * tick, true},
		{10*tick + 1, 10 * tick, false},
		{10*tick + 1, 11*tick - 1, false}, // at the next tick
		{10*tick + 1, 11 * tick, true},
		{0, 5 * tick, false}, // long past: at the next tick
		{0, 6 * tick, true},
		{-tick, 6 * tick, true},
		{5*tick + wheelSlots*tick, 4*tick + wheelSlots*tick, false}, // once around
		{5*tick + wheelSlots*tick, 5*tick + wheelSlots*tick, true},
		{5*tick + 3*wheelSlots*tick, 5*tick + 3*wheelSlots*tick - 1, false},
		{5*tick + 3*wheelSlots*tick, 5*tick + 3*wheelSlots*tick, true},
	} {
		var w wheel
		w.advance(5 * tick)
		rings := 0
		tm := timer{ring: func() { rings++ }}
		w.arm(&tm, tt.deadline)
		w.advance(tt.at)
		if got := rings == 1; got != tt.rings {
			t.Errorf("deadline %v at %v: %d rings", tt.deadline, tt.at, rings)
		}
		w.advance(tt.at + 10*wheelSlots*tick)
		if rings != 1 {
			t.Errorf("deadline %v: %d rings in all", tt.deadline, rings)
		}
	}
}

// TestWheelStop stops timers twice, and within a ring one that is due as well.
func TestWheelStop(t *testing.T) {
	var w wheel
	var a, b timer
	a.ring = func() { w.stop(&b) }
	b.ring = func() { w.stop(&a) }
	w.stop(&a) // never armed
	w.arm(&a, tick)
	w.arm(&b, tick)
	w.advance(tick)
	if a.armed || b.armed {
		t.Error("armed after the ring")
	}
	w.arm(&a, 3*tick)
	w.stop(&a)
	w.stop(&a)
	a.ring = func() { t.Error("a timer rings that was stopped") }
	w.advance(10 * tick)
}

// TestWheelArmAgain arms a timer anew before it rings, and in its ring.
func TestWheelArmAgain(t *testing.T) {
	var w wheel
	rings := 0
	var tm timer
	tm.ring = func() {
		if rings++; rings < 5 {
			w.arm(&tm, 0) // at once, which is the next tick
		}
	}
	w.arm(&tm, tick)
	w.arm(&tm, 3*tick)
	w.advance(2 * tick)
	if rings != 0 {
		t.Error("rings at its first deadline")
	}
	w.advance(3 * tick)
	if rings != 1 {
		t.Errorf("%d rings at its second deadline", rings)
	}
	w.advance(10 * tick)
	if rings != 5 {
		t.Errorf("%d rings, want 5", rings)
	}
}

// TestWheelAllocates sees that arming costs no memory.
func TestWheelAllocates(t *testing.T) {
	var w wheel
	tm := timer{ring: func() {}}
	now := time.Duration(0)
	if n := testing.AllocsPerRun(1000, func() {
		w.arm(&tm, now+5*tick)
		now += tick
		w.advance(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
