package h2

import "math/bits"

// A list is a doubly linked list of streams. A stream is in one list at most.
type list struct{ head, tail *Stream }

func (l *list) pushBack(s *Stream) { l.insertBefore(s, nil) }

// insertBefore puts s in front of at, or at the end if at is nil.
func (l *list) insertBefore(s, at *Stream) {
	s.list = l
	s.next = at
	if at == nil {
		s.prev = l.tail
		l.tail = s
	} else {
		s.prev = at.prev
		at.prev = s
	}
	if s.prev == nil {
		l.head = s
	} else {
		s.prev.next = s
	}
}

func (l *list) remove(s *Stream) {
	if s.prev == nil {
		l.head = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		l.tail = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.list, s.prev, s.next = nil, nil, nil
}

// A level holds the streams of one urgency that have something to send.
//
// Incremental streams take turns, a frame each. The others are answered one
// after the other, by identifier; beside incremental ones, the first of them
// has every second turn, so that neither kind starves (RFC 9218, Section 10).
type level struct {
	turns   list // incremental
	ordered list // not incremental
	other   bool // the turn is ordered's
}

func (l *level) empty() bool { return l.turns.head == nil && l.ordered.head == nil }

// A scheduler says which stream sends next (RFC 9218). It holds only streams
// that could send if the connection may.
type scheduler struct {
	levels *[numUrgencies]level // nil while no stream waits
	mask   uint8                // bit u: level u is not empty
}

func (q *scheduler) empty() bool { return q.mask == 0 }

// push adds s, which is in no list.
func (q *scheduler) push(s *Stream, sh *Shared) {
	if q.levels == nil {
		q.levels = sh.getSchedule()
	}
	u := s.priority.urgency
	l := &q.levels[u]
	q.mask |= 1 << u
	if s.priority.incremental {
		l.turns.pushBack(s)
		return
	}
	at := l.ordered.tail
	for at != nil && at.id > s.id {
		at = at.prev
	}
	if at == nil {
		l.ordered.insertBefore(s, l.ordered.head)
	} else {
		l.ordered.insertBefore(s, at.next)
	}
}

// remove takes s out of whatever list it is in; parked is the one list that
// is not the scheduler's.
func (q *scheduler) remove(s *Stream, parked *list, sh *Shared) {
	if s.list == nil {
		return
	}
	inLevel := s.list != parked
	u := s.priority.urgency
	s.list.remove(s)
	if inLevel && q.levels[u].empty() {
		q.mask &^= 1 << u
		q.levels[u].other = false
		if q.mask == 0 {
			sh.putSchedule(q.levels)
			q.levels = nil
		}
	}
}

// next returns the stream whose turn it is. The scheduler is not empty.
func (q *scheduler) next() *Stream {
	l := &q.levels[bits.TrailingZeros8(q.mask)]
	if l.ordered.head != nil && (l.turns.head == nil || l.other) {
		return l.ordered.head
	}
	return l.turns.head
}

// sent ends the turn of s, which next returned and which has sent a frame.
func (q *scheduler) sent(s *Stream) {
	l := &q.levels[s.priority.urgency]
	l.other = s.list == &l.turns
	if l.other && l.turns.tail != s {
		l.turns.remove(s)
		l.turns.pushBack(s)
	}
}
