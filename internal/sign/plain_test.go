package sign

import (
	"bytes"
	"testing"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
)

// The plain form of a bundle is its very envelope, in one line, and names no key.
func TestPlain(t *testing.T) {
	t.Parallel()
	key, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := SignStatement(t.Context(), key, attest.PayloadType, []byte(`{"a":"<&>"}`))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Plain(bundle)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(plain, []byte("\n")) != 1 || !bytes.HasSuffix(plain, []byte("}\n")) || !bytes.Contains(plain, []byte(`"keyid":""`)) {
		t.Errorf("not one line without a key: %s", plain)
	}
	whole, err := ParseBundle(bundle)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseEnvelope(plain)
	if err != nil || !SameEnvelope(again, whole) {
		t.Errorf("read as another envelope: %v", err)
	}
	again.Envelope.Payload = append(again.Envelope.Payload, ' ')
	if SameEnvelope(again, whole) || SameEnvelope(&Bundle{}, whole) {
		t.Error("another payload, or none, is taken for the same")
	}
	if _, err := Plain([]byte("{")); gate.Code(err) != "bad-json" {
		t.Errorf("no bundle: %v", err)
	}
}
