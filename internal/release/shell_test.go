package release

import (
	"os/exec"
	"strings"
	"testing"
)

func TestShellWordIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		".sello/production/hello/v1.0.0":                            ".sello/production/hello/v1.0.0",
		"s3://b/hello/v1.0.0/?endpoint=http://127.0.0.1:1&region=x": "'s3://b/hello/v1.0.0/?endpoint=http://127.0.0.1:1&region=x'",
		"a b":   "'a b'",
		"it's":  `'it'\''s'`,
		"":      "''",
		"$HOME": "'$HOME'",
		"*":     "'*'",
	} {
		got := ShellWord(word)
		if got != want {
			t.Errorf("%q is written %s, want %s", word, got, want)
		}
		if sh, err := exec.LookPath("sh"); err == nil {
			out, err := exec.Command(sh, "-c", "printf %s "+got).Output()
			if err != nil || strings.TrimSuffix(string(out), "\n") != word {
				t.Errorf("a shell reads %s as %q: %v", got, out, err)
			}
		}
	}
}
