//go:build !race

package loop_test

// rounds is how often what must always work is tried.
const rounds = 100
