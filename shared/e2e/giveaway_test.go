package e2e

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/notify"
	"github.com/caretaker-school/caretaker/collector/notify/notifytest"
)

// hook is a program of the data-protection officer's that keeps what it is told.
type hook struct {
	*httptest.Server
	mu    sync.Mutex // guards below
	kept  map[string]notify.Notice
	wrong []string // of what it does not believe
}

func (w *world) hooked() *hook {
	h := &hook{kept: map[string]notify.Notice{}}
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(h.serve))
	h.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	h.StartTLS()
	w.t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
	})
	return h
}

func (h *hook) serve(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var n notify.Notice
	if err == nil {
		err = json.Unmarshal(body, &n)
	}
	seconds, signature, _ := strings.Cut(strings.TrimPrefix(r.Header.Get(notify.HeaderSignature), "t="), ",v1=")
	at, wrong := strconv.ParseInt(seconds, 10, 64)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || wrong != nil || notify.Signature("a secret of some length", time.Unix(at, 0), body) != signature || n.ID != r.Header.Get(notify.HeaderKey) {
		h.wrong = append(h.wrong, string(body))
		return
	}
	h.kept[n.ID] = n
}

// checkpoints are those that it was given.
func (h *hook) checkpoints() (list []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.kept {
		for _, g := range n.Checkpoints {
			list = append(list, g.Checkpoint)
		}
	}
	return list
}

// lettersWith are the texts of the letters that hold some words, each once.
func lettersWith(s *notifytest.MailServer, words string) (texts []string) {
	seen := map[string]bool{}
	for _, l := range s.Letters() {
		id := l.Header("Message-ID")
		if !seen[id] && strings.Contains(l.Text(), words) {
			texts = append(texts, l.Text())
		}
		seen[id] = true
	}
	return texts
}

// TestCheckpointsAndHoursReachTheOfficer: a checkpoint comes each day by webhook
// and by mail, and what was cut and pasted from the mail proves that the record
// begins with it. The hours to tell the regulator are told before they end, at
// night and at the weekend, once each across restarts, and of no restricted
// incident.
func TestCheckpointsAndHoursReachTheOfficer(t *testing.T) {
	w := worldAt(t, inLondon(t, "2026-12-03 10:00")) // a Thursday
	c := w.collect()
	server, program := w.mails(), w.hooked()
	both := server.Authority + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: program.Certificate().Raw}))
	ask[collectorapp.NoticesAnswer](w, "notice.set", collectorapp.NoticeSettings{Authorities: &both})
	w.tells(notify.Mail, "officer@hollybank.example", "dpo")
	w.tells(notify.Webhook, program.URL, "dpo")

	// One incident that all may see, and one that two may.
	aware := atLondon(t, "2026-12-03 09:00")
	opened := w.records(collectorapp.IncidentChange{Words: "left on the 16:20 train", Change: incident.Change{What: incident.Open, Kind: incident.Disclosure, Aware: aware}})
	head, officer := w.seniorOf(c, "Jo Marsh", access.Head), w.seniorOf(c, "Priya Anand", access.DPO)
	hidden := head.does(api.RestrictedAct{
		Do: api.DoOpen, Words: wroteAlleged, Seniors: []string{officer.Code}, Change: &incident.Change{What: incident.Open, Kind: incident.Disclosure, Aware: aware},
	})
	officer.does(api.RestrictedAct{Do: api.DoAgree, Incident: hidden.ID})

	// The next morning.
	w.reaches("2026-12-04 07:30")
	w.untilPassing(20*time.Second, "the day's checkpoint has come both ways", func() bool {
		return len(program.checkpoints()) == 1 && len(lettersWith(server, "CARETAKER CHECKPOINT")) == 1
	})
	mail := lettersWith(server, "CARETAKER CHECKPOINT")[0]
	verify := func(text string) collectorapp.LedgerReport {
		return ask[collectorapp.LedgerReport](w, "ledger.verify", collectorapp.LedgerArguments{Against: []collectorapp.GivenCheckpoint{{Name: "mail", Note: []byte(text)}}})
	}
	for name, text := range map[string]string{
		"pasted": mail, "quoted": "> " + strings.ReplaceAll(mail, "\n", "\r\n> "), "saved": server.Letters()[0].Data, "the webhook's": program.checkpoints()[0],
	} {
		if r := verify(text); !r.Good || r.Agrees != 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	_, lines, _ := strings.Cut(mail, "caretaker.school/"+string(w.only())+"\n")
	size, _, _ := strings.Cut(lines, "\n")
	for name, text := range map[string]string{
		"another size": strings.Replace(mail, "\n"+size+"\n", "\n"+size+"1\n", 1), "another school": strings.ReplaceAll(mail, string(w.only()), "s1234"), "nothing": "Dear Sir",
	} {
		if r := verify(text); r.Good || !strings.Contains(r.Trouble, "against mail") {
			t.Errorf("%s: %+v", name, r)
		}
	}

	// The hours run out, with a restart before each word of it.
	days := 1
	for i, next := range []struct{ digest, at, words string }{
		{"2026-12-05 07:30", "2026-12-05 09:01", "Less than 24 hours to tell the regulator"},
		{"", "2026-12-06 03:01", "Less than 6 hours to tell the regulator"},
		{"2026-12-06 07:30", "2026-12-06 09:01", "The 72 hours to tell the regulator have ended"},
	} {
		must(t, c.stop())
		c = w.collect()
		if got := lettersWith(server, "to tell the regulator"); len(got) != i {
			t.Fatalf("before %s: told %q", next.at, got)
		}
		if next.digest != "" {
			w.reaches(next.digest)
			days++
			w.untilPassing(20*time.Second, "the day's checkpoint has come to the program", func() bool { return len(program.checkpoints()) == days })
		}
		w.reaches(next.at)
		w.untilPassing(20*time.Second, next.words, func() bool { return len(lettersWith(server, next.words)) == 1 })
	}
	w.quietly(10, server)
	for _, text := range lettersWith(server, "to tell the regulator") {
		if strings.Count(text, "to tell the regulator") != 1 || !strings.Contains(text, "incident "+opened.Number) || !strings.Contains(text, "the 72 hours end Sun 6 Dec 2026 09:00 GMT") {
			t.Errorf("told %s", text)
		}
	}
	for _, l := range server.Letters() {
		if strings.Contains(l.Text(), hidden.ID) || strings.Contains(l.Text(), wroteAlleged) {
			t.Errorf("a letter tells of what is restricted: %s", l.Text())
		}
	}
	if got := len(lettersWith(server, "CARETAKER CHECKPOINT")); got != 1 {
		t.Errorf("%d letters with a checkpoint within a week of which there was nothing else to tell", got)
	}
	given := program.checkpoints()
	if len(given) != days || len(program.wrong) > 0 {
		t.Errorf("the program was given %q; not believed %q", given, program.wrong)
	}
	for _, note := range given {
		if r := verify(note); !r.Good {
			t.Errorf("against %q: %+v", note, r)
		}
	}
}

// TestTheRecordOverTheAPI: what the console says of a record, the API says to
// those who may know.
func TestTheRecordOverTheAPI(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "encrypted-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	technician, officer := w.callerOf(c, "Morgan Ellis", access.Technician), w.callerOf(c, "Priya Anand", access.DPO)
	governor := w.callerOf(c, "Sam Okafor", access.Governor)
	at := technician.school()
	for _, path := range []string{"/record", "/checkpoint", "/evidence", "/notices"} {
		if got := governor.ask(at+path, nil, nil); got != http.StatusForbidden {
			t.Errorf("a governor asks %s: %d", path, got)
		}
	}
	w.allShown()
	var record api.RecordStatus
	if got := technician.ask(at+"/record", nil, &record); got != http.StatusOK || !record.Recording || !record.Well || record.Name != schoolName || record.Entries != w.status(w.only()).Entries {
		t.Errorf("the record: %d %+v", got, record)
	}
	var note api.Checkpoint
	if got := officer.ask(at+"/checkpoint", nil, &note); got != http.StatusOK {
		t.Fatalf("a checkpoint: %d", got)
	}
	r := ask[collectorapp.LedgerReport](w, "ledger.verify", collectorapp.LedgerArguments{Against: []collectorapp.GivenCheckpoint{{Name: "c", Note: []byte(note.Checkpoint)}}})
	if !r.Good || r.Agrees != 1 {
		t.Errorf("against the checkpoint: %+v", r)
	}
	var position api.SchoolEvidence
	if got := officer.ask(at+"/evidence", nil, &position); got != http.StatusOK || position.MadeBy != "Priya Anand" || !strings.Contains(position.Page, schoolName) {
		t.Fatalf("the school now: %d %+v", got, position)
	}
	if b, v, err := evidence.Verify(position.Sealed, evidence.Trust{Checkpoint: []byte(note.Checkpoint)}); err != nil || !v.Origin || b.Position == nil {
		t.Errorf("the school's evidence: %+v %v", v, err)
	}
	channel := w.tells(notify.Syslog, "udp://127.0.0.1:1", "technician")
	var notices api.Notices
	if got := officer.ask(at+"/notices", nil, &notices); got != http.StatusOK || len(notices.Ways) != 1 || notices.Ways[0].ID != channel.ID || notices.Ways[0].Every {
		t.Errorf("the notices: %d %+v", got, notices)
	}

	assess := at + "/devices/" + string(l.shown().ID) + "/assessment"
	if got := officer.ask(assess, struct{}{}, nil); got != http.StatusForbidden {
		t.Errorf("the officer asks for an assessment: %d", got)
	}
	l.becomes("plain-laptop")
	var asked api.Asked
	if got := technician.ask(assess, struct{}{}, &asked); got != http.StatusOK || asked.Device != l.shown().ID {
		t.Errorf("an assessment is asked for: %d %+v", got, asked)
	}
	until(t, "the report that was asked for shows", func() bool { return l.shown().LastReport == 2 })
	must(t, l.stop())
	until(t, "it is known to be away", func() bool { return technician.ask(assess, struct{}{}, nil) == http.StatusConflict })
	w.verified()
}
