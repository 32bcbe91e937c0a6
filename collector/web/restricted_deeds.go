package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/restricted"
)

// deed is something that a senior does about a restricted incident, with the
// form for it. The form is the same whether there is such an incident or not.
type deed struct {
	name, title string
	hint        string // what follows of it
	button      string
	fields      string // those that the form has, beside the passphrase
	words       string // what the field for words is called; "" if there is none
	when        func(restricted.Told) bool
	read        func(*site, context.Context, visit, url.Values) (Deed, []wrong, error)
}

func always(restricted.Told) bool        { return true }
func open(t restricted.Told) bool        { return t.State == restricted.Opened }
func openAndFree(t restricted.Told) bool { return open(t) && t.Asked == nil }

// deeds lists what is done about an incident that is there; opening is what opens
// one.
var deeds = []deed{
	{"agree", "Agree to what was asked", "It takes two. Whoever asked cannot agree.", "Agree", "", "", func(t restricted.Told) bool { return t.Asked != nil }, plainDeed("agree")},
	{"decline", "Decline it, or take back what you asked", "Nothing changes by what was asked.", "Decline", "", "", func(t restricted.Told) bool { return t.Asked != nil }, plainDeed("decline")},
	{"note", "Add something", "", "Add it", "what whom", "In words", open, (*site).readConfidedNote},
	{"telling", "Decide who is told", "If there is no risk to people, say why: it is asked for later.", "Record it", "audience", "Why", open, (*site).readConfidedTelling},
	{"correction", "Correct when the school became aware", "What was recorded before stays beside it.", "Record it", "aware", "Why", open, (*site).readConfidedCorrection},
	{"hold", "Hold a laptop or a stick", "Nothing recorded about it is lost from then on, and a laptop is left as it is: it is asked for nothing and given no policy. Nobody else can tell.", "Hold it", "thing", "Why", open, readHold("hold")},
	{"lift", "Ask to lift a hold", "It is lifted once another senior who is named agrees.", "Ask for it", "thing", "Why", func(t restricted.Told) bool { return openAndFree(t) && len(t.Holds) > 0 }, readHold("lift")},
	{"name", "Name another senior", "They read everything that was written, from then on.", "Name them", "senior", "", open, readNamed("name")},
	{"remove", "Ask to remove a senior", "Once another agrees, what is recorded afterwards cannot be opened with their key. What they could read before, they may have kept.", "Ask for it", "senior", "Why", openAndFree, readNamed("remove")},
	{"close", "Ask to close it", "It is closed once another senior who is named agrees. It cannot be while it holds something.", "Ask for it", "outcome", "What it came to, in words", openAndFree, (*site).readConfidedClosing},
	{"reopen", "Ask to open it again", "It is open again once another senior who is named agrees.", "Ask for it", "", "Why", func(t restricted.Told) bool { return t.State == restricted.Closed && t.Asked == nil }, plainDeed("reopen")},
}

var opening = deed{
	"open", "Open a restricted incident", "It is open once one of the seniors whom you name has agreed. Whoever it is about is not named. Name three: if all who are named forget their passphrases, what was written is lost.",
	"Ask to open it", "kind concerns seniors happened aware", "What happened", always, (*site).readOpening,
}

// deedPage is the form of a deed.
type deedPage struct {
	Title, Hint, Button, Words string
	Address, Back              string
	BackWords                  string
	Has                        map[string]bool // fields of the form
	Form                       url.Values      // as typed, without the passphrase
	Kinds, Whats               []choice
	Audiences, Answers         []choice
	Outcomes                   []choice
	Wrong                      []wrong
}

// Typed is what was typed into a field.
func (p deedPage) Typed(field string) string { return p.Form.Get(field) }

// confidedDeed shows the form of the deed that the address names.
func (s *site) confidedDeed(w http.ResponseWriter, r *http.Request, v visit) error {
	d, err := deedAt(r)
	if err != nil {
		return err
	}
	return s.showDeed(w, r, v, d, http.StatusOK, url.Values{}, nil)
}

func deedAt(r *http.Request) (deed, error) {
	i := slices.IndexFunc(deeds, func(d deed) bool { return d.name == r.PathValue("deed") })
	if i < 0 {
		return deed{}, errNoPage
	}
	return deeds[i], nil
}

func (s *site) openingForm(w http.ResponseWriter, r *http.Request, v visit) error {
	now := s.typedOf(v.now)
	return s.showDeed(w, r, v, opening, http.StatusOK, url.Values{"aware-day": {now.Day}, "aware-time": {now.Time}}, nil)
}

func (s *site) showDeed(w http.ResponseWriter, r *http.Request, v visit, d deed, status int, typed url.Values, bad []wrong) error {
	list := restrictedAddress(v.school.ID)
	page := deedPage{
		Title: d.title, Hint: d.hint, Button: d.button, Words: d.words, Address: list + "/" + d.name, Back: list, BackWords: "Restricted incidents",
		Has: map[string]bool{}, Form: typed, Wrong: bad,
	}
	if id := r.PathValue("case"); id != "" {
		page.Back, page.BackWords = list+"/"+url.PathEscape(id), "The incident"
		page.Address = page.Back + "/" + d.name
	}
	for _, name := range strings.Fields(d.fields) {
		page.Has[name] = true
	}
	page.Kinds = slices.DeleteFunc(kindChoices(incident.Kind(typed.Get("kind"))), func(c choice) bool {
		return c.Key == string(incident.LostDevice) || c.Key == string(incident.LostStick) // everybody sees what is lost
	})
	page.Whats = chosen(typed.Get("what"), choice{Key: "note", Words: "A note"}, choice{Key: "contact", Words: "Somebody was spoken to"}, choice{Key: "lesson", Words: "Something was learnt"})
	page.Audiences = chosen(typed.Get("audience"), choice{Key: "regulator", Words: "The regulator"}, choice{Key: "individuals", Words: "The people concerned"})
	page.Answers = chosen(typed.Get("answer"), choice{Key: "yes", Words: "They are told"}, choice{Key: "no", Words: "They are not told"}, choice{Key: "not-yet", Words: "It cannot be said yet"})
	for _, o := range incident.Outcomes() {
		page.Outcomes = append(page.Outcomes, choice{string(o), outcomeWords(o), string(o) == typed.Get("outcome")})
	}
	title := d.title
	title = titleOf(title, bad)
	return s.write(w, status, "restricted-deed", s.page(v, title, "restricted"), page)
}

func chosen(key string, list ...choice) []choice {
	for i := range list {
		list[i].Chosen = list[i].Key == key
	}
	return list
}

func (s *site) openConfided(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.doDeed(w, r, v, opening)
}

func (s *site) actConfided(w http.ResponseWriter, r *http.Request, v visit) error {
	d, err := deedAt(r)
	if err != nil {
		return err
	}
	return s.doDeed(w, r, v, d)
}

// doDeed does what a form says, and leads to the incident, which asks for the
// passphrase again: it is not kept from one page to the next.
func (s *site) doDeed(w http.ResponseWriter, r *http.Request, v visit, d deed) error {
	who, wrongKey, err := s.unlock(w, r, v)
	if err != nil {
		return err
	}
	typed := r.PostForm
	made, bad, err := d.read(s, r.Context(), v, typed)
	if err != nil {
		return err
	}
	typed.Del("passphrase")
	made.Incident, made.Words = r.PathValue("case"), onOneLine(typed.Get("reason"))
	if d.words != "" && made.Words == "" {
		bad = append(bad, wrong{"words", "Write a few words, without names of children."})
	}
	if wrongKey != nil {
		bad = append(bad, *wrongKey)
	}
	if len(bad) == 0 {
		name, err := s.Restricted.Act(r.Context(), v.school.ID, who, made)
		switch {
		case errors.Is(err, ErrPassphrase):
			bad = append(bad, wrong{"passphrase", sentence(ErrPassphrase.Error())})
		case isRefusal(err):
			bad = append(bad, wrong{"passphrase", sentence(err.Error())})
		case err != nil:
			return err
		default:
			http.Redirect(w, r, restrictedAddress(v.school.ID)+"/"+url.PathEscape(name)+"?done=1", http.StatusSeeOther)
			return nil
		}
	}
	return s.showDeed(w, r, v, d, http.StatusUnprocessableEntity, typed, bad)
}

func plainDeed(do string) func(*site, context.Context, visit, url.Values) (Deed, []wrong, error) {
	return func(*site, context.Context, visit, url.Values) (Deed, []wrong, error) { return Deed{Do: do}, nil, nil }
}

// withCommas reads names or codes with commas between them.
func withCommas(s string) (list []string) {
	for _, one := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ';' || r == '\n' }) {
		if one = onOneLine(one); one != "" {
			list = append(list, one)
		}
	}
	return list
}

func (s *site) readOpening(_ context.Context, _ visit, f url.Values) (d Deed, bad []wrong, _ error) {
	change := incident.Change{What: incident.Open, Kind: incident.Kind(f.Get("kind"))}
	d = Deed{Do: "open", Seniors: withCommas(f.Get("seniors")), Concerns: withCommas(f.Get("concerns")), Change: &change}
	if len(d.Seniors) == 0 {
		bad = append(bad, wrong{"seniors", "Type the code of at least one other senior’s key, as they told you."})
	}
	if change.Aware = s.momentOf(typed{f.Get("aware-day"), f.Get("aware-time")}); change.Aware == nil {
		bad = append(bad, wrong{"aware-day", "Enter the day and the time at which the school became aware."})
	}
	happened := typed{f.Get("day"), f.Get("time")}
	if change.Happened = s.momentOf(happened); change.Happened == nil && happened != (typed{}) {
		bad = append(bad, wrong{"day", "Enter the day and the time at which it happened, or leave both empty."})
	}
	return d, append(bad, wrongChange(change, "kind", bad)...), nil
}

// wrongChange says what is wrong with a change beside what was said already.
func wrongChange(c incident.Change, field string, before []wrong) []wrong {
	c.ID = "in-0" // which the collector gives
	if err := c.Check(); err != nil && len(before) == 0 {
		return []wrong{{field, sentence(err.Error())}}
	}
	return nil
}

func (s *site) readConfidedNote(_ context.Context, _ visit, f url.Values) (Deed, []wrong, error) {
	c := incident.Change{What: incident.What(f.Get("what"))}
	switch c.What {
	case incident.Lesson:
	case incident.Spoke:
		if c.Whom = bounded(f.Get("whom")); c.Whom == "" {
			return Deed{}, []wrong{{"whom", "Say with whom: an organisation or a role."}}, nil
		}
	default:
		c.What = incident.Note
	}
	return Deed{Do: "record", Change: &c}, wrongChange(c, "whom", nil), nil
}

func (s *site) readConfidedTelling(_ context.Context, _ visit, f url.Values) (Deed, []wrong, error) {
	c := incident.Change{What: incident.Tell, Audience: incident.Audience(f.Get("audience")), Answer: incident.Answer(f.Get("answer"))}
	if at := (typed{f.Get("told-day"), f.Get("told-time")}); c.Answer == incident.Yes && at != (typed{}) {
		if c.Told = s.momentOf(at); c.Told == nil {
			return Deed{}, []wrong{{"told-day", "Enter the day and the time at which they were told, or leave both empty."}}, nil
		}
	}
	return Deed{Do: "record", Change: &c}, wrongChange(c, "audience", nil), nil
}

func (s *site) readConfidedCorrection(_ context.Context, _ visit, f url.Values) (Deed, []wrong, error) {
	c := incident.Change{What: incident.Correct, Aware: s.momentOf(typed{f.Get("aware-day"), f.Get("aware-time")})}
	if c.Aware == nil {
		return Deed{}, []wrong{{"aware-day", "Enter the day and the time at which the school became aware."}}, nil
	}
	return Deed{Do: "record", Change: &c}, nil, nil
}

func (*site) readConfidedClosing(_ context.Context, _ visit, f url.Values) (Deed, []wrong, error) {
	c := incident.Change{What: incident.Close, Outcome: incident.Outcome(f.Get("outcome"))}
	return Deed{Do: "close", Change: &c}, wrongChange(c, "outcome", nil), nil
}

func readNamed(do string) func(*site, context.Context, visit, url.Values) (Deed, []wrong, error) {
	return func(_ *site, _ context.Context, _ visit, f url.Values) (Deed, []wrong, error) {
		code := onOneLine(f.Get("senior"))
		if code == "" {
			return Deed{}, []wrong{{"senior", "Type the code of the senior’s key, as they told you."}}, nil
		}
		return Deed{Do: do, Seniors: []string{code}}, nil, nil
	}
}

// readHold reads which laptop or stick is meant.
func readHold(do string) func(*site, context.Context, visit, url.Values) (Deed, []wrong, error) {
	return func(s *site, ctx context.Context, v visit, f url.Values) (Deed, []wrong, error) {
		d := Deed{Do: do, Medium: bounded(f.Get("medium"))}
		name := bounded(f.Get("device"))
		if (name == "") == (d.Medium == "") {
			return d, []wrong{{"device", "Name one laptop, or one stick."}}, nil
		}
		if name == "" {
			return d, nil, nil
		}
		meant, _, err := s.called(ctx, v, name)
		if err != nil {
			return d, nil, err
		}
		if len(meant) != 1 {
			return d, []wrong{{"device", "No laptop of this school, or more than one, has just that tag or name."}}, nil
		}
		d.Device = meant[0].ID
		return d, nil, nil
	}
}
