package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// KeptTimes tells how long a school keeps what.
type KeptTimes interface {
	KeptTimes(ctx context.Context, school posture.SchoolID) ([]KeptTime, error)
}

// KeptTime is how long a school keeps something.
type KeptTime struct{ What, From, Time string }

// document is what a school gives out in its own name: made of what is known, and
// blank where only the school can say it.
type document struct {
	Name, Title, Intro string
	Address, Back      string
	School             string
	Parts              []documentPart
	Contacts           contacts
}

// documentPart is a part of a document: sentences, a list, or a table.
type documentPart struct {
	ID, Title string
	Words     []string
	List      []string
	Columns   []string
	Rows      [][]string
}

// blank is a place that the school fills in: nothing is made up.
const blank = "[the school fills this in]"

// documentKinds are the documents, in the order of the index.
var documentKinds = []struct {
	name, title, words string
	right              access.Right
	parts              func(documentSource) []documentPart
}{
	{"notice", "Privacy notice for staff", "What is kept about whoever uses a school laptop, why, for how long, and what they can ask for.", access.ReadPrivacy, noticeParts},
	{"processing", "Record of processing and register of information assets", "What is held, where, by what right, for how long and who can see it.", access.ReadProcessing, processingParts},
	{"assessment", "Data protection impact assessment", "What is done, why, which risks it has and what is done about them. What only the school can answer is blank.", access.ReadProcessing, assessmentParts},
	{"processors", "Who else handles what is kept", "Processors, and what leaves the school.", access.ReadProcessing, processorParts},
}

// documentSource is what the documents are made of.
type documentSource struct {
	school view.School
	said   view.Particulars
	kept   []KeptTime
	fields []collectedSection
}

// saidOr is a text of the school's, or that it is for them to fill in.
func saidOr(text string) string { return cmp.Or(text, blank) }

func privacyAddress(school posture.SchoolID) string { return schoolAddress(school) + "/privacy" }

// privacyPage is the index of what there is about data protection.
type privacyPage struct {
	Contacts  contacts
	Documents []privacyLink
	Others    []privacyLink
}

type privacyLink struct{ Title, Words, Address string }

func (s *site) privacy(w http.ResponseWriter, r *http.Request, v visit) error {
	var page privacyPage
	var err error
	if page.Contacts, err = s.contactsOf(r.Context(), v); err != nil {
		return err
	}
	at := privacyAddress(v.school.ID)
	for _, d := range documentKinds {
		if v.account.May(v.school.ID, d.right) {
			page.Documents = append(page.Documents, privacyLink{d.title, d.words, at + "/" + d.name})
		}
	}
	for _, o := range []struct {
		privacyLink
		right access.Right
	}{
		{privacyLink{"Requests of people for their data", "Who asked, by when the answer is due, and what is kept about them.", at + "/requests"}, access.RecordRequests},
		{privacyLink{"Disputed facts", "What somebody says is recorded wrongly, by when it is to be answered, and the answers.", at + "/disputes"}, access.DisputeFacts},
		{privacyLink{"Who looked at whose record", "Everybody who looked at what is known of a laptop or a person.", at + "/views"}, access.ReadLooks},
		{privacyLink{"Who answers for data protection", "The officer, whom to tell of a loss, the lawful basis and the processors.", particularsAddress(v.school.ID)}, access.SetParticulars},
	} {
		if v.account.May(v.school.ID, o.right) {
			page.Others = append(page.Others, o.privacyLink)
		}
	}
	return s.write(w, http.StatusOK, "privacy", s.page(v, "Privacy", "privacy"), page)
}

// makeDocument makes one of the documents.
func (s *site) makeDocument(r *http.Request, v visit, name string) (d document, err error) {
	src := documentSource{school: v.school, fields: s.fields}
	if src.said, err = s.Queries.Particulars(r.Context(), v.school.ID, v.now); err != nil {
		return d, err
	}
	if src.kept, err = s.Kept.KeptTimes(r.Context(), v.school.ID); err != nil {
		return d, err
	}
	for _, kind := range documentKinds {
		if kind.name == name {
			at := privacyAddress(v.school.ID)
			d = document{Name: name, Title: kind.title, Intro: kind.words, Address: at + "/" + name + "/file", Back: at, School: v.school.Name, Parts: kind.parts(src)}
		}
	}
	d.Contacts, err = s.contactsOf(r.Context(), v)
	return d, err
}

// showDocument shows a document, to be read and printed.
func showDocument(name string) func(*site, http.ResponseWriter, *http.Request, visit) error {
	return func(s *site, w http.ResponseWriter, r *http.Request, v visit) error {
		d, err := s.makeDocument(r, v, name)
		if err != nil {
			return err
		}
		return s.write(w, http.StatusOK, "document", s.page(v, d.Title, "privacy"), d)
	}
}

// documentFile sends a document as plain text, to be worked on.
func documentFile(name string) func(*site, http.ResponseWriter, *http.Request, visit) error {
	return func(s *site, w http.ResponseWriter, r *http.Request, v visit) error {
		d, err := s.makeDocument(r, v, name)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="`+name+`.txt"`)
		_, err = w.Write([]byte(visibleLines(d.text(s.clockwork(v).moment(v.now).Text))))
		return err
	}
}

// text writes a document as plain text. A line of it is a line of the page.
func (d document) text(made string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\r\nMade %s.\r\n", d.School, d.Title, made)
	for _, p := range d.Parts {
		fmt.Fprintf(&b, "\r\n%s\r\n", strings.ToUpper(p.Title))
		for _, w := range p.Words {
			fmt.Fprintf(&b, "%s\r\n", w)
		}
		for _, l := range p.List {
			fmt.Fprintf(&b, "- %s\r\n", l)
		}
		for _, row := range p.Rows {
			for i, cell := range row {
				if i < len(p.Columns) {
					fmt.Fprintf(&b, "%s: %s\r\n", p.Columns[i], cell)
				}
			}
			b.WriteString("\r\n")
		}
	}
	return strings.ReplaceAll(b.String(), "\r\n", "\n")
}
