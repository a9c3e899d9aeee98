package main

import (
	"cmp"
	"slices"
	"sync"
)

// An Item is what the API is about.
type Item struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Price int64  `json:"price"` // in cents
}

// A store holds items in memory. Handlers of several loops use it, so that it has a
// lock, which nobody holds for long: a callback must not block.
type store struct {
	mu    sync.RWMutex
	last  int64
	items []Item // by their numbers
}

func newStore() *store { return &store{items: []Item{}} }

// find returns where the item with that number is, or would be.
func (s *store) find(id int64) (at int, ok bool) {
	return slices.BinarySearchFunc(s.items, id, func(i Item, id int64) int { return cmp.Compare(i.ID, id) })
}

func (s *store) get(id int64) (Item, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	at, ok := s.find(id)
	if !ok {
		return Item{}, false
	}
	return s.items[at], true
}

// page returns up to limit items whose numbers are above after, and whether there are
// more.
func (s *store) page(after int64, limit int) (items []Item, more bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	at, ok := s.find(after)
	if ok {
		at++
	}
	end := min(at+limit, len(s.items))
	return append([]Item{}, s.items[at:end]...), end < len(s.items)
}

func (s *store) add(item Item) Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	item.ID = s.last
	s.items = append(s.items, item)
	return item
}

func (s *store) replace(item Item) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.find(item.ID)
	if ok {
		s.items[at] = item
	}
	return ok
}

func (s *store) remove(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.find(id)
	if ok {
		s.items = slices.Delete(s.items, at, at+1)
	}
	return ok
}
