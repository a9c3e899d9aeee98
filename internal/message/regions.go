package message

// A Region is a run of body octets that waits to be sent.
type Region struct {
	Octets   []byte
	Releaser Releaser // or nil
}

// Regions are a queue of them. The zero Regions are empty and ready.
type Regions struct {
	list []Region
	at   int // list[:at] are sent
}

// Len returns how many there are.
func (q *Regions) Len() int { return len(q.list) - q.at }

// Octets returns how many octets they have together.
func (q *Regions) Octets() (n int) {
	for _, r := range q.list[q.at:] {
		n += len(r.Octets)
	}
	return n
}

// Push adds one at the end. It takes p until rel is released.
func (q *Regions) Push(p []byte, rel Releaser) {
	if q.at > 0 && q.at >= len(q.list)/2 && len(q.list) == cap(q.list) {
		// A queue that never runs empty must not grow for ever.
		n := copy(q.list, q.list[q.at:])
		clear(q.list[n:])
		q.list, q.at = q.list[:n], 0
	}
	q.list = append(q.list, Region{p, rel})
}

// First returns the one that is sent next; there must be one. It is good until the
// next Push or Pop, and so is that of Last.
func (q *Regions) First() *Region { return &q.list[q.at] }

// Last returns the one that was pushed last; there must be one.
func (q *Regions) Last() *Region { return &q.list[len(q.list)-1] }

// Pop forgets the first, which is sent.
func (q *Regions) Pop() {
	q.list[q.at] = Region{}
	if q.at++; q.at == len(q.list) {
		q.list, q.at = q.list[:0], 0
	}
}

// Memory lends all of the queue's memory, in use or not: for tests that look for what
// is kept.
func (q *Regions) Memory() []Region { return q.list[:cap(q.list)] }

// MaxKeptRegions bounds what Emptied keeps.
const MaxKeptRegions = 64

// Emptied returns an empty queue that has the memory of q, which is empty, unless
// that is much.
func (q *Regions) Emptied() Regions {
	if cap(q.list) > MaxKeptRegions {
		return Regions{}
	}
	return Regions{list: q.list[:0]}
}
