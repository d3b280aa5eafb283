package sign

import (
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"

	"github.com/sello-release/sello/internal/strictjson"
)

// Annotations with which cosign attached to an envelope, before it wrote bundles, what verifies it.
const (
	attachedCertificate = "dev.sigstore.cosign/certificate"
	attachedEntry       = "dev.sigstore.cosign/bundle"
	attachedTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

// Attached gives an envelope that cosign attached to an image as a file of attestations: as it is when a key signed it, and as a Sigstore bundle
// of the first version when a certificate did, made of the layer's annotations. It refuses with bad-json what has not the form. Nothing is verified.
func Attached(envelope []byte, annotations map[string]string) ([]byte, error) {
	if annotations[attachedCertificate] == "" {
		return envelope, nil
	}
	leaf, _ := pem.Decode([]byte(annotations[attachedCertificate]))
	if leaf == nil || leaf.Type != "CERTIFICATE" {
		return nil, badJSON(errors.New("an annotation that should hold a certificate holds none"))
	}
	type certificate struct {
		RawBytes []byte `json:"rawBytes"`
	}
	type timestamp struct {
		Signed []byte `json:"signedTimestamp"`
	}
	material := map[string]any{"x509CertificateChain": map[string]any{"certificates": []certificate{{leaf.Bytes}}}}
	if text := annotations[attachedEntry]; text != "" {
		entry, err := attachedLogEntry([]byte(text))
		if err != nil {
			return nil, badJSON(err)
		}
		material["tlogEntries"] = []any{entry}
	}
	if text := annotations[attachedTimestamp]; text != "" {
		var t struct{ SignedRFC3161Timestamp []byte }
		if err := strictjson.Unmarshal([]byte(text), &t); err != nil {
			return nil, badJSON(err)
		}
		material["timestampVerificationData"] = map[string]any{"rfc3161Timestamps": []timestamp{{t.SignedRFC3161Timestamp}}}
	}
	out, err := json.Marshal(map[string]any{"mediaType": mediaTypes[0], "verificationMaterial": material, "dsseEnvelope": json.RawMessage(envelope)})
	if err != nil {
		return nil, badJSON(err)
	}
	return out, nil
}

// attachedLogEntry writes a log entry as bundles have it: what Rekor answered, with its promise.
func attachedLogEntry(data []byte) (map[string]any, error) {
	var e struct {
		SignedEntryTimestamp []byte
		Payload              struct {
			Body           []byte `json:"body"`
			IntegratedTime int64  `json:"integratedTime"`
			LogIndex       int64  `json:"logIndex"`
			LogID          string `json:"logID"`
		}
	}
	if err := strictjson.Unmarshal(data, &e); err != nil {
		return nil, err
	}
	var kind struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := strictjson.Unmarshal(e.Payload.Body, &kind); err != nil {
		return nil, fmt.Errorf("body of the log entry: %w", err)
	}
	id, err := hex.DecodeString(e.Payload.LogID)
	if err != nil {
		return nil, fmt.Errorf("id of the log: %w", err)
	}
	return map[string]any{
		"logIndex": strconv.FormatInt(e.Payload.LogIndex, 10), "integratedTime": strconv.FormatInt(e.Payload.IntegratedTime, 10), "logId": map[string]any{"keyId": id},
		"kindVersion": map[string]string{"kind": kind.Kind, "version": kind.APIVersion}, "inclusionPromise": map[string]any{"signedEntryTimestamp": e.SignedEntryTimestamp},
		"canonicalizedBody": e.Payload.Body,
	}, nil
}
