package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// SetUpDesk knows what a school has chosen.
type SetUpDesk interface {
	Choices(ctx context.Context, school posture.SchoolID) (Choices, error)
	// Gone forgets what accounts that were removed have saved for themselves.
	Gone() error
}

// Choices are what a school has to choose itself of what its policy asks.
type Choices struct {
	Policy                    uint64 // number of the policy in force; 0: the shipped one, which nobody chose
	Media, Programs, Portable string
	Antivirus                 []string // products that are approved
}

// words say what is chosen, as the form in which it is chosen does.
func (c Choices) words() string {
	said := func(name, value string) string {
		return parameterLabel(name) + ": " + lowerFirst(choiceWords(name, value))
	}
	return said("media", c.Media) + ". " + said("programs", c.Programs) + ". " + said("portablePrograms", c.Portable) + "."
}

// SettingsDesk is all that the pages of settings ask for and change.
type SettingsDesk interface {
	TokenDesk
	CalendarDesk
	RetentionDesk
	NoticeDesk
	HealthDesk
	SetUpDesk
}

// step is a question that a school must answer before Caretaker serves it well.
type step struct {
	Title, Words, State string
	Address             string // where it is answered; "" for who may not
	Done                bool
}

// setUpPage lists the steps.
type setUpPage struct {
	Address string
	Steps   []step
	Left    int
}

// steps are the questions, in the order in which they are best answered. A
// question is answered by what it led to, never by ticking it off.
func (s *site) steps(ctx context.Context, v visit) ([]step, error) {
	var list []step
	for _, ask := range []func(context.Context, visit) (step, error){s.stepPolicy, s.stepAntivirus, s.stepPeople, s.stepCalendar, s.stepTold, s.stepRetention, s.stepParticulars, s.stepLaptop} {
		one, err := ask(ctx, v)
		if err != nil {
			return nil, err
		}
		if !s.mayRead(v, one.Address) {
			one.Address = ""
		}
		list = append(list, one)
	}
	return list, nil
}

// mayRead reports whether whoever visits may have the page of a school at an address.
func (s *site) mayRead(v visit, address string) bool {
	return slices.ContainsFunc(s.routes, func(r route) bool {
		return r.need == atSchool && strings.Replace(r.pattern, "/schools/{school}", schoolAddress(v.school.ID), 1) == http.MethodGet+" "+address && v.account.May(v.school.ID, r.right)
	})
}

func left(steps []step) (n int) {
	for _, one := range steps {
		if !one.Done {
			n++
		}
	}
	return n
}

func choosingAddress(v visit) string { return schoolAddress(v.school.ID) + "/policy/choose" }

func (s *site) stepPolicy(ctx context.Context, v visit) (step, error) {
	c, err := s.Desk.Choices(ctx, v.school.ID)
	one := step{
		Title: "What the school allows", Address: choosingAddress(v), Done: c.Policy > 0,
		Words: "Which sticks may be used, and which programs: the source policies leave that to the school.", State: "Nobody has chosen: the shipped rules hold. ",
	}
	if one.Done {
		one.State = "Policy " + number(int(c.Policy)) + " is in force. "
	}
	one.State += c.words()
	return one, err
}

func (s *site) stepAntivirus(ctx context.Context, v visit) (step, error) {
	c, err := s.Desk.Choices(ctx, v.school.ID)
	one := step{
		Title: "Approved antivirus", Address: choosingAddress(v), Done: c.Policy > 0 && len(c.Antivirus) > 0,
		Words: "Which products count as the school’s.", State: "None is named: no product counts.",
	}
	if len(c.Antivirus) > 0 {
		one.State = strings.Join(c.Antivirus, ", ") + "."
		if !one.Done {
			one.State = "Nobody has said which are the school’s. As shipped any of these counts: " + one.State
		}
	}
	return one, err
}

// stepPeople is done when somebody beside those who set Caretaker up can approve
// what takes two.
func (s *site) stepPeople(ctx context.Context, v visit) (step, error) {
	words, _, err := s.peopleState(ctx, v)
	one := step{
		Title: "People and their roles", Address: settingsAddress(v, "/people"), State: words,
		Words: "At least a head or a data-protection officer, who approves what takes two people; and whoever looks after the laptops.",
	}
	for _, account := range s.Access.Accounts() {
		one.Done = one.Done || account.ID != v.account.ID && account.May(v.school.ID, access.ApproveExemptions)
	}
	if !one.Done {
		one.State += " Nobody can approve an exemption."
	}
	return one, err
}

func (s *site) stepCalendar(ctx context.Context, v visit) (step, error) {
	words, lacks, err := s.calendarState(ctx, v)
	return step{
		Title: "Term calendar", Address: settingsAddress(v, "/calendar"), State: words, Done: !lacks,
		Words: "When the school is open, so that a grace stands still in the holidays and people are left in peace.",
	}, err
}

func (s *site) stepTold(ctx context.Context, v visit) (step, error) {
	words, lacks, err := s.toldState(ctx, v)
	return step{
		Title: "Who is told", Address: settingsAddress(v, "/notices"), State: words, Done: !lacks,
		Words: "By mail, in Teams or otherwise: of what is urgent at once, of the rest once a day.",
	}, err
}

func (s *site) stepRetention(ctx context.Context, v visit) (step, error) {
	kept, err := s.Desk.Keeping(ctx, v.school.ID)
	return step{
		Title: "How long things are kept", Address: settingsAddress(v, "/retention"), State: keepingWords(kept), Done: !kept.Since.IsZero(),
		Words: "The times as shipped are of use for most schools. Somebody who may decide it looks at them and confirms them, or changes them.",
	}, err
}

func (s *site) stepParticulars(ctx context.Context, v visit) (step, error) {
	p, err := s.Queries.Particulars(ctx, v.school.ID, v.now)
	one := step{
		Title: "Who answers for data protection", Address: particularsAddress(v.school.ID), Done: !p.Empty(),
		Words: "Who the school is, its data-protection officer, and whom to call when a laptop is lost. It stands in the privacy notice.", State: "It is said.",
	}
	if !one.Done {
		one.State = "It is not said yet."
	}
	return one, err
}

func (s *site) particularsState(ctx context.Context, v visit) (string, bool, error) {
	one, err := s.stepParticulars(ctx, v)
	return one.State, !one.Done, err
}

// stepLaptop is done when a laptop has joined: a token alone shows nothing.
func (s *site) stepLaptop(ctx context.Context, v visit) (step, error) {
	o, err := s.Queries.Overview(ctx, v.school.ID, v.now)
	one := step{
		Title: "The first laptop", Address: settingsAddress(v, "/tokens"), Done: o.Devices > 0,
		Words: "Make a token, and use it on a laptop: within minutes it shows what it found.", State: count(o.Devices, "laptop") + " joined.",
	}
	if !one.Done {
		words, _, stateErr := s.tokensState(ctx, v)
		if err == nil {
			err = stateErr
		}
		one.State = "No laptop has joined. Tokens: " + strings.ToLower(words[:1]) + words[1:]
	}
	return one, err
}

func (s *site) setUp(w http.ResponseWriter, r *http.Request, v visit) error {
	steps, err := s.steps(r.Context(), v)
	if err != nil {
		return err
	}
	return s.write(w, http.StatusOK, "set-up", s.page(v, "Set up", "settings"), setUpPage{settingsAddress(v, "/set-up"), steps, left(steps)})
}

func (s *site) setUpState(ctx context.Context, v visit) (string, bool, error) {
	steps, err := s.steps(ctx, v)
	if n := left(steps); n > 0 {
		return answered(len(steps)-n, len(steps)), true, err
	}
	return "Every question is answered.", false, err
}

func answered(n, all int) string {
	return sentence(of(n, all, "question") + " " + isAre(n) + " answered")
}

// setUpWanted is what the overview says to whoever sets Caretaker up, until every
// question is answered.
func (s *site) setUpWanted(ctx context.Context, v visit) (*setUpPage, error) {
	if !v.account.May(v.school.ID, access.KeepAccounts) {
		return nil, nil //nolint:nilnil // others are asked nothing
	}
	steps, err := s.steps(ctx, v)
	if err != nil || left(steps) == 0 {
		return nil, err
	}
	return &setUpPage{settingsAddress(v, "/set-up"), steps, left(steps)}, nil
}
