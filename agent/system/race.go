//go:build race

package system

// raceDetector: its shadow memory is many times what a child may have.
const raceDetector = true
