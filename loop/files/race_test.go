//go:build race

package files

// raceDetector says that the race detector is on, which is slow.
const raceDetector = true
