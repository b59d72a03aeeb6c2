// Package shared keeps a cache's responses in a Redis or Valkey that gateways share, and has them tell each other of purges. It is one of the stores
// behind a cache's memory (stored.Store). What may be stored, and used, is decided by others (packages rules and purge). The cache imports it.
//
// # What is in Redis
//
// All keys begin with "cardea:cache:NAME:", the name of the cache. Caches of one name in one Redis are one cache: gateways whose routes or upstreams
// are not the same should use other names, or other databases.
//
//   - "…{SHA-256 of the key}" is a response: its head, and its body up to 256KiB, so that finding it takes one question.
//   - "…{SHA-256 of the key}:b" is a longer body, up to max_shared. Longer ones are not stored.
//   - "…{SHA-256 of what is fetched}:l" is there while a gateway fetches it (Lease), or is "-" while gateways do not wait for each other.
//   - "…{purges}" is a stream of the last 10,000 purges.
//
// What belongs together is in one hash slot, so that a cluster works, too. Values have a version and checksums, and the whole key in them. What is
// broken, cut off, of another version, of another type or another key, or has lost its body, is not there; what is the store's own and broken is
// deleted, too. No more is ever read than max_shared and 256KiB for a head. Each expires when the response is of no use any more, after
// a week at most; what can be validated is kept for an hour longer, since a validation may make it of use again. It expires by the time that is
// left, so that the clock of Redis does not matter; the clocks of the gateways should be right within a second or so, as ages are counted by them.
//
// It takes Redis 5 or later, or Valkey, alone, as a cluster, or with sentinels, and with TLS. Users of Redis who may not do all need DEL, EVAL,
// GET, GETRANGE, PEXPIRE, SET, TIME, TYPE, UNLINK, XADD, XINFO, XRANGE and XREAD for these keys. Set its maxmemory, and its
// maxmemory-policy to volatile-lru: what is read least is let go of then, and never the purges, which do not expire. With allkeys-lru the purges may be let
// go of, which is noticed within a second, and makes gateways that have missed some of them let go of all they have. With noeviction a full Redis can
// still be read, but takes nothing more; there is a line in the log each minute. Nothing needs to be saved to disk.
//
// # What requests wait for
//
// Get waits for store_timeout at most, also while a connection is being made. Put, Commit, Update, Delete and PublishLater never wait: a body is taken into
// memory, up to max_shared, and sent after Commit. At most 1024 things wait to be sent, and 64MiB (or four times max_shared) of bodies; what is
// more is not stored, and counted (cardea_cache_store_dropped_total). So a Get right after a Commit may not find it yet.
//
// After a connection that fails, or five answers in a row that were too late, the server is down: there is one line in the log, Get returns nothing at once,
// and Put takes nothing. The server is probed at times from 50ms to a second apart, with what requests do. When it answers, first all
// purges that were missed are delivered; then there is one more line, and all is as before.
//
// # What a cache does with it
//
// The memory in front may have a response that is older than the one in Redis: another gateway may have fetched or validated it. While it is fresh that
// does no harm: each cache may use what is fresh. Once it is stale, or must be validated, the cache asks here (Get) before it asks the upstream,
// and uses what is found if its Received is later than that of its own. It puts it into memory as it is: with its times, terms and Seq. A response that was
// validated goes into the memory and here (Update). Update replaces the head only where Redis still has the same body, and nothing that was
// received later: where another gateway has stored another body meanwhile, that one stays. For that the Body of what is updated must be at hand; without
// it Update does nothing, and what is in Redis stays stale, which costs a validation and nothing else. Where two gateways store at the same time, the
// later one wins.
//
// Purges are not carried out in Redis: nobody could find all of what a tag stands for. They are marks that each gateway has, and what is found
// here is checked against them like what is found in memory. So
//
//	store.Subscribe(marks.Seq(), marks.Apply)
//
// comes right after New, and before the first Get. Until all purges are known here that Redis knows, Get finds nothing: after the start, and after each
// outage. Subscribe itself waits for that for store_timeout at most, so that a gateway that has started finds things at once.
//
// To purge, the cache calls Publish. With the number that it returns the purge is applied here at once; the others know some 0.1ms later. After
// an error the cache applies it by itself (marks.Add), and tells the operator that other gateways do not know yet (Purged.Shared is false); it is published as
// soon as the server is back, before anything is asked there, and then holds for all that was fetched until then. Until it is, Get finds nothing. URLs that unsafe methods invalidate are frequent: they are applied
// (marks.Add) and told by PublishLater, which sends up to 64 at a time. At most 1024 purges wait; if there are more they become one of all (soft, if all of
// them are). What still waits when a gateway ends is lost, which is logged.
//
// A gateway that has lost Redis does not learn of others' purges until it is back, and uses what it has in memory meanwhile. Who cannot have that
// limits how long responses are used (max_ttl).
//
// # Numbers of purges
//
// Purges have numbers that rise: the time in microseconds by the clock of Redis, or one more than the last where that is not more. So numbers go on rising
// when Redis has lost all it had, and a number that a gateway has given by itself meanwhile (marks.Add: one more than the last) is below all
// that come later. They are below 2^53, so that all tools can read them.
//
// Each entry of the stream says which purge came before it. A gateway whose last one was an earlier one has missed some: they were cut off the stream, or
// Redis has lost them. It is told of a purge of all with the number of the last that it missed, so that what was fetched after that stays. An entry that
// cannot be read (of a later version, or of somebody else) is a purge of all, too. Each second, and after each connection, a gateway looks whether the
// stream still knows what it knows itself; if not it says so in the stream, for those who know less.
//
// The stream is read by a question that Redis answers when there is something (XREAD BLOCK), on a connection of its own. It is used rather than
// channels (SUBSCRIBE): one mechanism gives what comes and what was missed, in one order, of one server of a cluster rather than from all, and the
// guard of the connections can go on refusing messages that nobody has asked for.
//
// # One fetch for many gateways
//
// Lease is for what many want at once and is slow to make. Package coalesce has each gateway fetch once; Lease has one gateway of all fetch:
//
//	lease := store.Lease(ctx, what)
//	defer lease.End(0) // after Commit, or when nothing came of it
//	if lease.Look {
//		if r := store.Get(ctx, key); r != nil { use r }
//	}
//	fetch
//
// It returns at once for the one that leads: others are asked to wait from then until its End, which is sent after what it has committed, so that those who
// wait find it. They look after 4ms, and then at most 50ms apart, until nobody has the lease any more, or their context ends; a lease that nobody gives back ends
// after Options.Lease (10s). End(d) says that what comes is not for others: they all go on at once, and nobody gets a lease, or waits, for that long.
// An End that the server does not take is sent when it is there again. Where Redis does not answer in time, or has no room, nobody leads and nobody waits. It costs a question before each fetch. No request fails by it.
//
// # Metrics
//
// cardea_cache_store_duration_seconds, cardea_cache_store_errors_total (by reason) and cardea_cache_store_dropped_total (by what), all by cache. How many responses there are, and how large, only Redis knows: Stats says just whether it is down, and All goes through none.
package shared
