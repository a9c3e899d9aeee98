package loop

import "time"

// Stuck returns the numbers of the loops, from 0, that do not come to a task within
// wait: a callback blocks them, or they have ended. It may be called from any
// goroutine but a loop's.
func (srv *Server) Stuck(wait time.Duration) (loops []int) {
	return srv.askLoops(wait, func(*eventLoop) {})
}

// askLoops runs f on each loop, and returns the numbers of those on which it has not
// returned within wait. It may still run there later.
func (srv *Server) askLoops(wait time.Duration, f func(l *eventLoop)) (late []int) {
	running := srv.runningLoops()
	answers := make(chan int, len(running))
	missing := make(map[int]bool, len(running))
	for i, l := range running {
		missing[i] = true
		_ = l.post(func() {
			f(l)
			answers <- i
		})
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for len(missing) > 0 {
		select {
		case i := <-answers:
			delete(missing, i)
		case <-timer.C:
			for i := range running {
				if missing[i] {
					late = append(late, i)
				}
			}
			return late
		}
	}
	return nil
}
