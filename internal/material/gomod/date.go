package gomod

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/material/cas"
)

// maxInfo bounds an .info file, in bytes.
const maxInfo = 64 << 10

// date asks for each module that is compiled when its source says that the version was made. Nothing vouches for the answer,
// and a source that gives none is no failure of the build: the version then has no time, and a policy that wants one refuses it.
func (s *session) date(ctx context.Context, ms []fetched) {
	var g errgroup.Group
	g.SetLimit(8)
	for i := range ms {
		if ms[i].hasZip() {
			g.Go(func() error { ms[i].published = s.timeOf(ctx, ms[i]); return nil })
		}
	}
	_ = g.Wait() // none of them fails
}

func (s *session) timeOf(ctx context.Context, m fetched) time.Time {
	file, err := s.proxy.Fetch(ctx, cas.Key{Module: m.Path, Version: m.Version.Version, Kind: cas.Info})
	if err != nil {
		return time.Time{}
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxInfo))
	if err != nil {
		return time.Time{}
	}
	var info struct {
		Version string
		Time    time.Time
	}
	if err := json.Unmarshal(data, &info); err != nil || info.Version != m.Version.Version {
		return time.Time{}
	}
	return info.Time
}
