package rulebook

import (
	"go.yaml.in/yaml/v3"
)

// place is where something stands in a text, from 1; zero if it does not.
type place struct{ line, column int }

// outline returns where the rules and parameters of a sound text stand: a rule
// under its identifier, a field of it as in ENC-01.grace, a parameter as
// param.name, and the list of all rules as rules.
func outline(source []byte) map[string]place {
	places := map[string]place{}
	var root yaml.Node
	if yaml.Unmarshal(source, &root) != nil || len(root.Content) != 1 {
		return places
	}
	at := func(n *yaml.Node) place { return place{n.Line, n.Column} }
	fields(root.Content[0], func(key, value *yaml.Node) {
		switch key.Value {
		case "parameters":
			fields(value, func(key, _ *yaml.Node) { places["param."+key.Value] = at(key) })
		case "rules":
			places["rules"] = at(key)
			for _, rule := range value.Content {
				id := ""
				fields(rule, func(key, value *yaml.Node) {
					if key.Value == "id" {
						id = value.Value
					}
				})
				places[id] = at(rule)
				fields(rule, func(key, _ *yaml.Node) { places[id+"."+key.Value] = at(key) })
			}
		}
	})
	return places
}

// fields calls f with each key and value of a mapping.
func fields(n *yaml.Node, f func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		f(n.Content[i], n.Content[i+1])
	}
}
