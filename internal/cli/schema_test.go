package cli_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"cardea.dev/cardea/internal/cli"
	"cardea.dev/cardea/internal/demo"
)

// command runs a command in this process and returns what it printed.
func command(t *testing.T, args ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	if code := cli.Main(args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: io.Discard}); code != 0 {
		t.Fatalf("%v: exit code %d", args, code)
	}
	return out.Bytes()
}

func TestTheSchemaTakesWhatTheGatewayTakes(t *testing.T) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(command(t, "schema")))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("cardea.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("cardea.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	services, err := demo.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer services.Close()
	for text, want := range map[string]bool{
		demo.Config(services, "127.0.0.1:8080", "127.0.0.1:9090"): true,
		"":                                      false, // an editor may want an object
		"routes: [{match: /a, respond: x}]":     true,
		"routes: [{match: /a, repsond: x}]":     false,
		"routes: [{match: /a, to: {}}]":         false,
		"log: off":                              true,
		"listen: [\":80\", {address: \":81\"}]": true,
		"listen: {adress: \":81\"}":             false,
		"shutdown: 5s":                          true,
		"shutdown: {dealy: 5s}":                 false,
	} {
		if err := schema.Validate(plain(t, text)); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// plain reads YAML as the values of JSON.
func plain(t *testing.T, text string) any {
	t.Helper()
	body, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}
