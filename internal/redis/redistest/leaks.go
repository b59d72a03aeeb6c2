package redistest

import "go.uber.org/goleak"

// Ending are goroutines of the library that end by themselves, seconds after their client was closed: it asks once more who is in a cluster, and closes
// connections to those who are not any more.
func Ending() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"),
	}
}
