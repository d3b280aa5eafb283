package inventory

import (
	"encoding/hex"
	"path"

	"github.com/BurntSushi/toml"

	"github.com/sello-release/sello/internal/sbom"
)

// cargoDetails reads, by name and version, the SHA-256 of the .crate files that Cargo.lock names.
func cargoDetails(name string, data []byte) map[string]locked {
	if path.Base(name) != "Cargo.lock" {
		return nil
	}
	var file struct {
		Package []struct{ Name, Version, Checksum string }
	}
	if err := toml.Unmarshal(data, &file); err != nil {
		return nil
	}
	out := map[string]locked{}
	for _, p := range file.Package {
		if raw, err := hex.DecodeString(p.Checksum); err == nil && len(raw) == 32 {
			out[p.Name+" "+p.Version] = locked{checksums: []sbom.Checksum{{Algorithm: sbom.SHA256, Value: hex.EncodeToString(raw)}}}
		}
	}
	return out
}
