package probe

import (
	"cmp"
	"context"
	"slices"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// windowsAntivirus asks four layers: Security Center's health, the products
// that registered with it, Defender itself, and the services of makers who do
// not register. That there is none is only said where Security Center and the
// services could be read. A server has no Security Center.
func windowsAntivirus(ctx context.Context, sys system.Reader) posture.Answer[posture.Antivirus] {
	answer := posture.Found[posture.Antivirus]("Security Center, Defender, services")
	running := readServices(ctx, sys)
	if running.err != nil {
		answer.Gaps = append(answer.Gaps, rowsetGap(system.Services, running.err))
	}
	var center securityCenter
	if server := isServer(ctx, sys); !server.Known() || !server.Value {
		center = readSecurityCenter(ctx, sys, running)
		answer.Gaps = append(answer.Gaps, center.gaps...)
	}
	var defender *posture.Antivirus
	for product, rows := range center.byProduct {
		item := merged(rows)
		if product == defenderProduct {
			defender = &item
			continue
		}
		answer.Items = append(answer.Items, item)
	}
	defender, gap := defenderItem(readDefender(ctx, sys), defender, running)
	if defender != nil {
		answer.Items = append(answer.Items, *defender)
	}
	if gap != nil {
		answer.Gaps = append(answer.Gaps, *gap)
	}
	for _, v := range windowsVendors {
		if v.product != defenderProduct && len(center.byProduct[v.product]) == 0 && !center.left[v.product] {
			if item, there := unregistered(v, running); there {
				answer.Items = append(answer.Items, item)
			}
		}
	}
	slices.SortFunc(answer.Items, func(a, b posture.Antivirus) int { return cmp.Compare(a.Product, b.Product) })
	return answer
}

// unregistered describes a product that is only seen by its services: whether
// it runs, and nothing of what it does.
func unregistered(v windowsVendor, running serviceList) (posture.Antivirus, bool) {
	if len(running.matching(v.services)) == 0 {
		return posture.Antivirus{}, false
	}
	return posture.Antivirus{
		Product: v.product, Name: v.name,
		Version: unsupported[string](), On: running.running(v.services...), RealTime: unsupported[bool](),
		Expired: unsupported[bool](), Updating: unsupported[bool](),
		Definitions: unsupported[string](), DefinitionsAt: unsupportedTime, Undated: true,
		Current: unsupported[bool](), Passive: unsupported[bool](),
	}, true
}
