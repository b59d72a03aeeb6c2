package externalauth

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"golang.org/x/net/http/httpguts"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"cardea.dev/cardea/filter"
)

// checkResponse is an envoy.service.auth.v3.CheckResponse, as far as it is used.
type checkResponse struct {
	code     uint64         // of google.rpc; 0: the request may pass
	failed   bool           // error_response: the authorizer could not decide
	status   uint64         // of denied_response; 0: none
	body     []byte         // of denied_response
	refusal  []option       // its fields
	set      []option       // of ok_response
	client   []option       // of ok_response
	remove   []string       // of ok_response
	query    queryEdit      // of ok_response
	metadata map[string]any // dynamic_metadata
}

// option is an envoy.config.core.v3.HeaderValueOption.
type option struct {
	name, value string
	append      *bool // the old way to say how; nil: it is not said
	action      uint64
}

// The values of HeaderAppendAction.
const (
	appendOrAdd = iota
	addIfAbsent
	overwriteOrAdd
	overwriteIfExists
)

// each goes through the fields of a message: strings, bytes and messages, and integers. A field that is of another type than it should be is
// one that is not known, as for every reader of protobuf.
func each(b []byte, visit func(at protowire.Number, value []byte) error, integer func(at protowire.Number, n uint64)) error {
	for len(b) > 0 {
		at, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if size = protowire.ConsumeFieldValue(at, kind, b); size < 0 {
			return protowire.ParseError(size)
		}
		switch {
		case kind == protowire.BytesType && visit != nil:
			value, _ := protowire.ConsumeBytes(b)
			if err := visit(at, value); err != nil {
				return err
			}
		case kind == protowire.VarintType && integer != nil:
			n, _ := protowire.ConsumeVarint(b)
			integer(at, n)
		}
		b = b[size:]
	}
	return nil
}

// first reads the integer that is the first field of a message.
func first(b []byte, into *uint64) error {
	return each(b, nil, func(at protowire.Number, n uint64) {
		if at == 1 {
			*into = n
		}
	})
}

func decodeCheckResponse(b []byte) (*checkResponse, error) {
	r := &checkResponse{}
	err := each(b, func(at protowire.Number, value []byte) error {
		switch at {
		case 1: // status
			return first(value, &r.code)
		case 2:
			return r.denied(value)
		case 3:
			return r.ok(value)
		case 4:
			return r.dynamic(value)
		case 5:
			r.failed = true
		}
		return nil
	}, nil)
	return r, err
}

// denied reads a DeniedHttpResponse.
func (r *checkResponse) denied(b []byte) error {
	return each(b, func(at protowire.Number, value []byte) (err error) {
		switch at {
		case 1: // status
			return first(value, &r.status)
		case 2:
			r.refusal, err = appendOption(r.refusal, value)
		case 3:
			r.body = slices.Clone(value)
		}
		return err
	}, nil)
}

// ok reads an OkHttpResponse.
func (r *checkResponse) ok(b []byte) error {
	return each(b, func(at protowire.Number, value []byte) (err error) {
		switch at {
		case 2:
			r.set, err = appendOption(r.set, value)
		case 3:
			return r.dynamic(value)
		case 5:
			r.remove = append(r.remove, string(value))
		case 6:
			r.client, err = appendOption(r.client, value)
		case 7:
			var p pair
			p.name, p.value, err = decodePair(value)
			r.query.set = append(r.query.set, p)
		case 8:
			r.query.remove = append(r.query.remove, string(value))
		}
		return err
	}, nil)
}

// dynamic reads a google.protobuf.Struct.
func (r *checkResponse) dynamic(b []byte) error {
	s := &structpb.Struct{}
	if err := (proto.UnmarshalOptions{RecursionLimit: 32}).Unmarshal(b, s); err != nil {
		return fmt.Errorf("cannot read its metadata: %w", err)
	}
	if r.metadata == nil {
		r.metadata = map[string]any{}
	}
	maps.Copy(r.metadata, s.AsMap())
	return nil
}

// decodePair reads a message of a key, a value, and in the place of that perhaps raw bytes.
func decodePair(b []byte) (name, value string, err error) {
	err = each(b, func(at protowire.Number, v []byte) error {
		switch {
		case at == 1:
			name = string(v)
		case at == 2, at == 3 && len(v) > 0:
			value = string(v)
		}
		return nil
	}, nil)
	return name, value, err
}

func appendOption(to []option, b []byte) ([]option, error) {
	var o option
	err := each(b, func(at protowire.Number, value []byte) (err error) {
		switch at {
		case 1:
			o.name, o.value, err = decodePair(value)
		case 2: // append, a BoolValue
			yes := uint64(0)
			err = first(value, &yes)
			appends := yes != 0
			o.append = &appends
		}
		return err
	}, func(at protowire.Number, n uint64) {
		if at == 3 {
			o.action = n
		}
	})
	return append(to, o), err
}

// how is what the option does. Where nothing is said it replaces in a request, as ext_authz promises, and adds to an answer.
func (o *option) how(inRequest bool) how {
	switch {
	case o.append != nil && *o.append:
		return adds
	case o.append != nil, o.action == overwriteOrAdd, o.action == appendOrAdd && inRequest:
		return sets
	case o.action == addIfAbsent:
		return setsIfAbsent
	case o.action == overwriteIfExists:
		return setsIfPresent
	}
	return adds
}

// errField says that an answer is of no use for a field in it.
var errField = errors.New("its answer sets a field that cannot be set")

// changes makes changes of options. What could change more than a field is an error.
func changes(options []option, inRequest bool) ([]field, error) {
	var out []field
	for i := range options {
		o := &options[i]
		name := http.CanonicalHeaderKey(o.name)
		if !httpguts.ValidHeaderFieldName(o.name) || !httpguts.ValidHeaderFieldValue(o.value) || ofConnection(name) {
			return nil, fmt.Errorf("%w: %.60q", errField, o.name)
		}
		out = append(out, field{name: name, values: []string{o.value}, how: o.how(inRequest)})
	}
	return out, nil
}

// verdict is what an answer means.
func (k *check) verdict(r *checkResponse) (*verdict, error) {
	switch {
	case r.code == 0:
		return k.accept(r)
	case r.failed:
		return nil, fmt.Errorf("it could not decide, and answered an error with code %d", r.code)
	}
	status := 403
	if r.status != 0 {
		status = int(min(r.status, 1000))
	}
	if status < 300 || status > 599 || status == http.StatusNotModified {
		return nil, fmt.Errorf("it refuses the request with the status %d", status)
	}
	fields, err := changes(r.refusal, false)
	if err != nil {
		return nil, err
	}
	d := &denial{whom: k.whom, status: status, header: http.Header{}, whole: len(r.body) > 0 && len(r.body) <= k.maxBody}
	for i := range fields {
		fields[i].change(d.header)
	}
	if d.whole {
		if d.body = r.body; d.header["Content-Type"] == nil {
			d.header["Content-Type"] = []string{"text/plain"}
		}
	}
	return &verdict{denied: d}, nil
}

// accept is what an accepting answer means.
func (k *check) accept(r *checkResponse) (*verdict, error) {
	set, err := changes(r.set, true)
	if err != nil {
		return nil, err
	}
	client, err := changes(r.client, false)
	if err != nil {
		return nil, err
	}
	shown := http.Header{}
	for i := range set {
		set[i].change(shown)
	}
	id, but := identify(shown, &k.identity, k.consumers, k.unknown)
	if but != "" {
		return &verdict{denied: &denial{whom: k.whom, status: http.StatusForbidden, but: but}}, nil
	}
	v := &verdict{identity: withClaims(id, r.metadata), client: client}
	for _, f := range set {
		if k.upstream == nil || slices.Contains(k.upstream, f.name) {
			v.set = append(v.set, f)
		}
	}
	for _, name := range r.remove {
		if name = http.CanonicalHeaderKey(name); !ofConnection(name) {
			v.remove = append(v.remove, name)
		}
	}
	if len(r.query.set)+len(r.query.remove) > 0 {
		v.query = &r.query
	}
	return v, nil
}

// withClaims is an identity with further claims.
func withClaims(id *filter.Identity, claims map[string]any) *filter.Identity {
	if len(claims) == 0 {
		return id
	}
	with := *id
	with.Claims = maps.Clone(claims)
	maps.Copy(with.Claims, id.Claims)
	return &with
}
