package shape_test

import (
	"testing"

	"cardea.dev/cardea/internal/jq"
	"cardea.dev/cardea/internal/schema"
)

const (
	shop = `{"type": "object", "properties": {
		"user": {"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"},
			"at": {"type": ["object", "null"], "properties": {"city": {"type": "string"}}}, "tags": {"type": "array", "items": {"type": "string"}}}},
		"orders": {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}, "total": {"type": "number"}, "a": {"type": "array", "items": {"type": "number"}},
			"lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}, "n": {"type": "integer"}}}}}}},
		"labels": {"type": "object", "additionalProperties": {"type": "string"}},
		"cust": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"id": {"type": "string"}}}]},
		"tree": {"$ref": "#/$defs/node"}},
		"$defs": {"node": {"type": "object", "properties": {"v": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}}}`
	ofShop = `{"user": {"id": 1, "name": "Ada", "at": {"city": "L"}, "tags": ["x", "y"]},
		"orders": [{"id": 1, "total": 2.5, "a": [1, 2], "lines": [{"sku": "s", "n": 1}]}, {"id": 2, "total": 0, "a": [3, 4], "lines": []}],
		"labels": {"k": "v"}, "cust": {"id": "c"}, "tree": {"v": 1, "kids": [{"v": 2, "kids": []}]}}`
)

// TestProgramsThatRun: what works on a document that is as its schema says is not refused.
func TestProgramsThatRun(t *testing.T) {
	s := described(t, shop)
	v, err := schema.Decode([]byte(ofShop), schema.Bounds{})
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{
		`.orders | map(select(.total > 1)) | length`, `.user.at // .user`, `.user | to_entries | map(.value)`, `.orders[]? | .id`, `[.. | numbers]`, `[.. | .id?]`, `[path(..)]`,
		`[paths]`, `reduce .orders[] as $o (0; . + $o.total)`, `reduce .orders[] as {$id, total: $t} ({}; .[$id|tostring] = $t)`, `[limit(1; .orders[])]`, `@base64 "\(.user.name)"`,
		`.user.name | @base64`, `"\(.user.name) of \(.user.at.city)"`, `.orders[0].a as [$a,$b] | $a + $b`, `.user as {name: $x} | $x`, `.orders[] as {a: [$x]} ?// [$x] | $x`,
		`del(.user.name) | .user.id`, `del(.none)`, `.user.name |= ascii_upcase`, `.user.x = .user.name | .user.x`, `.user.new |= 1 | .user.new`, `(.user.x = 1).user.x`,
		`(.user | .y = 2).y`, `getpath(["user","name"])`, `[getpath(["user","zz"])]`, `.user + {z: 1} | .z`, `.user * {at: {q: 1}} | .at.q`,
		`. as $r | .orders | map(. + {who: $r.user.name}) | .[0].who`, `.orders | map({id, t: .total, n: (.lines | length)}) | .[0].t`, `.orders | map(.lines) | flatten | map(.sku)`,
		`[.orders[].lines[]] | .[0].sku`, `.orders | group_by(.total > 1) | map(map(.id))`, `.orders | sort_by(.total) | .[0].id`, `.orders | sort_by(-.total) | first.id`,
		`.orders | min_by(.total).id`, `.orders | max_by(.total) | .lines[0].sku`, `.orders | INDEX(.id) | .["1"].total`, `.orders | map({(.id|tostring): .total}) | add`, `.labels.k`,
		`.labels | keys[0]`, `.labels | to_entries[0].key`, `.labels | map_values(ascii_upcase) | .k`, `.labels | with_entries(.value |= length) | .k`, `.labels[]`, `.user[]`,
		`.user.tags | join(",")`, `.user.tags[0:1][0]`, `.user.tags | index("x")`, `.user["name"]`, `.["user"]["at"]["city"]`, `.user."name"`, `."user"`, `.user | .["na" + "me"]`,
		`.orders[-1].id`, `.orders | last.id`, `.orders | first | .id`, `.orders | .[0] | .id`, `.orders | .[1:] | .[0].id`, `.orders | reverse | .[0].id`,
		`.orders | unique_by(.id) | length`, `.cust | if type == "object" then .id else . end`, `.cust.id? // .cust`, `(.cust | objects | .id) // .cust`, `.cust | (.id? // .)`,
		`[.cust | .. | strings]`, `.tree | recurse(.kids[]) | .v`, `[.tree | .. | .v? // empty]`, `.tree.kids[].kids`, `def f: .v + ([.kids[] | f] | add // 0); .tree | f`,
		`def g(x): x | .id; [g(.orders[])]`, `[.tree | recurse(.kids[]; .v < 5) | .v]`, `[.orders[] | select(.lines | any(.n > 0)) | .id]`,
		`[.orders[] | select(any(.lines[]; .sku == "s"))]`, `.orders | any(.total > 1)`, `.orders | all(.id > 0)`, `[.orders[] | select(.id | IN(1, 2))]`,
		`[.orders[] | select([.id] | inside([1]))]`, `.orders | map(has("id"))`, `.orders | map(.id) | contains([1])`, `[.orders[] | .total as $t | .lines[] | {sku, $t}]`,
		`foreach .orders[] as $o (0; . + $o.total; {s: ., id: $o.id})`, `label $f | foreach .orders[] as $o (0; 1; if $o.id == 1 then ., break $f else . end)`, `try error("x") catch .`,
		`try .user.name.x catch .`, `[.user | .id, .name] | .[0]`, `[.user | (.id, .name)]`, `.user | [.id, .name] | @csv`, `.user | {id, name} | keys`, `.user | {id, "name"}`,
		`.user | {"x\(.id)": .name} | .x1`, `.user | {(.name, "b"): 1} | .b`, `.user.name as $name | {$name} | .name`, `{a: 1} | .a`, `{"if": 1} | .if`,
		`.user | {id: .id, at: .at.city} | .at`, `[.user, .tree] | map(.id // .v)`, `[.user, .tree] | .[1].v`, `(.user, .tree) | .id // .v`, `.user | select(.id == 1) | .name`,
		`.user | select(.name | test("^A")) | .at.city`, `.user | if .at then .at.city else "none" end`, `if .user.at == null then "x" else .user.at.city end`, `.user.at?.city?`,
		`.user.at.city // "none"`, `.orders | length as $n | .[$n - 1].id`, `.orders as [$first] | $first.id`, `.orders as [{id: $i}] | $i`,
		`. as {user: {$name, at: {$city}}} | $name + $city`, `.orders[0] as {lines: [{$sku}]} | $sku`, `input_line_number`, `.user | tojson | fromjson | .zz`, `.user | tostring`,
		`.orders | tojson`, `splits("x")?`, `.user | to_entries | from_entries | .name`, `.orders | transpose?`, `[.orders[] | .a] | transpose | .[0]`, `.orders | map(.a | add) | add`,
		`.orders | map(.a[0] as $x | .a[1] - $x)`, `.user | walk(if type == "object" then del(.id) else . end) | .name`, `[leaf_paths]`, `tostream`, `.user | pick(.name)`,
		`.user | getpath(["at"]) | .city`, `limit(1; .orders[]).id`, `first(.orders[]).id`, `nth(0; .orders[]).id`, `until(true; .) | .user.name`, `.user | debug | .name`,
		`.user.at.city | ascii_downcase | length`, `.user.id | . + 1 | tostring`, `-.user.id`, `-(.user.id)`, `.user.id - 1`, `.orders[.user.id].id`, `.orders[.user.id - 1:].[0].id`,
		`.user | .tags[.id]`, `.orders[0,1].id`, `.user["id","name"]`, `.orders | .[] += {x: 1} | .[0].x`, `.orders[].x = 1 | .orders[0].x`, `.orders |= map(.id) | .orders[0]`,
		`.orders |= length | .orders`, `.user.tags |= join(",") | .user.tags`, `.user |= {n: .name} | .user.n`, `.user.at |= .city | .user.at`,
		`(.orders[] | select(.id == 1)).x |= 3 | .orders[0].x`, `.user.name //= "x" | .user.name`, `.user.zz //= "x" | .user.zz`, `to_entries | .[0].key`, `keys`, `length`, `add?`,
		`any`, `.user | not`, `.user and .orders`, `.user.id as $i | .orders | map(select(.id == $i)) | .[0].lines[0].sku`, `.user | . as {id: $i} | {i: $i} | .i`,
		`[.orders[] | {id} + {n: .total}] | .[0].n`, `getpath(["a","b"])`, `[splits("a")?]`, `.orders | @json`, `.orders | map(.id |= tostring) | .[0].id`, `[range(.user.id)]`,
		`[.orders | .[range(2)] | .id]`, `.orders | to_entries | map(.value.id)`, `.orders | to_entries | .[0].value.id`, `.orders | with_entries(.value)?`,
		`.user.tags | map({name: .}) | .[0].name`, `.user.tags | to_entries | map("\(.key)=\(.value)")`, `.orders | combinations?`, `.user | if has("zz") then .zz.y else 1 end`,
		`if .user | has("zz") then .user.zz else 1 end`, `.user | (has("zz") and .zz) or true`, `[.user | .. | select(type == "string")]`,
		`[.. | select(type == "object" and has("sku")) | .sku]`, `.orders | map(select(.lines | length > 0) | .lines[0].sku)`,
		`if (.user | type) == "array" then .user[0].x else .user.name end`, `if (.orders | type) != "array" then .orders.x else 1 end`, `(.user | arrays | .[0]) // 1`,
		`(.user | .tags | objects | .x) // 1`, `.user | {id, extra: .zz?}`, `.user | {id, extra: (.zz // null)}`, `[.user[]?]`, `.user | .[]?`, `.orders | .[]? | .id`,
		`.user.tags | .[0] as $t | $t`, `.user | .name as $n | .tags | map($n + .)`, `.orders | map(.lines[]?.sku)`, `.orders | map(.lines[0]?.sku)`, `.orders | map(.lines[0].sku)`,
		`.user | with_entries(select(.key != "id")) | .name`, `[.user.zz?, .user.zz.y?]`, `.user | .zz? | .y`, `(.user.zz? // {}) | .y`, `(.user.zz // {}).y`, `.user.zz // {} | .y`,
		`[.orders[] | (.zz // 0) + .total]`, `.user | .zz == null`, `.user | select(.zz == null) | .name`, `.user | select(.zz != null) | .zz.y`,
		`[.orders[] | if .zz == null then .id else .zz.y end]`, `.orders | sort_by(.zz // 0) | .[0].id`,
	} {
		program, err := jq.Compile(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if _, err := program.Run(t.Context(), v); err != nil {
			t.Errorf("%s does not run: %v", source, err)
		}
		if err := s.Reads(source); err != nil {
			t.Errorf("%s is refused: %v", source, err)
		}
	}
}
