package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cache/disk"
	"cardea.dev/cardea/internal/cache/purge"
	"cardea.dev/cardea/internal/cache/shared"
	"cardea.dev/cardea/internal/redis"
	"cardea.dev/cardea/internal/stored"
)

// Behind is what is behind the memory of a cache. It outlives changes of the cache's sizes: a directory is never opened twice at once.
type Behind struct {
	store  stored.Store
	marks  *purge.Marks
	kind   string // "disk" or "redis"
	text   string // "disk /x"
	disk   *disk.Store
	shared *shared.Store // other gateways use it, too
}

// Kept returns what the settings of a cache say is behind its memory, or nil, and a text that tells it from all others. It outlives reloads. Errors
// are about fields of the settings.
func Kept(env *filter.Env, name string, settings *config.Cache) (*Behind, string, error) {
	switch {
	case env.Offline:
		return nil, "memory", nil
	case settings.Disk != nil:
		path := settings.Disk.Path
		if !filepath.IsAbs(path) {
			path = filepath.Join(env.Dir, path)
		}
		b, err := filter.Keep(env, "cache-disk:"+path, func() (*Behind, error) { return openDisk(env, path, settings.Disk) })
		if err != nil {
			return nil, "", config.FieldErrorf("disk", "%w", err)
		}
		return b, "disk:" + path, nil
	case settings.Shared:
		return keptShared(env, name, settings)
	}
	return nil, "memory", nil
}

// largest is the longest body that is kept on a disk.
func largest(d *config.CacheDisk) int64 {
	if d.MaxObject > 0 {
		return int64(d.MaxObject)
	}
	return int64(d.Size) / 8
}

func openDisk(env *filter.Env, path string, settings *config.CacheDisk) (*Behind, error) {
	store, err := disk.Open(path, disk.Options{Limit: int64(settings.Size), Largest: largest(settings), Log: env.Log})
	if err != nil {
		return nil, err
	}
	b := &Behind{store: store, disk: store, marks: purge.New(), kind: "disk", text: "disk " + path}
	b.marks.AtLeast(store.LoadMarks(b.marks.Apply))
	return b, nil
}

func keptShared(env *filter.Env, name string, settings *config.Cache) (*Behind, string, error) {
	url := settings.Store
	if url == "" {
		url = env.Store
	}
	if url == "" || url == "local" {
		return nil, "", config.FieldErrorf("shared", "the cache is shared, and there is no store: say `store: redis://HOST:PORT` at the root, or in the cache")
	}
	server, err := redis.Kept(env, url)
	if err != nil {
		return nil, "", config.FieldErrorf("store", "%w", err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%d", url.Reveal(), settings.MaxShared, settings.StoreTimeout))
	where := "redis:" + name + ":" + hex.EncodeToString(sum[:8])
	b, err := filter.Keep(env, "cache-"+where, func() (*Behind, error) {
		store, err := shared.New(server, name, shared.Options{
			MaxBody: int64(settings.MaxShared), Timeout: settings.StoreTimeout.Std(), Log: env.Log, Metrics: env.Metrics,
		})
		if err != nil {
			return nil, err
		}
		b := &Behind{store: store, shared: store, marks: purge.New(), kind: "redis", text: "redis"}
		store.Subscribe(0, b.marks.Apply)
		return b, nil
	})
	return b, where, err
}

// configure sets the sizes.
func (b *Behind) configure(settings *config.Cache) {
	if b.disk != nil && settings.Disk != nil {
		b.disk.Resize(int64(settings.Disk.Size), largest(settings.Disk))
	}
}

// purge notes a purge, and tells those who must know, or has them told soon where nobody waits for that. It holds here also after an error.
func (b *Behind) purge(ctx context.Context, p filter.Purge, wait bool) (filter.Purged, error) {
	switch {
	case b.shared == nil:
		seq := b.marks.Add(p)
		save := b.disk.NoteMark
		if wait {
			save = b.disk.SaveMark
		}
		if err := save(seq, p); err != nil {
			return filter.Purged{Seq: seq}, fmt.Errorf("it holds, but what was purged may be back after a restart: %w", err)
		}
		return filter.Purged{Seq: seq}, nil
	case !wait:
		seq := b.marks.Add(p)
		b.shared.PublishLater(p)
		return filter.Purged{Seq: seq}, nil
	}
	seq, err := b.shared.Publish(ctx, p)
	if err != nil {
		return filter.Purged{Seq: b.marks.Add(p)}, err // it gets another number when the store is back; nothing of the store is used until then
	}
	b.marks.Apply(seq, p)
	return filter.Purged{Seq: seq, Shared: true}, nil
}

// Close ends the store.
func (b *Behind) Close() error { return b.store.Close() }
