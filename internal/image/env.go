package image

import "strings"

// HasEnv reports whether the base sets an environment variable.
func (b *Base) HasEnv(name string) bool {
	for _, e := range b.content.config.config.Env {
		if key, _, _ := strings.Cut(e, "="); key == name {
			return true
		}
	}
	return false
}
