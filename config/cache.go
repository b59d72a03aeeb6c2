package config

import "strings"

// Cache is where the policy `cache` keeps answers: in memory, and behind it on a disk or in a Redis that gateways share. The short form is
// Memory. The cache called "default" is there without being named.
type Cache struct {
	// Memory is how much memory it takes, with the heads of answers and all that finds them. By default 128MiB, and 64KiB at
	// least; 0 keeps nothing in memory, which is for caches with a disk or a store.
	Memory Size `yaml:"memory,short"`

	// MaxInMemory is the longest body that is kept in memory. By default a sixteenth of Memory, and 8MiB at most.
	MaxInMemory Size `yaml:"max_in_memory"`

	// Disk is a directory in which answers are kept beyond the memory, and beyond the end of the gateway. By default there is none.
	Disk *CacheDisk `yaml:"disk"`

	// Shared has gateways share what they keep, in the Redis or Valkey that Store says. It does not go together with Disk. By default off.
	Shared bool `yaml:"shared"`

	// Store is the Redis or Valkey of a shared cache: "redis://host:6379". By default it is the `store` at the root.
	Store Secret `yaml:"store"`

	// MaxShared is the longest body that is kept in the store. By default 1MiB.
	MaxShared Size `yaml:"max_shared" min:"1KiB" max:"256MiB"`

	// StoreTimeout is how long a request waits for the store. Then it goes on as if nothing were there. By default 100ms.
	StoreTimeout Duration `yaml:"store_timeout" min:"1ms"`

	// Self is the cache as it was written.
	Self Node `yaml:",self"`
}

// CacheDisk is the directory of a cache. The short form is Path.
type CacheDisk struct {
	// Path is the directory, which is made if it is not there. It is for one cache of one gateway alone, and not inside of another's.
	Path string `yaml:"path,short,required"`

	// Size is how many bytes it takes at most. By default 10GiB.
	Size Size `yaml:"size" min:"1MiB"`

	// MaxObject is the longest body that is kept. By default an eighth of Size.
	MaxObject Size `yaml:"max_object"`
}

// Default is what the fields say.
func (c *Cache) Default() {
	c.Memory = 128 << 20
	c.MaxShared = usualShared
	c.StoreTimeout = usualStoreTimeout
}

const (
	usualShared       = Size(1 << 20)
	usualStoreTimeout = Duration(100e6)
	leastMemory       = Size(64 << 10)
)

// Default is what the fields say.
func (d *CacheDisk) Default() { d.Size = 10 << 30 }

// Validate checks that the parts go together.
func (c *Cache) Validate() error {
	switch {
	case c.Shared && c.Disk != nil:
		return FieldErrorf("disk", "a cache has either a disk or a store that gateways share")
	case c.Store != "" && !c.Shared:
		return FieldErrorf("store", "the store is for caches that gateways share; write `shared: true`, too")
	case c.MaxShared != usualShared && !c.Shared:
		return FieldErrorf("max_shared", "it is for caches that gateways share; write `shared: true`, too")
	case c.StoreTimeout != usualStoreTimeout && !c.Shared:
		return FieldErrorf("store_timeout", "it is for caches that gateways share; write `shared: true`, too")
	case c.Memory == 0 && c.Disk == nil && !c.Shared:
		return FieldErrorf("memory", "a cache without memory needs a disk or a store; write `cache: off` on routes for none")
	case c.Memory > 0 && c.Memory < leastMemory:
		return FieldErrorf("memory", "%s are too little to keep anything in; expected at least %s", c.Memory, leastMemory)
	case c.MaxInMemory > c.Memory:
		return FieldErrorf("max_in_memory", "it is more than the whole memory, %s", c.Memory)
	case c.Disk != nil && c.Disk.MaxObject > c.Disk.Size:
		return FieldErrorf("disk.max_object", "it is more than the whole size, %s", c.Disk.Size)
	}
	return nil
}

// Validate checks the path.
func (d *CacheDisk) Validate() error {
	switch {
	case d.Path == "":
		return FieldErrorf("path", "the directory needs a name")
	case strings.ContainsRune(d.Path, 0):
		return FieldErrorf("path", "no name of a directory has the character NUL in it")
	}
	return nil
}
