package loop

import (
	"os"
	"sync"
	"time"
)

// A deadline is a [context.Context] that ends at a time which can be changed, with
// [os.ErrDeadlineExceeded]. The zero deadline never ends.
type deadline struct {
	mu      sync.Mutex
	at      time.Time
	timer   *time.Timer
	passed  chan struct{} // nil until somebody waits
	expired bool
}

// set moves d, unless it has passed, which is for ever. then is called when it
// passes: at once, if it has.
func (d *deadline) set(at time.Time, then func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.expired {
		return
	}
	d.stopTimer()
	d.at = at
	if at.IsZero() {
		return
	}
	left := time.Until(at)
	if left <= 0 {
		d.expire(then)
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.timer == timer {
			d.expire(then)
		}
	})
	d.timer = timer
}

// renew is set for a deadline that does not pass for ever.
func (d *deadline) renew(at time.Time) {
	d.mu.Lock()
	if d.expired {
		d.expired, d.passed = false, nil
	}
	d.mu.Unlock()
	d.set(at, nil)
}

// expire ends d. mu is held.
func (d *deadline) expire(then func()) {
	d.expired, d.timer = true, nil
	if d.passed != nil {
		close(d.passed)
	}
	if then != nil {
		then()
	}
}

// stop forgets the time.
func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopTimer()
}

func (d *deadline) stopTimer() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// Deadline returns the time.
func (d *deadline) Deadline() (at time.Time, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at, !d.at.IsZero()
}

// Done returns what is closed when d has passed.
func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.passed == nil {
		d.passed = make(chan struct{})
		if d.expired {
			close(d.passed)
		}
	}
	return d.passed
}

// Err tells whether it has.
func (d *deadline) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.expired {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Value has nothing.
func (d *deadline) Value(any) any { return nil }
