package cedar

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"iter"
	"math"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"cardea.dev/cardea/filter"
)

// entities are those that one request is judged by: those of the files, the principal, and the resource, which is made when it is asked for.
type entities struct {
	set       *set
	question  *cedar.Request
	principal *types.Entity
	resource  *types.Entity // nil: not asked for yet
	ex        *filter.Exchange
}

// Get returns an entity.
func (e *entities) Get(uid types.EntityUID) (types.Entity, bool) {
	switch uid {
	case e.question.Principal:
		return *e.principal, true
	case e.question.Resource:
		if e.resource == nil {
			made := merge(resourceEntity(uid, e.ex), e.set.entities)
			e.resource = &made
		}
		return *e.resource, true
	}
	return e.set.entities.Get(uid)
}

// merge adds to an entity of a request what the files say of it. Of what both say, the files' counts.
func merge(e types.Entity, files types.EntityMap) types.Entity {
	written, ok := files[e.UID]
	if !ok {
		return e
	}
	attributes := e.Attributes.Map()
	for name, value := range written.Attributes.All() {
		attributes[name] = value
	}
	parents := slices.AppendSeq(slices.Collect(e.Parents.All()), written.Parents.All())
	return types.Entity{UID: e.UID, Parents: types.NewEntityUIDSet(parents...), Attributes: types.NewRecord(attributes), Tags: written.Tags}
}

// resourceEntity makes the resource of a request.
func resourceEntity(uid types.EntityUID, ex *filter.Exchange) types.Entity {
	params := types.RecordMap{}
	if p, ok := ex.Params.(interface {
		All() iter.Seq2[string, string]
	}); ok {
		for name, value := range p.All() {
			params[types.String(name)] = types.String(value)
		}
	}
	attributes := types.RecordMap{
		"path": types.String(ex.Original.Path), "host": types.String(ex.Original.Host), "scheme": types.String(ex.Original.Scheme),
		"params": types.NewRecord(params),
	}
	e := types.Entity{UID: uid}
	if ex.Route != nil {
		attributes["route"] = types.String(ex.Route.Name)
		if route := types.NewEntityUID("Route", types.String(ex.Route.Name)); route != uid {
			e.Parents = types.NewEntityUIDSet(route)
		}
	}
	e.Attributes = types.NewRecord(attributes)
	return e
}

// principalEntity makes the principal of an identity.
func principalEntity(uid types.EntityUID, id *filter.Identity) types.Entity {
	if id == nil {
		return types.Entity{UID: uid}
	}
	attributes := types.RecordMap{"groups": texts(id.Groups), "scopes": texts(id.Scopes), "tags": tags(id.Tags), "claims": claims(id.Claims)}
	for name, value := range map[types.String]string{"subject": id.Subject, "consumer": id.Consumer, "method": id.Method} {
		if value != "" {
			attributes[name] = types.String(value)
		}
	}
	parents := make([]types.EntityUID, len(id.Groups))
	for i, group := range id.Groups {
		parents[i] = types.NewEntityUID("Group", types.String(group))
	}
	return types.Entity{UID: uid, Parents: types.NewEntityUIDSet(parents...), Attributes: types.NewRecord(attributes)}
}

func texts(list []string) types.Value {
	values := make([]types.Value, len(list))
	for i, s := range list {
		values[i] = types.String(s)
	}
	return types.NewSet(values...)
}

func tags(all map[string]string) types.Value {
	record := types.RecordMap{}
	for name, value := range all {
		record[types.String(name)] = types.String(value)
	}
	return types.NewRecord(record)
}

func claims(all map[string]any) types.Value {
	if value, ok := cedarValue(all); ok {
		return value
	}
	return types.NewRecord(nil)
}

// cedarValue makes a Cedar value of one of JSON. Null has none.
func cedarValue(v any) (types.Value, bool) {
	switch v := v.(type) {
	case string:
		return types.String(v), true
	case bool:
		return types.Boolean(v), true
	case int:
		return types.Long(v), true
	case int64:
		return types.Long(v), true
	case float64:
		return cedarNumber(v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return types.Long(n), true
		}
		f, err := v.Float64()
		if err != nil {
			return nil, false
		}
		return cedarNumber(f)
	case []string:
		return texts(v), true
	case []any:
		values := make([]types.Value, 0, len(v))
		for _, item := range v {
			if value, ok := cedarValue(item); ok {
				values = append(values, value)
			}
		}
		return types.NewSet(values...), true
	case map[string]any:
		record := types.RecordMap{}
		for name, item := range v {
			if value, ok := cedarValue(item); ok {
				record[types.String(name)] = value
			}
		}
		return types.NewRecord(record), true
	case fmt.Stringer:
		return types.String(v.String()), true
	}
	return nil, false
}

// cedarNumber makes a Long of a whole number, and a Decimal of another.
func cedarNumber(f float64) (types.Value, bool) {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return types.Long(f), true
	}
	d, err := types.NewDecimalFromFloat(f)
	return d, err == nil
}

// address makes a Cedar address.
func address(a netip.Addr) types.IPAddr {
	a = a.Unmap().WithZone("")
	return types.IPAddr(netip.PrefixFrom(a, a.BitLen()))
}

// principals remembers the principals of identities that were seen lately, since identities are shared and never change. A place holds the last
// that fell on it.
type principals struct {
	seed   maphash.Seed
	places [1024]atomic.Pointer[knownPrincipal]
}

type knownPrincipal struct {
	of     *filter.Identity
	uid    types.EntityUID
	entity types.Entity
}

// find returns the principal of an identity, merged with what files say.
func (p *principals) find(uid types.EntityUID, id *filter.Identity, files types.EntityMap) *types.Entity {
	place := &p.places[maphash.String(p.seed, string(uid.ID))%uint64(len(p.places))]
	if known := place.Load(); known != nil && known.of == id && known.uid == uid {
		return &known.entity
	}
	fresh := &knownPrincipal{id, uid, merge(principalEntity(uid, id), files)}
	place.Store(fresh)
	return &fresh.entity
}
