package cosignature

import (
	"crypto/ed25519"
	"encoding/base64"
	"math"
	"strings"
	"testing"
	"time"
)

var private = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func key(name string) *Key { return New(name, private.Public().(ed25519.PublicKey)) }

// A key has one spelling; every other character of it makes it another key, or none.
func TestParseKey(t *testing.T) {
	t.Parallel()
	good := key("witness.example/w1").String()
	k, err := ParseKey(good)
	if err != nil || k.Name() != "witness.example/w1" || k.String() != good || !k.Public().Equal(private.Public()) {
		t.Fatalf("%v, %v", k, err)
	}
	for name, bad := range map[string]string{
		"empty":           "",
		"name alone":      "witness.example/w1",
		"no name":         strings.TrimPrefix(good, "witness.example/w1"),
		"another name":    strings.Replace(good, "w1", "w2", 1),
		"a space":         strings.Replace(good, "/", " ", 1),
		"a letter like e": strings.Replace(good, "e", "е", 1),
		"upper case":      strings.Replace(good, "+e42b2f2c+", "+E42B2F2C+", 1),
		"a longer hash":   strings.Replace(good, "+e42b2f2c+", "+0e42b2f2c+", 1),
		"a log's key":     "witness.example/w1+e42b2f2c+" + base64.StdEncoding.EncodeToString(append([]byte{1}, k.public...)),
		"cut":             good[:len(good)-4],
		"longer":          good + "AAAA",
		"twice":           good + "+" + good,
		"a long name":     New(strings.Repeat("x", 256), k.public).String(),
	} {
		if k, err := ParseKey(bad); err == nil {
			t.Errorf("%s: %s is taken", name, k)
		}
	}
	for i := range good {
		bad := []byte(good)
		bad[i] ^= 1
		if _, err := ParseKey(string(bad)); err == nil {
			t.Errorf("byte %d, %q, makes no difference", i, good[i])
		}
	}
}

// A cosignature is of one text, at one time that has come. The vector is the example of C2SP tlog-cosignature's text, signed by the key of the tests.
func TestVerify(t *testing.T) {
	t.Parallel()
	const text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
	now := time.Unix(1679315147, 0)
	at := func(d time.Duration) []byte { return Sign(private, now.Add(d), []byte(text)) }
	by := key("w").At(now)
	good := at(0)
	if !ed25519.Verify(private.Public().(ed25519.PublicKey), []byte("cosignature/v1\ntime 1679315147\n"+text), good[8:]) {
		t.Error("this is not what a witness signs")
	}
	for name, c := range map[string]struct {
		sig  []byte
		text string
		good bool
	}{
		"good":            {good, text, true},
		"long ago":        {at(-40 * 365 * 24 * time.Hour), text, true},
		"a day ahead":     {at(Ahead), text, true},
		"more than a day": {at(Ahead + time.Second), text, false},
		"no time":         {Sign(private, time.Unix(0, 0), []byte(text)), text, false},
		"no time at all":  {Sign(private, time.Unix(math.MinInt64, 0), []byte(text)), text, false},
		"another text":    {good, strings.Replace(text, "3", "4", 1), false},
		"plain Ed25519":   {append(good[:8:8], ed25519.Sign(private, []byte(text))...), text, false},
		"without time":    {good[8:], text, false},
		"longer":          {append(good[:len(good):len(good)], 0), text, false},
		"empty":           {nil, text, false},
	} {
		if got := by.Verify([]byte(c.text), c.sig); got != c.good {
			t.Errorf("%s: %v", name, got)
		}
	}
	for i := range good {
		bad := append([]byte{}, good...)
		bad[i] ^= 1
		if by.Verify([]byte(text), bad) {
			t.Errorf("byte %d makes no difference", i)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(key("witness.example/w1").String())
	f.Add("x+00000000+BAAA")
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := ParseKey(s); err == nil && (k.String() != s || k.Name() == "" || len(k.Public()) != ed25519.PublicKeySize) {
			t.Fatalf("%q is read as %q", s, k)
		}
	})
}
