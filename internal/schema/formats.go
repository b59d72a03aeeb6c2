package schema

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// formats are those of OpenAPI's own.
func formats(opts Options) []jsonschema.Format {
	if !opts.Formats || opts.Dialect < OpenAPI30 {
		return nil
	}
	return []jsonschema.Format{
		{Name: "int32", Validate: integer(32)},
		{Name: "int64", Validate: integer(64)},
		{Name: "float", Validate: float(32)},
		{Name: "double", Validate: float(64)},
		{Name: "byte", Validate: base64Text},
	}
}

func integer(bits uint) func(any) error {
	most := new(big.Int).Lsh(big.NewInt(1), bits-1)
	least := new(big.Int).Neg(most)
	return func(v any) error {
		n, ok := v.(json.Number)
		if !ok {
			return nil
		}
		r, ok := new(big.Rat).SetString(string(n))
		if !ok || !r.IsInt() || r.Num().Cmp(most) >= 0 || r.Num().Cmp(least) < 0 {
			return errors.New("out of range")
		}
		return nil
	}
}

func float(bits int) func(any) error {
	return func(v any) error {
		if n, ok := v.(json.Number); ok {
			_, err := strconv.ParseFloat(string(n), bits)
			return err
		}
		return nil
	}
}

func base64Text(v any) error {
	s, ok := v.(string)
	if !ok {
		return nil
	}
	_, err := base64.StdEncoding.DecodeString(s)
	return err
}

func itoa(i int) string { return strconv.Itoa(i) }
