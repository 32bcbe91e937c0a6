package probe

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// firewall reports whether incoming connections are refused by default, for
// both families of addresses, by the rules that are loaded. That a firewall is
// switched on somewhere is an intention; the rules are the proof.
func firewall(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	out, err := sys.Run(ctx, system.NFTRuleset)
	switch {
	case missing(err):
		return unsupported[bool]() // nothing here can read the rules
	case err != nil:
		return absentFor[bool](err)
	case out.Exit != 0 && strings.Contains(string(out.Stderr), "ermi"): // "Operation not permitted", "Permission denied"
		return posture.Unread[bool](posture.Denied)
	case out.Exit != 0:
		return posture.Unread[bool](posture.Unreadable)
	}
	refused, err := parseNFT(out.Stdout)
	if err != nil {
		return absentFor[bool](err)
	}
	if refused.v4 && !refused.v6 {
		off, err := firstLine(ctx, sys, "/proc/sys/net/ipv6/conf/all/disable_ipv6")
		switch {
		case missing(err):
			refused.v6 = true // a kernel without it
		case err != nil:
			return absentFor[bool](err)
		default:
			refused.v6 = off == "1"
		}
	}
	if refused.v4 && refused.v6 {
		return posture.Read(true)
	}
	// Rules of the old kind are not shown by nft. Where such tables are
	// loaded, nothing is known.
	for _, table := range []string{"/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"} {
		data, err := sys.File(ctx, table, lineLimit)
		if missing(err) {
			continue
		}
		if err != nil {
			return absentFor[bool](err)
		}
		if strings.Contains(string(data), "filter") {
			return unsupported[bool]()
		}
	}
	return posture.Read(false)
}

type refusals struct{ v4, v6 bool }

type nftChainKey struct{ family, table, name string }

// nftChain is a chain and its rules, in order.
type nftChain struct {
	hook, kind, policy string
	rules              []nftRule
}

type nftRule []map[string]json.RawMessage

// parseNFT reads nft's JSON and judges what becomes of an incoming packet that
// no condition matches, in every chain at the input hook: one that drops it
// is enough.
func parseNFT(data []byte) (refusals, error) {
	var doc struct {
		List []struct {
			Metainfo json.RawMessage `json:"metainfo"`
			Chain    *struct {
				Family string `json:"family"`
				Table  string `json:"table"`
				Name   string `json:"name"`
				Hook   string `json:"hook"`
				Type   string `json:"type"`
				Policy string `json:"policy"`
			} `json:"chain"`
			Rule *struct {
				Family string  `json:"family"`
				Table  string  `json:"table"`
				Chain  string  `json:"chain"`
				Expr   nftRule `json:"expr"`
			} `json:"rule"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return refusals{}, errUnknown
	}
	chains := map[nftChainKey]*nftChain{}
	whole := false
	for _, item := range doc.List {
		whole = whole || item.Metainfo != nil
		if c := item.Chain; c != nil {
			chains[nftChainKey{c.Family, c.Table, c.Name}] = &nftChain{hook: c.Hook, kind: c.Type, policy: c.Policy}
		}
	}
	if !whole {
		return refusals{}, errUnknown // every answer begins with it
	}
	for _, item := range doc.List {
		if r := item.Rule; r != nil {
			if c := chains[nftChainKey{r.Family, r.Table, r.Chain}]; c != nil {
				c.rules = append(c.rules, r.Expr)
			}
		}
	}
	var refused refusals
	for key, c := range chains {
		if c.hook != "input" || c.kind != "filter" {
			continue
		}
		budget := 10_000 // rules followed from one hook
		verdict := nftVerdict(chains, key, 16, &budget)
		if verdict == "" {
			verdict = c.policy
		}
		if verdict == "drop" {
			refused.v4 = refused.v4 || key.family == "inet" || key.family == "ip"
			refused.v6 = refused.v6 || key.family == "inet" || key.family == "ip6"
		}
	}
	return refused, nil
}

// nftVerdict returns "drop" or "accept" if an unconditional rule of the chain
// decides, and "" if a packet comes out at its end.
func nftVerdict(chains map[nftChainKey]*nftChain, key nftChainKey, depth int, budget *int) string {
	c := chains[key]
	if c == nil || depth == 0 {
		return "accept" // a chain that cannot be followed proves no refusal
	}
	for _, rule := range c.rules {
		if *budget--; *budget < 0 {
			return "accept"
		}
		action, target := rule.unconditional()
		switch action {
		case "drop", "accept", "return":
			if action == "return" {
				return ""
			}
			return action
		case "jump", "goto":
			inner := nftVerdict(chains, nftChainKey{key.family, key.table, target}, depth-1, budget)
			if inner != "" || action == "goto" {
				return inner
			}
		}
	}
	return ""
}

// unconditional returns what a rule does to every packet; "" if it has a
// condition or does nothing that decides.
func (r nftRule) unconditional() (action, target string) {
	for _, statement := range r {
		for kind, raw := range statement {
			switch kind {
			case "counter", "log", "comment":
			case "drop", "reject":
				return "drop", ""
			case "accept", "return":
				return kind, ""
			case "jump", "goto":
				var to struct {
					Target string `json:"target"`
				}
				if json.Unmarshal(raw, &to) != nil {
					return "accept", ""
				}
				return kind, to.Target
			default:
				return "", ""
			}
		}
	}
	return "", ""
}
