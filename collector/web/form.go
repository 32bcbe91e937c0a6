package web

import (
	"net/http"
	"strings"
)

// wrong is what is wrong with a field of a form.
type wrong struct {
	Field string // its id
	Words string
}

// titleOf is the title of a page with a form: who hears it is told first that
// something is wrong.
func titleOf(title string, bad []wrong) string {
	if len(bad) > 0 {
		return "Error: " + title
	}
	return title
}

// statusOf is the status of a page with a form.
func statusOf(bad []wrong) int {
	if len(bad) > 0 {
		return http.StatusUnprocessableEntity
	}
	return http.StatusOK
}

// field is one line of a form.
type field struct {
	ID, Label, Type, Value, Hint string
	Wrong                        string // "" if nothing is
}

// newField makes a field with what is wrong with it among all that is.
func newField(all []wrong, id, label, kind, value, hint string) field {
	f := field{ID: id, Label: label, Type: kind, Value: value, Hint: hint}
	for _, w := range all {
		if w.Field == id {
			f.Wrong = w.Words
		}
	}
	return f
}

// DescribedBy lists the ids of what tells more about the field.
func (f field) DescribedBy() string {
	var ids []string
	if f.Hint != "" {
		ids = append(ids, f.ID+"-hint")
	}
	if f.Wrong != "" {
		ids = append(ids, f.ID+"-error")
	}
	return strings.Join(ids, " ")
}

// newTextArea is newField for several lines.
func newTextArea(all []wrong, id, label, value, hint string) field {
	return newField(all, id, label, "", value, hint)
}

// chooser is a field of a form that offers what there is to choose from.
type chooser struct {
	field
	Choices []choice
}

func newChooser(all []wrong, id, label string, choices []choice, hint string) chooser {
	return chooser{newField(all, id, label, "", "", hint), choices}
}

// check is a box of a form that is ticked or not.
type check struct {
	field
	Ticked bool
}

func newCheck(all []wrong, id, label string, ticked bool, hint string) check {
	return check{newField(all, id, label, "checkbox", "", hint), ticked}
}

// momentField is a day and a time, of a form.
type momentField struct {
	Legend, Hint string
	Day, Time    field
}

func newMomentField(all []wrong, id, legend string, t typed, hint string) momentField {
	return momentField{legend, hint, newField(all, id+"-day", "Day", "date", t.Day, ""), newField(all, id+"-time", "Time", "time", t.Time, "")}
}
