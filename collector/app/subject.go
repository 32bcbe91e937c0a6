package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// SubjectArguments are about a request of somebody who asks what is kept about
// them. Nobody is told of one without the key of an account that may know.
type SubjectArguments struct {
	School   string         `json:"school"`
	Key      string         `json:"key"`
	ID       string         `json:"id,omitempty"`
	Change   subject.Change `json:"change,omitzero"` // that is recorded
	People   []string       `json:"people,omitempty"`
	Accounts []string       `json:"accounts,omitempty"`
	Reason   string         `json:"reason,omitempty"`
}

// RequestList lists requests.
type RequestList struct {
	Requests []api.Request `json:"requests"`
}

// subjectRights says what each operation about requests takes.
var subjectRights = map[string]access.Right{
	"subject.list": access.RecordRequests, "subject.show": access.RecordRequests, "subject.record": access.RecordRequests,
	"subject.people": access.AnswerRequests, "subject.export": access.AnswerRequests, "subject.sheet": access.AnswerRequests,
}

// subject does what is asked about requests, for the account whose key it is.
func (c *collector) subject(ctx context.Context, operation string, a SubjectArguments) (any, error) {
	s, err := c.school(a.School)
	if err != nil {
		return nil, err
	}
	if a.Key == "" {
		return nil, errors.New("the console does not learn who asks what is kept about them: give an access key of the data-protection officer's account with --key")
	}
	right := subjectRights[operation]
	if operation == "subject.record" && a.Change.What != subject.Receive {
		right = access.AnswerRequests
	}
	by, err := c.account(a.Key, s.ID, right)
	if err != nil {
		return nil, err
	}
	if what, reads := subjectLooks[operation]; reads {
		return c.readSubject(ctx, operation, s.ID, viewing.Look{By: by, Way: viewing.Command, What: what}, a.ID)
	}
	now := c.clock.Now()
	a.Change.ID = cmp.Or(a.Change.ID, a.ID)
	var one subject.Request
	if operation == "subject.export" {
		one, err = c.MakeExport(ctx, s.ID, by, a.ID, a.People, a.Accounts)
	} else {
		one, err = c.RecordRequest(ctx, s.ID, decision.Decision{Kind: decision.Subject, By: by, At: now, Reason: a.Reason, Request: &a.Change})
	}
	return api.NewRequest(one, now), err
}

// subjectLooks says what the operations show that change nothing. That they did is
// recorded for the account whose key it is, not for the operator.
var subjectLooks = map[string]viewing.What{
	"subject.list": viewing.Requests, "subject.show": viewing.Person, "subject.people": viewing.Register, "subject.sheet": viewing.Person,
}

// readSubject answers a question about requests, once it is recorded who looks.
func (c *collector) readSubject(ctx context.Context, operation string, id posture.SchoolID, l viewing.Look, request string) (answer any, err error) {
	now := c.clock.Now()
	switch operation {
	case "subject.list":
		var list []subject.Request
		list, err = c.view.Queries().Requests(ctx, id, now)
		answer = RequestList{api.NewRequests(list, now)}
	case "subject.show":
		var one subject.Request
		one, err = c.view.Queries().Request(ctx, id, request, now)
		answer, l.Name = api.NewRequest(one, now), one.ID
	case "subject.people":
		answer, err = c.SubjectPeople(ctx, id)
	case "subject.sheet":
		answer, err = c.ReadExport(ctx, id, request)
		l.Name = request
	}
	if err == nil {
		err = c.Look(ctx, id, l)
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// RecordRequest implements api.Subjects and web.Subjects.
func (c *collector) RecordRequest(ctx context.Context, id posture.SchoolID, d decision.Decision) (one subject.Request, err error) {
	s, err := c.deciding(ctx, string(id))
	if err != nil {
		return one, err
	}
	change := *d.Request
	d.Request = &change
	if change.What == subject.Receive {
		change.ID = "sr-" + strings.ToLower(rand.Text()[:8])
		if change.Zone == "" {
			zone, err := c.zoneOf(ctx, id)
			if err != nil {
				return one, err
			}
			change.Zone = zone.String()
		}
	}
	if change.What == subject.Export {
		return one, &decision.RefusedError{Why: "what is kept is gathered, not recorded"}
	}
	if err := d.CheckNew(); err != nil {
		return one, &decision.RefusedError{Why: err.Error()}
	}
	if err := c.fits(ctx, id, change); err != nil {
		return one, err
	}
	defer c.show(ctx, s)
	if _, err = s.decide(ctx, d, c.clock.Now()); err != nil {
		return one, err
	}
	c.show(ctx, s)
	return c.view.Queries().Request(ctx, id, change.ID, c.clock.Now())
}

// fits says why a change cannot be recorded as things stand.
func (c *collector) fits(ctx context.Context, id posture.SchoolID, change subject.Change) error {
	was, err := c.view.Queries().Request(ctx, id, change.ID, c.clock.Now())
	if errors.Is(err, view.ErrNotFound) && change.What == subject.Receive {
		err = nil
	}
	if err != nil {
		return err
	}
	if today := was.Today(c.clock.Now()); was.ID != "" && change.On > today {
		return &decision.RefusedError{Why: fmt.Sprintf("%s has not come yet", subject.Day(change.On))}
	}
	_, err = was.Take(subject.Taken{Change: change, Act: subject.Act{Entry: 1 << 62}})
	if err != nil {
		return &decision.RefusedError{Why: err.Error()}
	}
	return nil
}

// SubjectNames implements web.Subjects.
func (c *collector) SubjectNames(ctx context.Context, id posture.SchoolID) (people, accounts []string, err error) {
	p, err := c.SubjectPeople(ctx, id)
	return p.People, p.Accounts, err
}

// ExportFile implements web.Subjects.
func (c *collector) ExportFile(ctx context.Context, id posture.SchoolID, request string) (file []byte, kept bool, err error) {
	e, err := c.ReadExport(ctx, id, request)
	return e.File, !e.Forgotten, err
}

// KeptTimes implements web.KeptTimes.
func (c *collector) KeptTimes(ctx context.Context, id posture.SchoolID) ([]web.KeptTime, error) {
	r, err := c.Retention(ctx, id)
	list := make([]web.KeptTime, 0, len(r.Items))
	for _, k := range r.Items {
		list = append(list, web.KeptTime{What: k.What, From: k.From, Time: k.Time})
	}
	return list, err
}

// mostPeople bounds how many names are listed of a school.
const mostPeople = 5000

// SubjectPeople implements api.Subjects and web.Subjects: the names that the
// register has of people, and those of accounts.
func (c *collector) SubjectPeople(ctx context.Context, id posture.SchoolID) (p api.People, err error) {
	assets, _, err := c.view.Queries().Holdings(ctx, id, c.clock.Now())
	if err != nil {
		return p, err
	}
	uses, err := c.usesOf(ctx, id)
	if err != nil {
		return p, err
	}
	known := map[string]string{}
	for _, a := range assets {
		for _, h := range a.Past {
			known[register.Key(h.Person)] = h.Person
		}
		if a.Held != nil {
			known[register.Key(a.Held.Person)] = a.Held.Person
		}
	}
	for _, u := range uses {
		known[register.Key(u.Person)] = u.Person
	}
	if err := c.eachDispute(ctx, id, func(d view.Dispute) { known[register.Key(d.For)] = cmp.Or(known[register.Key(d.For)], d.For) }); err != nil {
		return p, err
	}
	delete(known, "")
	p = api.People{People: []string{}, Accounts: []string{}}
	for _, name := range known {
		p.People = append(p.People, name)
	}
	for _, a := range c.access.Accounts() {
		if a.Belongs(id) {
			p.Accounts = append(p.Accounts, a.Name)
		}
	}
	slices.Sort(p.People)
	slices.Sort(p.Accounts)
	p.People = p.People[:min(len(p.People), mostPeople)]
	return p, nil
}

// MakeExport implements api.Subjects and web.Subjects.
func (c *collector) MakeExport(ctx context.Context, id posture.SchoolID, by, request string, people, accounts []string) (one subject.Request, err error) {
	s, err := c.deciding(ctx, string(id))
	if err != nil {
		return one, err
	}
	known, err := c.SubjectPeople(ctx, id)
	if err != nil {
		return one, err
	}
	for _, name := range people {
		if !slices.Contains(known.People, name) {
			return one, &decision.RefusedError{Why: fmt.Sprintf("the register names nobody %q: it is written as it stands there", name)}
		}
	}
	for _, name := range accounts {
		if !slices.Contains(known.Accounts, name) {
			return one, &decision.RefusedError{Why: fmt.Sprintf("nobody at this school has an account %q", name)}
		}
	}
	change := subject.Change{ID: request, What: subject.Export, People: people, Accounts: accounts, Digest: strings.Repeat("0", 64)}
	if err := change.Check(); err != nil {
		return one, &decision.RefusedError{Why: err.Error()}
	}
	if err := c.fits(ctx, id, change); err != nil {
		return one, err
	}
	sources, err := c.sources(ctx, s, by, request, people, accounts)
	if err != nil {
		return one, err
	}
	sheet := subject.Gather(sources)
	file, err := subject.Encode(sheet)
	if err != nil {
		return one, err
	}
	change.Digest, change.Lines = subject.Digest(file), sheet.Lines()
	d := decision.Decision{Kind: decision.Subject, By: by, At: sources.At, Reason: "gathered what is kept about a person who asked", Request: &change}
	_, err = s.record(ctx, sources.At, func(salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return decision.ExportSections(d, file, salts)
	})
	if err != nil {
		return one, err
	}
	c.show(ctx, s)
	return c.view.Queries().Request(ctx, id, request, c.clock.Now())
}

// ReadExport implements api.Subjects and web.Subjects: what was gathered last for a
// request.
func (c *collector) ReadExport(ctx context.Context, id posture.SchoolID, request string) (e api.Export, err error) {
	s, err := c.readable(string(id))
	if err != nil {
		return e, err
	}
	one, err := c.view.Queries().Request(ctx, id, request, c.clock.Now())
	if err != nil {
		return e, err
	}
	made := one.Exports()
	if len(made) == 0 {
		return e, fmt.Errorf("nothing was gathered for request %s: %w", request, view.ErrNotFound)
	}
	e = api.Export{Request: request, At: made[0].At, By: made[0].By, Digest: made[0].Digest, Lines: made[0].Lines}
	at := ledger.Index(made[0].Entry - 1)
	r, err := s.ledger.Read(ctx, at)
	if err != nil {
		return e, err
	}
	n := slices.IndexFunc(r.Envelope.Sections, func(ref proof.SectionRef) bool { return ref.Name == decision.SubjectExport })
	if n < 0 {
		return e, fmt.Errorf("entry %d holds no export", made[0].Entry)
	}
	e.File, err = s.ledger.Body(ctx, at, n)
	if errors.Is(err, ledger.ErrForgotten) {
		e.Forgotten = true
		return e, nil
	}
	return e, err
}
