package wire

import (
	"fmt"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/shared/posture"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// A reading that nobody asked for travels as a missing message.

func absence(word string) posture.Absence {
	var a posture.Absence
	if a.UnmarshalText([]byte(word)) != nil || a == posture.None {
		return posture.Unreadable
	}
	return a
}

// tidy returns the reading, or that it is unreadable if its value is not one
// that ok accepts.
func tidy[T any](r posture.Reading[T], ok func(T) bool) posture.Reading[T] {
	if r.Known() && !ok(r.Value) {
		return posture.Unread[T](posture.Unreadable)
	}
	return r
}

func decodeReading[T any, M interface {
	GetAbsent() string
	comparable
}](m M, value func(M) T) posture.Reading[T] {
	var none M
	switch {
	case m == none:
		return posture.Unread[T](posture.NotAsked)
	case m.GetAbsent() != "":
		return posture.Unread[T](absence(m.GetAbsent()))
	}
	return posture.Read(value(m))
}

func encodeText(r posture.Reading[string], most int) *pb.Text {
	switch {
	case r.Absent == posture.NotAsked:
		return nil
	case !r.Known():
		return &pb.Text{Absent: r.Absent.String()}
	}
	return &pb.Text{Value: Visible(r.Value, most)}
}

func decodeText(m *pb.Text, most int) posture.Reading[string] {
	return decodeReading(m, func(m *pb.Text) string { return Visible(m.GetValue(), most) })
}

func encodeHash(r posture.Reading[string]) *pb.Text { return encodeText(tidy(r, isHash), maxWord) }

func decodeHash(m *pb.Text) posture.Reading[string] { return tidy(decodeText(m, maxWord), isHash) }

// words is a closed list of the values of one type.
type words[T ~string] []T

// encode writes a reading of one of the words, or that it is unreadable.
func (w words[T]) encode(r posture.Reading[T]) *pb.Text {
	return encodeText(posture.Reading[string]{Value: string(r.Value), Absent: tidy(r, w.has).Absent}, maxWord)
}

func (w words[T]) decode(m *pb.Text) posture.Reading[T] {
	return tidy(decodeReading(m, func(m *pb.Text) T { return T(m.GetValue()) }), w.has)
}

func (w words[T]) has(v T) bool { return slices.Contains(w, v) }

// check returns the word, or an error if it is not in the list.
func (w words[T]) check(what string, v T) (T, error) {
	if !w.has(v) {
		return "", fmt.Errorf("%.40q is not a %s", string(v), what)
	}
	return v, nil
}

func encodeTruth(r posture.Reading[bool]) *pb.Truth {
	switch {
	case r.Absent == posture.NotAsked:
		return nil
	case !r.Known():
		return &pb.Truth{Absent: r.Absent.String()}
	}
	return &pb.Truth{Value: r.Value}
}

func decodeTruth(m *pb.Truth) posture.Reading[bool] { return decodeReading(m, (*pb.Truth).GetValue) }

// All numbers that are read are sizes, counts or lengths of time.
func encodeNumber(r posture.Reading[int64]) *pb.Number {
	r = tidy(r, notNegative)
	switch {
	case r.Absent == posture.NotAsked:
		return nil
	case !r.Known():
		return &pb.Number{Absent: r.Absent.String()}
	}
	return &pb.Number{Value: r.Value}
}

func decodeNumber(m *pb.Number) posture.Reading[int64] {
	return tidy(decodeReading(m, (*pb.Number).GetValue), notNegative)
}

func notNegative(n int64) bool { return n >= 0 }

func encodeInstant(r posture.Reading[time.Time]) *pb.Instant {
	r = tidy(r, func(t time.Time) bool { return t.IsZero() || fits(t) })
	switch {
	case r.Absent == posture.NotAsked:
		return nil
	case !r.Known():
		return &pb.Instant{Absent: r.Absent.String()}
	}
	return &pb.Instant{UnixNano: nanos(r.Value)}
}

func decodeInstant(m *pb.Instant) posture.Reading[time.Time] {
	return decodeReading(m, func(m *pb.Instant) time.Time { return instant(m.GetUnixNano()) })
}

// fits reports whether a time can be told in nanoseconds since 1970.
func fits(t time.Time) bool {
	return t.After(time.Unix(0, math.MinInt64)) && t.Before(time.Unix(0, math.MaxInt64))
}

// nanos returns nanoseconds since 1970, 0 for a time that is not known.
func nanos(t time.Time) int64 {
	if t.IsZero() || !fits(t) {
		return 0
	}
	return t.UnixNano()
}

func instant(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

// leftOut names the gap of what exceeded a bound.
const leftOut = "limit"

func encodeGaps(gaps []posture.Gap) []*pb.Gap {
	var out []*pb.Gap
	for _, g := range gaps {
		if len(out) == maxGaps-1 && len(gaps) > maxGaps {
			return append(out, &pb.Gap{Source: leftOut, Absent: posture.NotVisible.String()})
		}
		why := g.Absent
		if why == posture.None {
			why = posture.Unreadable
		}
		out = append(out, &pb.Gap{Source: Visible(g.Source, maxWord), Absent: absence(why.String()).String()})
	}
	return out
}

func decodeGaps(gaps []*pb.Gap) []posture.Gap {
	var out []posture.Gap
	for _, g := range gaps {
		out = append(out, posture.Gap{Source: Visible(g.GetSource(), maxWord), Absent: absence(g.GetAbsent())})
	}
	return out
}

// encodeAnswer writes an answer's origin and as many of its items as the budget
// allows.
func encodeAnswer[T any, M proto.Message](b *budget, a posture.Answer[T], encode func(T) (M, error)) (*pb.Origin, []M, error) {
	if a.Absent != posture.None {
		return &pb.Origin{Absent: a.Absent.String(), Source: Visible(a.Source, maxWord), Gaps: encodeGaps(a.Gaps)}, nil, nil
	}
	var items []M
	gaps := a.Gaps
	for i, item := range a.Items {
		m, err := encode(item)
		if err != nil {
			return nil, nil, fmt.Errorf("item %d: %w", i, err)
		}
		if !b.take(proto.Size(m)) {
			gaps = append([]posture.Gap{{Source: leftOut, Absent: posture.NotVisible}}, gaps...)
			break
		}
		items = append(items, m)
	}
	return &pb.Origin{Absent: posture.None.String(), Source: Visible(a.Source, maxWord), Gaps: encodeGaps(gaps)}, items, nil
}

// decodeAnswer reads what encodeAnswer writes. An origin that is missing
// claims nothing.
func decodeAnswer[T, M any](o *pb.Origin, items []M, readAt time.Time, decode func(M) (T, error)) (posture.Answer[T], error) {
	a := posture.Answer[T]{Source: Visible(o.GetSource(), maxWord), Gaps: decodeGaps(o.GetGaps()), ReadAt: readAt}
	switch word := o.GetAbsent(); word {
	case "":
		a.Absent = posture.NotAsked
	case posture.None.String():
		a.Absent = posture.None
	default:
		a.Absent = absence(word)
	}
	if a.Absent != posture.None {
		return a, nil
	}
	for i, m := range items {
		item, err := decode(m)
		if err != nil {
			return posture.Answer[T]{}, fmt.Errorf("item %d: %w", i, err)
		}
		a.Items = append(a.Items, item)
	}
	return a, nil
}
