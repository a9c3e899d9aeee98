//go:build !race

package files

// raceDetector says that the race detector is off.
const raceDetector = false
