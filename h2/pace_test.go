package h2

import (
	"testing"
	"time"
)

// TestPace plays readers, with passed-in time.
func TestPace(t *testing.T) {
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
			var p Pace
			slow := time.Duration(0)
			for at := time.Duration(0); at <= time.Hour && slow == 0; at += every {
				if p.IsSlow(tt.acked(at), every, timeout, rate) {
					slow = at
				}
			}
			if slow != tt.slow {
				t.Errorf("too slow after %v, want %v", slow, tt.slow)
			}
		})
	}
}
