package jobs

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

type jobFunc func()

func (f jobFunc) Run() { f() }

// TestInOrder has more jobs than the queue starts with room for.
func TestInOrder(t *testing.T) {
	q, err := New(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	var got, want bytes.Buffer
	done := make(chan struct{})
	for n := range 1000 {
		fmt.Fprintln(&want, n)
		q.AddAnyway(jobFunc(func() { fmt.Fprintln(&got, n) }))
	}
	q.AddAnyway(jobFunc(func() { close(done) }))
	<-done
	if got.String() != want.String() {
		t.Error("jobs ran out of order")
	}
}

// TestBounds fills a queue, and closes it.
func TestBounds(t *testing.T) {
	q, err := New(2, 3)
	if err != nil {
		t.Fatal(err)
	}
	gate, done := make(chan struct{}), make(chan struct{})
	for range 2 + 3 {
		if err := q.Add(jobFunc(func() { <-gate; done <- struct{}{} })); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Add(jobFunc(func() {})); !errors.Is(err, ErrBusy) {
		t.Errorf("one too many: %v", err)
	}
	if q.Load() != 5 || q.Waiting() < 3 {
		t.Errorf("load %d, of which %d wait", q.Load(), q.Waiting())
	}
	close(gate)
	for range 5 {
		<-done
	}
	q.Close()
	if err := q.Add(jobFunc(func() {})); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	q.AddAnyway(jobFunc(func() { done <- struct{}{} }))
	<-done
}
