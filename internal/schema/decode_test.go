package schema

import (
	"bytes"
	"encoding/json"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var texts = []string{
	`null`, `true`, `"a\u0041\n"`, `""`, `-1.50e+3`, `[]`, `{}`, `{"":{"a":[1,[2,{"b\"c":"d"}],3],"é":"\ud83d\ude00"},"x":[[],{}]}`,
	`[1,2,3,4,5,6,7,8,9,{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10}]`,
}

func FuzzDecode(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := Decode(bytes.Clone(text), Bounds{})
		if err != nil {
			return
		}
		var want any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestValuesAreTheirOwn: they stay as they are once the text's buffer is used again, and when many texts are read at a time.
func TestValuesAreTheirOwn(t *testing.T) {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				for _, text := range texts {
					own := []byte(text)
					got, err := Decode(own, Bounds{})
					clear(own)
					again, err2 := Decode([]byte(text), Bounds{})
					if diff := cmp.Diff(again, got); diff != "" || err != nil || err2 != nil {
						t.Error(diff, err, err2)
					}
					if _, err := Decode([]byte(text[:len(text)-1]+"x"), Bounds{Values: 3}); err == nil {
						t.Error("no error")
					}
				}
			}
		})
	}
	all.Wait()
}
