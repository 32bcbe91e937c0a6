package probe

import (
	"context"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const (
	firewallLocal  = `HKLM\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\`
	firewallMDM    = firewallLocal + `Mdm\`
	firewallPolicy = `HKLM\SOFTWARE\Policies\Microsoft\WindowsFirewall\`
)

// firewallProfile is one of the three kinds of network, with the keys that say
// how Windows' firewall treats it: policy wins over preference.
type firewallProfile struct {
	policies []string // the first that says something counts
	local    string
	// older is where an older kind of policy speaks of every network that is
	// not the domain's: whether of this one, is not certain.
	older string
}

var firewallProfiles = []firewallProfile{
	{policies: []string{"DomainProfile"}, local: "DomainProfile"},
	{policies: []string{"PrivateProfile", "StandardProfile"}, local: "StandardProfile"},
	{policies: []string{"PublicProfile"}, local: "PublicProfile", older: "StandardProfile"},
}

// windowsFirewall reports whether incoming connections are refused by default
// on every kind of network: by Windows' own firewall, or by another that
// Security Center vouches for.
func windowsFirewall(ctx context.Context, sys system.Reader, running serviceList) (posture.Reading[bool], []posture.Gap) {
	own := both(running.running("mpssvc"), running.running("BFE"))
	for _, p := range firewallProfiles {
		if own.Known() && !own.Value {
			break
		}
		own = both(own, p.refuses(ctx, sys))
	}
	if server := isServer(ctx, sys); server.Known() && server.Value {
		return own, nil // other firewalls have nowhere to register
	}
	if own.Known() && own.Value {
		return ownInForce(ctx, sys)
	}
	other, gaps := otherFirewall(ctx, sys)
	switch {
	case other.Known() && other.Value:
		return other, nil
	case !own.Known():
		return own, gaps
	}
	return other, gaps // false, or why it is not known whether there is another
}

// refuses reports whether Windows' firewall refuses what comes in over one kind
// of network. Where it is on and lets everything in, it is useless.
func (p firewallProfile) refuses(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	local, err := mustSettings(ctx, sys, firewallLocal+p.local)
	if err != nil {
		return absentFor[bool](err)
	}
	var policy, mdm []registryKey
	for _, name := range p.policies {
		k, err := settings(ctx, sys, firewallPolicy+name)
		if err != nil {
			return absentFor[bool](err)
		}
		m, err := settings(ctx, sys, firewallMDM+name)
		if err != nil {
			return absentFor[bool](err)
		}
		policy, mdm = append(policy, k), append(mdm, m)
	}
	var older []registryKey
	if p.older != "" {
		k, err := settings(ctx, sys, firewallPolicy+p.older)
		if err != nil {
			return absentFor[bool](err)
		}
		older = append(older, k)
	}
	// Where nothing is said, incoming connections are refused.
	refused := firewallSetting("DefaultInboundAction", posture.Read(true), policy, mdm, older, []registryKey{local})
	on := firewallSetting("EnableFirewall", posture.Unread[bool](posture.Unreadable), policy, mdm, older, []registryKey{local})
	return both(on, refused)
}

// firewallSetting merges one setting, of which 1 is "on" or "block". What the
// older kind of policy says for networks it was not made for, and what two
// kinds of policy say against one another, is only believed if it makes no
// difference.
func firewallSetting(name string, otherwise posture.Reading[bool], policy, mdm, older, local []registryKey) posture.Reading[bool] {
	read := func(keys []registryKey) (posture.Reading[bool], bool) {
		n, there, err := settingNumber(name, keys...)
		switch {
		case err != nil:
			return absentFor[bool](err), true
		case !there:
			return otherwise, false
		case n == 0 || n == 1:
			return posture.Read(n == 1), true
		}
		return posture.Unread[bool](posture.Unreadable), true
	}
	wins, _ := read(local)
	managed, isManaged := read(mdm)
	if isManaged {
		wins = managed
	}
	if r, there := read(older); there && r != wins {
		wins = firewallDispute(r, wins)
	}
	if r, there := read(policy); there {
		wins = r
		if isManaged && managed != r {
			wins = firewallDispute(r, managed)
		}
	}
	return wins
}

// firewallDispute is what is known where it is not known which of two settings
// counts.
func firewallDispute(a, b posture.Reading[bool]) posture.Reading[bool] {
	for _, r := range []posture.Reading[bool]{a, b} {
		if !r.Known() {
			return r
		}
	}
	return posture.Unread[bool](posture.Unsupported)
}

// otherFirewall reports whether a firewall that is not Windows' own is on, and
// Security Center calls it good.
func otherFirewall(ctx context.Context, sys system.Reader) (posture.Reading[bool], []posture.Gap) {
	rows, err := sys.Rows(ctx, system.FirewallProducts)
	if err != nil {
		gap := rowsetGap(system.FirewallProducts, err)
		return posture.Unread[bool](gap.Absent), []posture.Gap{gap}
	}
	on := posture.Read(false)
	for _, row := range rows {
		r, ok := registered(row)
		is := posture.Unread[bool](posture.Unreadable)
		if ok {
			is = both(not(r.gone), productIsOn(r.state))
		}
		switch {
		case is.Known() && is.Value:
			on = is
		case !is.Known() && !on.Value:
			on = is
		}
	}
	if on.Known() && !on.Value {
		return on, nil
	}
	good, gaps := firewallHealth(ctx, sys)
	if !good.Known() {
		return good, gaps
	}
	return both(on, good), nil
}

// ownInForce reports whether Windows' own firewall, whose settings say that it
// is on, is the one that counts. A firewall of another maker takes its place
// by registering, and the settings stay as they are: if that one is off,
// paused or has run out, nothing may be refused. With such a one, or where it
// cannot be told, only Security Center knows.
func ownInForce(ctx context.Context, sys system.Reader) (posture.Reading[bool], []posture.Gap) {
	rows, err := sys.Rows(ctx, system.FirewallProducts)
	doubt := posture.None
	var gaps []posture.Gap
	if err != nil {
		gap := rowsetGap(system.FirewallProducts, err)
		gaps, doubt = []posture.Gap{gap}, gap.Absent
	}
	for _, row := range rows {
		switch r, ok := registered(row); {
		case !ok:
			doubt = posture.Unreadable
		case r.gone.Known() && r.gone.Value:
		case r.gone.Known() && r.state == posture.Read(productOn):
		default:
			doubt = firstAbsence(r.gone.Absent, r.state.Absent, posture.NotVisible)
		}
	}
	if doubt == posture.None {
		return posture.Read(true), nil
	}
	good, more := firewallHealth(ctx, sys)
	if good.Known() && good.Value {
		return good, nil
	}
	return posture.Unread[bool](doubt), append(gaps, more...)
}

// firewallHealth reports whether Security Center calls the machine's firewall
// good, whosever it is.
func firewallHealth(ctx context.Context, sys system.Reader) (posture.Reading[bool], []posture.Gap) {
	const provider = 1 // WSC_SECURITY_PROVIDER_FIREWALL
	health, err := sys.Rows(ctx, system.SecurityHealth)
	if err != nil {
		gap := rowsetGap(system.SecurityHealth, err)
		return posture.Unread[bool](gap.Absent), []posture.Gap{gap}
	}
	for _, row := range health {
		kind, result, state := row.Number("Provider"), row.Number("Result"), row.Number("Health")
		if kind.Known() && kind.Value == provider && result.Known() && result.Value == 0 && state.Known() {
			return posture.Read(state.Value == 0), nil
		}
	}
	return posture.Unread[bool](posture.Unreadable), nil
}

func productIsOn(state posture.Reading[productState]) posture.Reading[bool] {
	if !state.Known() {
		return posture.Unread[bool](state.Absent)
	}
	return posture.Read(state.Value == productOn)
}
