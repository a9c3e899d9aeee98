// Package jobs runs work that may block on a bounded number of goroutines, with a
// bounded queue before them.
package jobs

import (
	"errors"
	"runtime"
	"sync"

	"github.com/panjf2000/ants/v2"
)

// A Job is work that may block.
type Job interface{ Run() }

// What [Queue.Add] refuses a job with.
var (
	ErrBusy   = errors.New("jobs: too many wait")
	ErrClosed = errors.New("jobs: closed")
)

// A Queue runs jobs in order, a bounded number at a time. ants brings goroutines
// that are used again; it has no queue that would not block who submits, so
// the queue, and with it the bound, is here.
type Queue struct {
	pool    *ants.Pool
	workers int
	bound   int
	work    func() // made once

	mu      sync.Mutex
	queue   []Job
	at      int // queue[:at] has been taken
	running int // workers
	load    int // jobs that wait or run
	closed  bool
}

// New returns a queue with so many workers at most, and with room for bound jobs that
// wait for one.
func New(workers, bound int) (*Queue, error) {
	pool, err := ants.NewPool(-1) // not bounded: we count
	if err != nil {
		return nil, err
	}
	q := &Queue{pool: pool, workers: workers, bound: bound}
	q.work = q.runAll
	return q, nil
}

// Add has j run, unless too many jobs wait.
func (q *Queue) Add(j Job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrClosed
	case q.load >= q.workers+q.bound:
		return ErrBusy
	}
	q.push(j)
	return nil
}

// AddAnyway has j run, however many wait, and after Close: it is for what goes on
// with something that has begun.
func (q *Queue) AddAnyway(j Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.push(j)
}

// push queues j and sees that somebody comes for it. mu is held.
func (q *Queue) push(j Job) {
	if q.running < q.workers {
		q.running++
		if q.pool.Submit(q.work) != nil {
			go q.work() // the pool is closed
		}
	}
	if len(q.queue) == cap(q.queue) && q.at > len(q.queue)/2 {
		n := copy(q.queue, q.queue[q.at:])
		clear(q.queue[n:])
		q.queue, q.at = q.queue[:n], 0
	}
	q.queue = append(q.queue, j)
	q.load++
}

// runAll runs jobs until none waits.
func (q *Queue) runAll() {
	returned := false
	defer func() {
		if !returned {
			q.lost()
		}
	}()
	for j := q.next(0); j != nil; j = q.next(1) {
		j.Run()
		// Where there are few CPUs a worker that has much to do would keep one until
		// the runtime takes it away, 10 ms, from a loop among others.
		runtime.Gosched()
	}
	returned = true
}

// lost replaces a worker whose job has ended its goroutine.
func (q *Queue) lost() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.load--
	if q.at == len(q.queue) {
		q.running--
		return
	}
	if q.pool.Submit(q.work) != nil {
		go q.work()
	}
}

// next takes the first job, after so many are done; without one, the worker
// that asks goes.
func (q *Queue) next(done int) Job {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.load -= done
	if q.at == len(q.queue) {
		q.running--
		q.queue, q.at = q.queue[:0], 0
		return nil
	}
	j := q.queue[q.at]
	q.queue[q.at] = nil
	q.at++
	return j
}

// Waiting returns how many jobs wait for a worker.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue) - q.at
}

// Load returns how many jobs wait or run.
func (q *Queue) Load() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.load
}

// Close takes no more jobs but those of AddAnyway.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		q.pool.Release()
	}
}
