package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"html"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/view"
)

// certified makes a certificate for this machine, as a school would bring one, and
// returns the settings with it and what trusts it.
func certified(t *testing.T) (set func(*collectorapp.Config), roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	dir := t.TempDir()
	files := [2]string{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	must(t, os.WriteFile(files[0], pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(files[1], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	roots = x509.NewCertPool()
	made, err := x509.ParseCertificate(der)
	must(t, err)
	roots.AddCert(made)
	return func(c *collectorapp.Config) { c.WebCertificate, c.WebKey = files[0], files[1] }, roots
}

// signInOver is signIn over TLS, by a name of its own.
func (w *world) signInOver(c *collector, roots *x509.CertPool, name string, role access.Role) *pages {
	w.t.Helper()
	account := ask[collectorapp.AccountAnswer](w, "account.create", collectorapp.AccountArguments{Name: name, Role: string(role)})
	jar, err := cookiejar.New(nil)
	must(w.t, err)
	p := &pages{t: w.t, web: strings.TrimSuffix(c.web, "/"), http: &http.Client{Jar: jar, Transport: &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots},
	}}}
	w.t.Cleanup(p.http.CloseIdleConnections)
	p.post("/sign-in", url.Values{"name": {account.Name}, "password": {account.Password}, "next": {"/"}}, "/schools/")
	return p
}

// post sends a form, and checks where it leads to.
func (p *pages) post(path string, form url.Values, leads string) (at, page string) {
	p.t.Helper()
	answer, err := p.http.PostForm(p.web+path, form)
	must(p.t, err)
	body, err := io.ReadAll(answer.Body)
	must(p.t, err)
	must(p.t, answer.Body.Close())
	if answer.StatusCode != http.StatusOK || !strings.HasPrefix(answer.Request.URL.EscapedPath(), leads) {
		p.t.Fatalf("%s was answered with %s at %s, want %s: %s", path, answer.Status, answer.Request.URL, leads, pageText(string(body)))
	}
	return answer.Request.URL.RequestURI(), html.UnescapeString(string(body))
}

var (
	anyTag    = regexp.MustCompile(`<[^>]*>`)
	oneField  = regexp.MustCompile(`(?s)<input[^>]*>|<textarea[^>]*>.*?</textarea>|<select[^>]*>.*?</select>`)
	fieldName = regexp.MustCompile(` name="([^"]+)"`)
	itsValue  = regexp.MustCompile(` value="([^"]*)"`)
	itsChoice = regexp.MustCompile(`value="([^"]*)" selected`)
)

// pageText is what a page says, without its markup.
func pageText(page string) string {
	return strings.Join(strings.Fields(anyTag.ReplaceAllString(page, " ")), " ")
}

// form reads the fields of a form of a page, as a browser would send them.
func (p *pages) form(path, action string) url.Values {
	p.t.Helper()
	answer, err := p.http.Get(p.web + path)
	must(p.t, err)
	body, err := io.ReadAll(answer.Body)
	must(p.t, err)
	must(p.t, answer.Body.Close())
	at := regexp.MustCompile(`method="post" action="` + regexp.QuoteMeta(action) + `(#[a-z-]+)?"`).FindIndex(body)
	if at == nil {
		p.t.Fatalf("%s has no form that leads to %s: %s", path, action, pageText(string(body)))
	}
	rest, _, _ := strings.Cut(string(body[at[1]:]), "</form>")
	f := url.Values{}
	for _, one := range oneField.FindAllString(rest, -1) {
		name, value := fieldName.FindStringSubmatch(one), itsValue.FindStringSubmatch(one)
		if name == nil {
			continue
		}
		if chosen := itsChoice.FindStringSubmatch(one); chosen != nil {
			value = chosen
		}
		if strings.HasPrefix(one, "<textarea") {
			_, text, _ := strings.Cut(strings.TrimSuffix(one, "</textarea>"), ">")
			value = []string{"", strings.TrimPrefix(text, "\n")}
		}
		if value != nil {
			f.Set(name[1], html.UnescapeString(value[1]))
		}
	}
	return f
}

var opens = regexp.MustCompile(`Breaches that would open ([0-9,]+)`)

// TestAPolicyIsChosenPreviewedAndPutInForceOnPages follows a policy through its
// pages, over TLS: choices become a draft; its preview, made beside the page, says
// what the laptop then finds; a second person approves the text that they read; the
// laptop judges by it; and by going back it judges as before.
func TestAPolicyIsChosenPreviewedAndPutInForceOnPages(t *testing.T) {
	w := newWorld(t)
	set, roots := certified(t)
	c := w.collectBy(w.clock, set)
	l := w.laptop("laptop", "plain-laptop", c.agents)
	_, baseline, err := rulebook.Baseline()
	must(t, err)
	ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{File: "baseline.yaml", Source: baseline})
	until(t, "the first policy judges", func() bool { return l.shown().Policy == 1 })
	at := "/schools/" + string(w.only()) + "/policy"
	technician, head := w.signInOver(c, roots, "Morgan Ellis", access.Technician), w.signInOver(c, roots, "Priya Anand", access.Head)
	head.post(at+"/approvers", url.Values{"approvers": {"2"}, "reason": {"Clause C27."}}, at)

	// A program that is installed is denied from now on.
	installed := l.shown().Facts.Programs.Items
	if len(installed) == 0 {
		t.Fatal("the laptop has no programs")
	}
	name := strings.ToLower(installed[0].Name)
	before := l.standingBreaches()
	form := technician.form(at+"/choose", at+"/choose")
	form.Set("param-deniedPrograms", form.Get("param-deniedPrograms")+"\r\n"+name)
	form.Set("name", "spring")
	form.Set("reason", "It is not for us.")
	form.Set("do", "check")
	if _, page := technician.post(at+"/choose", form, at+"/choose"); !strings.Contains(pageText(page), "gains "+name) {
		t.Fatalf("checking does not say what changes: %s", pageText(page))
	}
	form.Set("do", "draft")
	draft, _ := technician.post(at+"/choose", form, at+"/drafts/spring")
	draft, _, _ = strings.Cut(draft, "?")

	// What it would find.
	preview, page := technician.post(at+"/previews", technician.form(draft, at+"/previews"), at+"/previews/")
	until(t, "the preview is made", func() bool {
		_, page = technician.get(preview)
		return !strings.Contains(page, "Give it up")
	})
	m := opens.FindStringSubmatch(pageText(page))
	if m == nil {
		t.Fatalf("the preview does not say what opens: %s", pageText(page))
	}
	foreseen, err := strconv.Atoi(m[1])
	must(t, err)
	if foreseen == 0 || !strings.Contains(pageText(page), "of 1 laptop that were judged") {
		t.Errorf("the preview foresees %d: %s", foreseen, pageText(page))
	}
	if !slices.Equal(l.standingBreaches(), before) || l.shown().Policy != 1 {
		t.Errorf("the preview changed what stands: before %v, and now %v", before, l.standingBreaches())
	}

	// Two people.
	if _, page := technician.get(draft); strings.Contains(page, "Put it in force") || strings.Contains(page, "Approve this text") {
		t.Error("a technician is offered to publish alone, or to approve")
	}
	approval := head.form(draft, draft+"/approval")
	approval.Set("reason", "As the governors agreed.")
	head.post(draft+"/approval", approval, draft)
	form = technician.form(draft, draft+"/publication")
	form.Set("publish-approved", "2027-01-11")
	form.Set("publish-review", "2027-07-01")
	form.Set("reason", "A new term.")
	technician.post(draft+"/publication", form, at)
	until(t, "the new policy judges", func() bool { return l.shown().Policy == 2 && standing(l.shown(), "EXE-02") == view.NotMet })
	if stands := l.standingBreaches(); len(stands) != len(before)+foreseen {
		t.Errorf("the preview foresaw %d; before %v stood, and now %v", foreseen, before, stands)
	}
	status, page := head.get(at)
	for _, want := range []string{"version 2", "Drafted by Morgan Ellis , approved by Priya Anand", "11 January 2027", "1 July 2027", "Judge themselves by it 1", "Still judge by an older one 0"} {
		if !strings.Contains(pageText(page), want) {
			t.Errorf("the policy's page (%d) does not say %q: %s", status, want, pageText(page))
		}
	}
	head.shows(strings.TrimSuffix(at, "/policy")+"/devices/"+l.device+"/policy", "version 2")

	// Programs compare and go back as people do, and need the second person too.
	key := ask[collectorapp.KeyAnswer](w, "key.create", collectorapp.KeyArguments{Account: "Morgan Ellis", Label: "story", Lasts: 24 * time.Hour})
	program := func(path string, takes, gives any) int {
		body, err := json.Marshal(takes)
		must(t, err)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, technician.web+api.Prefix+path, bytes.NewReader(body))
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+key.Key)
		answer, err := technician.http.Do(r)
		must(t, err)
		defer answer.Body.Close()
		must(t, json.NewDecoder(answer.Body).Decode(gives))
		return answer.StatusCode
	}
	var diff api.PolicyDiff
	if got := program(at+"/diff", api.NewPolicyDiff{From: 1, To: 2}, &diff); got != http.StatusOK || len(diff.Changes) != 1 || diff.Changes[0].Words != "gains "+name {
		t.Errorf("the difference for a program: %d %+v", got, diff)
	}
	if got := program(at+"/diff", api.NewPolicyDiff{From: 1, To: 9}, new(any)); got != http.StatusConflict {
		t.Errorf("a policy that there is not was compared: %d", got)
	}
	if got := program(at+"/rollback", api.NewRollback{Number: 1}, new(any)); got != http.StatusConflict {
		t.Errorf("a program went back alone: %d", got)
	}

	// Going back takes two as well.
	goBack := func(number string) {
		form := technician.form(at+"/versions/"+number, at+"/versions/"+number+"/rollback")
		form.Set("reason", "We need it after all.")
		draft := at + "/drafts/back-to-" + number
		technician.post(at+"/versions/"+number+"/rollback", form, draft)
		approval := head.form(draft, draft+"/approval")
		approval.Set("reason", "Until the summer.")
		head.post(draft+"/approval", approval, draft)
		form = technician.form(draft, draft+"/publication")
		form.Set("reason", "Back to what was.")
		technician.post(draft+"/publication", form, at)
	}
	goBack("1")
	until(t, "the old rules judge again", func() bool { return l.shown().Policy == 3 && standing(l.shown(), "EXE-02") == view.Met })
	if stands := l.standingBreaches(); !slices.Equal(stands, before) {
		t.Errorf("before %v stood, and now %v", before, stands)
	}
	if _, page := head.get(at + "/compare?from=1&to=3"); !strings.Contains(pageText(page), "Nothing changes.") {
		t.Errorf("the old rules and the new differ: %s", pageText(page))
	}
	if _, page := head.get(at + "/versions"); !strings.Contains(pageText(page), "Version 3") || !strings.Contains(pageText(page), "Asks less than the one before it") && !strings.Contains(pageText(page), "Cannot be told from the texts whether it asks less") {
		t.Errorf("the versions: %s", pageText(page))
	}

	// A laptop that is switched off judges by the older one, and is listed as that.
	devices := strings.TrimSuffix(at, "/policy") + "/devices?policy=older"
	if _, page := head.get(devices); strings.Contains(page, l.shown().Hostname) {
		t.Error("a laptop that has taken the policy is listed as one that has not")
	}
	must(t, l.stop())
	goBack("2")
	until(t, "the policy's page says so", func() bool {
		_, page := head.get(at)
		return strings.Contains(pageText(page), "Still judge by an older one 1")
	})
	head.shows(devices, l.shown().Hostname, "still judge themselves by an older policy")
	w.verified()
}

// TestATrustIsKeptOnPages: a network manager proposes nothing alone where a school
// asks for two; the baseline comes into force at each school; what a school asks less
// is seen with who and since when, allowed for a time, and ended.
func TestATrustIsKeptOnPages(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	hollybank := w.only()
	other := w.schoolOf("Oakfield Infant School")
	manager := w.signIn(c, "network-manager")
	const trust = "/trusts/Riverside%20Schools"
	for _, school := range []string{string(hollybank), string(other)} {
		manager.post("/schools/"+school+"/baseline/membership", url.Values{"trust": {"Riverside Schools"}, "reason": {"They are ours."}}, "/schools/"+school+"/baseline")
	}
	text := shippedBut(t, "updatesWithin: 14d", "updatesWithin: 10d")
	_, page := manager.post(trust+"/text", url.Values{"text": {text}, "do": {"publish"}, "follow": {"yes"}, "reason": {"Ten days are enough."}}, trust+"/text")
	if got := pageText(page); strings.Count(got, ": recorded, and it became version 1 of the school’s own policy") != 2 {
		t.Fatalf("the baseline: %s", got)
	}
	// Hollybank asks less, and is refused; the manager allows it for a time.
	looser := shippedBut(t, "updatesWithin: 14d", "updatesWithin: 12d")
	technician := w.signInAt(c, "technician", string(hollybank))
	at := "/schools/" + string(hollybank)
	technician.post(at+"/policy/text", url.Values{"text": {looser}, "do": {"draft"}, "name": {"twelve"}, "reason": {"The line is slow."}}, at+"/policy/drafts/twelve")
	if _, page := technician.get(at + "/policy/drafts/twelve"); !strings.Contains(pageText(page), "It asks less than the baseline of Riverside Schools") || strings.Contains(page, "Put it in force") {
		t.Errorf("the draft: %s", pageText(page))
	}
	until := w.clock.Now().AddDate(0, 1, 0).Format(time.DateOnly)
	manager.post(at+"/baseline/allowances", url.Values{"draft": {"twelve"}, "until": {until}, "reason": {"Until the line is faster."}}, at+"/baseline")
	form := technician.form(at+"/policy/drafts/twelve", at+"/policy/drafts/twelve/publication")
	form.Set("reason", "It is allowed.")
	technician.post(at+"/policy/drafts/twelve/publication", form, at+"/policy")
	if _, page := manager.get(trust); !strings.Contains(pageText(page), "asks less in 1 thing, allowed until") || !strings.Contains(pageText(page), "Oakfield Infant School baseline 1 follows it: its policy is version 1 asks what the baseline asks") {
		t.Errorf("the trust's page: %s", pageText(page))
	}
	manager.post(at+"/baseline/allowances/end", url.Values{"item": {"param.updatesWithin"}, "reason": {"The line is fast."}}, at+"/baseline")
	if _, page := technician.get(at + "/baseline"); !strings.Contains(pageText(page), "How long an important update may wait not allowed") || !strings.Contains(pageText(page), fmt.Sprintf("Allowed by %s", "the-network-manager")) && !strings.Contains(pageText(page), "allowed by the-network-manager") {
		t.Errorf("the school's page: %s", pageText(page))
	}
	// It decides about no breach, and nobody else sees the trust.
	for path, form := range map[string]url.Values{at + "/policy/approvers": {"approvers": {"2"}, "reason": {"x"}}, at + "/rules/ENC-01/exemption": {"reason": {"x"}}} {
		answer, err := manager.http.PostForm(manager.web+path, form)
		must(t, err)
		must(t, answer.Body.Close())
		if answer.StatusCode != http.StatusForbidden {
			t.Errorf("a network manager at %s: %s", path, answer.Status)
		}
	}
	if status, _ := technician.get(trust); status != http.StatusNotFound {
		t.Errorf("a technician sees the trust: %d", status)
	}
}
