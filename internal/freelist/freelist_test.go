package freelist

import "testing"

func TestList(t *testing.T) {
	var l List[*int]
	if l.Pop() != nil {
		t.Error("an empty list has a value")
	}
	for i := range 20 {
		l.Push(&i, 10)
	}
	if l.Len() != 10 {
		t.Fatalf("%d, want 10: the rest is one too many", l.Len())
	}
	if v := l.Pop(); *v != 9 {
		t.Errorf("%d, want the last that found room", *v)
	}
}

func TestTrim(t *testing.T) {
	var l List[int]
	use := func(n int) {
		for range n {
			l.Pop()
		}
		for i := range n {
			l.Push(i, 100)
		}
	}
	use(100) // none of them was there
	l.Trim(4)
	if l.Len() != 100 {
		t.Errorf("%d after a rush, want all 100, which were needed", l.Len())
	}
	for _, tt := range []struct{ used, want int }{{30, 30}, {30, 30}, {10, 10}, {0, 4}, {0, 4}} {
		use(tt.used)
		l.Trim(4)
		if l.Len() != tt.want {
			t.Errorf("%d after %d were needed, want %d", l.Len(), tt.used, tt.want)
		}
		full := l.free[:cap(l.free)]
		for _, v := range full[l.Len():] {
			if v != 0 {
				t.Fatal("what was forgotten is still referred to")
			}
		}
	}
	var empty List[int]
	empty.Trim(4)
	if empty.Len() != 0 {
		t.Error("nothing became something")
	}
}

func TestAllocs(t *testing.T) {
	var l List[*int]
	v := new(int)
	if n := testing.AllocsPerRun(100, func() { l.Push(v, 1); v = l.Pop() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
