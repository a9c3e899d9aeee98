package loop

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// A memoryWatch looks at how much memory Go uses, every tick, off the loops. But for what
// is atomic it belongs to the goroutine of Run.
type memoryWatch struct {
	read  func() (used int64, collections uint64)
	short atomic.Bool
	used  atomic.Int64 // when it was last looked at; 0 if there is no ceiling

	collections  uint64        // as of the last look
	collectedAt  time.Duration // when the last of them was seen
	isCollecting atomic.Bool
}

// collectEvery is how often memory is collected while it is short: little may be allocated
// then, so that the runtime would not do so for two minutes, and nobody would learn that
// there is enough.
const collectEvery = time.Second

// ceiling returns how much memory may be in use, or 0 if that does not matter.
func (cfg *Config) ceiling() int64 {
	if cfg.MemoryCeiling != 0 {
		return max(cfg.MemoryCeiling, 0)
	}
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit / 10 * 9
	}
	return 0
}

// watchMemory has what is new be refused while too much memory is in use.
func (srv *Server) watchMemory(now time.Duration) {
	m := &srv.memory
	most := srv.config().ceiling()
	if most <= 0 {
		m.used.Store(0)
		if m.short.Load() {
			srv.setShort(false, 0, 0)
		}
		return
	}
	used, collections := m.read()
	m.used.Store(used)
	if collections != m.collections {
		m.collections, m.collectedAt = collections, now
	}
	switch short := m.short.Load(); {
	case !short && used >= most:
		srv.setShort(true, used, most)
	case short && used < most/20*19:
		srv.setShort(false, used, most)
	case short && now >= m.collectedAt+collectEvery && !m.isCollecting.Swap(true):
		go func() {
			runtime.GC()
			m.isCollecting.Store(false)
		}()
	}
}

// setShort has what is new be refused, or no longer.
func (srv *Server) setShort(short bool, used, most int64) {
	srv.memory.short.Store(short)
	srv.admission.setShut(short)
	for _, el := range srv.runningLoops() {
		_ = el.post(func() {
			el.short = short
			el.turnsAway = short || el.shed.share > 0
		})
	}
	if short {
		srv.log.Warn().Int64("in_use", used).Int64("ceiling", most).
			Msg("memory is short: new requests are refused, new connections wait, and idle ones end")
	} else {
		srv.log.Warn().Int64("in_use", used).Int64("ceiling", most).Msg("there is enough memory again")
	}
}

// readMemory returns how much memory Go uses and cannot give back: what was alive when the
// last collection ended, stacks, and what the runtime needs. What has become garbage since
// then is not counted: close to its limit the runtime collects as often as it has to.
func readMemory() (used int64, collections uint64) {
	samples := [...]metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
	}
	metrics.Read(samples[:])
	n := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	return n(0) - n(1) - n(2) - n(3) - n(4) + n(5), samples[6].Value.Uint64()
}
