package probe

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// productState is what Security Center says that a product does.
type productState uint8

const (
	productOff productState = iota
	productOn
	productSnoozed // switched off for a while
	productExpired
)

// registration is one row of Security Center: what a product last told it.
type registration struct {
	vendor  windowsVendor
	state   posture.Reading[productState]
	current posture.Reading[bool]
	// gone says that the program is no longer there that was to report for it:
	// the row was left behind.
	gone posture.Reading[bool]
}

// unsure is the row of which nothing is known but, perhaps, whose it is.
func (r registration) unsure(why posture.Absence) registration {
	r.state, r.current, r.gone = posture.Unread[productState](why), posture.Unread[bool](why), posture.Unread[bool](why)
	return r
}

// parseProductState takes apart the number in which Security Center's WMI
// classes keep a product's state. Nobody documents it; what many have found
// agrees with the enumerations of the documented interface.
func parseProductState(n int64) (posture.Reading[productState], posture.Reading[bool]) {
	state, current := posture.Unread[productState](posture.Unreadable), posture.Unread[bool](posture.Unreadable)
	if n < 0 || n > 0xffffffff {
		return state, current
	}
	switch n & 0xf000 {
	case 0x0000:
		state = posture.Read(productOff)
	case 0x1000:
		state = posture.Read(productOn)
	case 0x2000:
		state = posture.Read(productSnoozed)
	case 0x3000:
		state = posture.Read(productExpired)
	}
	switch n & 0xf0 {
	case 0x00:
		current = posture.Read(true)
	case 0x10:
		current = posture.Read(false)
	}
	return state, current
}

// defenderGUID is what Windows' own antivirus is registered under, whatever it
// is called.
const defenderGUID = "{d68ddc3a-831f-4fae-9e44-da132c1acf46}"

// registered reads a row of AntiVirusProduct or FirewallProduct; false if it
// does not say whose it is.
func registered(row system.Values) (registration, bool) {
	name := row.Text("displayName")
	r := registration{vendor: vendorOf(name.Value)}
	if guid := row.Text("instanceGuid"); guid.Known() && strings.EqualFold(guid.Value, defenderGUID) {
		r.vendor = vendorOf("Microsoft Defender")
	} else if !name.Known() {
		return r, false
	}
	number := row.Number("productState")
	if number.Known() {
		r.state, r.current = parseProductState(number.Value)
	} else {
		r.state, r.current = posture.Unread[productState](number.Absent), posture.Unread[bool](number.Absent)
	}
	r.gone = posture.Read(false)
	switch exists := row.Flag("ReportingExists"); {
	case exists.Known():
		r.gone = posture.Read(!exists.Value)
	case exists.Absent != posture.Unsupported: // untold, it is not proven to be gone
		r.gone = posture.Unread[bool](exists.Absent)
	}
	return r, true
}

// listed reads a row of the documented list; false if it does not say whose it
// is.
func listed(row system.Values) (registration, bool) {
	name := row.Text("Name")
	if !name.Known() {
		return registration{}, false
	}
	r := registration{vendor: vendorOf(name.Value), gone: posture.Read(false)}
	states := []productState{productOn, productOff, productSnoozed, productExpired}
	switch n := row.Number("State"); {
	case !n.Known():
		r.state = posture.Unread[productState](n.Absent)
	case n.Value < 0 || n.Value >= int64(len(states)):
		r.state = posture.Unread[productState](posture.Unreadable)
	default:
		r.state = posture.Read(states[n.Value])
	}
	switch n := row.Number("Signature"); {
	case !n.Known():
		r.current = posture.Unread[bool](n.Absent)
	case n.Value == 0 || n.Value == 1:
		r.current = posture.Read(n.Value == 1)
	default:
		r.current = posture.Unread[bool](posture.Unreadable)
	}
	return r, true
}

// securityCenter is what Security Center says of antivirus.
type securityCenter struct {
	byProduct map[string][]registration
	// left are products of which only rows are there that were left behind.
	left map[string]bool
	gaps []posture.Gap
}

// readSecurityCenter asks Security Center twice: its WMI classes, whose rows
// can be told from those left behind by a product that was removed, and its
// documented list, for what the classes do not name.
func readSecurityCenter(ctx context.Context, sys system.Reader, running serviceList) securityCenter {
	c := securityCenter{byProduct: map[string][]registration{}, left: map[string]bool{}}
	awake, good := securityHealth(ctx, sys, running)
	rows, err := sys.Rows(ctx, system.SecurityProducts)
	if err != nil {
		c.gaps = append(c.gaps, rowsetGap(system.SecurityProducts, err))
	}
	nobodys := false // a row that does not say whose it is may be anybody's
	for _, row := range rows {
		r, ok := registered(row)
		if nobodys = nobodys || !ok; ok {
			c.take(r, running)
		}
	}
	c.dropUnsure()
	named := maps.Clone(c.byProduct)
	list, listErr := sys.Rows(ctx, system.SecurityList)
	for _, row := range list {
		r, ok := listed(row)
		switch {
		case !ok:
			nobodys = nobodys || err != nil
		case named[r.vendor.product] == nil && !c.left[r.vendor.product]:
			c.takeListed(r, running)
		}
	}
	if nobodys {
		c.gaps = append(c.gaps, posture.Gap{Source: "whose a row of Security Center is", Absent: posture.Unreadable})
		for product, rows := range c.byProduct {
			c.byProduct[product] = append(rows, rows[0].unsure(posture.Unreadable))
		}
	}
	if err != nil && listErr != nil {
		c.gaps = append(c.gaps, rowsetGap(system.SecurityList, listErr))
	}
	switch {
	case !awake.Known():
		c.gaps = append(c.gaps, posture.Gap{Source: "whether Security Center runs", Absent: awake.Absent})
		c.forget(awake.Absent)
	case !awake.Value:
		// What it was told when it last ran proves nothing now.
		c.gaps = append(c.gaps, posture.Gap{Source: "Security Center does not run", Absent: posture.NotVisible})
		c.forget(posture.NotVisible)
	case err == nil && good && len(c.byProduct) == 0:
		c.gaps = append(c.gaps, posture.Gap{Source: "Security Center names no product and calls antivirus good", Absent: posture.Unreadable})
	}
	return c
}

// take adds a row, unless it was left behind: its program is gone and none of
// the maker's services runs. Of a maker that is not known, nobody can tell
// whether it runs.
func (c *securityCenter) take(r registration, running serviceList) {
	product, there := r.vendor.product, not(r.gone)
	if there.Known() && !there.Value && len(r.vendor.services) > 0 {
		there = running.running(r.vendor.services...)
	} else if there.Known() && !there.Value {
		r.state, r.current = posture.Unread[productState](posture.Unsupported), unsupported[bool]()
		there = posture.Read(true)
	}
	switch {
	case !there.Known():
		r = r.unsure(there.Absent)
	case !there.Value:
		c.left[product] = true
		return
	}
	r.gone = not(there)
	c.byProduct[product] = append(c.byProduct[product], r)
}

// dropUnsure takes out the products of which no row is certain to be of
// something that is still there, and says so.
func (c *securityCenter) dropUnsure() {
	for product, rows := range c.byProduct {
		if slices.ContainsFunc(rows, func(r registration) bool { return r.gone.Known() }) {
			continue
		}
		c.lose(product, rows[0].gone.Absent)
		delete(c.byProduct, product)
	}
}

func (c *securityCenter) lose(product string, why posture.Absence) {
	c.gaps = append(c.gaps, posture.Gap{Source: "whether an antivirus product is still there", Absent: why})
	c.left[product] = true
}

// takeListed adds a row of the documented list, which does not tell whose
// program is gone: only if one of the maker's services runs. Of a maker that is
// not known no more is believed than that there is such a product. Windows' own
// is never gone: its service rests where another protects.
func (c *securityCenter) takeListed(r registration, running serviceList) {
	switch {
	case r.vendor.product == defenderProduct:
	case len(r.vendor.services) == 0:
		r = r.unsure(posture.Unreadable)
	default:
		runs := running.running(r.vendor.services...)
		if !runs.Known() || !runs.Value {
			why := posture.Unreadable
			if !runs.Known() {
				why = runs.Absent
			}
			c.lose(r.vendor.product, why)
			return
		}
	}
	c.byProduct[r.vendor.product] = append(c.byProduct[r.vendor.product], r)
}

// forget keeps the products and drops what is said of them.
func (c *securityCenter) forget(why posture.Absence) {
	for _, rows := range c.byProduct {
		for i := range rows {
			rows[i].state, rows[i].current = posture.Unread[productState](why), posture.Unread[bool](why)
		}
	}
}

// securityHealth reports whether Security Center runs, and whether it calls
// antivirus good. Where it does not run it answers S_FALSE and "poor", which
// says nothing of antivirus.
func securityHealth(ctx context.Context, sys system.Reader, running serviceList) (awake posture.Reading[bool], good bool) {
	const antivirus = 4 // WSC_SECURITY_PROVIDER_ANTIVIRUS
	awake = running.running("wscsvc")
	rows, err := sys.Rows(ctx, system.SecurityHealth)
	if err != nil {
		return awake, false
	}
	for _, row := range rows {
		provider, result := row.Number("Provider"), row.Number("Result")
		if !provider.Known() || provider.Value != antivirus || !result.Known() {
			continue
		}
		switch health := row.Number("Health"); result.Value {
		case 0:
			return posture.Read(true), health.Known() && health.Value == 0
		case 1:
			return posture.Read(false), false
		}
	}
	return awake, false
}

// merged makes one product of its rows. A row that says "on" decides for
// itself: what another row says of older definitions is not mixed in.
func merged(rows []registration) posture.Antivirus {
	v := rows[0].vendor
	item := posture.Antivirus{
		Product: v.product, Name: v.name,
		Version: unsupported[string](), Updating: unsupported[bool](),
		Definitions: unsupported[string](), DefinitionsAt: unsupportedTime, Passive: unsupported[bool](),
		Undated: v.product != defenderProduct, // Security Center knows whether, never when
	}
	count := map[productState]int{}
	unsure := posture.None
	var inForce []registration
	for _, r := range rows {
		if !r.state.Known() {
			unsure = r.state.Absent
		} else {
			count[r.state.Value]++
		}
	}
	for _, r := range rows {
		if count[productOn] == 0 || !r.state.Known() || r.state.Value == productOn {
			inForce = append(inForce, r)
		}
	}
	switch {
	case count[productOn] > 0:
		item.On = posture.Read(true)
	case unsure != posture.None:
		item.On = posture.Unread[bool](unsure)
	default:
		item.On = posture.Read(false)
	}
	item.RealTime = item.On // "on" is "turned on and protecting the user"
	item.Expired = expired(count, unsure)
	item.Current = inForce[0].current
	if slices.ContainsFunc(inForce, func(r registration) bool { return r.current != item.Current }) {
		item.Current = posture.Unread[bool](posture.Unreadable)
	}
	return item
}

// expired says whether a product's subscription has ended. A product that is
// off tells no more than that.
func expired(count map[productState]int, unsure posture.Absence) posture.Reading[bool] {
	live := count[productOn] + count[productSnoozed]
	switch {
	case unsure != posture.None:
		return posture.Unread[bool](unsure)
	case count[productExpired] > 0 && live+count[productOff] > 0:
		return posture.Unread[bool](posture.Unreadable)
	case count[productExpired] > 0:
		return posture.Read(true)
	case live > 0:
		return posture.Read(false)
	}
	return unsupported[bool]()
}
