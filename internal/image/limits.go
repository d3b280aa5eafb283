package image

import (
	"fmt"

	"github.com/sello-release/sello/internal/gate"
)

// Limits bound what the layers of an image may unpack to, all together. Zero means the default.
type Limits struct {
	// Entries of all layers, hidden ones and folders that are only implied included; default 1,000,000.
	Entries int
	// File is the most bytes in one file; default 8 GiB.
	File int64
	// Total is the most bytes of all layers, uncompressed; default 32 GiB.
	Total int64
}

func (l Limits) withDefaults() Limits {
	if l.Entries == 0 {
		l.Entries = 1_000_000
	}
	if l.File == 0 {
		l.File = 8 << 30
	}
	if l.Total == 0 {
		l.Total = 32 << 30
	}
	return l
}

const (
	// maxName bounds a path, and a link's target, in bytes; it is Linux's PATH_MAX.
	maxName = 4096
	// maxNames bounds what names and targets of links take in memory, in bytes.
	maxNames = 256 << 20
	// maxWork bounds the steps from folder to folder that names lead through: a layer can be made so that few bytes cost many.
	maxWork = 100_000_000
	// maxHops is how many symlinks a name may lead through, as on Linux.
	maxHops = 40
	// maxWindow bounds the memory for zstd, in bytes.
	maxWindow = 64 << 20
)

func layerTooLarge(where, limit string) error {
	r := &gate.Refusal{Code: CodeLayerTooLarge, What: "the layers of an image unpack to more than is allowed", Expected: limit, Fix: "do not use the image"}
	if where != "" {
		r.Where = fmt.Sprintf("%q", short(where))
	}
	return r
}

// short keeps hostile names from filling a message.
func short(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
