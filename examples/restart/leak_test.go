package main

import (
	"os"
	"testing"

	"github.com/h2loop/h2loop/internal/leaktest"
)

// asProgram makes the test binary the program itself, which can be restarted then.
const asProgram = "RESTART_TEST_AS_PROGRAM"

// TestMain fails if the tests leave goroutines or descriptors behind.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(leaktest.Run(m))
}
