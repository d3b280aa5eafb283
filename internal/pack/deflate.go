package pack

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/flate"
)

const (
	// blockSize is how many bytes are compressed as one piece. It shapes the output, so it never depends on the machine.
	blockSize = 1 << 20
	// windowSize is how far back deflate can refer (RFC 1951, 2).
	windowSize = 32 << 10
	// level trades speed for size.
	level = 6
	// maxReuse is how many blocks a compressor works on before it is replaced.
	maxReuse = 256
	// maxParallel bounds memory on large machines: a block in work costs about 3 MB.
	maxParallel = 16
)

// deflater compresses to one deflate stream (RFC 1951) with all cores.
//
// The input is cut into blocks of blockSize. Each is compressed by a compressor
// that was reset and knows the window before the block; it ends at a byte
// boundary with a sync marker, the last one with the final block. A block's output hence
// depends on its bytes and the window before it, and on nothing else. Compressors
// are replaced long before their 32-bit positions wrap around, so that not even a fault
// there could let the number of cores show.
//
// The goroutine that calls Write and Close also writes the finished blocks, in
// order, so errors surface there, and no goroutine outlives its block.
type deflater struct {
	w     io.Writer
	cur   *block
	queue []*block // being compressed, oldest first
	free  []*block
	most  int // length of queue
	err   error
}

type block struct {
	in     []byte
	window []byte // what stands before in, at most windowSize
	out    bytes.Buffer
	done   chan error
	z      *flate.Writer
	used   int // how often z was
}

func newDeflater(w io.Writer) *deflater {
	d := &deflater{most: min(runtime.GOMAXPROCS(0), maxParallel) + 1}
	d.reset(w)
	return d
}

// reset starts a new stream. The stream before it must have been closed.
func (d *deflater) reset(w io.Writer) {
	d.w, d.err = w, nil
	d.cur = d.next(nil)
}

// blocks are those of closed streams, so that the next ones need not allocate theirs.
var blocks = sync.Pool{New: func() any { return &block{done: make(chan error, 1)} }}

// next gives an empty block that follows after last.
func (d *deflater) next(last *block) *block {
	var b *block
	if n := len(d.free); n > 0 {
		b, d.free = d.free[n-1], d.free[:n-1]
	} else {
		b = blocks.Get().(*block)
	}
	b.in, b.window = b.in[:0], b.window[:0]
	b.out.Reset()
	if last != nil {
		b.window = append(b.window, last.in[max(0, len(last.in)-windowSize):]...)
	}
	return b
}

func (d *deflater) Write(p []byte) (int, error) {
	var written int
	for len(p) > 0 && d.err == nil {
		n := min(len(p), blockSize-len(d.cur.in))
		d.cur.in = append(d.cur.in, p[:n]...)
		p = p[n:]
		written += n
		if len(d.cur.in) == blockSize {
			full := d.cur
			d.cur = d.next(full)
			d.queue = append(d.queue, full)
			go func() { full.done <- full.compress(false) }()
			if len(d.queue) >= d.most {
				d.collect()
			}
		}
	}
	return written, d.err
}

// collect waits for the oldest block and writes it.
func (d *deflater) collect() {
	b := d.queue[0]
	d.queue = d.queue[1:]
	err := <-b.done
	if d.err == nil {
		d.err = err
	}
	if d.err == nil {
		_, d.err = d.w.Write(b.out.Bytes())
	}
	d.free = append(d.free, b)
}

// Close ends the stream; it does not close the writer below.
func (d *deflater) Close() error {
	last := d.cur
	if len(d.queue) == 0 {
		last.done <- last.compress(true)
	} else {
		go func() { last.done <- last.compress(true) }()
	}
	d.queue = append(d.queue, last)
	for len(d.queue) > 0 {
		d.collect()
	}
	for _, b := range d.free {
		blocks.Put(b)
	}
	d.cur, d.free = nil, nil
	return d.err
}

func (b *block) compress(last bool) (err error) {
	if b.z == nil || b.used >= maxReuse {
		if b.z, err = flate.NewWriterDict(&b.out, level, b.window); err != nil {
			return err
		}
		b.used = 0
	} else {
		b.z.ResetDict(&b.out, b.window)
	}
	b.used++
	if _, err := b.z.Write(b.in); err != nil {
		return err
	}
	if last {
		return b.z.Close()
	}
	return b.z.Flush()
}

// gzipper wraps a deflater as one gzip member (RFC 1952) with neither name, time nor system.
type gzipper struct {
	*deflater
	crc  uint32
	size uint32
}

func newGzipper(w io.Writer) (*gzipper, error) {
	header := [10]byte{0x1f, 0x8b, 8, 9: 255}
	if _, err := w.Write(header[:]); err != nil {
		return nil, err
	}
	return &gzipper{deflater: newDeflater(w)}, nil
}

func (g *gzipper) Write(p []byte) (int, error) {
	g.crc = crc32.Update(g.crc, crc32.IEEETable, p)
	g.size += uint32(len(p)) // modulo 2^32, as the format has it
	return g.deflater.Write(p)
}

func (g *gzipper) Close() error {
	if err := g.deflater.Close(); err != nil {
		return err
	}
	var trailer [8]byte
	binary.LittleEndian.PutUint32(trailer[:4], g.crc)
	binary.LittleEndian.PutUint32(trailer[4:], g.size)
	_, err := g.w.Write(trailer[:])
	return err
}
