package lazyregexp

import "testing"

func TestNew(t *testing.T) {
	t.Parallel()
	r := New("^a(b*)$")
	if !r.MatchString("abb") || r.MatchString("ba") || r.FindStringSubmatch("abb")[1] != "bb" || r.ReplaceAllString("ab", "x") != "x" {
		t.Error("it is no regular expression")
	}
	defer func() {
		if recover() == nil {
			t.Error("a wrong one is not found in a test")
		}
	}()
	New("(")
}
