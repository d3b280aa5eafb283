package admission_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sello-release/sello/docs/examples/admission"
	"github.com/sello-release/sello/verify"
)

// What is no review is not answered as one, and an image that cannot be looked at is not let in. Released images are admitted in
// cmd/sello/testdata/consumers.
func TestHandler(t *testing.T) {
	s := httptest.NewServer(admission.Handler(verify.Options{RequireRelease: true}))
	defer s.Close()
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"nothing":   {"", http.StatusBadRequest},
		"no review": {"{}", http.StatusBadRequest},
		"too large": {`{"request":{"uid":"` + strings.Repeat("a", 5<<20) + `"}}`, http.StatusBadRequest},
		"no trust":  {`{"request":{"uid":"1","object":{"spec":{"containers":[{"image":"127.0.0.1:1/x@sha256:` + strings.Repeat("0", 64) + `"}]}}}}`, http.StatusOK},
		"by a tag":  {`{"request":{"uid":"1","object":{"spec":{"ephemeralContainers":[{"image":"x:latest"}]}}}}`, http.StatusOK},
	} {
		answer, err := http.Post(s.URL, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if err := answer.Write(&text); err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != c.status || c.status == http.StatusOK && !strings.Contains(text.String(), `"allowed":false`) {
			t.Errorf("%s: %s", name, text.String())
		}
	}
}
