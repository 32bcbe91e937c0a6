package web

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/calendar"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/health"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// desk keeps how hollybank is set up, in memory. Oakfield is as it was made.
type desk struct {
	t       testing.TB
	hostile string
	rows    []view.CalendarRow
	tokens  []admission.Token
	times   map[string]string // that the school said
	ways    []Way
	server  NoticeServer
	tested  []string
	made    []NewToken
	by      []string
	choices Choices
	report  health.Report
}

const deskToken = "4f1c09a2b6d83e57"

func newDesk(t testing.TB, hostile string) *desk {
	d := &desk{
		t: t, hostile: hostile, times: map[string]string{}, choices: Choices{Policy: 3, Media: "encrypted", Programs: "deny", Portable: "allow"},
		tokens: []admission.Token{
			{ID: deskToken, Class: posture.SchoolMultiUser, Groups: []string{or(hostile, "trolley-b")}, Uses: 30, Used: 12, Ends: now.Add(48 * time.Hour), By: or(hostile, "technician"), State: admission.TokenOpen},
			{ID: "00000000000000bb", Class: posture.SchoolSingleUser, Uses: 1, Used: 1, Ends: now.Add(-48 * time.Hour), By: "console:root", State: admission.TokenUsedUp, PersonalUse: true},
			{ID: "00000000000000cc", Class: posture.SchoolSingleUser, Uses: 5, Ends: now.Add(-72 * time.Hour), By: "technician", State: admission.TokenTakenBack, TakenBack: now.Add(-80 * time.Hour)},
		},
		ways: []Way{
			{ID: "a1b2c3d4", Kind: "mail", To: or(hostile, "office@hollybank.example"), Role: access.Technician, Delivered: 14, Last: now.Add(-9 * time.Hour)},
			{ID: "e5f6a7b8", Kind: "teams", To: "https://teams.example/…", Role: access.DPO, Every: true, Failing: now.Add(-3 * time.Hour), Next: now.Add(20 * time.Minute), Why: or(hostile, "the server does not answer")},
		},
		server: NoticeServer{Mail: "smtp.hollybank.example:587", Protection: "starttls", From: "caretaker@hollybank.example", User: "caretaker", Digest: "07:30", Pages: "https://caretaker.hollybank.example"},
	}
	free := uint64(41_300_000_000)
	d.report = health.Report{
		At: now, Version: "v0.1.0", Free: &free, Recording: true, Entries: 5954, Shown: 5954, Trouble: []string{}, Verified: &health.Check{At: now.Add(-200 * time.Hour), Entries: 5100},
		Given: &health.Given{To: or(hostile, "/srv/checkpoints"), Last: now.Add(-10 * time.Hour)}, Backup: &health.Backup{At: now.Add(-30 * time.Hour), Bytes: 310_000_000}, Ways: 2, Failing: 1, Certificate: &health.Certificate{Ends: now.AddDate(0, 2, 0)}, Connected: 37,
	}
	d.set(strings.Replace(exampleCalendar, "%s", "Hollybank Primary School", 1), or(hostile, "head"), or(hostile, "as the governors agreed"))
	return d
}

func or(hostile, otherwise string) string { return cmp.Or(hostile, otherwise) }

func (d *desk) set(source, by, reason string) {
	made, err := calendar.Parse("calendar", []byte(source))
	if err != nil {
		d.t.Fatal(err)
	}
	row := view.CalendarRow{Number: len(d.rows) + 1, Entry: 300, By: by, At: now.Add(-100 * time.Hour), Reason: reason, Name: or(d.hostile, made.Name()), Zone: made.Zone().String(), Source: source}
	row.From, row.To, _ = made.Speaks()
	d.rows = append([]view.CalendarRow{row}, d.rows...)
}

func (d *desk) Calendar(_ context.Context, id posture.SchoolID, now time.Time) (view.Calendar, error) {
	known := view.Calendar{School: id, At: now, History: []view.CalendarRow{}}
	if id == hollybank {
		known.History = d.rows
	}
	days, err := joined(known)
	known.Today, known.Warning, known.Spans = days.On(now), days.Warning(now), days.Spans()
	return known, err
}

func (d *desk) SetCalendar(_ context.Context, _ posture.SchoolID, made decision.Decision, _ string, source []byte) (uint64, error) {
	if len(d.rows) > 0 && d.rows[0].Source == string(source) {
		return 0, &decision.RefusedError{Why: "this is calendar 1, which is in force already"}
	}
	d.by = append(d.by, made.By+": "+made.Reason)
	d.set(string(source), made.By, made.Reason)
	return 301, nil
}

func (d *desk) Tokens(_ context.Context, id posture.SchoolID) ([]admission.Token, error) {
	if id != hollybank {
		return nil, nil
	}
	return d.tokens, nil
}

func (d *desk) TokenFor(_ context.Context, _ posture.SchoolID, by string, n NewToken) (string, time.Time, error) {
	if slices.Contains(n.Groups, "refuse this") {
		return "", time.Time{}, &decision.RefusedError{Why: "there is no such group"}
	}
	d.made, d.by = append(d.made, n), append(d.by, by)
	return "ctk1-" + strings.Repeat("abcdefgh", 20), now.Add(n.Lasts), nil
}

func (d *desk) EndToken(_ context.Context, id posture.SchoolID, made decision.Decision, token string) (uint64, error) {
	i := slices.IndexFunc(d.tokens, func(t admission.Token) bool { return t.ID == token })
	if i < 0 || id != hollybank {
		return 0, view.ErrNotFound
	}
	if d.tokens[i].State != admission.TokenOpen {
		return 0, &decision.RefusedError{Why: "this token admits nothing any more already"}
	}
	d.tokens[i].State, d.by = admission.TokenTakenBack, append(d.by, made.By+": "+made.Reason)
	return 302, nil
}

func (d *desk) Keeping(context.Context, posture.SchoolID) (Keeping, error) {
	k := Keeping{
		Items: []KeptItem{
			{Item: "media", What: "which sticks were in which laptop", From: "the end of the month", Time: "90 days", Usual: "90 days", Least: "31 days", Most: "2 years"},
			{Item: "incidents", What: "what was written about an incident", From: "the day on which it was closed", Time: "6 years", Usual: "6 years", Least: "1 year", Most: "25 years"},
		},
		Last: []Forgetting{{At: now.Add(-13 * time.Hour), What: "which sticks were in which laptop", Class: "media", Month: "2026-06", Forgotten: 214, Kept: 3, By: or(d.hostile, "the collector")}},
	}
	for i, item := range k.Items {
		if text, ok := d.times[item.Item]; ok {
			k.Items[i].Time, k.Items[i].At, k.Items[i].By, k.Items[i].Reason, k.Since = text, now, "head", or(d.hostile, "so it was agreed"), now
		}
	}
	return k, nil
}

func (d *desk) SetRetention(_ context.Context, _ posture.SchoolID, made decision.Decision, times map[string]string) (uint64, error) {
	if times["media"] == "5 days" {
		return 0, &decision.RefusedError{Why: "media: 5 days is less than 31 days, the least"}
	}
	for item, text := range times {
		d.times[item] = text
	}
	d.by = append(d.by, made.By+": "+made.Reason)
	return 303, nil
}

func (d *desk) WouldForget(_ context.Context, _ posture.SchoolID, on time.Time, times map[string]string) ([]Forgetting, error) {
	if times["media"] == "5 days" {
		return nil, &decision.RefusedError{Why: "media: 5 days is less than 31 days, the least"}
	}
	return []Forgetting{{What: "which sticks were in which laptop", Class: "media", Month: on.AddDate(0, -4, 0).Format("2006-01"), Forgotten: 77}}, nil
}

func (d *desk) Told(_ context.Context, id posture.SchoolID) (Told, error) {
	told := Told{Server: d.server, Roles: []access.Role{access.Administrator, access.Technician, access.DPO, access.Head}}
	for _, way := range d.ways {
		if id == hollybank || way.Every {
			told.Ways = append(told.Ways, way)
		}
	}
	return told, nil
}

func (d *desk) AddWay(_ context.Context, _ posture.SchoolID, n NewWay) error {
	if n.Kind == "webhook" && len(n.Secret) < 16 {
		return &decision.RefusedError{Why: "a webhook needs a secret of at least 16 characters"}
	}
	d.ways = append(d.ways, Way{ID: "new", Kind: n.Kind, To: n.Address, Role: n.Role})
	return nil
}

func (d *desk) EndWay(_ context.Context, id string) error {
	d.ways = slices.DeleteFunc(d.ways, func(w Way) bool { return w.ID == id })
	return nil
}

func (d *desk) TestWay(_ context.Context, id string) error {
	d.tested = append(d.tested, id)
	if id == "e5f6a7b8" {
		return &decision.RefusedError{Why: "the test could not be delivered"}
	}
	return nil
}

func (d *desk) SetServer(_ context.Context, n NoticeServer) error {
	if n.Mail == "nonsense" {
		return &decision.RefusedError{Why: "the mail server is not of the form HOST:PORT"}
	}
	d.server = n
	return nil
}

func (d *desk) Health(_ context.Context, id posture.SchoolID) (health.Report, error) {
	if id != hollybank {
		return health.Report{At: now, Recording: true}, nil
	}
	return d.report, nil
}

func (d *desk) Choices(_ context.Context, id posture.SchoolID) (Choices, error) {
	if id != hollybank {
		return Choices{}, nil
	}
	return d.choices, nil
}

func (d *desk) Gone() error {
	d.by = append(d.by, "somebody is gone")
	return nil
}

// deskOf is the desk of a school that answers the pages' questions.
func deskOf(t testing.TB, q Queries) SettingsDesk {
	s, ok := q.(*school)
	if !ok {
		return newDesk(t, "")
	}
	if s.office == nil {
		s.office = newDesk(t, s.hostile)
	}
	return s.office
}
