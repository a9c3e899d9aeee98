// Package freelist keeps what was made for later, as much of it as is needed and not
// what a rush has left behind.
package freelist

// A List keeps values that are to be used again, for one goroutine. The zero List is
// empty.
type List[T any] struct {
	free []T
	low  int // the fewest that were there since Trim
}

// Pop takes the value that was put back last, which is the likeliest to be in the
// CPU's caches; the zero value of T if there is none.
func (l *List[T]) Pop() (v T) {
	n := len(l.free) - 1
	if n < 0 {
		return v
	}
	var zero T
	v, l.free[n] = l.free[n], zero
	l.free = l.free[:n]
	if n < l.low {
		l.low = n
	}
	return v
}

// Push puts v back, unless there are most already.
func (l *List[T]) Push(v T, most int) {
	if len(l.free) < most {
		l.free = append(l.free, v)
	}
}

// Len returns how many there are.
func (l *List[T]) Len() int { return len(l.free) }

// Values lends what there is, until the next call of another method.
func (l *List[T]) Values() []T { return l.free }

// Trim forgets those that nobody has needed since the last Trim, but for keep of them.
func (l *List[T]) Trim(keep int) {
	n := max(len(l.free)-l.low, min(keep, len(l.free)))
	clear(l.free[n:])
	l.free, l.low = l.free[:n], n
}
