package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// param is one parameter that a route takes behind the question mark.
type param struct {
	name  string
	words string   // for the description
	one   []string // the only values; none: any text
	many  bool     // it may be given several times
	whole bool     // it is a whole number
}

// params are the parameters of a request, checked.
type params map[string][]string

func (p params) first(name string) string {
	if len(p[name]) == 0 {
		return ""
	}
	return p[name][0]
}

// limit returns how many are asked for at most; 0 if that was not given.
func (p params) limit() int {
	n, err := strconv.Atoi(p.first("limit"))
	if err != nil {
		return 0 // not given: readParams takes only numbers
	}
	return n
}

const maxValue = 1024 // bytes of a parameter

// readParams takes the parameters of a request, and refuses any that the route
// does not take: a filter that is misspelt must not select everything.
func readParams(r *http.Request, takes []param) (params, error) {
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, bad("the parameters behind the question mark cannot be read")
	}
	names := make([]string, 0, len(given))
	for name := range given {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		i := slices.IndexFunc(takes, func(p param) bool { return p.name == name })
		if i < 0 {
			return nil, bad("this address takes no parameter %.64q", name)
		}
		if err := takes[i].check(given[name]); err != nil {
			return nil, err
		}
	}
	return params(given), nil
}

func (p param) check(values []string) error {
	if len(values) > 1 && !p.many {
		return bad("%s may be given once", p.name)
	}
	for _, v := range values {
		switch n, err := strconv.Atoi(v); {
		case v == "" && p.name != afterParam.name:
			return bad("%s is empty; leave it out if it is not meant", p.name)
		case len(v) > maxValue || !utf8.ValidString(v):
			return bad("%s is longer than %d bytes, or no text", p.name, maxValue)
		case p.whole && (err != nil || n < 1 || n > 500):
			return bad("%s is a whole number from 1 to 500, not %.64q", p.name, v)
		case len(p.one) > 0 && !slices.Contains(p.one, v):
			return bad("%s is one of %s, not %.64q", p.name, strings.Join(p.one, ", "), v)
		}
	}
	return nil
}

func bad(format string, args ...any) error {
	return &problem{Status: http.StatusBadRequest, Detail: fmt.Sprintf(format, args...)}
}
