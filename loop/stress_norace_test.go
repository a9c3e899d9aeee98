//go:build !race

package loop

// stressRace says that the race detector is on, which allocates and is slow.
const stressRace = false
