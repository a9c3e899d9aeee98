package files

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

const (
	// cacheShards have a lock each, so that loops do not meet.
	cacheShards = 32

	// resourceCost is about what a resource takes without its contents, in
	// octets.
	resourceCost = 1 << 10

	// largestShare is the part of the cache that the contents of one file may
	// take.
	largestShare = 4
)

// A blob is the contents of a representation, in memory. It counts against the
// cache's limit until the last response that refers to it has been sent, whether or
// not the cache still has it.
type blob struct {
	p       []byte
	cache   *cache
	refs    atomic.Int32 // the cache has one, and each response
	release func()       // unref, made once
}

// tryRef takes a reference, unless the last one is gone.
func (b *blob) tryRef() bool {
	for {
		n := b.refs.Load()
		if n == 0 {
			return false
		}
		if b.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (b *blob) unref() {
	switch n := b.refs.Add(-1); {
	case n == 0:
		b.cache.held.Add(-int64(len(b.p)))
	case n < 0:
		panic("files: contents given back twice")
	}
}

// A cache knows resources by what was asked for, and holds the contents of small
// ones. Of those that nobody has asked for since it last passed by, it drops the
// next one for each that wants in (the clock algorithm).
type cache struct {
	limit  int64
	held   atomic.Int64
	seed   maphash.Seed
	shards [cacheShards]shard

	mu   sync.Mutex // over those of the shards
	ring []*resource
	hand int
}

type shard struct {
	mu   sync.RWMutex
	byID map[string]*resource
}

func (c *cache) init(limit int64) {
	c.limit = max(limit, 0)
	c.seed = maphash.MakeSeed()
	for i := range c.shards {
		c.shards[i].byID = make(map[string]*resource)
	}
}

func (c *cache) shardOf(key string) *shard {
	return &c.shards[maphash.String(c.seed, key)%cacheShards]
}

// get returns what is known of key, or nil. It may be called on a loop.
func (c *cache) get(key string) *resource {
	s := c.shardOf(key)
	s.mu.RLock()
	r := s.byID[key]
	s.mu.RUnlock()
	if r != nil && !r.used.Load() {
		r.used.Store(true)
	}
	return r
}

// add has r known, if there is room for it.
func (c *cache) add(r *resource) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.cached {
		return
	}
	if old := c.get(r.key); old != nil {
		c.drop(old)
	}
	if !c.makeRoom(resourceCost) {
		return
	}
	c.held.Add(resourceCost)
	r.cached, r.slot = true, len(c.ring)
	c.ring = append(c.ring, r)
	s := c.shardOf(r.key)
	s.mu.Lock()
	s.byID[r.key] = r
	s.mu.Unlock()
}

// has reports whether r is in the cache.
func (c *cache) has(r *resource) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return r.cached
}

// remove forgets r, if it is known.
func (c *cache) remove(r *resource) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.cached {
		c.drop(r)
	}
}

// clear forgets all.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.ring) > 0 {
		c.drop(c.ring[len(c.ring)-1])
	}
}

// newBlob returns a blob of n octets to be filled, with one reference; nil if
// there is no room.
func (c *cache) newBlob(n int64) *blob {
	if !c.reserve(n) {
		return nil
	}
	return c.blobOf(make([]byte, n))
}

// blobOf makes a blob of p, for which there is room.
func (c *cache) blobOf(p []byte) *blob {
	b := &blob{p: p, cache: c}
	b.refs.Store(1)
	b.release = b.unref
	return b
}

// reserve reports whether there is room for n octets more, and counts them.
func (c *cache) reserve(n int64) bool {
	if n > c.limit/largestShare {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.makeRoom(n) {
		return false
	}
	c.held.Add(n)
	return true
}

// keep has r hold b as the contents of p, if r is known.
func (c *cache) keep(r *resource, p *rep, b *blob) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.cached && b.tryRef() {
		if old := p.content.Swap(b); old != nil {
			old.unref()
		}
	}
}

// makeRoom drops resources until there is room for n octets more. What responses
// still refer to does not make room: it does not go on in vain. mu is held.
func (c *cache) makeRoom(n int64) bool {
	for dropped := int64(0); c.held.Load()+n > c.limit; {
		if len(c.ring) == 0 || dropped > 2*n {
			return false
		}
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		r := c.ring[c.hand]
		if r.used.Swap(false) {
			c.hand++
			continue
		}
		dropped += c.drop(r)
	}
	return true
}

// drop forgets r, and returns how many octets it held. mu is held.
func (c *cache) drop(r *resource) (held int64) {
	s := c.shardOf(r.key)
	s.mu.Lock()
	delete(s.byID, r.key)
	s.mu.Unlock()
	last := c.ring[len(c.ring)-1]
	c.ring[r.slot], last.slot = last, r.slot
	c.ring[len(c.ring)-1] = nil
	c.ring = c.ring[:len(c.ring)-1]
	r.cached = false
	c.held.Add(-resourceCost)
	held = resourceCost
	for _, p := range r.reps {
		if p == nil {
			continue
		}
		if b := p.content.Swap(nil); b != nil {
			held += int64(len(b.p))
			b.unref()
		}
	}
	return held
}
