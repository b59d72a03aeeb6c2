package expr

import "testing"

func TestConditionErrors(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"", "the expression is empty"},
		{" \n ", "the expression is empty"},
		{`requst.method == "GET"`, "unknown name \"requst.method\"; did you mean \"request.method\"?\n" +
			"      | requst.method == \"GET\"\n" +
			"      | ^^^^^^^^^^^^^"},
		{`true && request.methd == "GET"`, "unknown name \"request.methd\"; did you mean \"request.method\"?\n" +
			"      | true && request.methd == \"GET\"\n" +
			"      |         ^^^^^^^^^^^^^"},
		{`identity.zzzzzz == "x"`, "unknown name \"identity.zzzzzz\"; known are: identity.claims, identity.consumer, identity.groups, identity.method, identity.scopes, identity.subject, identity.tags\n" +
			"      | identity.zzzzzz == \"x\"\n" +
			"      | ^^^^^^^^^^^^^^^"},
		{"true &&\n  \"é\" == hedaer.x", "unknown name \"hedaer.x\"; did you mean \"header.x\"?\n" +
			"      |   \"é\" == hedaer.x\n" +
			"      |          ^^^^^^^^"},
		{`header.x-user == "1"`, "\"header.x-user\" is a subtraction here; write header[\"x-user\"]\n" +
			"      | header.x-user == \"1\"\n" +
			"      | ^^^^^^^^^^^^^"},
		{`host = "x"`, "'=' cannot stand here; write == to compare\n" +
			"      | host = \"x\"\n" +
			"      |      ^"},
		{`true and false`, "'and' cannot stand here; write && for and\n" +
			"      | true and false\n" +
			"      |      ^^^"},
		{`host ==`, "the expression ends too early\n" +
			"      | host ==\n" +
			"      |        ^"},
		{`host == "x`, "this text has no end\n" +
			"      | host == \"x\n" +
			"      |         ^"},
		{`host.matches("a(")`, "error parsing regexp: missing closing ): `a(`\n" +
			"      | host.matches(\"a(\")\n" +
			"      |              ^"},
		{`matches(host, "a(")`, "error parsing regexp: missing closing ): `a(`\n" +
			"      | matches(host, \"a(\")\n" +
			"      |               ^"},
		{`ip_in(address, ["::/0", "10.0.0.0/33"])`, "\"10.0.0.0/33\" is not an address or a range of them, such as \"10.0.0.0/8\"\n" +
			"      | ip_in(address, [\"::/0\", \"10.0.0.0/33\"])\n" +
			"      |                         ^"},
		{`host`, "a condition must be true or false, and this is a text; compare it, as in: host == \"…\"\n" +
			"      | host\n" +
			"      | ^^^^"},
		{`status`, "a condition must be true or false, and this is a number\n" +
			"      | status\n" +
			"      | ^^^^^^"},
		{`status == "200"`, "\"==\" does not go with (int, string)\n" +
			"      | status == \"200\"\n" +
			"      |        ^"},
		{`path == "/x"`, "\"==\" does not go with (map(string, string), string); in an expression, path holds the parameters of the path, and request.path is the path\n" +
			"      | path == \"/x\"\n" +
			"      |      ^"},
		{`path.startsWith("/x")`, "\"startsWith\" does not go with map(string, string).(string); in an expression, path holds the parameters of the path, and request.path is the path\n" +
			"      | path.startsWith(\"/x\")\n" +
			"      |                ^"},
		{`in_range(address)`, "there is no function 'in_range'\n" +
			"      | in_range(address)\n" +
			"      |         ^"},
		{`has(header["x-y"])`, "has() takes a field, as in has(jwt.role); of others write \"name\" in header\n" +
			"      | has(header[\"x-y\"])\n" +
			"      |           ^"},
	} {
		_, err := newExpressions(t).Condition(c.source)
		if err == nil || err.Error() != c.want {
			t.Errorf("%q:\ngot  %v\nwant %s", c.source, err, c.want)
		}
	}
}

func TestValueErrors(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"adress", "unknown variable \"adress\"; did you mean \"address\"?\n      | adress\n      | ^^^^^^"},
		{"heder.x-user", "unknown variable \"heder.x-user\"; did you mean \"header.x-user\"?\n      | heder.x-user\n      | ^^^^^^^^^^^^"},
		{"qqqqqq", "unknown variable \"qqqqqq\"; known are: address, cookie.<name>, endpoint, error, header.<name>, host, identity, identity.consumer, " +
			"identity.method, identity.subject, identity.tags.<name>, jwt.<claim>, limit.key, limit.policy, method, path, path.<parameter>, query.<name>, request_id, response.header.<name>, route, scheme, " +
			"status, upstream\n      | qqqqqq\n      | ^^^^^^"},
		{"header", "\"header\" needs a name; as in header.x\n      | header\n      | ^^^^^^"},
		{"identity.sub", "unknown name \"identity.sub\"; did you mean \"identity.subject\"?\n      | identity.sub\n      | ^^^^^^^^^^^^"},
	} {
		_, err := newExpressions(t).Value(c.source)
		if err == nil || err.Error() != c.want {
			t.Errorf("%q:\ngot  %v\nwant %s", c.source, err, c.want)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"/a/{path.id}/{adress}", "unknown variable \"adress\"; did you mean \"address\"?\n      | /a/{path.id}/{adress}\n      |               ^^^^^^"},
		{"é {1 +}", "the expression ends too early\n      | é {1 +}\n      |       ^"},
		{`{"ok": true}`, "':' cannot stand here; write {{ and }} for braces that stand for themselves\n      | {\"ok\": true}\n      |      ^"},
		{"a {} b", "nothing stands in these braces; write {{ and }} for braces\n      | a {} b\n      |   ^^"},
		{"a } b", "a closing brace without an opening one; write }} for a brace\n      | a } b\n      |   ^"},
		{"a\nb { c", "this brace is never closed; write {{ for a brace\n      | b { c\n      |   ^"},
		{`{"a`, "this text has no end; write {{ for a brace\n      | {\"a\n      |  ^"},
	} {
		_, err := newExpressions(t).Template(c.source)
		if err == nil || err.Error() != c.want {
			t.Errorf("%q:\ngot  %v\nwant %s", c.source, err, c.want)
		}
	}
}
