package exchange

import (
	"fmt"
	"os"
	"path/filepath"
)

// Recorded is a laptop that is a recorded machine, and another one at each
// turn. Released agents read no recording as a service: Run is a program that
// does, a test's own say, and State and Folder are its last two arguments.
type Recorded struct {
	Run      []string
	Machines string // folder of recorded machines
	Folder   string // where the one of the moment lies; it exists
}

// machines are what the laptop is in turn.
var machines = [...]string{"plain-laptop", "plain-laptop-with-stick", "encrypted-laptop"}

// Command implements Laptop.
func (r Recorded) Command(state string) []string {
	return append(append([]string{}, r.Run...), state, r.Folder)
}

// Change implements Laptop.
func (r Recorded) Change(turn int) error {
	return r.Become(machines[turn%len(machines)])
}

// Become makes it one of the recorded machines.
func (r Recorded) Become(machine string) error {
	for _, name := range []string{"machine.json", "reads.jsonl"} {
		data, err := os.ReadFile(filepath.Join(r.Machines, machine, name))
		if err == nil {
			err = replace(filepath.Join(r.Folder, name), data)
		}
		if err != nil {
			return fmt.Errorf("replay %s: %w", machine, err)
		}
	}
	return nil
}

// Asks implements Laptop: an agent of a recorded machine has no battery to
// spare.
func (r Recorded) Asks() int { return 100 }
