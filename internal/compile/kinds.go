package compile

import (
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filters/accesslog"
	"cardea.dev/cardea/filters/apikey"
	"cardea.dev/cardea/filters/authenticate"
	"cardea.dev/cardea/filters/authorize"
	"cardea.dev/cardea/filters/bandwidth"
	"cardea.dev/cardea/filters/basic"
	"cardea.dev/cardea/filters/bodylimit"
	"cardea.dev/cardea/filters/cache"
	"cardea.dev/cardea/filters/cedar"
	"cardea.dev/cardea/filters/coalesce"
	"cardea.dev/cardea/filters/compress"
	"cardea.dev/cardea/filters/concurrency"
	"cardea.dev/cardea/filters/cors"
	"cardea.dev/cardea/filters/csrf"
	"cardea.dev/cardea/filters/deprecation"
	"cardea.dev/cardea/filters/externalauth"
	"cardea.dev/cardea/filters/fallback"
	"cardea.dev/cardea/filters/fault"
	"cardea.dev/cardea/filters/guard"
	"cardea.dev/cardea/filters/headers"
	"cardea.dev/cardea/filters/identityheaders"
	"cardea.dev/cardea/filters/introspection"
	"cardea.dev/cardea/filters/ip"
	"cardea.dev/cardea/filters/jwt"
	"cardea.dev/cardea/filters/mirror"
	"cardea.dev/cardea/filters/mtls"
	"cardea.dev/cardea/filters/oidc"
	"cardea.dev/cardea/filters/overload"
	"cardea.dev/cardea/filters/priority"
	"cardea.dev/cardea/filters/quota"
	"cardea.dev/cardea/filters/ratelimit"
	"cardea.dev/cardea/filters/rewrite"
	"cardea.dev/cardea/filters/securityheaders"
	"cardea.dev/cardea/filters/signature"
	"cardea.dev/cardea/filters/timeout"
	"cardea.dev/cardea/filters/transform"
	"cardea.dev/cardea/filters/upstreamauth"
	"cardea.dev/cardea/filters/validate"
	"cardea.dev/cardea/target"
	"cardea.dev/cardea/targets/aggregate"
	"cardea.dev/cardea/targets/jwks"
	"cardea.dev/cardea/targets/proxy"
	"cardea.dev/cardea/targets/redirect"
	"cardea.dev/cardea/targets/respond"
	"cardea.dev/cardea/targets/sequence"
	"cardea.dev/cardea/targets/static"
)

// Kinds are the kinds of policies and targets that a configuration may name.
type Kinds struct {
	Filters []filter.Kind // within a stage, they run in this order
	Targets []target.Kind
	Foreign []filter.Kind // those among Filters that are of a custom build
}

// Builtin returns the kinds that the gateway comes with, and after them those of a custom build.
func Builtin(extra ...filter.Kind) Kinds {
	return Kinds{
		Filters: append([]filter.Kind{
			accesslog.Kind().OnByDefault(),
			securityheaders.Kind(),
			ip.Kind(),
			cors.Kind(),
			csrf.Kind(),
			guard.Kind(),
			timeout.Kind(),
			bodylimit.Kind(),
			deprecation.Kind(),
			authenticate.Kind(),
			mtls.Kind(),
			signature.Kind(),
			apikey.Kind(),
			basic.Kind(),
			jwt.Kind(),
			introspection.Kind(),
			oidc.Kind(),
			externalauth.Kind(),
			authorize.DenyKind(),
			authorize.AllowKind(),
			cedar.Kind(),
			priority.Kind(),
			overload.Kind().OnByDefault(), // after priority, and before all limits: what is shed is not counted
			ratelimit.Kind(),
			concurrency.Kind(),
			quota.Kind(), // the last that refuses: what others refuse does not count
			bandwidth.Kind(),
			validate.Kind(),
			coalesce.Kind(), // before compress: answers are encoded once for all
			compress.Kind(),
			fallback.Kind(), // after compress, and before cache: what is stored comes first, and nothing that stands in is stored
			cache.Kind(),    // after compress: what is stored is encoded for each client
			rewrite.Kind(),
			headers.Kind(),
			identityheaders.Kind(),
			transform.Kind(), // after headers: on the way back, fields are changed last
			fault.Kind(),
			mirror.Kind(),
			upstreamauth.Kind(), // after mirror: copies go elsewhere, without these credentials
		}, extra...),
		Targets: []target.Kind{
			proxy.Kind(),
			respond.Kind(),
			redirect.Kind(),
			static.Kind(),
			jwks.Kind(),
			aggregate.Kind(),
			sequence.Kind(),
		},
		Foreign: extra,
	}
}
