package http1

import "testing"

func TestCommonWords(t *testing.T) {
	n := 0
	for _, word := range common.slots {
		if word == "" {
			continue
		}
		n++
		if got := common.find([]byte(word)); got != word {
			t.Errorf("%s is found as %q", word, got)
		}
		if got := common.find([]byte(word[:len(word)-1] + "?")); got != "" {
			t.Errorf("what is not %s is found as it", word)
		}
		c := []byte(word)
		if canonical(c); n > 7 && string(c) != word && word[1] >= 'a' {
			t.Errorf("%s is not how a header has it", word)
		}
	}
	if n != 56 {
		t.Errorf("there are %d words", n)
	}
}
