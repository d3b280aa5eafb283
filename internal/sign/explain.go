package sign

import (
	"bytes"
	"crypto"
	_ "crypto/sha512" // linked: log entries name their hashes
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	sumdb "golang.org/x/mod/sumdb/tlog"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
)

// getAgain is what to do about most refusals: nothing can be mended by who verifies.
const getAgain = "get the file and its bundle again from where they were published; if they are the same, do not use them"

// inquiry finds out why a bundle was refused. It makes sigstore-go's checks one by one, in an order in which
// the first that fails is the reason and not its consequence: chain, certificate log, signature, time, log. It never accepts anything.
type inquiry struct {
	root      *Root
	material  root.TrustedMaterial
	bundle    *Bundle
	entity    *bundle.Bundle
	now       time.Time
	algorithm string // of a signature over a file
	sum       []byte
}

// because gives the first reason, or other when there is none.
func (q inquiry) because(other error) error {
	content, err := q.entity.VerificationContent()
	if err != nil {
		return badJSON(err)
	}
	leaf := content.Certificate()
	for _, check := range []func(*x509.Certificate, verify.VerificationContent) error{q.chain, q.certificateLog, q.signature, q.time, q.log} {
		if err := check(leaf, content); err != nil {
			return err
		}
	}
	return other
}

func unexplained(err error) error {
	return &gate.Refusal{Code: "bundle-unverified", What: "the bundle does not verify", Cause: brief(err), Fix: getAgain}
}

func unsupportedPayload(found string) error {
	return refuse("unsupported-payload-type", "what was signed is not an in-toto statement", attest.PayloadType, fmt.Sprintf("%.100q", found), "give an in-toto attestation")
}

// complete holds that a bundle's certificate and log entries have what their version of the format demands.
func complete(b *protobundle.Bundle) error {
	if chain := b.GetVerificationMaterial().GetX509CertificateChain(); chain != nil && len(chain.GetCertificates()) == 0 {
		return badJSON(errors.New("the certificate chain is empty"))
	}
	entries := b.GetVerificationMaterial().GetTlogEntries()
	promises, proofs := 0, 0
	for i, e := range entries {
		if e.GetLogIndex() < 0 || e.GetInclusionProof() != nil && (e.GetInclusionProof().GetLogIndex() < 0 || e.GetInclusionProof().GetTreeSize() < 0) {
			return badJSON(fmt.Errorf("log entry %d has a negative index", i))
		}
		if len(e.GetInclusionPromise().GetSignedEntryTimestamp()) > 0 {
			promises++
		}
		if p := e.GetInclusionProof(); p != nil {
			if p.GetCheckpoint().GetEnvelope() == "" {
				return refuse("log-proof-invalid", "the log entry's proof has no checkpoint", "a checkpoint signed by the log", "none", getAgain)
			}
			proofs++
		}
		if _, err := tlog.ParseTransparencyLogEntry(e); err != nil && json.Valid(e.GetCanonicalizedBody()) {
			return &gate.Refusal{Code: "log-proof-invalid", What: "the log entry is not one that a log would have taken", Cause: brief(err), Fix: getAgain}
		} else if err != nil {
			return badJSON(fmt.Errorf("log entry %d: %w", i, err))
		}
		if err := agrees(e); err != nil {
			return err
		}
	}
	first := b.MediaType == "application/vnd.dev.sigstore.bundle+json;version=0.1" || b.MediaType == "application/vnd.dev.sigstore.bundle.v0.1+json"
	switch {
	case len(entries) == 0:
	case first && promises == 0:
		return refuse("log-proof-invalid", "the log entry has no promise", "a promise signed by the log, as bundles of version 0.1 have", "none", getAgain)
	case !first && proofs == 0:
		return refuse("log-proof-invalid", "the log entry has no proof that it is in the log", "an inclusion proof, as bundles from version 0.2 on have", "none", getAgain)
	}
	return nil
}

// agrees holds that what stands beside a log entry and its checkpoint says the same as they do: sigstore-go does not need it.
func agrees(e *protorekor.TransparencyLogEntry) error {
	mismatch := func(what, expected, actual string) error {
		return refuse("log-proof-invalid", "the log entry contradicts what stands beside it: "+what, expected, actual, getAgain)
	}
	var body struct{ APIVersion, Kind string }
	if err := json.Unmarshal(e.GetCanonicalizedBody(), &body); err != nil {
		return badJSON(err)
	}
	if said := e.GetKindVersion(); said.GetKind() != body.Kind || said.GetVersion() != body.APIVersion {
		return mismatch("its kind", body.Kind+" "+body.APIVersion, fmt.Sprintf("%.60q %.60q", said.GetKind(), said.GetVersion()))
	}
	proof := e.GetInclusionProof()
	if err := leads(proof, e.GetCanonicalizedBody()); err != nil {
		return &gate.Refusal{Code: "log-proof-invalid", What: "the proof does not lead from the log entry to the tree", Cause: brief(err), Fix: getAgain}
	}
	lines := strings.SplitN(proof.GetCheckpoint().GetEnvelope(), "\n", 4)
	if proof == nil || len(lines) < 4 {
		return nil // not this check's to say
	}
	if size := strconv.FormatInt(proof.GetTreeSize(), 10); body.APIVersion == "0.0.2" && body.Kind == "hashedrekord" && (size != lines[1] || b64(proof.GetRootHash()) != lines[2] || proof.GetLogIndex() != e.GetLogIndex()) {
		return mismatch("the tree", lines[1]+" "+lines[2], fmt.Sprintf("%s %s", size, b64(proof.GetRootHash())))
	}
	return nil
}

// leads holds that a proof is of this very entry (RFC 6962, section 2.1.1). Of Rekor v2 sigstore-go looks at the entry that there should be, and
// not at the one that the bundle shows to others.
func leads(p *protorekor.InclusionProof, body []byte) error {
	if p == nil {
		return nil
	}
	hash := func(b []byte) (h sumdb.Hash, err error) {
		if copy(h[:], b) != len(h) || len(b) != len(h) {
			err = fmt.Errorf("a hash of %d bytes", len(b))
		}
		return h, err
	}
	root, err := hash(p.GetRootHash())
	if err != nil {
		return err
	}
	var hashes sumdb.RecordProof
	for _, b := range p.GetHashes() {
		h, err := hash(b)
		if err != nil {
			return err
		}
		hashes = append(hashes, h)
	}
	return sumdb.CheckRecord(hashes, p.GetTreeSize(), root, p.GetLogIndex(), sumdb.RecordHash(body))
}

// chain holds that one of the root's authorities issued the certificate while that authority was valid.
func (q inquiry) chain(leaf *x509.Certificate, _ verify.VerificationContent) error {
	if leaf == nil {
		return nil
	}
	if _, err := q.chains(leaf, leaf.NotBefore); err == nil {
		return nil
	}
	issuer := fmt.Sprintf("%.100q", leaf.Issuer.String())
	for _, authority := range q.material.FulcioCertificateAuthorities() {
		if a, ok := authority.(*root.FulcioCertificateAuthority); ok {
			if issued(a, leaf) {
				return refuse("cert-outside-validity", "the certificate was issued when its authority was not valid or not trusted", span(a.ValidityPeriodStart, a.ValidityPeriodEnd),
					stamp(leaf.NotBefore), "get a bundle that was signed while the authority was in use")
			}
		}
	}
	return refuse("cert-untrusted", "no authority that is trusted here issued the certificate", fmt.Sprintf("one of the %d authorities in the trusted root", len(q.material.FulcioCertificateAuthorities())),
		issuer, "give the trusted root of the Sigstore instance that was signed with; if it is this one, do not use the file")
}

// issued reports whether an authority issued a certificate, whenever that was.
func issued(a *root.FulcioCertificateAuthority, leaf *x509.Certificate) bool {
	at := a.Root.NotBefore
	for _, c := range a.Intermediates {
		if c.NotBefore.After(at) {
			at = c.NotBefore
		}
	}
	own := *leaf
	own.NotBefore, own.NotAfter = at, at
	_, err := (&root.FulcioCertificateAuthority{Root: a.Root, Intermediates: a.Intermediates}).Verify(&own, at)
	return err == nil
}

func (q inquiry) chains(leaf *x509.Certificate, at time.Time) ([][]*x509.Certificate, error) {
	return verify.VerifyLeafCertificate(at, leaf, q.material)
}

// certificateLog holds that a log that the root names promised to publish the certificate.
func (q inquiry) certificateLog(leaf *x509.Certificate, _ verify.VerificationContent) error {
	if leaf == nil || !q.root.hasCT() {
		return nil
	}
	chains, err := q.chains(leaf, leaf.NotBefore)
	if err != nil {
		return nil //nolint:nilerr // chain has said so
	}
	if err := verify.VerifySignedCertificateTimestamp(chains, 1, q.material); err != nil {
		return &gate.Refusal{Code: "sct-invalid", What: "nothing proves that the certificate was published", Cause: brief(err),
			Expected: "a timestamp in the certificate by a log that the trusted root names", Fix: getAgain}
	}
	return nil
}

// signature holds that the certificate's key signed.
func (q inquiry) signature(leaf *x509.Certificate, content verify.VerificationContent) error {
	signed, err := q.entity.SignatureContent()
	if err != nil {
		return badJSON(err)
	}
	bad := refuse("signature-invalid", "the signature does not verify with the certificate that the bundle holds", "a signature by its key", "another signature, or other bytes than were signed", getAgain)
	if leaf == nil {
		return nil // Verify and VerifyDigest have decided
	}
	if q.bundle.Message == nil {
		e := q.bundle.Envelope
		switch {
		case verify.VerifySignature(signed, content, q.material) == nil:
			return nil
		case e.KeyID != "" && verifies(leaf.PublicKey, pae(e.PayloadType, e.Payload), e.Signature):
			return refuse("bundle-hint-mismatch", "the signature names another key than the certificate's", "no keyid, or that of the certificate's key", fmt.Sprintf("%.100q", e.KeyID), getAgain)
		}
		return bad
	}
	by := func(sum []byte) bool {
		return verify.VerifySignatureWithArtifactDigests(signed, content, q.material, []verify.ArtifactDigest{{Algorithm: q.algorithm, Digest: sum}}) == nil
	}
	switch claimed := q.bundle.Message.Digest; {
	case by(q.sum) && bytes.Equal(claimed, q.sum):
		return nil
	case by(claimed):
		return refuse("subject-mismatch", "the bundle signs another file than this one", q.algorithm+":"+hex.EncodeToString(claimed), q.algorithm+":"+hex.EncodeToString(q.sum),
			"this file is not what was signed: do not use it; download it again")
	}
	return bad
}

// time holds that somebody whom the root trusts saw the signature, while certificate and authority were valid.
func (q inquiry) time(leaf *x509.Certificate, content verify.VerificationContent) error {
	seen, failed, err := verify.VerifySignedTimestamp(q.entity, q.material)
	if err != nil {
		return badJSON(err)
	}
	var times []time.Time
	for _, s := range seen {
		times = append(times, s.Time)
	}
	entries, err := q.entity.TlogEntries()
	if err != nil {
		return badJSON(err)
	}
	for _, e := range entries {
		if e.HasInclusionPromise() && tlog.VerifySET(e, q.material.RekorLogs()) == nil {
			times = append(times, e.IntegratedTime())
		} else if t := e.IntegratedTime(); !t.IsZero() && !content.ValidAtTime(t, q.material) {
			times = append(times, t) // nobody signed it, and it counts against the bundle all the same
		}
	}
	if err := q.notFuture(times); err != nil {
		return err
	}
	for _, t := range times {
		if leaf == nil {
			continue
		}
		if !content.ValidAtTime(t, q.material) {
			return refuse("cert-outside-validity", "the signature was made when the certificate was not valid", span(leaf.NotBefore, leaf.NotAfter), stamp(t), getAgain)
		}
		if _, err := q.chains(leaf, t); err != nil {
			return refuse("cert-outside-validity", "the signature was made when the certificate's authority was not valid", "an authority that was valid then", stamp(t), getAgain)
		}
	}
	switch {
	case len(times) > 0:
	case len(failed) > 0:
		return &gate.Refusal{Code: "timestamp-invalid", What: "the timestamp is not one that is trusted here, or of another signature", Cause: brief(errors.Join(failed...)),
			Expected: fmt.Sprintf("a timestamp over this signature by one of the %d authorities in the trusted root", len(q.material.TimestampingAuthorities())), Fix: getAgain}
	default:
		for _, e := range entries {
			if e.HasInclusionPromise() {
				return refuse("log-proof-invalid", "the log did not sign the entry's promise", "a promise by a log in the trusted root, made while its key was in use", "another signature", getAgain)
			}
		}
		return refuse("timestamp-missing", "nothing proves when the signature was made", "a timestamp by an authority, or a log's promise with its time", "none", getAgain)
	}
	return nil
}

// notFuture refuses times that have not come yet.
func (q inquiry) notFuture(times []time.Time) error {
	for _, t := range times {
		if t.After(q.now.Add(clockSkew)) {
			return refuse("timestamp-invalid", "the signature was made in the future", "at most "+stamp(q.now), stamp(t), "check this machine's clock; if it is right, do not use the file")
		}
	}
	return nil
}

// log holds that a log that the root names has an entry of this very signature.
func (q inquiry) log(_ *x509.Certificate, content verify.VerificationContent) error {
	if !q.root.hasLogs() || q.root.mayBeUnlogged(q.entity) {
		return nil
	}
	entries, err := q.entity.TlogEntries()
	if err != nil {
		return badJSON(err)
	}
	if len(entries) == 0 {
		return refuse("log-missing", "the signature is in no transparency log", "an entry of a log in the trusted root", "none", getAgain)
	}
	known := 0
	for _, e := range entries {
		if err := tlog.ValidateEntry(e); err != nil {
			return &gate.Refusal{Code: "log-proof-invalid", What: "the log entry is malformed", Cause: brief(err), Fix: getAgain}
		}
		if _, ok := q.material.RekorLogs()[hex.EncodeToString([]byte(e.LogKeyID()))]; ok {
			known++
		}
		if err := q.speaks(e, content); err != nil {
			return err
		}
	}
	if known == 0 {
		return refuse("log-proof-invalid", "no log that is trusted here has the entry", fmt.Sprintf("one of the %d logs in the trusted root", len(q.material.RekorLogs())),
			hex.EncodeToString([]byte(entries[0].LogKeyID())), "give the trusted root of the Sigstore instance that was signed with")
	}
	if _, err := verify.VerifyTlogEntry(q.entity, q.material, 1, true); err != nil {
		return &gate.Refusal{Code: "log-proof-invalid", What: "the proof that the entry is in the log does not hold", Cause: brief(err),
			Expected: "a proof that leads to a checkpoint that the log signed", Fix: getAgain}
	}
	return nil
}

// speaks holds that a log entry is of the bundle's signature, signer and bytes.
func (q inquiry) speaks(e *tlog.Entry, content verify.VerificationContent) error {
	of := func(what string) error {
		return refuse("log-entry-mismatch", "the log entry is of something else than the bundle", "an entry of this "+what, "an entry of another "+what, getAgain)
	}
	signed, err := q.entity.SignatureContent()
	if err != nil {
		return badJSON(err)
	}
	switch {
	case !bytes.Equal(e.Signature(), signed.Signature()):
		return of("signature")
	case !content.CompareKey(e.PublicKey(), q.material) && !e.IsRekorV2():
		return of("signer")
	}
	want := q.sum
	logged, _, ok := e.GetHashedRekordDigest()
	if q.bundle.Envelope != nil {
		want = hashOf(crypto.SHA256, q.bundle.Envelope.Payload)
		if e.IsRekorV2() {
			message := pae(q.bundle.Envelope.PayloadType, q.bundle.Envelope.Payload)
			for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
				if h.Size() == len(logged) {
					want = hashOf(h, message)
				}
			}
		} else {
			logged, ok = e.GetDssePayloadHash()
		}
	}
	if ok && !bytes.Equal(logged, want) {
		return of("content")
	}
	return nil
}

func hashOf(h crypto.Hash, data []byte) []byte {
	w := h.New()
	w.Write(data)
	return w.Sum(nil)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func span(from, to time.Time) string {
	if to.IsZero() {
		return "from " + stamp(from) + " on"
	}
	return stamp(from) + " to " + stamp(to)
}
