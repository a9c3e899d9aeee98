//go:build race

package loop_test

// rounds is how often what must always work is tried. The race detector makes each of
// them ten times as dear, and finds no more in a hundred.
const rounds = 20
