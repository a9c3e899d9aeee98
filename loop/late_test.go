package loop

import (
	"testing"
	"time"
)

// TestSocketPace plays readers of a full socket, with passed-in time.
func TestSocketPace(t *testing.T) {
	const timeout, rate, every = 60 * time.Second, 240, 5 * time.Second
	for _, tt := range []struct {
		name  string
		acked func(at time.Duration) int64 // octets by then
		slow  time.Duration                // 0 for never
	}{
		{"takes nothing", func(time.Duration) int64 { return 1000 }, timeout},
		{"takes nothing after a while", func(at time.Duration) int64 { return int64(min(at, 100*time.Second)/time.Second) * 1000 }, 150 * time.Second},
		{"300 octets a second", func(at time.Duration) int64 { return int64(at / time.Second * 300) }, 0},
		{"200 octets a second", func(at time.Duration) int64 { return int64(at / time.Second * 200) }, timeout},
		{"a pause of 55 s, again and again", func(at time.Duration) int64 { return int64(at/(55*time.Second)) * 20_000 }, 0},
		{"one octet every 10 s", func(at time.Duration) int64 { return int64(at / (10 * time.Second)) }, timeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p socketPace
			slow := time.Duration(0)
			for at := time.Duration(0); at <= time.Hour && slow == 0; at += every {
				if p.isSlow(tt.acked(at), at, timeout, rate) {
					slow = at
				}
			}
			if slow != tt.slow {
				t.Errorf("too slow after %v, want %v", slow, tt.slow)
			}
		})
	}
}

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
