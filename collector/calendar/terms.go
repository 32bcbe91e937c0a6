package calendar

// longestBreak is longer than any holiday within a term, in days. Two terms of
// one name are further apart.
const longestBreak = 35

// Terms lists the terms that the calendar knows. A holiday within a term, such as
// half-term, does not end it.
func (c *Calendar) Terms() (list []Span) {
	var last Date
	for _, s := range c.Spans() {
		if s.Kind != School {
			continue
		}
		if n := len(list) - 1; n >= 0 && list[n].Name == s.Name && s.From-last <= longestBreak {
			list[n].To = s.To
		} else {
			list = append(list, s)
		}
		last = s.To
	}
	return list
}
