package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// windowsWeight is what the test bed measures of the agent for Windows.
type windowsWeight struct {
	Assessment float64   `json:"assessment"` // seconds of processor time
	Processes  []float64 `json:"processes"`  // of which each of its processes, as they ended
	Server     float64   `json:"server"`     // seconds that Wine's server took beside it
	Peak       float64   `json:"peak"`       // bytes
	Resident   float64   `json:"resident"`   // bytes at rest
	Private    float64   `json:"private"`    // bytes at rest that it shares with nobody
}

// windows measures the agent for Windows under Wine, where that can be had. It
// is a guide: nothing is asked of it.
func (b *bench) windows(ctx context.Context) ([]row, error) {
	file := filepath.Join(b.dir, "windows.json")
	if _, _, err := call(ctx, "env", "CARETAKER_BEDS=1", "CARETAKER_WEIGHT="+file, "go", "test", "-count=1", "-run", "^TestWeightUnderWine$", "./shared/e2e/beds"); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // there is no Wine here
	}
	if err != nil {
		return nil, fmt.Errorf("read what was measured: %w", err)
	}
	return windowsRows(data)
}

func windowsRows(data []byte) ([]row, error) {
	var w windowsWeight
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, fmt.Errorf("read what was measured: %w", err)
	}
	told := func(what string, ours float64, unit string, limit float64, note string) row {
		return row{what: "agent for Windows, under Wine: " + what, ours: ours, unit: unit, limit: limit, want: justTold, note: note}
	}
	return []row{
		told("processor time of a full assessment", w.Assessment, "s", 2, fmt.Sprintf("300 programs and 2,000 executables, none known; its processes, as they ended: %.2f s; beside them %.2f s in Wine's server", w.Processes, w.Server)),
		told("peak of a process that assesses", w.Peak/mebibyte, "MiB", 96, ""),
		told("resident at rest", w.Resident/mebibyte, "MiB", 18, fmt.Sprintf("of which its own %.1f MiB; Wine's part of the process is in both", w.Private/mebibyte)),
	}, nil
}
