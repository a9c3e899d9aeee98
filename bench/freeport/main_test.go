package freeport

import (
	"os"
	"testing"

	"github.com/h2loop/h2loop/internal/leaktest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }
