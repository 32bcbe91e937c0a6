package rulebook

import (
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/caretaker-school/caretaker/collector/fault"
)

// Choose returns a policy's text with some of its choices made: values of
// parameters that have choices, by name. Nothing else of the text changes. What
// cannot be chosen is a fault.ListError.
func Choose(file string, source []byte, choices map[string]string) ([]byte, error) {
	if _, err := Compile(file, source); err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(source, &root); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	values := map[string]*yaml.Node{}
	fields(root.Content[0], func(key, value *yaml.Node) {
		if key.Value != "parameters" {
			return
		}
		fields(value, func(name, parameter *yaml.Node) {
			fields(parameter, func(key, value *yaml.Node) {
				if key.Value == "value" {
					values[name.Value] = value
				}
			})
		})
	})
	lines := split(source)
	var wrong fault.ListError
	for _, name := range slices.Sorted(maps.Keys(choices)) {
		value, ok := values[name]
		if !ok {
			wrong = append(wrong, fault.Fault{File: file, Line: 1, Column: 1, Message: fmt.Sprintf("the policy has no parameter %q with choices", name)})
			continue
		}
		line, was := lines[value.Line-1], []rune(value.Value)
		from := value.Column - 1
		if value.Style != 0 || from+len(was) > len(line) || string(line[from:from+len(was)]) != value.Value {
			wrong = append(wrong, fault.Fault{File: file, Line: value.Line, Column: value.Column, Message: "write this value as a plain word, so that another can be chosen"})
			continue
		}
		lines[value.Line-1] = slices.Concat(line[:from], []rune(choices[name]), line[from+len(was):])
	}
	if len(wrong) > 0 {
		return nil, wrong.Sorted()
	}
	var out []rune
	for i, line := range lines {
		if i > 0 {
			out = append(out, '\n')
		}
		out = append(out, line...)
	}
	chosen := []byte(string(out))
	_, err := Compile(file, chosen) // that each is one of its parameter's choices
	return chosen, err
}
