package pack

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"sync"
	"sync/atomic"

	"github.com/sello-release/sello/internal/digest"
)

const (
	hashChunk = 256 << 10 // bytes handed over at a time
	hashAhead = 8         // chunks that a hash may lag behind
)

// hasher computes SHA-256 and SHA-512, each in a goroutine of its own, so that
// whoever writes waits for neither unless both cores are behind. Call finish exactly once.
type hasher struct {
	cur    *chunk
	size   int64
	to     [2]chan *chunk
	hashes [2]hash.Hash
	free   chan *chunk
	wait   sync.WaitGroup
}

type chunk struct {
	data []byte
	uses atomic.Int32 // hashes that still read it
}

func newHasher() *hasher {
	h := &hasher{hashes: [2]hash.Hash{sha256.New(), sha512.New()}, free: make(chan *chunk, hashAhead+2)}
	for i := range h.hashes {
		h.to[i] = make(chan *chunk, hashAhead)
		h.wait.Go(func() {
			for c := range h.to[i] {
				h.hashes[i].Write(c.data)
				h.release(c)
			}
		})
	}
	return h
}

// Write never fails, and keeps nothing of p.
func (h *hasher) Write(p []byte) (int, error) {
	h.size += int64(len(p))
	for rest := p; len(rest) > 0; {
		if h.cur == nil {
			h.cur = h.take()
		}
		n := min(len(rest), hashChunk-len(h.cur.data))
		h.cur.data = append(h.cur.data, rest[:n]...)
		rest = rest[n:]
		if len(h.cur.data) == hashChunk {
			h.flush()
		}
	}
	return len(p), nil
}

func (h *hasher) take() *chunk {
	select {
	case c := <-h.free:
		return c
	default:
		return &chunk{}
	}
}

func (h *hasher) flush() {
	if h.cur == nil {
		return
	}
	h.cur.uses.Store(int32(len(h.to)))
	for _, to := range h.to {
		to <- h.cur
	}
	h.cur = nil
}

func (h *hasher) release(c *chunk) {
	if c.uses.Add(-1) > 0 {
		return
	}
	c.data = c.data[:0]
	select {
	case h.free <- c:
	default:
	}
}

// finish ends the goroutines and gives the sums.
func (h *hasher) finish() digest.Sums {
	h.flush()
	for _, to := range h.to {
		close(to)
	}
	h.wait.Wait()
	return digest.Sums{Size: h.size, SHA256: hex.EncodeToString(h.hashes[0].Sum(nil)), SHA512: hex.EncodeToString(h.hashes[1].Sum(nil))}
}
