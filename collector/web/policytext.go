package web

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// textPage is the form in which a policy's text is edited, or a file of one given.
type textPage struct {
	proposal
	Text   string
	Rows   int
	Faults []textFault
}

// textFault is something that is wrong with the text, with the line itself.
type textFault struct {
	PolicyFault
	Written string
}

func digestOf(source []byte) string {
	sum := sha256.Sum256(source)
	return hex.EncodeToString(sum[:])
}

// policyText opens the policy in force, a draft, or what a preview was made of.
func (s *site) policyText(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	p := proposal{Base: bounded(q.Get("from"))}
	begin, err := s.base(r, v, &p)
	source := begin.source
	unsound, ok := errors.AsType[*UnsoundPolicyError](err)
	if err != nil && !ok {
		return err
	}
	name := p.Base
	if name == "" {
		name = v.now.Format("2006-01-02")
	}
	if id := q.Get("preview"); id != "" {
		trial, err := s.Policies.Trial(v.school.ID, id)
		if err != nil {
			return err
		}
		source = trial.Source
	}
	if ok {
		return s.showFaults(w, v, p, url.Values{"name": {name}}, string(source), unsound.Faults)
	}
	return s.showText(w, v, http.StatusOK, p, url.Values{"name": {name}}, string(source))
}

// showText shows a text in its form.
func (s *site) showText(w http.ResponseWriter, v visit, status int, p proposal, f url.Values, text string, faults ...PolicyFault) error {
	p.fill(f)
	page := textPage{proposal: p, Text: text, Rows: min(max(12, strings.Count(text, "\n")+2), 40)}
	written := strings.Split(text, "\n")
	for _, fault := range faults {
		one := textFault{PolicyFault: fault}
		if fault.Line > 0 && fault.Line <= len(written) {
			one.Written = cut(strings.TrimRight(written[fault.Line-1], "\r"), 160)
		}
		page.Faults = append(page.Faults, one)
	}
	title := "The text of the policy"
	if len(p.Wrong) > 0 || len(faults) > 0 {
		title = "Error: " + title
	}
	return s.write(w, status, "policy-text", s.page(v, title, "policy"), page)
}

// cut shortens a line that is long.
func cut(line string, most int) string {
	if r := []rune(line); len(r) > most {
		return string(r[:most]) + "…"
	}
	return line
}

// showFaults shows a text with what is wrong with it.
func (s *site) showFaults(w http.ResponseWriter, v visit, p proposal, f url.Values, text string, faults []PolicyFault) error {
	for _, one := range faults {
		words := fmt.Sprintf("Line %d", one.Line)
		if one.Where != "" {
			words += ", " + one.Where
		}
		p.Wrong = append(p.Wrong, wrong{"text", words + ": " + sentence(one.Words)})
	}
	return s.showText(w, v, http.StatusUnprocessableEntity, p, f, text, faults...)
}

// typedPolicy checks, tries or drafts a text that was typed, or given as a file.
func (s *site) typedPolicy(w http.ResponseWriter, r *http.Request, v visit) error {
	f, text, err := readText(w, r)
	if err != nil {
		return err
	}
	p := proposal{Base: bounded(f.Get("base")), Digest: f.Get("digest")}
	if _, err := s.base(r, v, &p); err != nil {
		if _, unsound := errors.AsType[*UnsoundPolicyError](err); !unsound {
			return err
		}
	}
	if strings.TrimSpace(text) == "" {
		p.Wrong = append(p.Wrong, wrong{"text", "Write the text of a policy, or choose a file that holds one."})
		return s.showText(w, v, http.StatusUnprocessableEntity, p, f, text)
	}
	err = s.propose(w, r, v, &p, f, []byte(text), func(status int, bad []wrong) error {
		p.Wrong = bad
		return s.showText(w, v, status, p, f, text)
	})
	if unsound, ok := errors.AsType[*UnsoundPolicyError](err); ok {
		return s.showFaults(w, v, p, f, text, unsound.Faults)
	}
	return err
}

// readText reads the form of a text. A file takes the place of what was typed, and
// is shown in its place, so that nothing of it is lost if something is wrong. The
// lines of what browsers send end as those of no file do.
func readText(w http.ResponseWriter, r *http.Request) (f url.Values, text string, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxPolicyForm)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		err = r.ParseMultipartForm(maxPolicyForm) // what is smaller stays in memory
	} else {
		err = r.ParseForm()
	}
	if err != nil {
		return nil, "", errNoPage
	}
	f = r.PostForm
	text = strings.ReplaceAll(f.Get("text"), "\r\n", "\n")
	file, _, err := r.FormFile("file")
	if err != nil {
		return f, text, nil // none was chosen
	}
	defer file.Close()
	given, err := io.ReadAll(file)
	if err != nil {
		return nil, "", errNoPage
	}
	if len(given) > 0 {
		text = string(given)
	}
	return f, text, nil
}
