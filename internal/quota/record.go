package quota

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// The file is text. Its first line says what it is. Each other line is a record: the CRC-32C of what follows it, and one of
//
//	s NUMBER "NAME" PERIOD           a series, and the number that the following lines call it by
//	u NUMBER "KEY" LABEL USED …      what a key used in some spans; what was said of these spans before is void
//	r NUMBER "KEY" LABEL USED …      the same; all that was said of the key before is void
//
// A line that is damaged is passed over, and damages no other.
const magic = "cardea-quota 1\n"

// maxLine is how long a line may be.
const maxLine = 64 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // never changed

// seal ends a record that begins at a place of a buffer, where room for the checksum was left.
func seal(b []byte, at int) []byte {
	const digits = "0123456789abcdef"
	sum := crc32.Checksum(b[at+9:], castagnoli)
	for i := range 8 {
		b[at+i] = digits[sum>>(28-4*i)&15]
	}
	return append(b, '\n')
}

const room = "00000000 "

func appendSeries(b []byte, s *Series) []byte {
	at := len(b)
	b = append(b, room+"s "...)
	b = strconv.AppendInt(b, int64(s.number), 10)
	b = append(b, ' ')
	b = strconv.AppendQuote(b, s.name)
	b = append(b, ' ')
	b = append(b, s.period.String()...)
	return seal(b, at)
}

// appendUsage writes what the file does not know of an account, or with whole all of it.
func appendUsage(b []byte, a *account, whole bool) []byte {
	at := len(b)
	kind := "u "
	if whole {
		kind = "r "
	}
	b = append(b, room+kind...)
	b = strconv.AppendInt(b, int64(a.series.number), 10)
	b = append(b, ' ')
	b = strconv.AppendQuote(b, idText(a.id))
	for _, u := range a.recent {
		if u.label != none {
			b = appendPair(b, u)
		}
	}
	for _, u := range a.slots {
		if whole || u.label >= a.from {
			b = appendPair(b, u)
		}
	}
	return seal(b, at)
}

func appendPair(b []byte, u usage) []byte {
	b = append(b, ' ')
	b = strconv.AppendInt(b, u.label, 10)
	b = append(b, ' ')
	return strconv.AppendInt(b, u.used, 10)
}

// reader takes in the records of a file.
type reader struct {
	ledger  *Ledger
	numbers map[int]*Series // what the file calls them
	damaged int
}

// line takes in a line, which has no newline any more.
func (r *reader) line(line []byte) {
	if len(line) < len(room) || line[8] != ' ' {
		r.damaged++
		return
	}
	sum, err := strconv.ParseUint(string(line[:8]), 16, 32)
	if err != nil || uint32(sum) != crc32.Checksum(line[9:], castagnoli) || !r.record(string(line[9:])) {
		r.damaged++
	}
}

// record takes in a record, if it is one.
func (r *reader) record(text string) bool {
	kind, rest, _ := strings.Cut(text, " ")
	digits, rest, _ := strings.Cut(rest, " ")
	number, err := strconv.Atoi(digits)
	if err != nil || number < 0 {
		return false
	}
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return false
	}
	name, err := strconv.Unquote(quoted)
	if err != nil {
		return false
	}
	rest = strings.TrimPrefix(rest[len(quoted):], " ")
	if kind == "s" {
		return r.series(number, name, rest)
	}
	s := r.numbers[number]
	if s == nil || kind != "u" && kind != "r" {
		return false
	}
	return r.usage(s, name, rest, kind == "r")
}

// series takes in a series. A number means the same in all of a file, so that no damage makes usage another's.
func (r *reader) series(number int, name, period string) bool {
	p, err := ParsePeriod(period)
	if err != nil {
		return false
	}
	s := r.ledger.find(name, p)
	if known := r.numbers[number]; known != nil {
		return known == s
	}
	r.numbers[number], s.number = s, number
	r.ledger.taken[number] = true
	return true
}

// usage takes in what a key used.
func (r *reader) usage(s *Series, key, rest string, anew bool) bool {
	id, ok := idOf(key)
	pairs, err := pairsOf(rest)
	if !ok || err != nil {
		return false
	}
	a := s.accounts[id]
	if a != nil && anew {
		s.remove(a)
		a = nil
	}
	if len(pairs) == 0 {
		return true
	}
	if a == nil {
		a = s.add(id)
	}
	for i := len(pairs) - 1; i >= 0; i-- { // the earlier span of a calendar is the second
		a.set(pairs[i])
	}
	return true
}

func pairsOf(text string) ([]usage, error) {
	fields := strings.Fields(text)
	if len(fields)%2 != 0 {
		return nil, fmt.Errorf("a number is missing")
	}
	pairs := make([]usage, 0, len(fields)/2)
	for i := 0; i < len(fields); i += 2 {
		label, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return nil, err
		}
		used, err := strconv.ParseInt(fields[i+1], 10, 64)
		if err != nil || used < 0 || used > Most || label <= none || label >= -none {
			return nil, fmt.Errorf("%s %s is no usage", fields[i], fields[i+1])
		}
		pairs = append(pairs, usage{label, used})
	}
	return pairs, nil
}

// read takes in a whole file but for its first line, and returns how much of it is whole lines.
func (r *reader) read(content *lines) (int64, error) {
	for {
		line, err := content.next()
		if err != nil || line == nil {
			return content.whole, err
		}
		r.line(bytes.TrimSuffix(line, []byte("\n")))
	}
}
