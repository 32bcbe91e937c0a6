package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

//go:embed templates/*.html
var templateFiles embed.FS

// templates are the pages, each with the layout around it.
type templates struct {
	byName map[string]*template.Template
}

// page is what the layout shows around every page.
type page struct {
	Title   string // of the page alone
	Section string // which link of the menu is the current one
	School  *view.School
	Several bool   // the account belongs to more schools than this one
	Account string // name, or "" if nobody has signed in
	Live    string // where an open page hears that it has changed; "" if it does not
	Menu    []menuLink
	Beside  folded // the rest of the menu
	Home    string // address of the school, or "/"
	Sees    string // address of what the school can see
	Made    *moment
	Notices []notice
	Version string
	Script  string // the one that the page runs, or ""
	Body    any
}

func parseTemplates(a *assets) (*templates, error) {
	t := &templates{byName: map[string]*template.Template{}}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("list the templates: %w", err)
	}
	shared, err := fs.Glob(templateFiles, "templates/parts*.html")
	if err != nil {
		return nil, fmt.Errorf("list the templates: %w", err)
	}
	shared = append([]string{"templates/layout.html"}, shared...)
	every, err := template.New("layout.html").Funcs(functions(a)).ParseFS(templateFiles, shared...)
	if err != nil {
		return nil, fmt.Errorf("parse what templates share: %w", err)
	}
	for _, name := range names {
		if slices.Contains(shared, name) {
			continue
		}
		parsed, err := every.Clone()
		if err == nil {
			parsed, err = parsed.ParseFS(templateFiles, name)
		}
		if err != nil {
			return nil, fmt.Errorf("parse a template: %w", err)
		}
		t.byName[strings.TrimSuffix(path.Base(name), ".html")] = parsed
	}
	return t, nil
}

// functions are what templates may call. Each of them writes words; none asks
// for anything.
func functions(a *assets) template.FuncMap {
	return template.FuncMap{
		"asset":    a.address,
		"show":     show,
		"plain":    visible,
		"days":     daysWords,
		"typed":    visibleLines,
		"count":    count,
		"number":   number,
		"sentence": sentence,
		"lower":    strings.ToLower,
		"capital":  capital,
		"standing": newStanding,
		"severity": func(s posture.Severity) string { return s.String() },
		"things":   things,
		"field":    newField,
		"textarea": newTextArea,
		"chooser":  newChooser,
		"check":    newCheck,
		"when":     newMomentField,

		"scopekey":  scopeKey,
		"answering": func(e exemptionRow, bad []wrong) answeredRow { return answeredRow{e, bad} },

		"columnwords": columnWords,
		"above":       path.Dir,
		"aboveWords": func(address string) string {
			if strings.HasSuffix(path.Dir(address), "/people") {
				return "People who sign in"
			}
			return "Settings"
		},
	}
}

// page starts a page of the visit.
func (s *site) page(v visit, title, section string) *page {
	p := &page{
		Title: title, Section: section, Home: "/", Sees: collectedAddress(v), Version: s.Version,
		Made: clockwork{s.Location, v.now}.moment(v.now),
	}
	p.Beside = foldedOf(v, section)
	if v.known {
		p.Account = v.account.Name
		p.Several = len(v.account.Grants) > 1 || v.account.Everywhere()
	}
	if v.school.ID != "" {
		p.School = &v.school
		p.Home = homeAddress(v.account, v.school.ID)
		p.Menu = menuOf(v, daily[:], section)
		p.Notices = s.notices(v)
		if section == "overview" {
			p.Notices = append(p.Notices, s.secondWanted(v)...)
		}
	}
	return p
}

func (s *site) clockwork(v visit) clockwork { return clockwork{s.Location, v.now} }

// writeScripted is write for a page with a script of ours.
func (s *site) writeScripted(w http.ResponseWriter, status int, name, script string, p *page, body any) error {
	w.Header().Set("Content-Security-Policy", scriptPolicy)
	p.Script = script
	return s.write(w, status, name, p, body)
}

// writeLive is write for a page that is kept up to date while it is open: by
// what is known of the school or, if there is one, of a device.
func (s *site) writeLive(w http.ResponseWriter, name string, p *page, device posture.DeviceID, body any) error {
	p.Live = p.Home + "/changes"
	if device != "" {
		p.Live += "?device=" + url.QueryEscape(string(device))
	}
	return s.writeScripted(w, http.StatusOK, name, "live.js", p, body)
}

// write makes the whole page before it sends any of it.
func (s *site) write(w http.ResponseWriter, status int, name string, p *page, body any) error {
	p.Body = body
	t, ok := s.templates.byName[name]
	if !ok {
		return fmt.Errorf("make the page %q: there is no such template", name)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return fmt.Errorf("make the page %q: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err := b.WriteTo(w)
	if err != nil {
		return fmt.Errorf("send the page %q: %w", name, err)
	}
	return nil
}

func schoolAddress(id posture.SchoolID) string {
	return "/schools/" + url.PathEscape(string(id))
}

// homeAddress is the first page of a school that an account may have.
func homeAddress(a access.Account, id posture.SchoolID) string {
	if !a.May(id, access.ReadDevices) && a.May(id, access.ReadTerms) {
		return schoolAddress(id) + "/terms"
	}
	if !a.May(id, access.ReadDevices) && a.May(id, access.ReadOwn) {
		return schoolAddress(id) + "/mine"
	}
	return schoolAddress(id)
}

func deviceAddress(school posture.SchoolID, id posture.DeviceID) string {
	return schoolAddress(school) + "/devices/" + url.PathEscape(string(id))
}

// standingAddress is the address of the devices that stand so on a rule; devices
// is that of all of them.
func standingAddress(devices, rule, standing string) string {
	return devices + "?" + url.Values{"rule": {rule}, "standing": {standing}}.Encode()
}

func ruleAddress(school posture.SchoolID, rule string) string {
	return schoolAddress(school) + "/rules/" + url.PathEscape(rule)
}

// standingWords is a standing as pages show it: its words and its look.
type standingWords struct {
	Words string
	Class string // of the style sheet
}

func newStanding(s view.Standing) standingWords {
	switch s {
	case view.Met:
		return standingWords{"Met", "met"}
	case view.NotMet:
		return standingWords{"Not met", "not-met"}
	case view.Exempt:
		return standingWords{"Exempt", "exempt"}
	case view.NotFor:
		return standingWords{"Not applicable", "not-for"}
	default: // whatever else it may be, it is not known to be met
		return standingWords{"Not proven", "not-proven"}
	}
}
