package loop

import "sync"

// An httpCrew has the goroutines of a loop that call [http.Handler]s. One that has
// returned waits for the next call: its stack has grown by then, which costs more
// than all else about a goroutine. Nobody ever waits for one.
type httpCrew struct {
	mu    sync.Mutex
	idle  []chan *httpCall // of those that wait, each with room for one call
	spare int              // the fewest that have waited since trim
	ended bool
}

// call has a goroutine run c.
func (w *httpCrew) call(c *httpCall) {
	w.mu.Lock()
	n := len(w.idle)
	if n == 0 {
		w.mu.Unlock()
		go w.work(c)
		return
	}
	next := w.idle[n-1]
	w.idle[n-1] = nil
	w.idle = w.idle[:n-1]
	w.spare = min(w.spare, n-1)
	w.mu.Unlock()
	next <- c
}

// work runs c, and what comes after it.
func (w *httpCrew) work(c *httpCall) {
	next := make(chan *httpCall, 1)
	for c != nil {
		c.run()
		if !w.wait(next) {
			return
		}
		c = <-next
	}
}

// wait says that who has next waits, and reports whether there is anything to wait for.
func (w *httpCrew) wait(next chan *httpCall) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return false
	}
	w.idle = append(w.idle, next)
	return true
}

// trim lets half of those go that nobody has needed since it was last called.
func (w *httpCrew) trim() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dismiss((w.spare + 1) / 2)
	w.spare = len(w.idle) // until call takes from them
}

// end lets all of them go.
func (w *httpCrew) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended, w.spare = true, 0
	w.dismiss(len(w.idle))
}

// dismiss lets those go that have waited longest. mu is held.
func (w *httpCrew) dismiss(n int) {
	if n == 0 {
		return
	}
	for _, next := range w.idle[:n] {
		close(next)
	}
	kept := copy(w.idle, w.idle[n:])
	clear(w.idle[kept:])
	w.idle = w.idle[:kept]
}
