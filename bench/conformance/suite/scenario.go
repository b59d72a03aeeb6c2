package suite

import "time"

// Kind says how binding it is what a scenario asks for.
type Kind int

const (
	Required    Kind = iota // the RFC says MUST
	Recommended             // the RFC says SHOULD, or a cache that does otherwise asks the origin without need
	Optional                // caches may differ
)

func (k Kind) String() string { return [...]string{"required", "recommended", "optional"}[k] }

// Scenario is a few requests in a row, and what must hold. Those of one scenario share a path that nothing else uses.
type Scenario struct {
	ID      string // stable: documents and tests refer to it
	Section string // number of the RFC and of the section
	Kind    Kind
	About   string // what must hold, in a sentence
	Steps   []Step
}

// Step is one request.
//
// In its texts and those of its answer, {now+1h} is the time at which the scenario began, and an hour, as HTTP writes times; {path} is the path of
// the scenario; {host} is where the cache is.
type Step struct {
	Method  string        // "" is GET
	Path    string        // after the scenario's own
	Target  string        // the whole request target, where Path will not do
	Fields  []string      // "Name: value"; Host is one of them
	Body    string        // of the request
	Wait    time.Duration // before the request
	Clients int           // how many send it at once; 0 is one
	Answer  Answer        // of the origin, if it is asked
	Expect  []Check
}

// Answer is what the origin does when it is asked in a step.
type Answer struct {
	Status  int // 0 is 200
	Fields  []string
	Body    *string // nil: a text with the number of the step
	Interim []string
	Delay   time.Duration // before anything is sent

	Processing bool // whether a 102 comes first

	Validates bool     // 304 where the request has a condition that Fields satisfy, or nothing to compare with
	Foreign   bool     // 304 to any condition, whatever it says
	Ranges    bool     // 206 where the request asks for a range
	Chunked   bool     // sent in chunks
	Trailer   []string // sent after chunks
	Cut       bool     // the connection ends before the body does
	ToClose   bool     // the body ends with the connection
	Hangup    bool     // the connection ends before anything is sent
	NoDate    bool
}

func (s Step) method() string {
	if s.Method == "" {
		return "GET"
	}
	return s.Method
}

func get(fields ...string) Step { return Step{Fields: fields} }

func request(method string, fields ...string) Step {
	s := Step{Method: method, Fields: fields}
	switch method {
	case "POST", "PUT", "PATCH":
		s.Body = "content"
	}
	return s
}

func (s Step) at(path string) Step {
	s.Path = path
	return s
}

func (s Step) target(target string) Step {
	s.Target = target
	return s
}

func (s Step) after(d time.Duration) Step {
	s.Wait = d
	return s
}

func (s Step) together(n int) Step {
	s.Clients = n
	return s
}

// gives sets status and fields of the origin's answer.
func (s Step) gives(status int, fields ...string) Step {
	s.Answer.Status, s.Answer.Fields = status, fields
	return s
}

// answered sets the fields of the origin's answer.
func (s Step) answered(fields ...string) Step { return s.gives(200, fields...) }

// validates makes the origin answer 304 to conditions.
func (s Step) validates(fields ...string) Step {
	s.Answer.Fields, s.Answer.Validates = fields, true
	return s
}

func (s Step) with(change func(*Answer)) Step {
	change(&s.Answer)
	return s
}

func (s Step) then(checks ...Check) Step {
	s.Expect = append(s.Expect[:len(s.Expect):len(s.Expect)], checks...)
	return s
}

func steps(all ...Step) []Step { return all }

// twice is the commonest scenario: an answer with these fields, and what becomes of a second request.
func twice(id, section string, kind Kind, about string, check Check, fields ...string) Scenario {
	return Scenario{id, section, kind, about, steps(get().answered(fields...), get().answered(fields...).then(check))}
}
