// Package password makes and checks the hashes of passwords: argon2id and bcrypt, in the forms that other programs write too. It does not know
// whose they are. Policies, consumers and the command line import it.
package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// What a hash may cost at most, so that a mistaken one cannot stop the gateway.
const (
	maxMemory  = 256 << 10 // KiB
	maxWork    = 1 << 20   // KiB times passes: about a second
	maxThreads = 16
	maxCost    = 15 // of bcrypt: some seconds
)

// What new hashes cost: the first choice of the OWASP password storage cheat sheet for argon2id.
const (
	newMemory  = 19456 // KiB
	newTime    = 2
	newThreads = 1
	newCost    = 12 // of bcrypt
	saltSize   = 16
	keySize    = 32
)

// MaxBcrypt is how many bytes of a password bcrypt looks at.
const MaxBcrypt = 72

// Hash is the hash of a password. It never changes.
type Hash struct {
	bcrypt  []byte // the whole text; nil for argon2id
	salt    []byte
	key     []byte
	memory  uint32
	time    uint32
	threads uint8
}

// Parse reads a hash: "$argon2id$v=19$m=…,t=…,p=…$salt$hash" or "$2b$…". Its errors never show it.
func Parse(text string) (*Hash, error) {
	switch {
	case strings.HasPrefix(text, "$argon2id$"):
		return parseArgon2(text)
	case strings.HasPrefix(text, "$2a$"), strings.HasPrefix(text, "$2b$"), strings.HasPrefix(text, "$2y$"):
		return parseBcrypt(text)
	}
	if kind := weak(text); kind != "" {
		return nil, fmt.Errorf("this is %s, which is not safe: make an argon2id hash with `cardea hash`, or a bcrypt one with `htpasswd -B`", kind)
	}
	return nil, errors.New("this is not the hash of a password: expected argon2id ($argon2id$…) or bcrypt ($2b$…), as `cardea hash` prints it")
}

// weak names the kinds of hashes that htpasswd files may have and that are refused; "" for what is none of them.
func weak(text string) string {
	for prefix, kind := range map[string]string{
		"$apr1$": "an APR1 (MD5) hash", "{SHA}": "an SHA-1 hash", "{SSHA}": "an SHA-1 hash", "$1$": "an MD5 crypt hash", "$5$": "a SHA-256 crypt hash",
		"$6$": "a SHA-512 crypt hash", "$argon2i$": "an argon2i hash", "$argon2d$": "an argon2d hash", "$y$": "a yescrypt hash", "$7$": "a scrypt hash",
	} {
		if strings.HasPrefix(text, prefix) {
			return kind
		}
	}
	if len(text) == 13 && strings.Trim(text, "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == "" {
		return "a DES crypt hash, or a password in plain text"
	}
	return ""
}

func parseBcrypt(text string) (*Hash, error) {
	cost, err := bcrypt.Cost([]byte(text))
	switch {
	case err != nil || len(text) != 60:
		return nil, errors.New("the bcrypt hash is not well formed")
	case cost > maxCost:
		return nil, fmt.Errorf("the cost of the bcrypt hash is %d, and may be %d at most: checking it would take seconds", cost, maxCost)
	}
	return &Hash{bcrypt: []byte(text)}, nil
}

func parseArgon2(text string) (*Hash, error) {
	malformed := errors.New("the argon2id hash is not well formed: expected $argon2id$v=19$m=…,t=…,p=…$salt$hash")
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[2] != "v=19" {
		return nil, malformed
	}
	memory, time, threads, ok := parameters(parts[3])
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	key, err2 := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	switch {
	case !ok || err1 != nil || err2 != nil:
		return nil, malformed
	case len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64:
		return nil, errors.New("the argon2id hash should have a salt of 8 to 64 bytes, and be of 16 to 64 bytes itself")
	case threads < 1 || threads > maxThreads || time < 1 || memory < 8*threads:
		return nil, fmt.Errorf("the parameters of the argon2id hash are out of bounds: t from 1, p from 1 to %d, m from 8 times p", maxThreads)
	case memory > maxMemory || memory*time > maxWork:
		return nil, fmt.Errorf("the argon2id hash costs too much: m may be %d KiB at most, and m times t %d", maxMemory, maxWork)
	}
	return &Hash{salt: salt, key: key, memory: uint32(memory), time: uint32(time), threads: uint8(threads)}, nil
}

// parameters reads "m=19456,t=2,p=1".
func parameters(text string) (memory, time, threads uint64, ok bool) {
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return 0, 0, 0, false
	}
	numbers := [3]uint64{}
	for i, name := range []string{"m=", "t=", "p="} {
		digits, found := strings.CutPrefix(parts[i], name)
		n, err := strconv.ParseUint(digits, 10, 31)
		if !found || err != nil {
			return 0, 0, 0, false
		}
		numbers[i] = n
	}
	return numbers[0], numbers[1], numbers[2], true
}

// Matches says whether a password is the one that was hashed. It takes the hash's full cost in time and memory whatever the answer is.
func (h *Hash) Matches(password []byte) bool {
	if h.bcrypt != nil {
		return bcrypt.CompareHashAndPassword(h.bcrypt, password) == nil
	}
	key := argon2.IDKey(password, h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

// New makes an argon2id hash.
func New(password []byte) string {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // it never fails
	key := argon2.IDKey(password, salt, newTime, newMemory, newThreads, keySize)
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", newMemory, newTime, newThreads, encode(salt), encode(key))
}

// NewBcrypt makes a bcrypt hash.
func NewBcrypt(password []byte) (string, error) {
	if len(password) > MaxBcrypt {
		return "", fmt.Errorf("the password has %d bytes, and bcrypt looks at the first %d only: use argon2id", len(password), MaxBcrypt)
	}
	hash, err := bcrypt.GenerateFromPassword(password, newCost)
	if err != nil {
		return "", fmt.Errorf("cannot hash the password: %w", err)
	}
	return string(hash), nil
}

// Dummy is a hash that no password has, and that costs what new ones cost.
func Dummy() *Hash {
	return &Hash{salt: make([]byte, saltSize), key: make([]byte, keySize), memory: newMemory, time: newTime, threads: newThreads}
}
