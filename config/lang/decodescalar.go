package lang

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Expecter is a value type that says what it expects: "a duration such as 300ms".
type Expecter interface{ Expected() string }

// text returns a scalar's text with `${…}` replaced; ok is false when that failed, which is reported.
func (d *decoder) text(n Node) (text string, ok bool) {
	if bad := n.v.bad; bad != nil {
		e := *bad
		e.Path = n.Path()
		d.add(&e)
		return "", false
	}
	return n.v.expanded, true
}

// decodeText decodes a scalar through UnmarshalText.
func (d *decoder) decodeText(n Node, v reflect.Value, b bounds) {
	if v.Kind() == reflect.Struct && hasTags(v.Type()) {
		d.decodeTextStruct(n, v)
		return
	}
	if v.Type() == secretType {
		n.v.markSecret()
	}
	text, ok := d.text(n)
	if !ok {
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
		d.unusable(n, v.Type(), b, err)
		return
	}
	d.checkBounds(n, v, b)
}

// decodeTextStruct decodes the short form of a struct that reads it itself.
func (d *decoder) decodeTextStruct(n Node, v reflect.Value) {
	info := d.info(v.Type())
	d.setDefaults(v)
	if info.self != nil {
		v.FieldByIndex(info.self).Set(reflect.ValueOf(n))
	}
	if n.IsOff() && info.off != nil {
		v.FieldByIndex(info.off.index).SetBool(true)
		return
	}
	text, ok := d.text(n)
	if !ok {
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
		d.unusable(n, v.Type(), bounds{}, err)
		return
	}
	d.validate(n, v)
}

// unusable reports a text that its type does not take. What a variable gave is not shown.
func (d *decoder) unusable(n Node, t reflect.Type, b bounds, err error) {
	message := err.Error()
	if len(n.v.pieces) > 0 {
		message = fmt.Sprintf("what %s gives cannot be used here", n.v.text)
	}
	e := n.Errorf("%s", message)
	e.Expected = describe(t, b)
	d.add(e)
}

// wrongType reports a node of the wrong kind.
func (d *decoder) wrongType(n Node, t reflect.Type) {
	at := n
	message := "cannot use " + n.Kind().String() + " here"
	switch n.Kind() {
	case NodeNull:
		at = n.named()
		message = "there is no value here"
	case NodeScalar:
		message = fmt.Sprintf("cannot use %s here", quoteText(n))
	}
	e := at.Errorf("%s", message)
	e.Path = n.Path()
	e.Expected = describe(t, bounds{})
	d.add(e)
}

// quoteText is a scalar as written, in quotes and not too long.
func quoteText(n Node) string {
	text := maskURL(n.Text())
	if n.v.isSecret() {
		text = secretMask
	}
	if runes := []rune(text); len(runes) > 60 {
		text = string(runes[:60]) + "…"
	}
	return strconv.Quote(text)
}

// decodeScalar decodes a single value into a basic type.
func (d *decoder) decodeScalar(n Node, v reflect.Value, b bounds) {
	if n.Kind() != NodeScalar {
		d.wrongType(n, v.Type())
		return
	}
	if v.Type() == secretType {
		n.v.markSecret()
	}
	text, ok := d.text(n)
	if !ok {
		return
	}
	if err := setScalar(v, text); err != nil {
		if len(n.v.pieces) > 0 {
			d.unusable(n, v.Type(), b, err)
			return
		}
		e := n.Errorf("%s %s", quoteText(n), err)
		e.Expected = describe(v.Type(), b)
		d.add(e)
		return
	}
	d.checkBounds(n, v, b)
}

// setScalar sets a basic value from its text.
func setScalar(v reflect.Value, text string) error {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Bool:
		return setBool(v, text)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(wholeNumber(text))
		if err == nil && v.OverflowInt(i) {
			err = strconv.ErrRange
		}
		v.SetInt(i)
		return numberError(err, "a whole number")
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		i, err := strconv.ParseUint(wholeNumber(text))
		if err == nil && v.OverflowUint(i) {
			err = strconv.ErrRange
		}
		v.SetUint(i)
		return numberError(err, "a whole number that is not negative")
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err == nil && (math.IsInf(f, 0) || math.IsNaN(f) || v.OverflowFloat(f)) {
			err = strconv.ErrRange
		}
		v.SetFloat(f)
		return numberError(err, "a number")
	}
	panic(fmt.Sprintf("config: cannot decode into %v", v.Type()))
}

// wholeNumber prepares a text for strconv: decimal, or 0x and 0o.
func wholeNumber(text string) (digits string, base, bits int) {
	if len(text) > 2 && (text[:2] == "0x" || text[:2] == "0o") {
		return text, 0, 64
	}
	return text, 10, 64
}

// numberError says in our words why a number is none.
func numberError(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), strconv.ErrRange.Error()):
		return fmt.Errorf("is out of range")
	}
	return fmt.Errorf("is not %s", what)
}

// setBool sets a bool from its text.
func setBool(v reflect.Value, text string) error {
	switch strings.ToLower(text) {
	case "true", "on":
		v.SetBool(true)
	case "false", "off":
		v.SetBool(false)
	default:
		return fmt.Errorf("is neither true nor false")
	}
	return nil
}

// checkBounds checks a decoded value against its field's tags.
func (d *decoder) checkBounds(n Node, v reflect.Value, b bounds) {
	if len(b.enum) > 0 && v.Kind() == reflect.String && !slices.Contains(b.enum, v.String()) {
		d.notInEnum(n, b)
		return
	}
	low, hasLow := bound(v.Type(), b.min)
	high, hasHigh := bound(v.Type(), b.max)
	var problem string
	switch x, _ := number(v); {
	case hasLow && x < low:
		problem = "less than the least that is possible, " + b.min
	case hasHigh && x > high:
		problem = "more than the most that is possible, " + b.max
	default:
		return
	}
	shown := quoteText(n)
	if !n.v.quoted && len(n.v.pieces) == 0 {
		shown = n.Text()
	}
	e := n.Errorf("%s is %s", shown, problem)
	e.Expected = describe(v.Type(), b)
	d.add(e)
}

// notInEnum reports a text that is none of those possible.
func (d *decoder) notInEnum(n Node, b bounds) {
	e := n.Errorf("%s is not possible here", quoteText(n))
	if len(n.v.pieces) > 0 {
		e.Message = fmt.Sprintf("what %s gives is not possible here", n.v.text)
	} else {
		e.Hint = didYouMean(Suggest(n.Text(), b.enum))
	}
	e.Expected = oneOf(b.enum)
	d.add(e)
}

// number returns a numeric value as a float.
func number(v reflect.Value) (float64, bool) {
	switch {
	case v.CanInt():
		return float64(v.Int()), true
	case v.CanUint():
		return float64(v.Uint()), true
	case v.CanFloat():
		return v.Float(), true
	}
	return 0, false
}

// bound reads a min or max tag as a value of the field's type.
func bound(t reflect.Type, text string) (float64, bool) {
	if text == "" {
		return 0, false
	}
	v := reflect.New(t)
	if u, ok := v.Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			panic(fmt.Sprintf("config: the bound %q of a %v: %v", text, t, err))
		}
		return number(v.Elem())
	}
	if _, ok := number(v.Elem()); !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(fmt.Sprintf("config: the bound %q of a %v: %v", text, t, err))
	}
	return f, true
}
