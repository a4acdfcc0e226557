//go:build race

package main_test

// raceFlag builds the binary under test with the race detector, as the test is.
const raceFlag = "-race"
