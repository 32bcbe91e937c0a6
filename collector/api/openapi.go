package api

import (
	"encoding"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
)

// object is a JSON object of the description. Its keys are written in order.
type object map[string]any

// describe makes the description of every route (OpenAPI 3.1), from the routes
// themselves and the types of what they take and give.
func describe() ([]byte, error) {
	s := schemas{made: object{}}
	paths := object{}
	for _, r := range routes() {
		at, ok := paths[Prefix+r.path].(object)
		if !ok {
			at = object{}
			paths[Prefix+r.path] = at
		}
		at[strings.ToLower(r.method)] = s.operation(r)
	}
	s.made["Problem"] = s.structure(reflect.TypeFor[problem]())
	document := object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Caretaker", "version": "1",
			"description": "What the collector knows of a school's devices, and what people decide about it. " +
				"Times are RFC 3339; 0001-01-01T00:00:00Z is a time that never came. Fields are added and never renamed or removed.",
		},
		"security":   []any{object{"key": []any{}}},
		"paths":      paths,
		"components": object{"securitySchemes": object{"key": object{"type": "http", "scheme": "bearer"}}, "schemas": s.made},
	}
	if len(s.wrong) > 0 {
		return nil, fmt.Errorf("describe the addresses for programs: %s", strings.Join(s.wrong, "; "))
	}
	data, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("describe the addresses for programs: %w", err)
	}
	return append(data, '\n'), nil
}

// schemas describes types, each named one once.
type schemas struct {
	made  object
	wrong []string
}

func (s *schemas) operation(r route) object {
	problems := object{"description": "why there is no answer", "content": object{
		"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/Problem"}},
	}}
	op := object{
		"summary": r.words,
		"responses": object{
			fmt.Sprint(r.status()): object{
				"description": http.StatusText(r.status()),
				"content":     object{"application/json": object{"schema": s.of(reflect.TypeOf(r.gives))}},
			},
			"default": problems,
		},
	}
	var list []any
	for _, part := range strings.Split(r.path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			list = append(list, object{
				"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"},
			})
		}
	}
	for _, p := range r.params {
		list = append(list, object{"name": p.name, "in": "query", "description": p.words, "schema": p.schema()})
	}
	if list != nil {
		op["parameters"] = list
	}
	if r.takes != nil {
		op["requestBody"] = object{
			"required": true, "content": object{"application/json": object{"schema": s.of(reflect.TypeOf(r.takes))}},
		}
	}
	return op
}

func (p param) schema() object {
	one := object{"type": "string"}
	switch {
	case p.whole:
		one = object{"type": "integer", "minimum": 1, "maximum": 500}
	case len(p.one) > 0:
		one["enum"] = p.one
	}
	if p.many {
		return object{"type": "array", "items": one}
	}
	return one
}

var (
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
)

// of describes a type.
func (s *schemas) of(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[time.Duration]():
		return object{"type": "integer", "description": "nanoseconds"}
	case t.Implements(textMarshaler):
		return object{"type": "string"}
	case isReading(t):
		value, _ := t.FieldByName("Value")
		return object{"oneOf": []any{
			object{"type": "object", "properties": object{"value": s.of(value.Type)}, "required": []string{"value"}},
			object{"type": "object", "properties": object{"absent": object{"type": "string"}}, "required": []string{"absent"}},
		}}
	case t.Implements(jsonMarshaler):
		s.wrong = append(s.wrong, t.String()+" writes itself in a way that is not described")
		return object{}
	}
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64, reflect.Uint32, reflect.Int32, reflect.Uint16, reflect.Uint8:
		return object{"type": "integer"}
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.reference(t)
	default:
		s.wrong = append(s.wrong, t.String()+" is of a kind that is not described")
		return object{}
	}
}

// isReading reports whether a type is a posture.Reading of something.
func isReading(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && strings.HasPrefix(t.Name(), "Reading[") && strings.HasSuffix(t.PkgPath(), "shared/posture")
}

// reference describes a struct once, and refers to it.
func (s *schemas) reference(t reflect.Type) object {
	name := schemaName(t)
	if _, done := s.made[name]; !done {
		s.made[name] = object{} // for one that holds itself
		s.made[name] = s.structure(t)
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// schemaName is the type's own name; an Answer[Volume] is a VolumeAnswer. Types
// of one name in two packages are told apart by the package.
func schemaName(t reflect.Type) string {
	name, of, generic := strings.Cut(t.Name(), "[")
	if generic {
		of = strings.TrimSuffix(of, "]")
		return of[strings.LastIndexByte(of, '.')+1:] + name
	}
	if t.PkgPath() != "" {
		switch room := t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]; room {
		case "view", "api":
		default:
			return strings.ToUpper(room[:1]) + room[1:] + name
		}
	}
	return name
}

func (s *schemas) structure(t reflect.Type) object {
	properties, required := object{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || name == "-":
			continue
		case f.Anonymous && name == "":
			inner := s.structure(f.Type)
			for k, v := range inner["properties"].(object) {
				properties[k] = v
			}
			required = append(required, inner["required"].([]string)...)
			continue
		case name == "":
			name = f.Name
		}
		properties[name] = s.of(f.Type)
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	slices.Sort(required)
	return object{"type": "object", "properties": properties, "required": slices.Compact(required)}
}
