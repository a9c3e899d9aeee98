package etag

import (
	"os"
	"testing"

	"github.com/h2loop/h2loop/internal/leaktest"
)

// TestMain fails if the tests leave goroutines or descriptors behind.
func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }
