package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/tools/faults/exchange"
)

// fault is one thing that goes wrong.
type fault struct {
	name  string
	about string
	root  bool // it needs Linux and root
}

func faults() []fault {
	return []fault{
		{name: "kill-agent", about: "the agent is killed and started again"},
		{name: "kill-collector", about: "the collector is killed and started again"},
		{name: "kill-both", about: "both are killed at once and started again"},
		{name: "stop-agent", about: "the agent is stopped where it is (SIGSTOP), for --stop, and goes on"},
		{name: "stop-collector", about: "the collector is stopped where it is, for --stop, and goes on"},
		{name: "cut", about: "the network is cut in the middle of a message, and mended after a while"},
		{name: "slow", about: "the network is slow, and both are killed over it"},
		{name: "full-disk-agent", about: "the agent's disk is full; it is killed on it and started when there is room", root: true},
		{name: "full-disk-collector", about: "the same for the collector", root: true},
		{name: "none", about: "nothing goes wrong: to see that a run without faults is good"},
	}
}

// usual are the faults of a run that is not told any.
const usual = "kill-agent,kill-collector,kill-both,stop-agent,stop-collector,cut,slow"

// chosen checks the faults that a run is told. "full-disk" is both of them.
func chosen(names []string) ([]string, error) {
	var list []string
	for _, n := range names {
		if n == "full-disk" {
			list = append(list, "full-disk-agent", "full-disk-collector")
			continue
		}
		if n == "clock" {
			return nil, fmt.Errorf("no program can be told the time: a clock is set back for real in the guest of make beds")
		}
		if !slices.ContainsFunc(faults(), func(f fault) bool { return f.name == n }) {
			return nil, fmt.Errorf("there is no fault %q", n)
		}
		list = append(list, n)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no faults are chosen")
	}
	return list, nil
}

// round is one fault at one moment.
type round struct {
	number int // from 1
	fault  string
	begin  begin
	moment moment
	hold   time.Duration // how long the fault lasts, where it does
	delay  time.Duration // of each chunk on a slow network
}

// begin is how a round begins.
type begin int

const (
	asked   begin = iota // over the stream that is open, the laptop is asked to assess itself
	started              // the agent is started, assesses and opens a stream
	hoarded              // the same, with reports waiting that could not be sent
	begins
)

// hoard is how many reports wait where a round begins so.
const hoard = 3

func (b begin) String() string {
	return [...]string{"asked", "started", "hoarded"}[b]
}

// moment is when something goes wrong: after so many bytes, or when so many
// changes of what lies on a disk were seen.
type moment struct {
	bytes     bool
	direction exchange.Direction
	n         int64
	step      step
}

func (m moment) String() string {
	if m.bytes {
		return fmt.Sprintf("when %d bytes had gone %s", m.n, m.direction)
	}
	return fmt.Sprintf("at change %d of %s", m.n, m.step)
}

// step is something on a disk whose changes show how far the exchange is.
type step int

const (
	stateStep  step = iota // files of the agent's state folder
	spoolStep              // statements in the spool
	ledgerStep             // files of the ledger
	viewStep               // files of the view
	steps
)

func (s step) String() string {
	return [...]string{"the agent's state", "the spool", "the ledger", "the view"}[s]
}

// How many bytes and changes a round may wait for: about as many as there are.
// A stream begins with about 3,000 bytes either way; a report has as many, and
// the word that it is recorded some dozens.
var (
	mostBytes = [...][2]int64{
		asked:   {exchange.Up: 3200, exchange.Down: 140},
		started: {exchange.Up: 6400, exchange.Down: 3100},
		hoarded: {exchange.Up: 6400 + hoard*3200, exchange.Down: 3100 + hoard*60},
	}
	mostChanges = [...]int64{stateStep: 5, spoolStep: 2, ledgerStep: 2, viewStep: 1}
)

// plan returns what goes wrong in a round: the same for the same seed, number
// and faults, whatever the other rounds are.
func plan(seed uint64, number int, names []string) round {
	random := rand.New(rand.NewPCG(seed, uint64(number)))
	r := round{number: number, fault: names[random.IntN(len(names))]}
	if r.begin = begin(random.IntN(2)); random.IntN(5) == 0 {
		r.begin = hoarded
	}
	r.moment.bytes = random.IntN(2) == 0 || r.fault == "cut"
	r.moment.direction = exchange.Direction(random.IntN(2))
	r.moment.step = step(random.IntN(int(steps)))
	if r.moment.bytes {
		r.moment.n = random.Int64N(mostBytes[r.begin][r.moment.direction])
	} else {
		r.moment.n = 1 + random.Int64N(mostChanges[r.moment.step])
	}
	r.hold = time.Duration(random.Int64N(int64(time.Second)))
	r.delay = time.Duration(1+random.IntN(20)) * time.Millisecond
	return r
}

// about describes the faults for the help text.
func about() string {
	var b strings.Builder
	for _, f := range faults() {
		fmt.Fprintf(&b, "  %-20s %s", f.name, f.about)
		if f.root {
			b.WriteString(" (Linux, root)")
		}
		b.WriteByte('\n')
	}
	return b.String()
}
