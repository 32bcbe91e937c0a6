package rulebook

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var (
	identifier = regexp.MustCompile(`^[A-Z][A-Z0-9]*(-[A-Z0-9]+)*$`)
	plainName  = regexp.MustCompile(`^[a-z][a-zA-Z0-9-]*$`)
	paramName  = regexp.MustCompile(`^[a-z][a-zA-Z0-9]*$`)
	span       = regexp.MustCompile(`^(\d{1,6})(d|h|m|s)( online)?$`)
	schoolDays = regexp.MustCompile(`^(\d{1,4}) school days?$`)
)

// reserved are words that CEL keeps for itself, so that param.x could not be
// written.
var reserved = []string{
	"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if",
	"import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
}

func (b *book) readPolicy(n *yaml.Node) *draft {
	d := &draft{policy: policy.Policy{Format: policy.Format}, parameters: make(map[string]*yaml.Node)}
	var maxAge time.Duration
	b.mapping(n, "the policy", []entry{
		{"name", true, func(n *yaml.Node) { d.policy.Name = b.matching(n, "the policy's name", plainName, "school") }},
		{"title", true, func(n *yaml.Node) { d.policy.Title, _ = b.text(n, "the policy's title", policy.MostText) }},
		{"maxAge", false, func(n *yaml.Node) { maxAge = b.duration(n, "maxAge") }},
		{"parameters", false, func(n *yaml.Node) { b.readParameters(n, d) }},
		{"rules", true, func(n *yaml.Node) { b.readRules(n, d) }},
	})
	for i := range d.policy.Rules {
		if r := &d.policy.Rules[i]; r.MaxAge == 0 && r.Side == policy.OnDevice {
			r.MaxAge = maxAge
		}
	}
	return d
}

func (b *book) matching(n *yaml.Node, what string, pattern *regexp.Regexp, like string) string {
	text, ok := b.text(n, what, 32)
	if ok && !pattern.MatchString(text) {
		b.at(n, "%s %q is not spelt like %q", what, text, like)
		return ""
	}
	return text
}

// readParameters reads what a school may choose.
func (b *book) readParameters(n *yaml.Node, d *draft) {
	if n.Kind != yaml.MappingNode {
		b.at(n, "parameters must be a mapping, not %s", kindOf(n))
		return
	}
	if len(n.Content)/2 > policy.MostParameters {
		b.at(n, "there are more than %d parameters", policy.MostParameters)
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || !paramName.MatchString(key.Value) || len(key.Value) > 64 || slices.Contains(reserved, key.Value):
			b.at(key, "%q cannot be the name of a parameter", shown(key))
		case d.parameters[key.Value] != nil:
			b.at(key, "the parameter %q is there twice", key.Value)
		default:
			d.parameters[key.Value] = key
			if p, ok := b.parameter(key.Value, value); ok {
				d.policy.Parameters = append(d.policy.Parameters, p)
			}
		}
	}
}

// parameter reads one parameter: a value, or a value with its choices.
func (b *book) parameter(name string, n *yaml.Node) (policy.Parameter, bool) {
	p := policy.Parameter{Name: name}
	if n.Kind != yaml.MappingNode {
		return p, b.value(&p, n)
	}
	sound := false
	var value *yaml.Node
	b.mapping(n, "the parameter "+name, []entry{
		{"value", true, func(n *yaml.Node) { value = n; sound = b.value(&p, n) }},
		{"choices", true, func(n *yaml.Node) { p.Choices = b.texts(n, "choices", 32, nil) }},
	})
	if sound && p.Kind != policy.TextParameter {
		b.at(value, "a parameter with choices must be a text")
		return p, false
	}
	if sound && len(p.Choices) > 0 && !slices.Contains(p.Choices, p.Text) {
		b.at(value, "%q is not one of the choices %s", p.Text, strings.Join(p.Choices, ", "))
		return p, false
	}
	return p, sound
}

func (b *book) value(p *policy.Parameter, n *yaml.Node) bool {
	what := "the parameter " + p.Name
	switch {
	case n.Kind == yaml.SequenceNode:
		p.Kind, p.Texts = policy.TextsParameter, b.texts(n, what, policy.MostTexts, nil)
		return true
	case n.Kind == yaml.ScalarNode && n.Tag == "!!bool":
		p.Kind = policy.FlagParameter
		if n.Decode(&p.Flag) != nil {
			b.at(n, "%s is neither true nor false", what)
			return false
		}
		return true
	case n.Kind == yaml.ScalarNode && n.Tag == "!!int":
		p.Kind = policy.NumberParameter
		if n.Decode(&p.Number) != nil {
			b.at(n, "%s is too large a number", what)
			return false
		}
		return true
	case n.Kind == yaml.ScalarNode && n.Style == 0 && span.MatchString(n.Value):
		p.Kind, p.Number = policy.DurationParameter, int64(b.duration(n, what))
		return true
	}
	text, ok := b.text(n, what, policy.MostText)
	p.Kind, p.Text = policy.TextParameter, text
	return ok
}

// texts reads a list of texts without repeats, of known words if any are given.
func (b *book) texts(n *yaml.Node, what string, most int, among []string) []string {
	var out []string
	for _, item := range b.list(n, what, most) {
		text, ok := b.text(item, "an item of "+what, policy.MostText)
		switch {
		case !ok:
		case slices.Contains(out, text):
			b.at(item, "%s has %q twice", what, text)
		case among != nil && !slices.Contains(among, text):
			b.at(item, "%q is not one of %s", text, strings.Join(among, ", "))
		default:
			out = append(out, text)
		}
	}
	return out
}

func (b *book) word(n *yaml.Node, what string, among ...string) string {
	text, ok := b.text(n, what, policy.MostText)
	if ok && !slices.Contains(among, text) {
		b.at(n, "%s must be one of %s, not %q", what, strings.Join(among, ", "), text)
		return ""
	}
	return text
}

func (b *book) duration(n *yaml.Node, what string) time.Duration {
	d, clock := b.grace(n, what)
	if clock != policy.CalendarTime {
		b.at(n, "%s is in calendar time: %q", what, n.Value)
	}
	return d
}

// grace reads a span of time and the clock that counts it, such as "24h",
// "7 school days" or "4h online".
func (b *book) grace(n *yaml.Node, what string) (time.Duration, policy.Clock) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!int" && n.Value == "0" {
		return 0, policy.CalendarTime
	}
	text, ok := b.text(n, what, 64)
	if !ok {
		return 0, policy.CalendarTime
	}
	if m := schoolDays.FindStringSubmatch(text); m != nil {
		return times(m[1], 24*time.Hour), policy.SchoolDays
	}
	m := span.FindStringSubmatch(text)
	if m == nil {
		b.at(n, `%s %q is not a span of time such as "24h", "7d", "7 school days" or "4h online"`, what, text)
		return 0, policy.CalendarTime
	}
	d := times(m[1], map[string]time.Duration{"d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second}[m[2]])
	if d > policy.LongestDuration {
		b.at(n, "%s %q is more than ten years", what, text)
		return 0, policy.CalendarTime
	}
	if m[3] != "" {
		return d, policy.OnlineTime
	}
	return d, policy.CalendarTime
}

func times(digits string, unit time.Duration) time.Duration {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > int64(policy.LongestDuration/time.Second)+1 {
		return policy.LongestDuration + 1
	}
	if n > int64((policy.LongestDuration+unit)/unit) {
		return policy.LongestDuration + 1
	}
	return time.Duration(n) * unit
}

func (b *book) severity(n *yaml.Node) posture.Severity {
	var s posture.Severity
	text, ok := b.text(n, "severity", 32)
	if ok && s.UnmarshalText([]byte(text)) != nil {
		b.at(n, "severity must be one of info, low, medium, high, critical, not %q", text)
	}
	return s
}

// readRules reads the rules without compiling their conditions.
func (b *book) readRules(n *yaml.Node, d *draft) {
	seen := make(map[string]bool)
	nodes := b.list(n, "rules", policy.MostRules)
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		b.at(n, "there are no rules")
	}
	for _, item := range nodes {
		r, parts := b.readRule(item)
		if r.ID != "" && seen[r.ID] {
			b.at(item, "the rule %s is there twice", r.ID)
		}
		seen[r.ID] = true
		d.policy.Rules = append(d.policy.Rules, r)
		d.rules = append(d.rules, parts)
	}
}

func (b *book) readRule(n *yaml.Node) (policy.Rule, ruleDraft) {
	r := policy.Rule{Side: policy.OnDevice, For: "device", None: posture.NotApplicable}
	parts := ruleDraft{node: n}
	b.mapping(n, "the rule", []entry{
		{"id", true, func(n *yaml.Node) { r.ID = b.matching(n, "the rule's id", identifier, "ENC-01") }},
		{"title", true, func(n *yaml.Node) { r.Title, _ = b.text(n, "title", policy.MostText) }},
		{"side", false, func(n *yaml.Node) {
			r.Side = policy.Side(cmp.Or(b.word(n, "side", string(policy.OnDevice), string(policy.AtSchool)), string(policy.OnDevice)))
		}},
		{"for", false, func(n *yaml.Node) { r.For = cmp.Or(b.word(n, "for", policy.Subjects()...), "device") }},
		{"when", false, func(n *yaml.Node) { parts.when = n }},
		{"require", true, func(n *yaml.Node) { parts.require = n }},
		{"none", false, func(n *yaml.Node) { r.None = b.none(n) }},
		{"maxAge", false, func(n *yaml.Node) { r.MaxAge = b.duration(n, "maxAge") }},
		{"severity", true, func(n *yaml.Node) { r.Severity = b.severity(n) }},
		{"grace", false, func(n *yaml.Node) {
			r.Grace, r.GraceIn = b.grace(n, "grace")
			parts.graces = append(parts.graces, graceDraft{n, r.Grace, r.GraceIn})
		}},
		{"variants", false, func(n *yaml.Node) {
			var graces []graceDraft
			r.Variants, parts.variants, graces = b.readVariants(n)
			parts.graces = append(parts.graces, graces...)
		}},
		{"escalate", false, func(n *yaml.Node) { r.Escalate = b.readEscalation(n) }},
		{"classes", true, func(n *yaml.Node) { r.Classes = b.classes(n) }},
		{"clauses", true, func(n *yaml.Node) { r.Clauses = b.texts(n, "clauses", policy.MostClauses, nil) }},
		{"met", true, func(n *yaml.Node) { r.Met = b.prose(n, "met") }},
		{"notMet", true, func(n *yaml.Node) { r.NotMet = b.prose(n, "notMet") }},
		{"remediation", true, func(n *yaml.Node) { r.Remediation, r.RemediationOn = b.remediation(n) }},
	})
	if r.Side == policy.AtSchool && r.For != "device" {
		b.at(n, "a rule at the school's side is for the device, not for each %s", r.For)
		r.For = "device"
	}
	r.GraceIn = b.clock(parts.graces)
	return r, parts
}

func (b *book) none(n *yaml.Node) posture.Result {
	var r posture.Result
	word := b.word(n, "none", "notapplicable", "pass", "error")
	if word == "" || r.UnmarshalText([]byte(word)) != nil {
		return posture.NotApplicable
	}
	return r
}

func (b *book) readVariants(n *yaml.Node) (out []policy.Variant, conditions []*yaml.Node, graces []graceDraft) {
	for _, item := range b.list(n, "variants", policy.MostVariants) {
		var v policy.Variant
		var when *yaml.Node
		b.mapping(item, "the variant", []entry{
			{"when", true, func(n *yaml.Node) { when = n }},
			{"severity", true, func(n *yaml.Node) { v.Severity = b.severity(n) }},
			{"grace", false, func(n *yaml.Node) {
				grace, clock := b.grace(n, "grace")
				v.Grace = grace
				graces = append(graces, graceDraft{n, grace, clock})
			}},
		})
		if when != nil {
			out, conditions = append(out, v), append(conditions, when)
		}
	}
	return out, conditions, graces
}

// clock returns the clock of a rule's graces, which is one: none counts 0.
func (b *book) clock(graces []graceDraft) policy.Clock {
	graces = slices.DeleteFunc(slices.Clone(graces), func(g graceDraft) bool { return g.grace == 0 })
	if len(graces) == 0 {
		return policy.CalendarTime
	}
	slices.SortStableFunc(graces, func(x, y graceDraft) int { return cmp.Compare(x.node.Line, y.node.Line) })
	for _, g := range graces[1:] {
		if g.clock != graces[0].clock {
			b.at(g.node, "the rule counts one grace in %s and another in %s: count them alike, for a rule has one clock",
				clockWords(graces[0].clock), clockWords(g.clock))
			break
		}
	}
	return graces[0].clock
}

func clockWords(c policy.Clock) string {
	switch c {
	case policy.SchoolDays:
		return "school days"
	case policy.OnlineTime:
		return "time online"
	case policy.CalendarTime:
	}
	return "plain time"
}

func (b *book) readEscalation(n *yaml.Node) *policy.Escalation {
	var e policy.Escalation
	b.mapping(n, "escalate", []entry{
		{"after", true, func(n *yaml.Node) { e.After = b.duration(n, "after") }},
		{"severity", true, func(n *yaml.Node) { e.Severity = b.severity(n) }},
	})
	return &e
}

// classNames are the schemes' short names of the classes that can have an
// agent.
var classNames = map[string]posture.Ownership{
	"SS": posture.SchoolSingleUser, "SM": posture.SchoolMultiUser, "AU": posture.Authorised,
}

func (b *book) classes(n *yaml.Node) []posture.Ownership {
	var out []posture.Ownership
	for _, name := range b.texts(n, "classes", len(classNames), []string{"SS", "SM", "AU"}) {
		out = append(out, classNames[name])
	}
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		b.at(n, "the rule is for no class")
	}
	return out
}

// prose reads words for people. Line ends become spaces.
func (b *book) prose(n *yaml.Node, what string) string {
	text, _ := b.text(n, what, policy.MostProse)
	text = strings.Join(strings.Fields(text), " ")
	if rest := strings.ReplaceAll(text, policy.SubjectMark, ""); strings.ContainsAny(rest, "{}") {
		b.at(n, "%s may hold %s and no other braces", what, policy.SubjectMark)
	}
	return text
}

// remediation reads one text, or one for each platform with one for all.
func (b *book) remediation(n *yaml.Node) (string, map[posture.Platform]string) {
	if n.Kind != yaml.MappingNode {
		return b.prose(n, "remediation"), nil
	}
	all := ""
	on := make(map[posture.Platform]string)
	entries := []entry{{"all", true, func(n *yaml.Node) { all = b.prose(n, "remediation") }}}
	for _, p := range []posture.Platform{posture.Windows, posture.MacOS, posture.Linux} {
		entries = append(entries, entry{string(p), false, func(n *yaml.Node) { on[p] = b.prose(n, fmt.Sprintf("remediation on %s", p)) }})
	}
	b.mapping(n, "remediation", entries)
	if len(on) == 0 {
		return all, nil
	}
	return all, on
}
