package osv

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/gate"
)

// Bounds of what is asked of an API.
const (
	apiBatch   = 1000 // queries in one request: as many as the API takes
	apiPages   = 1000 // pages of answers
	apiAnswer  = 64 << 20
	apiAtOnce  = 8
	apiTimeout = 2 * time.Minute // of one request
)

// api is an OSV API, version 1: POST /v1/querybatch and GET /v1/vulns/ID.
type api struct {
	base   string
	client *http.Client
	now    func() time.Time
}

func newAPI(base string) *api {
	client := &http.Client{Timeout: apiTimeout, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 3 || r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
			return errors.New("the API redirects to another host")
		}
		return nil
	}}
	return &api{base: strings.TrimRight(base, "/"), client: client, now: time.Now}
}

// query is one question: a package without its version, so that the same judgement is made as of a mirror.
type query struct {
	Package   RecordPackage `json:"package"`
	PageToken string        `json:"page_token,omitempty"`
}

// Find asks for every package and then for every record. What an API answers is as new as the moment in which it is asked.
func (a *api) Find(ctx context.Context, packages []Package) (*Found, error) {
	w := want(packages)
	found := &Found{URI: a.base, Newest: a.now().UTC()}
	asked := map[string]bool{}
	var queries []query
	covered := map[string]bool{}
	for _, p := range packages {
		if q := (query{Package: RecordPackage{Ecosystem: p.Ecosystem, Name: p.Name}}); p.Ecosystem != "" && !asked[p.Ecosystem+"\x00"+p.Name] {
			asked[p.Ecosystem+"\x00"+p.Name] = true
			queries = append(queries, q)
			covered[base(p.Ecosystem)] = true
		}
	}
	ids, err := a.ids(ctx, queries)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(apiAtOnce)
	for _, id := range ids {
		g.Go(func() error {
			data, err := a.call(ctx, http.MethodGet, "/v1/vulns/"+url.PathEscape(id), nil, MaxRecord)
			if err != nil {
				return err
			}
			r, err := Parse(data, a.base+"/v1/vulns/"+id)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			found.Records = append(found.Records, r)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	found.Total = len(found.Records)
	for e := range covered {
		found.Covered = append(found.Covered, e)
	}
	return found.finish(w), nil
}

// ids gives the ids of all records about what is asked, page after page.
func (a *api) ids(ctx context.Context, queries []query) ([]string, error) {
	var ids []string
	for page := 0; len(queries) > 0; page++ {
		if page == apiPages {
			return nil, a.fault(errors.New("its answers have no end"))
		}
		batch := queries[:min(len(queries), apiBatch)]
		queries = queries[len(batch):]
		body, err := json.Marshal(map[string]any{"queries": batch})
		if err != nil {
			return nil, fmt.Errorf("encode query: %w", err)
		}
		data, err := a.call(ctx, http.MethodPost, "/v1/querybatch", body, apiAnswer)
		if err != nil {
			return nil, err
		}
		var answer struct {
			Results []struct {
				Vulns []struct {
					ID string `json:"id"`
				} `json:"vulns"`
				Next string `json:"next_page_token"`
			} `json:"results"`
		}
		if err := json.Unmarshal(data, &answer); err != nil {
			return nil, a.fault(err)
		}
		if len(answer.Results) != len(batch) {
			return nil, a.fault(fmt.Errorf("%d answers to %d questions", len(answer.Results), len(batch)))
		}
		for i, r := range answer.Results {
			for _, v := range r.Vulns {
				if !ValidID(v.ID) {
					return nil, a.fault(fmt.Errorf("id %.100q", v.ID))
				}
				ids = append(ids, v.ID)
			}
			if r.Next != "" {
				q := batch[i]
				q.PageToken = r.Next
				queries = append(queries, q)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// call makes one request and reads its answer to the end.
func (a *api) call(ctx context.Context, method, path string, body []byte, limit int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, a.fault(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := a.client.Do(r)
	if err != nil {
		return nil, a.fault(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, a.fault(fmt.Errorf("%s %s: %s", method, path, answer.Status))
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil {
		return nil, a.fault(err)
	}
	if int64(len(data)) > limit {
		return nil, tooLarge(a.base + path)
	}
	return data, nil
}

func (a *api) fault(cause error) error {
	return &gate.Refusal{Code: "vuln-db-unreachable", Class: gate.Failed, Where: a.base, What: "the database of vulnerabilities cannot be asked", Expected: "an OSV API, version 1",
		Fix: "try again, check the URL, or use a mirror on disk", Cause: cause}
}
