package shared

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/redis/redistest"
)

// floor is what a purge says: whatever was fetched by one who knew of it is of this version or a later one.
type floor struct {
	seq     uint64
	version int64
}

// peer is a gateway of TestNothingPurgedIsFound.
type peer struct {
	*gateway
	known atomic.Uint64
}

// TestNothingPurgedIsFound: whatever happens to Redis, no gateway that knows of a purge uses what was fetched before.
func TestNothingPurgedIsFound(t *testing.T) {
	s := redistest.Start(t)
	var version, found atomic.Int64
	var mu sync.Mutex
	var floors []floor

	peers := make([]*peer, 3)
	for i := range peers {
		peers[i] = &peer{gateway: join(t, s.URL(), Options{})}
		peers[i].Subscribe(0, func(seq uint64, _ filter.Purge) { raise(&peers[i].known, seq) })
	}
	fetch := func(p *peer, key string) {
		seq, v := p.known.Load(), version.Load()
		r := response(key, strconv.FormatInt(v, 10))
		r.Seq, r.Received = seq, time.Now()
		w, err := p.Put(t.Context(), r)
		if err != nil {
			return
		}
		_, _ = w.Write([]byte(strconv.FormatInt(v, 10)))
		if _, err := w.Commit(r); err != nil {
			t.Error(err)
		}
	}
	look := func(p *peer, key string) {
		r := p.Get(t.Context(), key)
		mark := p.known.Load()
		if r == nil || r.Seq < mark {
			return // it was purged
		}
		found.Add(1)
		v, err := strconv.ParseInt(bodyOf(t, r), 10, 64)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, f := range floors {
			if f.seq <= mark && v < f.version {
				t.Errorf("version %d of number %d is used after the purge %d of all before %d", v, r.Seq, f.seq, f.version)
			}
		}
	}
	purge := func(p *peer) {
		v := version.Add(1)
		seq, err := p.Publish(t.Context(), filter.Purge{All: true})
		if err != nil {
			return
		}
		mu.Lock()
		if slices.ContainsFunc(floors, func(f floor) bool { return f.seq == seq }) {
			t.Errorf("two purges have the number %d", seq)
		}
		floors = append(floors, floor{seq, v})
		mu.Unlock()
		raise(&p.known, seq)
	}
	work := func() {
		var group sync.WaitGroup
		for i, p := range peers {
			group.Go(func() {
				for j := range 60 {
					key := fmt.Sprint(j % 3)
					fetch(p, key)
					look(p, key)
					look(peers[(i+1)%len(peers)], key)
					if j%10 == i {
						purge(p)
					}
				}
			})
		}
		group.Wait()
	}
	up := func() {
		s.Wait("be up", func() bool {
			return !slices.ContainsFunc(peers, func(p *peer) bool { return p.Stats().Down || !p.purges.current() })
		})
	}
	for _, happens := range []func(){
		func() {},
		func() { s.Must("FLUSHALL") },
		func() { s.Kill(); s.Run() }, // without its data
		func() { s.Must("DEL", peers[0].purges.key) },
		func() { s.Must("XTRIM", peers[0].purges.key, "MAXLEN", "0") },
		func() { s.Must("CLIENT", "KILL", "TYPE", "normal") },
		func() { s.Kill(); work(); s.Run() },
	} {
		var group sync.WaitGroup
		group.Go(work)
		happens()
		group.Wait()
		up()
		work()
	}
	if found.Load() == 0 {
		t.Error("nothing was ever found")
	}
}
