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
	"strings"

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
	Home    string // address of the school, or "/"
	Made    *moment
	Notices []notice
	Version string
	Body    any
}

func parseTemplates(a *assets) (*templates, error) {
	t := &templates{byName: map[string]*template.Template{}}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("list the templates: %w", err)
	}
	shared := []string{"templates/layout.html", "templates/parts.html"}
	for _, name := range names {
		if name == shared[0] || name == shared[1] {
			continue
		}
		parsed, err := template.New("layout.html").Funcs(functions(a)).ParseFS(templateFiles, append(shared, name)...)
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
		"count":    count,
		"number":   number,
		"sentence": sentence,
		"lower":    strings.ToLower,
		"standing": newStanding,
		"severity": func(s posture.Severity) string { return s.String() },
		"things":   things,
	}
}

// page starts a page of the visit.
func (s *site) page(v visit, title, section string) *page {
	p := &page{
		Title: title, Section: section, Home: "/", Version: s.Version,
		Made: clockwork{s.Location, v.now}.moment(v.now),
	}
	if v.known {
		p.Account = v.account.Name
		p.Several = len(v.account.Grants) > 1 || v.account.Everywhere()
	}
	if v.school.ID != "" {
		p.School = &v.school
		p.Home = schoolAddress(v.school.ID)
		p.Notices = s.notices(v)
	}
	return p
}

func (s *site) clockwork(v visit) clockwork { return clockwork{s.Location, v.now} }

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
