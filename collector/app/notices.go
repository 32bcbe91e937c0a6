package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/metrics"
	"github.com/caretaker-school/caretaker/collector/notify"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/release"
)

// noticesFolder holds how people are told and what they were told, beside the
// schools' folders: it is no part of a record.
const noticesFolder = "notices"

// reading is what notices are made of: what the pages show, as far as it is
// whole.
type reading struct {
	queries

	mu       sync.Mutex
	recorded map[posture.SchoolID]recordedAt // as it was when it was last asked
}

type recordedAt struct {
	entries uint64
	at      time.Time
}

// wholeFor is for how long an earlier look at a record is good enough: a school
// whose laptops report all the time is never quite up to date.
const wholeFor = 15 * time.Minute

// Whole implements notify.Source.
func (r *reading) Whole(id posture.SchoolID) (mark uint64, whole bool) {
	record := r.c.byID(id)
	if record == nil {
		return 0, false
	}
	s := record.working()
	if s == nil {
		return 0, false
	}
	now := r.c.clock.Now()
	p := s.projection.Progress(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	before, known := r.recorded[id]
	r.recorded[id] = recordedAt{p.Recorded, now}
	if p.Folded >= p.Recorded {
		return p.Again, true
	}
	since := now.Sub(before.at)
	return p.Again, known && since >= 0 && since <= wholeFor && p.Folded >= before.entries
}

// Checkpoint implements notify.Source.
func (r *reading) Checkpoint(ctx context.Context, id posture.SchoolID) ([]byte, error) {
	s, err := r.c.school(string(id))
	if err != nil || s.ledger.Size() == 0 {
		return nil, err
	}
	return s.ledger.Checkpoint(ctx)
}

// Quiet implements notify.Calendar. A school of which no calendar is known, or
// whose calendar cannot be read, has no holidays.
func (r *reading) Quiet(id posture.SchoolID, at time.Time, urgent bool) bool {
	days, err := r.c.view.Queries().Terms(context.Background(), id)
	return err == nil && days.Quiet(at, urgent)
}

// Open implements notify.Calendar.
func (r *reading) Open(id posture.SchoolID, from, to time.Time) time.Duration {
	days, err := r.c.view.Queries().Terms(context.Background(), id)
	if err != nil {
		return to.Sub(from)
	}
	return days.Between(from, to)
}

// openNotices opens what was told. What keeps it from opening stops nothing
// else; status says so.
func (c *collector) openNotices() {
	r := &reading{queries: queries{c.view.Queries(), c}, recorded: map[posture.SchoolID]recordedAt{}}
	c.notices = notify.Open(notify.Options{Dir: filepath.Join(c.data, noticesFolder), Source: r, Calendar: r, Clock: c.clock, Log: c.log})
	if zone, err := time.LoadLocation(web.Zone); err == nil {
		c.notices.SetZone(zone) // until a collector that serves says another
	}
	c.close = append(c.close, c.notices.Close)
}

// noticeTrouble is what people who look after a school must know of its
// notices.
func (c *collector) noticeTrouble(id posture.SchoolID) []string {
	var list []string
	if err := c.notices.Trouble(); err != nil {
		list = append(list, plainly(err))
	}
	for _, s := range c.notices.Status() {
		if s.Attempts >= severalFailures && (s.School == id || s.School == access.EverySchool) {
			list = append(list, fmt.Sprintf("notices do not reach %s %s since %s: %s", s.Kind, s.To, s.Failing.Format(time.RFC3339), s.Why))
		}
	}
	return list
}

// severalFailures is how many attempts fail before status speaks of trouble: a
// receiver that was away for a moment is none.
const severalFailures = 3

// NoticeArguments add a way for notices, or name one.
type NoticeArguments struct {
	ID      string      `json:"id"`
	Kind    notify.Kind `json:"kind"`
	School  string      `json:"school"`
	Every   bool        `json:"every"` // every school
	Role    string      `json:"role"`
	Address string      `json:"address"`
	Secret  string      `json:"secret"`
}

// NoticeSettings change what is not nil.
type NoticeSettings struct {
	Pages        *string            `json:"pages,omitempty"`
	Digest       *string            `json:"digest,omitempty"`
	Authorities  *string            `json:"authorities,omitempty"`
	MailServer   *string            `json:"mailServer,omitempty"`
	MailTLS      *notify.Protection `json:"mailTLS,omitempty"`
	MailFrom     *string            `json:"mailFrom,omitempty"`
	MailUser     *string            `json:"mailUser,omitempty"`
	MailPassword *string            `json:"mailPassword,omitempty"`
}

// NoticesAnswer is how notices are set, and how things stand with each way.
type NoticesAnswer struct {
	Pages    string                 `json:"pages,omitempty"`
	Digest   string                 `json:"digest,omitempty"` // time of day; "": 07:30
	Mail     MailServerAnswer       `json:"mail,omitzero"`
	Channels []notify.ChannelStatus `json:"channels"`
	Trouble  string                 `json:"trouble,omitempty"` // why nothing is told
}

// MailServerAnswer is the mail server without its password.
type MailServerAnswer struct {
	Address string            `json:"address,omitempty"`
	TLS     notify.Protection `json:"tls,omitempty"`
	From    string            `json:"from,omitempty"`
	User    string            `json:"user,omitempty"`
}

func (c *collector) listNotices() NoticesAnswer {
	s := c.notices.Settings()
	a := NoticesAnswer{
		Pages: s.Pages, Digest: s.Digest, Channels: c.notices.Status(),
		Mail: MailServerAnswer{Address: s.Mail.Address, TLS: s.Mail.Protection, From: s.Mail.From, User: s.Mail.User},
	}
	if err := c.notices.Trouble(); err != nil {
		a.Trouble = plainly(err)
	}
	return a
}

func (c *collector) addNotice(_ context.Context, a NoticeArguments) (notify.ChannelStatus, error) {
	role, err := access.ParseRole(a.Role)
	if err != nil {
		return notify.ChannelStatus{}, err
	}
	ch := notify.Channel{Kind: a.Kind, School: access.EverySchool, Role: role, Address: a.Address, Secret: a.Secret}
	if !a.Every {
		r, err := c.record(a.School)
		if err != nil {
			return notify.ChannelStatus{}, err
		}
		ch.School = r.id
	}
	return c.notices.Add(ch)
}

func (c *collector) setNotices(_ context.Context, a NoticeSettings) (NoticesAnswer, error) {
	err := c.notices.Set(func(s *notify.Settings) error {
		change(&s.Pages, a.Pages)
		change(&s.Digest, a.Digest)
		change(&s.Authorities, a.Authorities)
		change(&s.Mail.Address, a.MailServer)
		change(&s.Mail.Protection, a.MailTLS)
		change(&s.Mail.From, a.MailFrom)
		change(&s.Mail.User, a.MailUser)
		change(&s.Mail.Password, a.MailPassword)
		if s.Mail.Address != "" && s.Mail.Protection == "" {
			s.Mail.Protection = notify.StartTLS
		}
		return nil
	})
	if err != nil {
		return NoticesAnswer{}, err
	}
	return c.listNotices(), nil
}

func change[T any](field, to *T) {
	if to != nil {
		*field = *to
	}
}

func (c *collector) removeNotice(_ context.Context, a NoticeArguments) (notify.ChannelStatus, error) {
	return c.notices.Remove(a.ID)
}

func (c *collector) testNotice(ctx context.Context, a NoticeArguments) (notify.ChannelStatus, error) {
	return c.notices.Test(ctx, a.ID)
}

// figures counts what there is, for Prometheus.
func (c *collector) figures(ctx context.Context) (metrics.Figures, error) {
	f := metrics.Figures{Notices: map[string]metrics.Notices{}}
	now := c.clock.Now()
	standing, err := c.status(ctx)
	if err != nil {
		return f, err
	}
	for _, s := range standing {
		one := metrics.School{ID: s.School, Recording: s.Recording, Entries: s.Entries, Shown: s.Shown}
		if !s.Behind.IsZero() {
			one.Behind = max(0, now.Sub(s.Behind))
		}
		if c.door != nil {
			one.Connected = c.door.Connections(s.School)
		}
		if one.Overview, err = (queries{c.view.Queries(), c}).Overview(ctx, s.School, now); err != nil {
			return f, err
		}
		f.Schools = append(f.Schools, one)
	}
	for kind, n := range c.notices.Failures() {
		f.Notices[string(kind)] = metrics.Notices{Failures: n}
	}
	for _, s := range c.notices.Status() {
		n := f.Notices[string(s.Kind)]
		n.Delivered += s.Delivered
		if s.Waiting != "" {
			n.Waiting++
		}
		if s.Attempts > 0 {
			n.Failing++
		}
		f.Notices[string(s.Kind)] = n
	}
	free, err := durable.Free(c.data)
	f.Free, f.Known = free, err == nil
	if s := c.certificateNow(); s != nil {
		f.Certificate = &metrics.Certificate{Ends: s.Ends, Failing: s.Trouble != ""}
	}
	return f, nil
}

// figuresAt opens the address of the figures, if there is one, and returns what
// serves there until its context ends.
func (c *collector) figuresAt(ctx context.Context, config Config) (func(context.Context) error, error) {
	if config.Metrics == "" {
		return func(context.Context) error { return nil }, nil
	}
	ln, answers, err := c.metricsAt(ctx, config)
	if err != nil {
		return nil, err
	}
	c.log.Info("figures are served", "address", ln.Addr().String())
	if config.Figures != nil {
		config.Figures(ln.Addr().String())
	}
	c.close = append(c.close, func() error {
		ln.Close() // if it never came to serve
		return nil
	})
	return func(ctx context.Context) error { return web.Serve(ctx, ln, answers, c.log) }, nil
}

// metricsAt opens the address of the figures, and returns what answers there.
// Beyond this machine they need the pages' certificate and a token: how many
// laptops are not encrypted is nobody else's business.
func (c *collector) metricsAt(ctx context.Context, config Config) (net.Listener, http.Handler, error) {
	address := config.Metrics
	if !strings.Contains(address, ":") {
		address = ":" + address
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, nil, fmt.Errorf("serve figures: %w", err)
	}
	here := host == ""
	if here {
		host = "127.0.0.1"
	}
	ip := net.ParseIP(host)
	here = here || host == "localhost" || ip != nil && ip.IsLoopback()
	token := ""
	if config.MetricsToken != "" {
		text, err := os.ReadFile(config.MetricsToken)
		if err != nil {
			return nil, nil, fmt.Errorf("read the token of the figures: %w", err)
		}
		if token = strings.TrimSpace(string(text)); len(token) < 16 {
			return nil, nil, errors.New("the token of the figures has less than 16 characters")
		}
	}
	if !here && token == "" {
		return nil, nil, fmt.Errorf("serve figures on %s: beyond this machine they need a token, with --metrics-token FILE", config.Metrics)
	}
	ln, err := web.Listen(ctx, net.JoinHostPort(host, port), !here && config.secure())
	if err != nil {
		return nil, nil, fmt.Errorf("serve figures: %w", err)
	}
	if !here {
		ln = c.over(ln)
	}
	return ln, metrics.New(metrics.Config{Figures: c.figures, Version: release.Version(), Token: token, Log: c.log}), nil
}
