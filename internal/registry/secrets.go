package registry

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"strings"
)

// maxLogins bounds a file of logins, in bytes.
const maxLogins = 1 << 20

// Secrets gives the passwords and tokens in the login files of podman and docker, to be kept out of what is shown. What a helper
// program would hand out is not asked for, and what cannot be read is passed over.
func Secrets() []string {
	var out []string
	for _, name := range loginFiles() {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(f, maxLogins))
		f.Close()
		var logins struct {
			Auths map[string]struct{ Auth, Password, IdentityToken, RegistryToken string }
		}
		if err != nil || json.Unmarshal(data, &logins) != nil {
			continue
		}
		for _, l := range logins.Auths {
			out = append(out, l.Auth, l.Password, l.IdentityToken, l.RegistryToken)
			if plain, err := base64.StdEncoding.DecodeString(l.Auth); err == nil {
				_, password, _ := strings.Cut(string(plain), ":")
				out = append(out, password)
			}
		}
	}
	return out
}
