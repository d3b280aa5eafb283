package signtest

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	tilespb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sello-release/sello/internal/trust"
)

// Paths of the services.
const (
	CertificatePath = "/api/v2/signingCert"
	EntryPath       = "/api/v2/log/entries"
	TimestampPath   = "/api/v1/timestamp"
)

// Services are an instance's authority, log and clock, as one speaks to Fulcio, Rekor v2 and Sigstore's timestamp authority. They
// check nothing, and lie where they are told to. What is asked of them is counted.
type Services struct {
	URL                          string
	Certificates, Entries, Times atomic.Int32
}

// Lies are what services do otherwise than they should; nil is as they should.
type Lies struct {
	Draft  func(*Draft)                                                            // changes a certificate before it is signed
	OldKey bool                                                                    // certificates have the key of the first one
	Entry  func(*protorekor.TransparencyLogEntry) *protorekor.TransparencyLogEntry // changes what the log answers
	Stamp  func(sum []byte, at time.Time) ([]byte, time.Time)                      // changes what a timestamp is about
	First  func(w http.ResponseWriter, r *http.Request) bool                       // answers instead, when it returns true
}

// Serve starts the services on loopback.
func (i *Instance) Serve(tb testing.TB, lies Lies) *Services {
	tb.Helper()
	s := &Services{}
	var once sync.Once
	var old any
	mux := http.NewServeMux()
	handle := func(path string, count *atomic.Int32, do func(body []byte, r *http.Request) (answer []byte, status int)) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			count.Add(1)
			if lies.First != nil && lies.First(w, r) {
				return
			}
			body, err := io.ReadAll(r.Body)
			check(tb, err)
			answer, status := do(body, r)
			w.WriteHeader(status)
			_, _ = w.Write(answer)
		})
	}
	handle(CertificatePath, &s.Certificates, func(body []byte, r *http.Request) ([]byte, int) {
		var said struct {
			PublicKeyRequest struct{ PublicKey struct{ Content string } }
		}
		check(tb, json.Unmarshal(body, &said))
		block, _ := pem.Decode([]byte(said.PublicKeyRequest.PublicKey.Content))
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		check(tb, err)
		once.Do(func() { old = key })
		if lies.OldKey {
			key = old
		}
		d := &Draft{Signer: whom(tb, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")), Issued: time.Now(), Lifetime: 10 * time.Minute}
		if lies.Draft != nil {
			lies.Draft(d)
		}
		if d.Subjects == nil {
			d.Subjects = []string{d.Signer.Subject}
		}
		leaf := certify(tb, template(tb, d), i.issuer, i.issuerKey, key)
		var chain []string
		for _, c := range []*x509.Certificate{leaf, i.issuer, i.ca} {
			chain = append(chain, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
		}
		answer, err := json.Marshal(map[string]any{"signedCertificateEmbeddedSct": map[string]any{"chain": map[string]any{"certificates": chain}}})
		check(tb, err)
		return answer, http.StatusOK
	})
	handle(EntryPath, &s.Entries, func(body []byte, _ *http.Request) ([]byte, int) {
		said := &tilespb.CreateEntryRequest{}
		check(tb, protojson.Unmarshal(body, said))
		h := said.GetHashedRekordRequestV002()
		leaf, err := x509.ParseCertificate(h.GetSignature().GetVerifier().GetX509Certificate().GetRawBytes())
		check(tb, err)
		e := i.entry(tb, h.GetDigest(), h.GetSignature().GetContent(), leaf)
		if lies.Entry != nil {
			e = lies.Entry(e)
		}
		answer, err := protojson.Marshal(e)
		check(tb, err)
		return answer, http.StatusCreated
	})
	handle(TimestampPath, &s.Times, func(body []byte, _ *http.Request) ([]byte, int) {
		said, err := timestamp.ParseRequest(body)
		check(tb, err)
		sum, at := said.HashedMessage, time.Now()
		if lies.Stamp != nil {
			sum, at = lies.Stamp(sum, at)
		}
		return i.timestampOf(tb, sum, at), http.StatusCreated
	})
	server := httptest.NewServer(mux)
	tb.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// whom gives whom a token names.
func whom(tb testing.TB, token string) trust.Keyless {
	tb.Helper()
	var claims struct{ Iss, Sub, Email string }
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	check(tb, err)
	check(tb, json.Unmarshal(data, &claims))
	if claims.Email != "" {
		claims.Sub = claims.Email
	}
	return trust.Keyless{Issuer: claims.Iss, Subject: claims.Sub}
}

// Another is an entry of the log for another signature than the one that was logged.
func (i *Instance) Another(tb testing.TB) *protorekor.TransparencyLogEntry {
	sum := sha256.Sum256([]byte("another"))
	leaf, _ := i.certificate(tb, &Draft{Subjects: []string{"other@example.org"}, Issued: i.Now, Lifetime: time.Hour})
	return i.entry(tb, sum[:], []byte("another"), leaf)
}
