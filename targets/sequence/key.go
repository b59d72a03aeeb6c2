package sequence

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"cardea.dev/cardea/filter"
)

// id tells apart what must happen once only. The zero value is that of a request without a key of the client's.
type id [sha256.Size]byte

// maxKey is how long a client's key may be.
const maxKey = 255

// identify finds out which key the request has.
func (r *run) identify(ex *filter.Exchange) error {
	given, err := r.given(ex)
	switch {
	case err != nil:
		return err
	case given != "":
		r.id = idOf(ex, given)
		r.base = hex.EncodeToString(r.id[:16])
		return nil
	case r.of.require:
		return filter.Reject(filter.BadRequest, "The request needs the field %s, or what stands for it.", keyField)
	}
	// The id of a request may be that of a whole page with several requests, where the client is trusted to give it. They must not be taken for one.
	r.base = ex.ID + "-" + rand.Text()[:13]
	return nil
}

// given is the client's key, or "".
func (r *run) given(ex *filter.Exchange) (string, error) {
	var key string
	if r.of.template != nil {
		made, _ := r.of.template(r.own)
		key = strings.TrimSpace(made)
	} else if lines := ex.Request.Header[keyField]; len(lines) > 1 {
		return "", filter.Reject(filter.BadRequest, "The request has more than one field %s.", keyField)
	} else if len(lines) == 1 {
		key = strings.TrimSpace(lines[0])
		if plain, err := strconv.Unquote(key); err == nil && key[0] == '"' { // the draft wants it quoted; many do without
			key = plain
		}
		if key == "" {
			return "", filter.Reject(filter.BadRequest, "The field %s is empty.", keyField)
		}
	}
	if len(key) > maxKey {
		return "", filter.Reject(filter.BadRequest, "The key of the request is longer than %d bytes.", maxKey)
	}
	return key, nil
}

// idOf binds a client's key to the route and to the caller: nobody can use up, or learn the answers to, the keys of somebody else.
func idOf(ex *filter.Exchange, given string) id {
	h := sha256.New()
	add := func(s string) { h.Write([]byte(strconv.Itoa(len(s)) + ":" + s)) }
	add(ex.Route.Name)
	if who := ex.Identity; who != nil {
		add(who.Method)
		add(who.Consumer)
		add(who.Subject)
		claim := func(name string) string {
			text, _ := who.Claims[name].(string)
			return text
		}
		add(claim("iss"))
		add(claim("issuer")) // of a certificate
		if who.Subject == "" && who.Consumer == "" {
			client := claim("client_id") + " " + claim("azp")
			if client == " " { // nobody is named: the credential says who it is, as long as it is the same
				client = strings.Join(ex.Request.Header["Authorization"], "\n")
			}
			add(client)
		}
	}
	add(given)
	return id(h.Sum(nil))
}

// key is the key of a step's call, or of one that undoes it.
func (r *run) key(i int, direction string) string {
	return r.base + "-" + r.of.steps[i].name + direction
}
