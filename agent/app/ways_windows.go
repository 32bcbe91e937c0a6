package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/caretaker-school/caretaker/agent/route"
	"github.com/caretaker-school/caretaker/agent/system"
)

// systemProxies returns the proxies that Windows names, asked for in a child:
// a script may take long, and loads what the part that stays does without.
func systemProxies(log *slog.Logger) []route.Source {
	p := &processes{log: log, limits: map[system.Role]system.Limits{
		system.SystemChild: {Deadline: 30 * time.Second, Memory: 80 * mebibyte, MaxAnswer: mebibyte},
	}}
	p.left = map[system.Role][]<-chan struct{}{}
	return []route.Source{func(ctx context.Context, address string) ([]route.Proxy, error) {
		request, err := json.Marshal("https://" + address + "/")
		if err != nil {
			return nil, err
		}
		ended, err := p.run(ctx, system.Child{Role: system.SystemChild, Args: p.args(waysCommand)}, request)
		if err != nil {
			return nil, fmt.Errorf("ask Windows for its proxies: %w", err)
		}
		var settings []system.ProxySetting
		if err := json.Unmarshal(ended.Answer, &settings); err != nil {
			return nil, fmt.Errorf("ask Windows for its proxies: %w", err)
		}
		return named(settings, address)
	}}
}
