package keylesstest

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Person is who signs in with an issuer, and how the issuer lies. It is to be set before somebody is asked.
type Person struct {
	Email   string
	Deny    bool // they say no
	Pending int  // how often a device is told to ask again before they have typed the code in

	Claims map[string]any                         // replace those of the token
	Lie    func(part string, said map[string]any) // changes an answer: configuration, device, token, or the parameters that a browser comes back with: back
}

func (p *Person) says(part string, said map[string]any) map[string]any {
	if p.Lie != nil {
		p.Lie(part, said)
	}
	return said
}

// request is what a browser or a device asked for.
type request struct{ client, redirect, nonce, challenge string }

// people serves the endpoints that people sign in with: authorization with PKCE (RFC 7636), device authorization (RFC 8628), token.
// Whatever a client leaves out that it should send is refused.
func (i *Issuer) people(tb testing.TB, mux *http.ServeMux) {
	var mu sync.Mutex
	open := map[string]request{}
	answer := func(w http.ResponseWriter, status int, value map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(value)
	}
	begin := func(code string, q url.Values) bool {
		r := request{q.Get("client_id"), q.Get("redirect_uri"), q.Get("nonce"), q.Get("code_challenge")}
		mu.Lock()
		defer mu.Unlock()
		open[code] = r
		return r.client != "" && r.challenge != "" && q.Get("code_challenge_method") == "S256" && strings.Contains(" "+q.Get("scope")+" ", " openid ")
	}
	mux.HandleFunc("GET /auth", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if !begin("a-code", q) || q.Get("response_type") != "code" || q.Get("state") == "" || q.Get("nonce") == "" || !strings.HasPrefix(q.Get("redirect_uri"), "http://localhost:") {
			http.Error(w, "not what the standard asks for: "+r.URL.RawQuery, http.StatusBadRequest)
			return
		}
		said := map[string]any{"code": "a-code", "state": q.Get("state"), "iss": i.URL}
		if i.Deny {
			said = map[string]any{"error": "access_denied", "error_description": "no", "state": q.Get("state")}
		}
		back := url.Values{}
		for k, v := range i.says("back", said) {
			back.Set(k, v.(string))
		}
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
	})
	mux.HandleFunc("POST /device", func(w http.ResponseWriter, r *http.Request) {
		if r.ParseForm() != nil || !begin("a-device", r.PostForm) {
			answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_request"})
			return
		}
		answer(w, http.StatusOK, i.says("device", map[string]any{"device_code": "a-device", "user_code": "ABCD-EFGH", "verification_uri": i.URL + "/activate", "expires_in": 60, "interval": 1}))
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		refuse := func(code string) { answer(w, http.StatusBadRequest, map[string]any{"error": code}) }
		if r.ParseForm() != nil {
			refuse("invalid_request")
			return
		}
		code := r.PostForm.Get("code")
		if device := r.PostForm.Get("grant_type") == "urn:ietf:params:oauth:grant-type:device_code"; device {
			code = r.PostForm.Get("device_code")
			mu.Lock()
			i.Pending--
			waiting := i.Pending >= 0
			mu.Unlock()
			switch {
			case i.Deny:
				refuse("access_denied")
				return
			case waiting:
				refuse("authorization_pending")
				return
			}
		}
		mu.Lock()
		asked, ok := open[code]
		delete(open, code)
		mu.Unlock()
		sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
		if !ok || raw(sum[:]) != asked.challenge || asked.redirect != r.PostForm.Get("redirect_uri") {
			refuse("invalid_grant")
			return
		}
		claims := map[string]any{"aud": asked.client, "nonce": asked.nonce}
		for k, v := range i.Claims {
			claims[k] = v
		}
		answer(w, http.StatusOK, i.says("token", map[string]any{"access_token": "an-access-token", "token_type": "Bearer", "id_token": i.Token(tb, i.Email, claims)}))
	})
}
