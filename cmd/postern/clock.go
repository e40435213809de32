//go:build !clockoffset

package main

import "time"

// clock is the time the whole program goes by. The build tag clockoffset, which only
// internal/e2etest uses, replaces it: the shipped program has no way to be told another time.
func clock(func(string) string) func() time.Time { return time.Now }
