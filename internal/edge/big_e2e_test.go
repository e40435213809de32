//go:build e2e

package edge

import (
	"testing"
	"time"
)

// TestEightGiB reads 8 GiB through the edge: several seconds on two cores.
func TestEightGiB(t *testing.T) {
	const size = 8 << 30
	growth, took := bigObject(t, size)
	t.Logf("8 GiB in %v (%.0f MiB/s), the heap grew by %d KiB", took.Round(time.Millisecond), float64(size>>20)/took.Seconds(), growth>>10)
	if growth > 8<<20 {
		t.Errorf("the heap grew by %d bytes", growth)
	}
}
