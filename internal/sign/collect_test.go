package sign

import (
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/gate"
)

const bareEnvelope = `{"payload":"AAAA","payloadType":"x","signatures":[{"sig":"AAAA"}]}`

func TestCollect(t *testing.T) {
	t.Parallel()
	two := strings.Replace(bareEnvelope, `[{`, `[{"sig":"BBBB"},{`, 1)
	for name, c := range map[string]struct {
		data      string
		good, bad int
		code      string
	}{
		"an envelope":            {bareEnvelope, 1, 0, ""},
		"lines":                  {bareEnvelope + "\n\n" + bareEnvelope + "\n", 2, 0, ""},
		"a line that is none":    {"{\n" + bareEnvelope, 1, 1, ""},
		"two signatures":         {two, 2, 0, ""},
		"a list of nothing":      {`{"attestations":[]}`, 0, 0, "bad-json"},
		"a list of what is none": {`{"attestations":[{"bundle":{}},{}]}`, 0, 2, ""},
		"a list that is none":    {`{"attestations":7}`, 0, 0, "bad-json"},
		"gcloud":                 {`{"provenance_summary":{"provenance":[{"envelope":` + two + `}]}}`, 2, 0, ""},
		"nothing":                {"", 0, 0, "bad-json"},
		"too many":               {strings.Repeat(bareEnvelope+"\n", maxCollected+1), 0, 0, "bad-json"},
		"too many signatures":    {strings.Replace(bareEnvelope, `[{`, `[`+strings.Repeat(`{"sig":"BBBB"},`, maxCollected)+`{`, 1), 0, 1, ""},
	} {
		all, err := Collect([]byte(c.data))
		good, bad := 0, 0
		for _, one := range all {
			if one.Err == nil {
				good++
			} else {
				bad++
			}
		}
		if gate.Code(err) != c.code || good != c.good || bad != c.bad {
			t.Errorf("%s: %d good, %d bad, %v", name, good, bad, err)
		}
	}
}

func FuzzCollect(f *testing.F) {
	f.Add([]byte(bareEnvelope + "\n" + bareEnvelope))
	f.Add([]byte(`{"attestations":[{"bundle":{}}]}`))
	f.Add([]byte(`{"provenance_summary":{"provenance":[{"envelope":` + bareEnvelope + `}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := Collect(data)
		if err != nil && gate.Code(err) == "" || err == nil && len(all) == 0 {
			t.Errorf("%d, %v", len(all), err)
		}
		for _, one := range all {
			if (one.Bundle == nil || one.Bundle.Envelope == nil && one.Bundle.Message == nil) && one.Err == nil || one.Err != nil && gate.Code(one.Err) == "" {
				t.Errorf("%+v", one)
			}
		}
	})
}
