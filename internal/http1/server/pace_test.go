package server

import (
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	type step struct {
		n      int
		waited time.Duration
	}
	const s = time.Second
	for name, c := range map[string]struct {
		steps []step
		slow  bool
	}{
		"nothing is asked of who need not be waited for": {[]step{{1, 0}, {1, 0}}, false},
		"nothing in the whole time":                      {[]step{{0, 10 * s}}, true},
		"a little in the whole time":                     {[]step{{99, 5 * s}, {0, 5 * s}}, true},
		"enough":                                         {[]step{{50, 5 * s}, {50, 5 * s}}, false},
		"much at first, and then little":                 {[]step{{1 << 20, 9 * s}, {0, s}, {99, 10 * s}}, true},
		"the time is not over yet":                       {[]step{{1, 9 * s}}, false},
		"a wait that is longer":                          {[]step{{1000, time.Minute}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMeter(Pace{Bytes: 100, Within: 10 * s})
			for _, step := range c.steps {
				m.Note(step.n, step.waited)
			}
			if m.Slow() != c.slow {
				t.Errorf("slow: %v", m.Slow())
			}
		})
	}
	m := NewMeter(Pace{Bytes: 100, Within: 10 * s})
	m.Note(99, 4*s)
	if left, enough := m.Left(); left != 6*s || enough {
		t.Errorf("left %v, enough %v", left, enough)
	}
	m.Note(1, 0)
	if _, enough := m.Left(); !enough {
		t.Error("not enough")
	}
	if (&Meter{}).On() {
		t.Error("the zero value asks something")
	}
}
