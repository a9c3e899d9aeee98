package files

import (
	"sync"

	"github.com/h2loop/h2loop/loop"
)

// waitersPerPlace is how many requests may wait for what others find out, for each
// that may wait for a worker: they cost a little memory, and no work.
const waitersPerPlace = 16

// lookups are names that are being looked for. Who asks for one of them meanwhile
// waits for what is found: else a file that many ask for at once, and that is not
// in the cache or was there for too long, would fill the queue.
type lookups struct {
	limit int // 0 if nobody would find anything in the cache

	mu      sync.Mutex
	byName  map[string][]*fetch // those who wait
	waiting int                 // in all
}

func (l *lookups) init(limit int) {
	l.limit = limit
	l.byName = make(map[string][]*fetch)
}

// join reports whether t waits for a fetch of the same name. Else t is such a
// fetch from now on, unless there is one already.
func (l *lookups) join(t *fetch) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	others, ok := l.byName[t.name]
	switch {
	case l.limit == 0 || ok && l.waiting == l.limit:
		return false
	case !ok:
		l.byName[t.name] = nil
		t.leads = true
		return false
	}
	l.byName[t.name] = append(others, t)
	l.waiting++
	return true
}

// end returns those who waited for a name.
func (l *lookups) end(name string) []*fetch {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := l.byName[name]
	delete(l.byName, name)
	l.waiting -= len(waiting)
	return waiting
}

// endLookup has those who waited for a name look at what was found.
func (f *Files) endLookup(name string) {
	for _, t := range f.lookups.end(name) {
		_ = t.async.Do(t.again) // if the server has ended, nobody waits
	}
}

// again answers, on the loop, what waited for another fetch. If that has not put
// what is needed into the cache, it is one like any other.
func (t *fetch) again(x *loop.Exchange) {
	if x == nil || t.files.fromMemory(x, t.name, &t.ask) {
		return
	}
	if t.files.jobs.Add(t) != nil {
		sendBusy(x)
	}
}
