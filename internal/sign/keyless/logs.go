package keyless

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	tilespb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor/pkg/generated/client/entries"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/sigstore-go/pkg/root"
	sigstore "github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sello-release/sello/internal/strictjson"
)

func (s *Signer) log(ctx context.Context, l root.Service, c *credential, b *protobundle.Bundle) error {
	p := s.patience(ctx)
	options := &sigstore.RekorOptions{BaseURL: l.URL, Version: l.MajorAPIVersion, Timeout: -1, ClientV2: tiles{l.URL, p}, Client: treeLog{l.URL, p}}
	err := sigstore.NewRekor(options).GetTransparencyLogEntry(ctx, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.leaf.Raw}), b)
	if err != nil {
		return p.refusal(err, "log-down", "log-refused", "transparency log", l.URL)
	}
	return nil
}

// tiles speaks to a log in the form of Rekor v2.
type tiles struct {
	url string
	by  *patience
}

// Add puts an entry into the log, and waits until a checkpoint has it.
func (t tiles) Add(ctx context.Context, entry any) (*protorekor.TransparencyLogEntry, error) {
	hashed, ok := entry.(*tilespb.HashedRekordRequestV002)
	if !ok {
		return nil, fmt.Errorf("an entry of kind %T cannot be logged", entry)
	}
	body, err := protojson.Marshal(&tilespb.CreateEntryRequest{Spec: &tilespb.CreateEntryRequest_HashedRekordRequestV002{HashedRekordRequestV002: hashed}})
	if err != nil {
		return nil, err
	}
	if body, err = t.by.post(ctx, t.url, "/api/v2/log/entries", body); err != nil {
		return nil, err
	}
	out := &protorekor.TransparencyLogEntry{}
	return out, protojson.Unmarshal(body, out)
}

// treeLog speaks to a log in the form of Rekor v1.
type treeLog struct {
	url string
	by  *patience
}

// CreateLogEntry puts an entry into the log. What sigstore-go will look at in the answer is there.
func (t treeLog) CreateLogEntry(params *entries.CreateLogEntryParams, _ ...entries.ClientOption) (*entries.CreateLogEntryCreated, error) {
	body, err := json.Marshal(params.ProposedEntry)
	if err != nil {
		return nil, err
	}
	if body, err = t.by.post(t.by.ctx, t.url, "/api/v1/log/entries", body); err != nil {
		return nil, err
	}
	if err := strictjson.Check(body); err != nil {
		return nil, err
	}
	var said models.LogEntry
	if err := json.Unmarshal(body, &said); err != nil {
		return nil, err
	}
	for id, e := range said {
		v := e.Verification
		if len(said) != 1 || e.LogID == nil || e.LogIndex == nil || e.IntegratedTime == nil || v == nil || v.InclusionProof == nil ||
			v.InclusionProof.RootHash == nil || v.InclusionProof.LogIndex == nil || v.InclusionProof.TreeSize == nil || v.InclusionProof.Checkpoint == nil {
			break
		}
		return &entries.CreateLogEntryCreated{ETag: id, Payload: said}, nil
	}
	return nil, errors.New("it answers with no entry, or with one that lacks its proof")
}

// GetLogEntryByUUID implements sigstore.RekorClient, and is not needed: what the log has already is signed again.
func (t treeLog) GetLogEntryByUUID(*entries.GetLogEntryByUUIDParams, ...entries.ClientOption) (*entries.GetLogEntryByUUIDOK, error) {
	return nil, errConflict
}

// post gives what a log answers when it took an entry.
func (p *patience) post(ctx context.Context, base, path string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(base, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	answer, err := (&http.Client{Transport: p}).Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if body, err = io.ReadAll(answer.Body); err != nil { // patience has bounded it
		return nil, err
	}
	switch answer.StatusCode {
	case http.StatusCreated:
		return body, nil
	case http.StatusConflict:
		return nil, errConflict
	}
	return nil, fmt.Errorf("%s: %s", answer.Status, body)
}

// errConflict says that the log has this very signature already.
var errConflict = errors.New("the log has this entry already")
