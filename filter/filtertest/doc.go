// Package filtertest gives the tests of policies and targets what the gateway would give them: an Env with real expressions and metrics, a
// keeper, upstreams; and checks that the examples of a kind's manual are right. To test a whole configuration there is gatewaytest.
//
//	env := filtertest.NewEnv(t, "orders")
//	f, err := Kind().Build(env, filtertest.Parse(t, "teapot: {short: true}").Field("teapot"))
//
// It may be imported by tests alone.
package filtertest
