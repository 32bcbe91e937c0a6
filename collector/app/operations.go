package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/intake"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// do carries out one operation of the command line.
func (c *collector) do(ctx context.Context, operation string, arguments json.RawMessage) (any, error) {
	switch operation {
	case "init":
		return within(ctx, arguments, c.init)
	case "status":
		return c.status(ctx)
	case "health.show":
		return within(ctx, arguments, c.health)
	case "backup.take":
		return c.backup(ctx), nil
	case "backup.note":
		return with(arguments, c.noteBackup)
	case "token.create":
		return within(ctx, arguments, c.createToken)
	case "token.list":
		return within(ctx, arguments, c.tokens)
	case "token.end":
		return within(ctx, arguments, c.endToken)
	case "enrolment.list":
		return within(ctx, arguments, c.pending)
	case "enrolment.approve":
		return within(ctx, arguments, c.approvePending)
	case "enrolment.refuse":
		return within(ctx, arguments, c.refusePending)
	case "account.create":
		return within(ctx, arguments, c.createAccount)
	case "account.password", "account.remove", "account.grant", "account.revoke", "account.let-in", "account.drop-second", "account.sessions", "account.sign-out", "account.second-step", "account.log",
		"sign-on.add", "sign-on.list", "sign-on.remove":
		return c.doAccount(ctx, operation, arguments)
	case "account.list":
		return c.accounts()
	case "policy.show":
		return within(ctx, arguments, c.showPolicy)
	case "policy.publish":
		return within(ctx, arguments, c.publish)
	case "policy.rollback":
		return within(ctx, arguments, c.rollback)
	case "policy.choose":
		return within(ctx, arguments, c.choose)
	case "policy.diff":
		return within(ctx, arguments, c.diffPolicies)
	case "policy.preview", "policy.progress", "policy.draft", "policy.drafts", "policy.approve", "policy.withdraw", "policy.approvers":
		return c.doPolicy(ctx, operation, arguments)
	case "device.class", "group.add", "group.remove", "group.import":
		return within(ctx, arguments, c.group)
	case "group.list":
		return within(ctx, arguments, c.groups)
	case "trust.show", "trust.join", "trust.leave", "trust.draft", "trust.publish", "trust.allow", "trust.end":
		return c.doTrust(ctx, operation, arguments)
	case "device.list":
		return within(ctx, arguments, c.devices)
	case "device.show":
		return within(ctx, arguments, c.device)
	case "device.assess":
		return within(ctx, arguments, c.assess)
	case "device.assign":
		return within(ctx, arguments, c.assign)
	case "device.assignments":
		return within(ctx, arguments, c.assignments)
	case "device.revoke":
		return within(ctx, arguments, c.revoke)
	case "renewal.list":
		return within(ctx, arguments, c.renewals)
	case "renewal.approve":
		return within(ctx, arguments, c.approveRenewal)
	case "renewal.window":
		return within(ctx, arguments, c.setWindow)
	case "apart.list":
		return within(ctx, arguments, c.apart)
	case "apart.decide":
		return within(ctx, arguments, c.decideApart)
	case "same.list":
		return within(ctx, arguments, c.same)
	case "same.decide":
		return within(ctx, arguments, c.decideSame)
	case "breach.list":
		return within(ctx, arguments, c.breaches)
	case "breach.decide":
		return within(ctx, arguments, c.decideBreaches)
	case "exemption.ask":
		return within(ctx, arguments, c.askExemption)
	case "exemption.decide":
		return within(ctx, arguments, c.decideExemption)
	case "exemption.list":
		return within(ctx, arguments, c.exemptions)
	case "calendar.set":
		return within(ctx, arguments, c.setsCalendar)
	case "calendar.show":
		return within(ctx, arguments, c.calendar)
	case "evidence.device":
		return within(ctx, arguments, c.evidence)
	case "evidence.school":
		return within(ctx, arguments, c.position)
	case "report.make":
		return within(ctx, arguments, c.makeTerm)
	case "report.sign":
		return within(ctx, arguments, c.signTerm)
	case "report.show":
		return within(ctx, arguments, c.showTerm)
	case "report.list":
		return within(ctx, arguments, c.terms)
	case "report.year.make":
		return within(ctx, arguments, c.makeYear)
	case "report.year.sign":
		return within(ctx, arguments, c.signYear)
	case "report.year.show":
		return within(ctx, arguments, c.showYear)
	case "report.year.list":
		return within(ctx, arguments, c.years)
	case "report.month":
		return within(ctx, arguments, c.month)
	case "trends.show":
		return within(ctx, arguments, c.trend)
	case "trends.changes":
		return within(ctx, arguments, c.changes)
	case "subject.list", "subject.show", "subject.people", "subject.record", "subject.export", "subject.sheet":
		return within(ctx, arguments, func(ctx context.Context, a SubjectArguments) (any, error) { return c.subject(ctx, operation, a) })
	case "particulars.show":
		return within(ctx, arguments, c.particulars)
	case "particulars.set":
		return within(ctx, arguments, c.setParticulars)
	case "register.import":
		return within(ctx, arguments, c.importDevices)
	case "register.change":
		return within(ctx, arguments, c.changeRegister)
	case "register.list":
		return within(ctx, arguments, c.assets)
	case "register.show":
		return within(ctx, arguments, c.asset)
	case "media.list":
		return within(ctx, arguments, c.media)
	case "media.show":
		return within(ctx, arguments, c.medium)
	case "media.find":
		return within(ctx, arguments, c.findMedia)
	case "licence.list":
		return within(ctx, arguments, c.licences)
	case "licence.sign":
		return within(ctx, arguments, c.signLicence)
	case "register.uses":
		return within(ctx, arguments, c.uses)
	case "register.coverage":
		return within(ctx, arguments, c.coverage)
	case "incident.change":
		return within(ctx, arguments, c.changeIncident)
	case "incident.list":
		return within(ctx, arguments, c.incidents)
	case "incident.show":
		return within(ctx, arguments, c.incident)
	case "concern.list", "concern.show", "concern.set-aside", "concern.address":
		return within(ctx, arguments, func(ctx context.Context, a ConcernArguments) (any, error) { return c.doConcerns(ctx, operation, a) })
	case "senior.key", "senior.list", "restricted.list", "restricted.show", "restricted.held", "restricted.act":
		return c.doRestricted(ctx, operation, arguments)
	case "key.create":
		return within(ctx, arguments, c.createKey)
	case "key.list":
		return c.listKeys()
	case "key.revoke":
		return within(ctx, arguments, c.revokeKey)
	case "notice.add":
		return within(ctx, arguments, c.addNotice)
	case "notice.list":
		return c.listNotices(), nil
	case "notice.set":
		return within(ctx, arguments, c.setNotices)
	case "notice.test":
		return within(ctx, arguments, c.testNotice)
	case "dispute.list", "dispute.show", "dispute.raise", "dispute.answer":
		return within(ctx, arguments, func(ctx context.Context, a DisputeArguments) (any, error) { return c.doDisputes(ctx, operation, a) })
	case "notice.remove":
		return within(ctx, arguments, c.removeNotice)
	case "notice.log":
		return c.notices.Log(), nil
	case "ledger.verify":
		return within(ctx, arguments, c.verify)
	case "ledger.checkpoint":
		return within(ctx, arguments, c.checkpoint)
	case "ledger.show":
		return within(ctx, arguments, c.entries)
	case "ledger.forget":
		return within(ctx, arguments, c.forget)
	case "register.guest-notices":
		return within(ctx, arguments, c.guestNotices)
	case "retention.show":
		return within(ctx, arguments, c.showRetention)
	case "retention.set":
		return within(ctx, arguments, c.setRetention)
	case "retention.preview":
		return within(ctx, arguments, c.previewRetention)
	case "retention.run":
		return within(ctx, arguments, c.runRetention)
	case "update.add", "update.offer", "update.stop", "update.show":
		return within(ctx, arguments, func(ctx context.Context, a UpdateArguments) (any, error) { return c.doUpdate(ctx, operation, a) })
	case "views.list":
		return within(ctx, arguments, c.viewed)
	case "view.rebuild":
		return c.rebuild(ctx)
	}
	return nil, fmt.Errorf("this collector knows no operation %q", operation)
}

// within decodes the arguments of an operation and carries it out.
func within[A, R any](ctx context.Context, arguments json.RawMessage, do func(context.Context, A) (R, error)) (any, error) {
	return with(arguments, func(a A) (R, error) { return do(ctx, a) })
}

func with[A, R any](arguments json.RawMessage, do func(A) (R, error)) (any, error) {
	var a A
	if err := json.Unmarshal(arguments, &a); err != nil {
		return nil, fmt.Errorf("read the arguments: %w", err)
	}
	return do(a)
}

func (c *collector) init(ctx context.Context, a InitArguments) (InitAnswer, error) {
	c.founding.Lock()
	defer c.founding.Unlock()
	s, err := enroll.CreateSchool(c.data, a.School, c.clock.Now())
	if err != nil {
		return InitAnswer{}, err
	}
	key, err := s.Key.Verifier()
	if err != nil {
		return InitAnswer{}, err
	}
	r := &record{id: s.ID, name: s.Name, found: s}
	c.open(ctx, r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records = append(c.records, r)
	slices.SortFunc(c.records, func(a, b *record) int { return strings.Compare(string(a.id), string(b.id)) })
	if c.begin != nil {
		c.begin(r)
	}
	return InitAnswer{School: s.ID, Name: s.Name, Key: key.String(), Serving: c.running}, nil
}

// address is where laptops reach this collector: where it last served, under
// this machine's name if it served on every address.
func (c *collector) address() (string, error) {
	if c.served.Agents == "" {
		return "", errors.New("where laptops reach this collector is not known before it has served once: give it with --address HOST:PORT")
	}
	host, port, err := net.SplitHostPort(c.served.Agents)
	if err != nil {
		return "", fmt.Errorf("read where the collector last served: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			return "", fmt.Errorf("read this machine's name: %w", err)
		}
	}
	return net.JoinHostPort(host, port), nil
}

// operator names the account of the system that called, for the record.
func operator() string {
	u, err := user.Current()
	if err != nil {
		return "console"
	}
	return "console:" + u.Username
}

func (c *collector) createAccount(ctx context.Context, a AccountArguments) (AccountAnswer, error) {
	role, err := access.ParseRole(a.Role)
	if err != nil {
		return AccountAnswer{}, err
	}
	n := access.NewAccount{Name: a.Name, By: operator()}
	answer := AccountAnswer{Name: a.Name, Role: string(role)}
	for _, name := range a.Schools {
		r, err := c.record(name)
		if err != nil {
			return AccountAnswer{}, err
		}
		n.Grants = append(n.Grants, access.Grant{School: r.id, Role: role})
		answer.Schools = append(answer.Schools, r.id)
	}
	if len(n.Grants) == 0 {
		n.Grants = []access.Grant{{School: access.EverySchool, Role: role}}
	}
	for _, r := range c.all() {
		n.Context = append(n.Context, r.name)
	}
	_, password, err := c.access.CreateAccount(ctx, n)
	if err != nil {
		return AccountAnswer{}, err
	}
	answer.Password = password
	return answer, nil
}

func (c *collector) accounts() ([]AccountAnswer, error) {
	if err := c.access.Closed(); err != nil {
		return nil, err
	}
	answer := []AccountAnswer{}
	for _, account := range c.access.Accounts() {
		one := AccountAnswer{Name: account.Name}
		for _, g := range account.Grants {
			one.Role = string(g.Role)
			if g.School != access.EverySchool {
				one.Schools = append(one.Schools, g.School)
			}
		}
		answer = append(answer, one)
	}
	return answer, nil
}

func (c *collector) devices(ctx context.Context, a ListArguments) (view.DevicePage, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.DevicePage{}, err
	}
	return c.view.Queries().Devices(ctx, s.id, view.DeviceQuery{Search: a.Search, After: a.After, Limit: a.Limit}, c.clock.Now())
}

// device shows a device by identifier, or by a host name that only one has.
func (c *collector) device(ctx context.Context, a ListArguments) (view.DeviceDetail, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.DeviceDetail{}, err
	}
	now := c.clock.Now()
	d, err := c.view.Queries().Device(ctx, s.id, posture.DeviceID(a.Device), now)
	if w := s.working(); w != nil && errors.Is(err, view.ErrNotFound) {
		if _, known := w.roster.Device(posture.DeviceID(a.Device)); known { // enrolled a moment ago
			if err := c.followed(ctx, w); err != nil {
				return view.DeviceDetail{}, err
			}
			d, err = c.view.Queries().Device(ctx, s.id, posture.DeviceID(a.Device), now)
		}
	}
	if !errors.Is(err, view.ErrNotFound) {
		return d, err
	}
	page, err := c.view.Queries().Devices(ctx, s.id, view.DeviceQuery{Search: a.Device, Limit: 500}, now)
	if err != nil {
		return view.DeviceDetail{}, err
	}
	var named []posture.DeviceID
	for _, d := range page.Devices {
		if strings.EqualFold(d.Hostname, a.Device) || d.AssetTag != "" && strings.EqualFold(d.AssetTag, a.Device) {
			named = append(named, d.ID)
		}
	}
	switch len(named) {
	case 0:
		return view.DeviceDetail{}, fmt.Errorf("%s has no device %q", s.name, a.Device)
	case 1:
		return c.view.Queries().Device(ctx, s.id, named[0], now)
	}
	return view.DeviceDetail{}, fmt.Errorf("%d devices are named %q: give the identifier of one", len(named), a.Device)
}

// assess asks a connected device for an assessment at once.
func (c *collector) assess(ctx context.Context, a ListArguments) (AssessAnswer, error) {
	s, err := c.record(a.School)
	if err != nil {
		return AssessAnswer{}, err
	}
	d, err := c.device(ctx, a)
	if err != nil {
		return AssessAnswer{}, err
	}
	if c.door == nil {
		return AssessAnswer{}, errors.New("no collector runs on this data folder, so no laptop is connected: start it with serve")
	}
	if err := c.door.AssessNow(s.id, d.ID, operator()); err != nil {
		return AssessAnswer{}, fmt.Errorf("ask %s to assess itself: %w", d.Hostname, err)
	}
	return AssessAnswer{Device: d.ID, Hostname: d.Hostname}, nil
}

// AssessNow implements web.Assessor.
func (c *collector) AssessNow(_ context.Context, school posture.SchoolID, device posture.DeviceID, by string) error {
	err := c.door.AssessNow(school, device, by)
	if errors.Is(err, intake.ErrNotConnected) || errors.Is(err, intake.ErrLost) {
		return web.ErrAway
	}
	return err
}

func (c *collector) breaches(ctx context.Context, a ListArguments) (view.BreachPage, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.BreachPage{}, err
	}
	return c.view.Queries().Breaches(ctx, s.id, view.BreachQuery{Device: posture.DeviceID(a.Device), After: a.After, Limit: a.Limit}, c.clock.Now())
}
