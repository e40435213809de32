//go:build clockoffset

package main

import (
	"os"
	"strings"
	"time"
)

// clock is the time of day moved by the duration that stands in the file POSTERN_TEST_CLOCK_FILE
// names, read anew at every call, so that a test can let a link run out while the program runs. It is
// compiled only into the program that internal/e2etest builds for itself.
func clock(getenv func(string) string) func() time.Time {
	name := getenv("POSTERN_TEST_CLOCK_FILE")
	return func() time.Time {
		text, err := os.ReadFile(name)
		if err != nil {
			return time.Now()
		}
		offset, err := time.ParseDuration(strings.TrimSpace(string(text)))
		if err != nil {
			return time.Now()
		}
		// Round drops the monotonic reading, which would hide a change of the offset from Sub.
		return time.Now().Round(0).Add(offset)
	}
}
