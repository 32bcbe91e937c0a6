package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/caretaker-school/caretaker/agent/route"
)

// preferences is where macOS keeps the settings of its networks.
const preferences = "/Library/Preferences/SystemConfiguration/preferences.plist"

// maxPreferences bounds that file, in bytes.
const maxPreferences = 4 << 20

// systemProxies returns the proxies that macOS is set to use.
func systemProxies(*slog.Logger) []route.Source {
	return []route.Source{func(_ context.Context, address string) ([]route.Proxy, error) {
		f, err := os.Open(preferences)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read this system's proxies: %w", err)
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxPreferences))
		if err != nil {
			return nil, fmt.Errorf("read this system's proxies: %w", err)
		}
		return route.FromPreferences(data, address)
	}}
}
