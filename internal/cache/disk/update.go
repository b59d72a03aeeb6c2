package disk

import (
	"context"

	"cardea.dev/cardea/internal/stored"
)

// Update implements stored.Store. A small object's file is written anew; of a large one, only the head, into a file beside it. What is stored is not
// changed when it is not the response that the head was made from.
func (s *Store) Update(_ context.Context, r *stored.Response) {
	v := s.enter()
	if v == nil {
		return
	}
	defer s.leave(v)
	i := newID(r.Key)
	if known, _ := s.peek(i); !known {
		return
	}
	head := stored.AppendHead(make([]byte, 0, 1024), r)
	room := v.cost(smallFile) + v.cost(int64(len(head))+prefixSize+footerSize)
	if len(head) > maxHead || !s.reserve(v, room) {
		s.Delete(context.Background(), r.Key) // the old head must not be used any more
		return
	}
	o, err := s.replaceHead(v, i, r, head)
	s.take(-room)
	if err != nil {
		s.lost(v, i, o, err)
	}
}

// replaceHead reads an object and gives it another head. The object is returned where it is damaged.
func (s *Store) replaceHead(v *volume, i id, r *stored.Response, head []byte) (*object, error) {
	m := s.stripe(i)
	m.Lock()
	defer m.Unlock()
	_, own := s.peek(i)
	o, err := s.read(v, i, own)
	if err != nil {
		return o, err
	}
	defer o.close()
	if !s.sameBody(o, r) {
		return nil, nil
	}
	f := footer{head: uint32(len(head)), size: o.f.size, id: o.f.id, epoch: o.f.epoch}
	cost := v.cost(f.fileSize())
	if o.all != nil && o.f.size <= blockSize {
		all := make([]byte, 0, f.fileSize())
		all = append(append(all, o.all[:bodyEnd(o.f.size)]...), head...)
		err = v.writeFile(i.folder(), i.name(), appendFooter(all, f))
		own = false
	} else {
		all := append(appendPrefix(make([]byte, 0, prefixSize+len(head)+footerSize), magicHead, f.id), head...)
		all = appendFooter(all, f)
		err = v.writeFile(i.folder(), i.headName(), all)
		cost = v.cost(o.size) + v.cost(int64(len(all)))
		own = true
	}
	if err != nil {
		s.remove(v, i, true) // the old head must not be used any more
		s.sick(v, "write", err)
		return nil, nil
	}
	s.mu.Lock()
	if s.vol.Load() == v {
		s.ix.set(i, cost, until(r), own)
	}
	s.mu.Unlock()
	s.renew(v, i, o, r)
	return nil, nil
}

// renew has those who find the open file of an object find its new head.
func (s *Store) renew(v *volume, i id, o *object, r *stored.Response) {
	h := s.files.get(v, i)
	if h == nil {
		return
	}
	defer h.release()
	if h.oid == o.f.id {
		kept := *r
		kept.Size, kept.Body = o.f.size, &body{s: s, id: i, oid: h.oid, size: o.f.size}
		h.head.Store(&kept)
	}
}

// sameBody says whether a head is for the body that is stored: another may have been stored meanwhile.
func (s *Store) sameBody(o *object, r *stored.Response) bool {
	if o.r.Key != r.Key || o.f.size != r.Size || o.r.Marker != r.Marker {
		return false
	}
	if b, ours := r.Body.(*body); ours {
		return b.s == s && b.oid == o.f.id
	}
	if tag := o.r.Header.Get("Etag"); tag != "" || r.Header.Get("Etag") != "" {
		return tag == r.Header.Get("Etag")
	}
	return o.r.Header.Get("Last-Modified") == r.Header.Get("Last-Modified")
}

// until is when a response is of no use any more, for the index.
func until(r *stored.Response) uint32 {
	if r.Marker {
		return 0
	}
	return uint32(min(max(r.Until().Unix(), 1), 1<<32-1))
}
