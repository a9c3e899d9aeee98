package loop

import "testing"

// TestScarcity sees from which descriptor on they may be short, which is for good.
func TestScarcity(t *testing.T) {
	var s scarcity
	s.half.Store(500)
	if s.saw(499); s.near.Load() {
		t.Error("499 of 1000 are thought to be short")
	}
	if s.saw(500); !s.near.Load() {
		t.Error("500 of 1000 are not thought to be short")
	}
	if s.saw(3); !s.near.Load() {
		t.Error("it is forgotten")
	}
	if s.look(); s.half.Load() <= 0 || s.half.Load() == 500 {
		t.Errorf("half of the limit is %d", s.half.Load())
	}
}

// TestScarcityOfConnections has the server see the descriptors of its connections.
func TestScarcityOfConnections(t *testing.T) {
	t.Parallel()
	srv := stressServe(t, Config{}, func(*Server) {})
	stressConnOf(t, srv, stressDial(t, srv, 1<<20))
	if srv.scarcity.near.Load() {
		t.Skip("this process has many descriptors")
	}
	stressOnLoop(t, srv, 0, func(*eventLoop) { srv.scarcity.half.Store(0) })
	stressWait(t, "a connection comes before the limit is looked at again", func() bool {
		srv.scarcity.half.Store(0)
		stressDial(t, srv, 1<<20)
		return srv.scarcity.near.Load()
	})
	stressConnOf(t, srv, stressDial(t, srv, 1<<20)) // which was kept
}
