// Package quota is the policy `quota`: how much callers may use up in an hour, a day, a week, a month or a year, or within the last so many
// days. Usage survives a restart, and gateways may count together.
//
// # Syntax
//
// Short, how much, per what time, and for whom:
//
//	quota: 10000/month per identity
//
// Without `per` it is for who calls: the identity where the route authenticates callers, and else the address. Several quotas hold together:
//
//	quota: [1000/day, 10000/month]
//
// hour, day, week, month and year are those of the calendar. A duration is rolling: what was used in the last 30 days counts, to a sixtieth:
//
//	quota: 10000/30d per identity.consumer
//
// Long, with a time zone, another amount for a plan, and a warning:
//
//	quota:
//	  quotas: [{amount: 10000, every: month, per: [identity.consumer]}]
//	  timezone: Europe/Berlin
//	  overrides:
//	    - {tags: {plan: gold}, amount: 100000}
//	    - {consumers: [acme], amount: unlimited}
//	  warn_at: 80%
//
// By cost, before and after the answer is known:
//
//	quota:
//	  quotas: 1000/day
//	  cost: 'method == "POST" ? 5 : 1'
//	  cost_response: response.header.x-cost
//
// By volume, in a Redis that gateways share:
//
//	quota:
//	  quotas: 10GiB/month per identity
//	  cost_response: bytes
//	  store: redis://redis:6379
//	  on_store_failure: deny
//	  store_timeout: 50ms
//
// # Counting
//
// What is refused does not count, neither by this policy nor by those before it. Another amount loses no usage, nor does another time zone.
// A period that was begun is not begun again when the clock is put back. Usage of a rolling quota counts in slots of a sixtieth of the
// period, until a whole period after the slot's end: in no time of its length more passes than the amount.
//
// # The file
//
// Usage is in memory, and what changed is written to a file each second, by a goroutine of its own, with a checksum for each line and fsync.
// A crash loses at most what was counted since. When the file has grown to four times what it need be, and 1 MiB, it is written anew and put in
// the old one's place. While it cannot be written, as on a full disk, that is logged, and counting goes on in memory. A lock beside it
// keeps other gateways from it.
//
// # Stage
//
// limit, after rate_limit: a quota counts what was let pass by authentication, authorization and the other limits. A refused request gets
// 429 quota_exceeded, with Retry-After: when the period ends, or enough of a rolling one falls out. What can never pass, as it
// costs more than the whole quota, has none.
//
// # Explain
//
// How much is left of each quota, or when the one that refuses lets pass again.
//
// # Metrics
//
// cardea_quota_requests_total{route,quota,outcome} counts the requests that quotas were asked about: allowed, refused, would_refuse (in a dry
// run). cardea_quota_warnings_total{route,quota} is how often usage reached the share for warnings, cardea_quota_uncounted_total{route} the requests
// that could not be counted, cardea_quota_store_failures_total how often the store or the file failed,
// cardea_quota_unusable_costs_total{route} costs that were no numbers.
package quota
