package files

import (
	"errors"
	"sync"

	"github.com/panjf2000/ants/v2"
)

// A job is work that may block.
type job interface{ run() }

var (
	errBusy   = errors.New("files: too many requests wait for the disk")
	errClosed = errors.New("files: closed")
)

// jobs runs jobs in order, a bounded number at a time. ants brings goroutines
// that are used again; it has no queue that would not block who submits, so
// the queue, and with it the bound, is here.
type jobs struct {
	pool    *ants.Pool
	workers int
	bound   int
	work    func() // made once

	mu      sync.Mutex
	queue   []job
	at      int // queue[:at] has been taken
	running int // workers
	load    int // jobs that wait or run
	closed  bool
}

func newJobs(workers, bound int) (*jobs, error) {
	pool, err := ants.NewPool(-1) // not bounded: we count
	if err != nil {
		return nil, err
	}
	q := &jobs{pool: pool, workers: workers, bound: bound}
	q.work = q.runAll
	return q, nil
}

// add has j run, unless too many jobs wait.
func (q *jobs) add(j job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return errClosed
	case q.load >= q.workers+q.bound:
		return errBusy
	}
	q.push(j)
	return nil
}

// addAnyway has j run, which belongs to a response that has begun: there is
// one such job for each of them at most.
func (q *jobs) addAnyway(j job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.push(j)
}

// push queues j and sees that somebody comes for it. mu is held.
func (q *jobs) push(j job) {
	if q.running < q.workers {
		q.running++
		if q.pool.Submit(q.work) != nil {
			go q.work() // the pool is closed, and a response goes on
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
func (q *jobs) runAll() {
	for j := q.next(0); j != nil; j = q.next(1) {
		j.run()
	}
}

// next takes the first job, after so many are done; without one, the worker
// that asks goes.
func (q *jobs) next(done int) job {
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

// close takes no more jobs but those of responses that have begun.
func (q *jobs) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		q.pool.Release()
	}
}
