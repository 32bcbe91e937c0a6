package web

import (
	"context"
	"net/http"

	"github.com/caretaker-school/caretaker/collector/access"
)

// settingsAddress is the address of a page below a school's settings; path is ""
// for their list.
func settingsAddress(v visit, path string) string {
	return schoolAddress(v.school.ID) + "/settings" + path
}

// setting is a page about how a school is set up.
type setting struct {
	title, path string
	right       access.Right
	words       string // what it holds
	// state says how it stands, in a sentence, and whether somebody should look.
	state func(*site, context.Context, visit) (words string, lacks bool, err error)
}

// restrictedPath is where seniors have their keys: below the school, for it is no
// page of settings.
const restrictedPath = "/restricted"

// address is where a setting is.
func (p setting) address(v visit) string {
	if p.path == restrictedPath {
		return schoolAddress(v.school.ID) + p.path
	}
	return settingsAddress(v, p.path)
}

// seniorsState says whether there are two who can open a restricted incident.
func (s *site) seniorsState(ctx context.Context, v visit) (words string, lacks bool, err error) {
	keys, err := s.Restricted.SeniorKeys(ctx, v.school.ID)
	if err != nil {
		return "", false, err
	}
	holders := map[string]bool{}
	for _, k := range keys {
		holders[k.Name] = true
	}
	switch len(holders) {
	case 0:
		return "It takes two seniors to open a restricted incident, and nobody has a key yet.", true, nil
	case 1:
		return "It takes two seniors to open a restricted incident, and one has a key.", true, nil
	}
	return number(len(holders)) + " seniors have a key.", false, nil
}

// settingPages are those pages, in the order of their list.
func settingPages() []setting {
	return []setting{
		{"Set up", "/set-up", access.ReadSettings, "The questions that a school answers once, and what is left of them.", (*site).setUpState},
		{"People", "/people", access.ReadSignIns, "Who signs in, in which role, and who lets others in again.", (*site).peopleState},
		{"Tokens for laptops", "/tokens", access.AdmitDevices, "With which laptops join the school.", (*site).tokensState},
		{"Who answers for data protection", "/particulars", access.SetParticulars, "The officer, whom to tell of a loss, the lawful basis and the processors.", (*site).particularsState},
		{"Term calendar", "/calendar", access.ReadDevices, "When the school is open.", (*site).calendarState},
		{"Who is told", "/notices", access.ReadNotices, "Of breaches and losses: by mail, in Teams or otherwise.", (*site).toldState},
		{"How long things are kept", "/retention", access.ReadDevices, "What is forgotten when.", (*site).retentionState},
		{"New versions of the agent", "/updates", access.ReadSettings, "Which version runs, which is offered to whom, and the stop.", (*site).updatesState},
		{"Seniors’ keys", restrictedPath, access.BeSenior, "With which two named seniors open and read restricted incidents; your own too.", (*site).seniorsState},
		{"Keys for programs", "/keys", access.MakeKeys, "With which programs read and decide for people.", (*site).keysState},
		{"Health of the collector", "/health", access.ReadSettings, "Its disk, its record, its clock, its certificate.", (*site).healthState},
	}
}

// settingsPage lists them.
type settingsPage struct {
	Rows []settingRow
}

type settingRow struct {
	Title, Address, Words, State string
	Lacks                        bool
}

func (s *site) settings(w http.ResponseWriter, r *http.Request, v visit) error {
	var page settingsPage
	for _, p := range settingPages() {
		if !v.account.May(v.school.ID, p.right) {
			continue
		}
		state, lacks, err := p.state(s, r.Context(), v)
		if err != nil {
			return err
		}
		page.Rows = append(page.Rows, settingRow{p.title, p.address(v), p.words, state, lacks})
	}
	return s.write(w, http.StatusOK, "settings", s.page(v, "Settings", "settings"), page)
}
