package trust

import (
	"fmt"
	"net/url"

	"github.com/sello-release/sello/internal/cosignature"
)

// String is the witness for people.
func (w Witness) String() string { return w.Key + " at " + w.URL }

// checkURL says why s is not where a witness can be asked.
func checkURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return "it is not an https URL"
	case u.Scheme == "http" && u.Hostname() != "127.0.0.1" && u.Hostname() != "localhost" && u.Hostname() != "::1":
		return "it is not https, and not of this machine"
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "it has a password, a query or a fragment, and everybody reads this file"
	}
	return checkExact(s)
}

// witnesses holds that each is somebody of its own, and that as many as it takes are there.
func (c checker) witnesses() {
	w := c.t.Witnesses
	if w == nil {
		return
	}
	if len(c.t.Role(RoleLog)) == 0 {
		c.refuse("witnesses", "trust-witness-log", "witnesses cosign the transparency log, and the project has none", "an identity with the role "+RoleLog, "none", "sello key new NAME --role "+RoleLog+", or remove witnesses:")
	}
	if c.doc.Has("witnesses.keys") && len(w.Keys) == 0 {
		c.refuse("witnesses.keys", "trust-no-witness", "no witness is named", "at least one", "[]", "add one, or remove witnesses:")
	}
	if len(w.Keys) > 0 && c.doc.Has("witnesses.threshold") && (w.Threshold > len(w.Keys) || 2*w.Threshold <= len(w.Keys)) {
		c.refuse("witnesses.threshold", "trust-witness-threshold", "as many witnesses can never cosign, or so few that two logs could each find enough of them", fmt.Sprintf("%d to %d, more than half of the witnesses", len(w.Keys)/2+1, len(w.Keys)), fmt.Sprint(w.Threshold), "")
	}
	names, keys := map[string]bool{}, map[string]bool{}
	for i, witness := range w.Keys {
		at := fmt.Sprintf("witnesses.keys[%d]", i)
		if why := checkURL(witness.URL); c.doc.Has(at+".url") && why != "" {
			c.refuse(at+".url", "trust-witness-url", "this is not where a witness can be asked: "+why, "https://…, the witness's submission prefix", fmt.Sprintf("%.300q", witness.URL), "")
		}
		if !c.doc.Has(at + ".key") {
			continue
		}
		key, err := cosignature.ParseKey(witness.Key)
		if err != nil {
			c.refuse(at+".key", "trust-witness-key", "this is not the key of a witness: "+err.Error(), "name+hash+key, as the witness hands it out, of Ed25519 cosignatures", fmt.Sprintf("%.300q", witness.Key), "ask its operator for the verifier key (vkey)")
			continue
		}
		if name, ok := c.t.ByKey(key.Public()); ok {
			c.refuse(at+".key", "trust-duplicate-witness", "this key belongs to an identity of the project, and a witness is somebody else", "a key of its own for each witness", key.Name()+" has the key of "+name, "name a witness that others run")
		}
		if names[key.Name()] || keys[string(key.Public())] {
			c.refuse(at+".key", "trust-duplicate-witness", "a witness is there twice", "each name and each key once", key.Name(), "remove one of them: one witness counts once")
		}
		names[key.Name()], keys[string(key.Public())] = true, true
	}
}
