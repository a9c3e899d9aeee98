package message

import "testing"

// TestRegions pushes and pops in turns, and looks for what the queue keeps.
func TestRegions(t *testing.T) {
	var q Regions
	octets := []byte("0123456789")
	pushed, popped := 0, 0
	for round := range 1000 {
		for range 1 + round%3 {
			q.Push(octets[pushed%10:pushed%10+1], ReleaseFunc(func() {}))
			if q.Last().Octets[0] != octets[pushed%10] {
				t.Fatal("Last is not what was pushed")
			}
			pushed++
		}
		for q.Len() > 20 || q.Len() > 0 && round%100 == 99 {
			if r := q.First(); r.Octets[0] != octets[popped%10] || r.Releaser == nil {
				t.Fatalf("got %s in place of %d", r.Octets, popped%10)
			}
			q.Pop()
			popped++
		}
		if q.Len() != pushed-popped {
			t.Fatalf("%d of %d", q.Len(), pushed-popped)
		}
	}
	if n := cap(q.list); n > 128 {
		t.Errorf("a queue of up to 20 has grown to %d", n)
	}
	for q.Len() > 0 {
		q.Pop()
	}
	for _, r := range q.Memory() {
		if r.Octets != nil || r.Releaser != nil {
			t.Fatal("an empty queue keeps octets")
		}
	}
	q.list = make([]Region, 0, MaxKeptRegions)
	if e := q.Emptied(); len(e.Memory()) != MaxKeptRegions || e.Len() != 0 {
		t.Errorf("memory for %d", len(e.Memory()))
	}
	q.list = make([]Region, 0, MaxKeptRegions+1)
	if e := q.Emptied(); len(e.Memory()) != 0 {
		t.Errorf("memory for %d", len(e.Memory()))
	}
}
