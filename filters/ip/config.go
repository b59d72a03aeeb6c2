package ip

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"cardea.dev/cardea/config"
)

// Config says which client addresses may come. The short form is Allow.
type Config struct {
	// Allow are the addresses and ranges that may come: "10.0.0.0/8", "192.0.2.7". When there are any, an address that is in
	// no list is refused, unless Default says otherwise. By default none, and then what Deny does not name may come.
	Allow []config.Prefix `yaml:"allow,short"`

	// Deny are the addresses and ranges that may not come. A longer range of Allow makes an exception. By default none.
	Deny []config.Prefix `yaml:"deny"`

	// Countries are the countries whose addresses may come, or may not. They count for addresses that are in no range of Allow and Deny.
	// By default none.
	Countries Countries `yaml:"countries"`

	// ASNs are the autonomous systems (networks of providers and companies) whose addresses may come, or may not. They count for
	// addresses that are in no range of Allow and Deny. By default none.
	ASNs ASNs `yaml:"asns"`

	// Database are the files in which countries and autonomous systems are looked up, in the MaxMind DB format with the fields of GeoLite2:
	// GeoLite2-Country.mmdb, or a list of them. A file that changes is read again within ten seconds, without a reload. By default none.
	Database []string `yaml:"database"`

	// Unknown says what becomes of addresses of which the databases know nothing that the lists ask for, such as private ones: "allow" or
	// "deny". By default they are in no list, and Default counts.
	Unknown string `yaml:"unknown" enum:"allow,deny"`

	// Default says what becomes of addresses that are in no list: "allow" or "deny". By default "deny" where there is a list of those who
	// may come, and else "allow".
	Default string `yaml:"default" enum:"allow,deny"`
}

// Countries are lists of countries by their two-letter codes (ISO 3166-1). The short form is Allow.
type Countries struct {
	// Allow are the countries whose addresses may come: [DE, FR]. By default none.
	Allow []string `yaml:"allow,short"`

	// Deny are the countries whose addresses may not come. By default none.
	Deny []string `yaml:"deny"`
}

// ASNs are lists of autonomous systems by their numbers. The short form is Allow.
type ASNs struct {
	// Allow are the systems whose addresses may come: [AS3320, 64500]. By default none.
	Allow []ASN `yaml:"allow,short"`

	// Deny are the systems whose addresses may not come. By default none.
	Deny []ASN `yaml:"deny"`
}

// ASN is the number of an autonomous system.
type ASN uint32

// UnmarshalText reads "AS3320" or "3320".
func (a *ASN) UnmarshalText(text []byte) error {
	digits := string(text)
	if len(digits) > 2 && strings.EqualFold(digits[:2], "AS") {
		digits = digits[2:]
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is not the number of an autonomous system", text)
	}
	*a = ASN(n)
	return nil
}

// Expected says what a number looks like.
func (ASN) Expected() string { return "the number of an autonomous system, such as AS3320 or 3320" }

// SchemaOf is the schema of a number.
func (ASN) SchemaOf() *config.SchemaNode {
	return &config.SchemaNode{Type: []string{"string", "integer"}}
}

func (c *Countries) used() bool { return len(c.Allow) > 0 || len(c.Deny) > 0 }

func (a *ASNs) used() bool { return len(a.Allow) > 0 || len(a.Deny) > 0 }

// Validate checks that there is a list at all, and a database where one is needed.
func (c *Config) Validate() error {
	var errs []error
	byRange, byDatabase := len(c.Allow) > 0 || len(c.Deny) > 0, c.Countries.used() || c.ASNs.used()
	switch {
	case !byRange && !byDatabase:
		errs = append(errs, errors.New("no addresses are named: write who may come, as in `ip: [10.0.0.0/8]`, or `ip: {deny: […]}`"))
	case byDatabase && len(c.Database) == 0:
		errs = append(errs, errors.New("countries and autonomous systems need a `database`, such as GeoLite2-Country.mmdb"))
	case !byDatabase && len(c.Database) > 0:
		errs = append(errs, config.FieldErrorf("database", "nothing is looked up in it: there are no `countries` and no `asns`"))
	case !byDatabase && c.Unknown != "":
		errs = append(errs, config.FieldErrorf("unknown", "nothing is looked up: there are no `countries` and no `asns`"))
	}
	errs = append(errs, both(c.ASNs.Allow, c.ASNs.Deny, "asns"))
	return errors.Join(errs...)
}

// Validate checks the codes.
func (c *Countries) Validate() error {
	errs := []error{checkCodes("allow", c.Allow), checkCodes("deny", c.Deny)}
	return errors.Join(append(errs, both(upper(c.Allow), upper(c.Deny), ""))...)
}

// both finds what is in both lists, which makes no sense.
func both[T comparable](allow, deny []T, path string) error {
	var errs []error
	for i, v := range deny {
		for _, other := range allow {
			if v == other {
				at := strings.TrimPrefix(fmt.Sprintf("%s.deny[%d]", path, i), ".")
				errs = append(errs, config.FieldErrorf(at, "%v is in `allow`, too", v))
			}
		}
	}
	return errors.Join(errs...)
}

func upper(codes []string) []string {
	out := make([]string, len(codes))
	for i, c := range codes {
		out[i] = strings.ToUpper(c)
	}
	return out
}

// checkCodes says which codes are none, so that a mistake does not let through those who were meant.
func checkCodes(list string, codes []string) error {
	var errs []error
	for i, c := range codes {
		at := fmt.Sprintf("%s[%d]", list, i)
		switch code := strings.ToUpper(c); {
		case len(code) == 2 && strings.Contains(" "+assigned+" ", " "+code+" "):
		case code == "UK":
			errs = append(errs, config.FieldErrorf(at, "the code of the United Kingdom is GB"))
		default:
			errs = append(errs, &config.FieldError{
				Path: at, Err: fmt.Errorf("%q is not the code of a country", c), Expected: "two letters of ISO 3166-1, such as DE or FR",
			})
		}
	}
	return errors.Join(errs...)
}

// assigned are the codes of ISO 3166-1, and XK for Kosovo, which databases use.
const assigned = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH " +
	"CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR " +
	"GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV " +
	"LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN " +
	"PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV " +
	"TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW"
