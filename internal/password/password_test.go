package password

import (
	"strings"
	"testing"
)

func TestHashes(t *testing.T) {
	made, err := NewBcrypt([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		New([]byte("secret")), made,
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", // of the reference implementation: "password"
	} {
		password := "secret"
		if strings.Contains(text, "c29tZXNhbHQ$") {
			password = "password"
		}
		h, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if !h.Matches([]byte(password)) || h.Matches([]byte("Secret")) || h.Matches(nil) {
			t.Errorf("%s: matches the wrong password, or not the right one", text)
		}
	}
	if Dummy().Matches(nil) || Dummy().Matches([]byte("x")) {
		t.Error("a password matches the dummy")
	}
}

func TestParseRefuses(t *testing.T) {
	const salt, key = "$c29tZXNhbHQ", "$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for text, want := range map[string]string{
		"":                                      "not the hash",
		"secret":                                "not the hash",
		"$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00": "APR1",
		"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=":     "SHA-1",
		"rqXexS6ZhobKA":                         "DES",
		"$6$saltsalt$abc":                       "SHA-512 crypt",
		"$2b$31$fQwBnKDXkrzPWzhMMbNuYO/gTrnqfYhEY/cZYcAf1VxfTwPjTgDEm": "cost",
		"$2b$05$short": "well formed",
		"$2b$05$fQwBnKDXkrzPWzhMMbNuYO/gTrnqfYhEY/cZYcAf1VxfTwPjTgDEm!": "well formed",
		"$argon2id$v=16$m=64,t=1,p=1" + salt + key:                      "well formed",
		"$argon2id$v=19$m=64,t=1" + salt + key:                          "well formed",
		"$argon2id$v=19$m=-1,t=1,p=1" + salt + key:                      "well formed",
		"$argon2id$v=19$m=4194304,t=1,p=1" + salt + key:                 "costs too much",
		"$argon2id$v=19$m=65536,t=1000000,p=1" + salt + key:             "costs too much",
		"$argon2id$v=19$m=65536,t=0,p=1" + salt + key:                   "out of bounds",
		"$argon2id$v=19$m=65536,t=1,p=0" + salt + key:                   "out of bounds",
		"$argon2id$v=19$m=65536,t=1,p=255" + salt + key:                 "out of bounds",
		"$argon2id$v=19$m=8,t=1,p=2" + salt + key:                       "out of bounds",
		"$argon2id$v=19$m=65536,t=1,p=1$YQ" + key:                       "salt",
		"$argon2id$v=19$m=65536,t=1,p=1" + salt + "$YQ":                 "16 to 64 bytes",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
		if err != nil && len(text) > 12 && strings.Contains(err.Error(), text[8:]) {
			t.Errorf("the error shows the hash: %v", err)
		}
	}
	if _, err := NewBcrypt(make([]byte, 73)); err == nil {
		t.Error("bcrypt takes a password that it would cut")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(New([]byte("x")))
	f.Add("$2b$05$fQwBnKDXkrzPWzhMMbNuYO/gTrnqfYhEY/cZYcAf1VxfTwPjTgDEm")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := Parse(text)
		if err == nil && h.bcrypt == nil && (h.memory > maxMemory || uint64(h.memory)*uint64(h.time) > maxWork) {
			t.Errorf("%q costs too much", text)
		}
	})
}
