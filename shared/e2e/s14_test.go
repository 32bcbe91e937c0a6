package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// What the seniors write, in words that can be found.
const (
	wroteAlleged = "zebra-quartz: records were copied to a stick"
	wroteHold    = "violet-anvil: the police may want it"
	wroteNote    = "copper-lantern: advised to wait"
	wroteEnd     = "amber-sextant: unfounded"
)

// senior is a senior who acts through the API.
type senior struct {
	caller
	name string
	api.NewSeniorKey
}

// seniorOf makes an account with a role, and its key, as the senior themselves
// would.
func (w *world) seniorOf(c *collector, name string, role access.Role) *senior {
	w.t.Helper()
	s := &senior{caller: w.callerOf(c, name, role), name: name}
	s.makesKey()
	return s
}

func (s *senior) makesKey() {
	s.w.t.Helper()
	if got := s.ask(s.school()+"/seniors", struct{}{}, &s.NewSeniorKey); got != http.StatusCreated || s.Passphrase == "" {
		s.w.t.Fatalf("%s makes a key: %d", s.name, got)
	}
}

// tries does something about a restricted incident, and returns the status.
func (s *senior) tries(a api.RestrictedAct) (made api.RestrictedMade, status int) {
	s.w.t.Helper()
	a.Passphrase = s.Passphrase
	return made, s.ask(s.school()+"/restricted/acts", a, &made)
}

// does is tries for what must be possible.
func (s *senior) does(a api.RestrictedAct) api.RestrictedMade {
	s.w.t.Helper()
	made, status := s.tries(a)
	if status != http.StatusCreated {
		s.w.t.Fatalf("%s: %s: %d", s.name, a.Do, status)
	}
	return made
}

// sees is what a senior sees of a restricted incident.
func (s *senior) sees(id string) (told restricted.Told, status int) {
	s.w.t.Helper()
	return told, s.ask(s.school()+"/restricted/show", api.RestrictedQuestion{Passphrase: s.Passphrase, Incident: id}, &told)
}

// back gives a senior a key of the API again, when the last one has ended.
func (s *senior) back() { s.caller = s.renewed(s.name) }

// overheard is a log that is kept.
type overheard struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *overheard) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *overheard) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// TestS14: given head plus one senior open a restricted incident; when a hold is
// placed; then the technician sees neither, purge, update and remediation stop,
// one person alone cannot open or close it, every view is logged.
func TestS14(t *testing.T) {
	w := worldAt(t, inLondon(t, "2026-11-09 08:30"))
	heard := &overheard{}
	listen := func(c *collectorapp.Config) { c.Log = slog.New(slog.NewTextHandler(heard, nil)) }
	c := w.collectBy(w.clock, listen)
	l, other := w.laptop("laptop", "plain-laptop-with-stick", c.agents), w.laptop("other", "plain-laptop", c.agents)
	until(t, "the reports show", func() bool { return l.shown().LastReport == 1 && other.shown().LastReport == 1 })
	w.imports("tag,what\nHB-LT-014,staff laptop\n", time.Time{})
	until(t, "the asset shows", func() bool {
		return w.do("register.show", collectorapp.AssetArguments{Tag: "HB-LT-014"}, new(any)) == nil
	})
	w.keeps(register.Change{What: register.Tie, Tag: "HB-LT-014", Device: posture.DeviceID(l.device)}, "")
	w.keeps(register.Change{What: register.Allocate, Tag: "HB-LT-014", Allocation: &register.Allocation{Role: "technician", Named: true}}, "Morgan Ellis")
	l.becomes("encrypted-laptop")
	l.assesses(w.clock.Now().Add(time.Hour))
	until(t, "what became of it shows", func() bool { return l.shown().LastReport == 2 })
	must(t, l.stop())
	must(t, other.stop())
	w.reaches("2026-12-03 10:00")
	l.run()
	other.run()
	w.untilPassing(time.Second, "both are heard again", func() bool {
		return w.clock.Now().Sub(l.shown().LastContact) < time.Hour && w.clock.Now().Sub(other.shown().LastContact) < time.Hour
	})

	x := &allegation{w: w, c: c, l: l, other: other, heard: heard}
	x.head, x.officer = w.seniorOf(c, "Jo Marsh", access.Head), w.seniorOf(c, "Priya Anand", access.DPO)
	x.deputy = w.seniorOf(c, "Ayo Bright", access.Senior)
	x.technician, x.administrator = w.callerOf(c, "Morgan Ellis", access.Technician), w.callerOf(c, "Kit Rowan", access.Administrator)
	x.page = w.signIn(c, "technician")
	x.opens(t)
	x.isHeld(t)
	x.purges(t)
	x.isLeftAlone(t)
	x.forgetsAPassphrase(t)
	x.ends(t)
	x.isNowhere(t)
	w.verified()
}

// allegation is one about the technician.
type allegation struct {
	w                         *world
	c                         *collector
	l, other                  *laptop // the first is held
	heard                     *overheard
	head, officer, deputy     *senior
	technician, administrator caller
	page                      *pages
	id                        string
	views                     int // by those who are named, so far
}

// opens: one person alone cannot open it.
func (x *allegation) opens(t *testing.T) {
	opens := api.RestrictedAct{
		Do: api.DoOpen, Words: wroteAlleged, Seniors: []string{x.officer.Code}, Concerns: []string{"Morgan Ellis"},
		Change: &incident.Change{What: incident.Open, Kind: incident.Disclosure, Aware: atLondon(t, "2026-12-03 09:00")},
	}
	alone := opens
	alone.Seniors = nil
	if _, got := x.head.tries(alone); got != http.StatusConflict {
		t.Errorf("one person alone asks: %d", got)
	}
	concerned := opens
	concerned.Concerns = []string{"priya anand"}
	if _, got := x.head.tries(concerned); got != http.StatusConflict {
		t.Errorf("whom it concerns is named: %d", got)
	}
	for name, p := range map[string]caller{"technician": x.technician, "administrator": x.administrator} {
		if got := p.ask(p.school()+"/restricted/acts", opens, nil); got != http.StatusForbidden {
			t.Errorf("the %s opens one: %d", name, got)
		}
		if got := p.ask(p.school()+"/seniors", struct{}{}, nil); got != http.StatusForbidden {
			t.Errorf("the %s makes a key: %d", name, got)
		}
	}
	made := x.head.does(opens)
	x.id = made.ID
	if made.State != restricted.Proposed || made.Asked != restricted.Open || made.TellBy.String() != "Sun 6 Dec 2026 09:00 GMT" {
		t.Errorf("asked: %+v", made)
	}
	if _, got := x.head.tries(api.RestrictedAct{Do: api.DoAgree, Incident: x.id}); got != http.StatusConflict {
		t.Errorf("one person alone opens it: %d", got)
	}
	note := api.RestrictedAct{Do: api.DoRecord, Incident: x.id, Words: wroteNote, Change: &incident.Change{What: incident.Spoke, Whom: "local authority designated officer"}}
	if _, got := x.head.tries(note); got != http.StatusConflict {
		t.Errorf("before it is open something is recorded: %d", got)
	}
	told, got := x.officer.sees(x.id)
	x.views++
	if got != http.StatusOK || told.State != restricted.Proposed || told.Incident.Opened.Words != wroteAlleged || told.Asked == nil {
		t.Fatalf("the officer reads what is asked: %d %+v", got, told)
	}
	if made := x.officer.does(api.RestrictedAct{Do: api.DoAgree, Incident: x.id}); made.State != restricted.Opened {
		t.Errorf("two have agreed: %+v", made)
	}
	x.head.does(note)
	link := incident.Link{What: incident.Device, Device: posture.DeviceID(x.l.device)}
	x.head.does(api.RestrictedAct{Do: api.DoRecord, Incident: x.id, Words: "was used for it", Change: &incident.Change{What: incident.Add, Links: []incident.Link{link}}})
	told, _ = x.head.sees(x.id)
	x.views++
	if told.Due != "due Sun 6 Dec 2026 09:00 GMT, in 2 days 22 hours" || len(told.Incident.Contacts) != 1 || len(told.Incident.Links) != 1 {
		t.Errorf("the clock, contacts and links: %q %+v", told.Due, told.Incident)
	}
}

// lengths are what says how long the record is, and whether the pages show all
// of it yet: each look at something is recorded too.
var lengths = regexp.MustCompile(`"entries":[0-9]+,"shown":[0-9]+,|"behind":"[^"]*",`)

// isHeld: a hold is placed, and the technician sees neither.
func (x *allegation) isHeld(t *testing.T) {
	before := x.everything(t)
	x.head.does(api.RestrictedAct{Do: api.DoHold, Incident: x.id, Words: wroteHold, Device: posture.DeviceID(x.l.device)})
	after := x.everything(t)
	for name, text := range after {
		for _, word := range x.secret() {
			if strings.Contains(text, word) {
				t.Errorf("%s tells of %q:\n%s", name, word, text)
			}
		}
		// What is not about the record's own length and times is what it was.
		if strings.Contains(name, "ledger.") || strings.HasSuffix(name, "/checkpoint") || name == "status" || strings.HasPrefix(name, "health.") || strings.HasSuffix(name, "/health") || strings.Contains(name, "evidence") ||
			strings.HasSuffix(name, "/views") || strings.HasPrefix(name, "views.") || strings.Contains(name, "/privacy/views") { // who asked is in it
			continue
		}
		if diff := cmp.Diff(lengths.ReplaceAllString(before[name], ""), lengths.ReplaceAllString(text, "")); diff != "" {
			t.Errorf("%s differs since the hold:\n%s", name, diff)
		}
	}
	told, _ := x.officer.sees(x.id)
	x.views++
	if len(told.Holds) != 1 || told.Holds[0].Words != wroteHold || told.Holds[0].By != "Jo Marsh" {
		t.Errorf("who placed it sees %+v", told.Holds)
	}
}

// secret is what nobody may find who is not named.
func (x *allegation) secret() []string {
	words := []string{x.id, "zebra-quartz", "violet-anvil", "copper-lantern", "amber-sextant", "AGE-SECRET"}
	for _, s := range []*senior{x.head, x.officer, x.deputy} {
		words = append(words, s.Passphrase)
	}
	for _, word := range words[1:5] {
		words = append(words, base64.StdEncoding.EncodeToString([]byte(word))[:12], hex.EncodeToString([]byte(word)))
	}
	return words
}

// everything is all that the technician and the administrator can ask, by the
// API, the console and the pages.
func (x *allegation) everything(t *testing.T) map[string]string {
	t.Helper()
	x.w.allShown()
	all := map[string]string{}
	x.askRoutes(t, all)
	x.askConsole(t, all)
	at := "/schools/" + string(x.w.only())
	for _, path := range []string{"/", at, at + "/devices", at + "/devices/" + x.l.device, at + "/breaches", at + "/record", at + "/collected"} {
		if status, body := x.page.get(path); status == http.StatusOK {
			all["page "+path] = body
		}
	}
	return all
}

// askRoutes asks every address of the API that is described.
func (x *allegation) askRoutes(t *testing.T, all map[string]string) {
	t.Helper()
	var described struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if got := x.technician.ask("/openapi.json", nil, &described); got != http.StatusOK || len(described.Paths) < 20 {
		t.Fatalf("described: %d, %d paths", got, len(described.Paths))
	}
	put := strings.NewReplacer("{school}", string(x.w.only()), "{device}", x.l.device, "{incident}", x.id, "{tag}", "HB-LT-014")
	for path, methods := range described.Paths {
		for name, p := range map[string]caller{"technician": x.technician, "administrator": x.administrator, "head without a passphrase": x.head.caller} {
			if _, reads := methods["get"]; reads {
				all[name+" GET "+path] = p.raw(http.MethodGet, put.Replace(path), "")
			}
			if strings.Contains(path, "/restricted/") {
				all[name+" POST "+path] = p.raw(http.MethodPost, put.Replace(path), `{"incident":"`+x.id+`","passphrase":"aaaa-aaaa-aaaa-aaaa-aaaa-aaaa"}`)
			}
		}
	}
}

// raw is an answer of the API as it came.
func (p caller) raw(method, path, body string) string {
	p.w.t.Helper()
	r, err := http.NewRequestWithContext(p.w.t.Context(), method, strings.TrimSuffix(p.c.web, "/")+path, strings.NewReader(body))
	must(p.w.t, err)
	r.Header.Set("Authorization", "Bearer "+p.key)
	answer, err := http.DefaultClient.Do(r)
	must(p.w.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(p.w.t, err)
	return answer.Status + "\n" + string(text)
}

// askConsole asks the console everything that only asks.
func (x *allegation) askConsole(t *testing.T, all map[string]string) {
	t.Helper()
	changes := []string{
		"init", "create", "revoke", "rebuild", "publish", "rollback", "draft", "approve", "withdraw", "approvers", "decide", "ask", "set", "import", "change",
		"sign", "add", "remove", "test", "run", "assess", "assign", "act", "key", "reveal", "replace", "lost", "window", "allow", "baseline", "join", "leave",
	}
	for _, operation := range operations(t) {
		noun, verb, _ := strings.Cut(operation, ".")
		if slices.Contains(changes, verb) || verb == "" && noun != "status" {
			continue
		}
		args := map[string]any{
			"device": x.l.device, "incident": x.id, "tag": "HB-LT-014", "class": "posture", "months": []string{"2026-11"}, "dryRun": true, "reason": "x",
			"count": 10_000, "as": "Jo Marsh", "passphrase": "aaaa", "at": x.w.clock.Now().Add(-time.Minute), "limit": 100,
		}
		if operation == "register.list" || operation == "incident.list" {
			delete(args, "device")
		}
		var answer any
		if err := x.w.do(operation, args, &answer); err != nil {
			answer = strings.ReplaceAll(err.Error(), "no incident "+strconv.Quote(x.id), "no such incident") // as it was asked
		}
		text, err := json.Marshal(answer)
		must(t, err)
		all[operation] = string(text)
	}
}
