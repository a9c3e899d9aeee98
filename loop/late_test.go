package loop

import (
	"testing"
	"time"
)

// TestJitter takes up to a tenth off.
func TestJitter(t *testing.T) {
	const d = time.Hour
	least, most := d, time.Duration(0)
	for range 10_000 {
		j := jitter(d)
		least, most = min(least, j), max(most, j)
	}
	if least < d*9/10 || most > d || most-least < d/20 {
		t.Errorf("from %v to %v", least, most)
	}
	jitter(1)
}
