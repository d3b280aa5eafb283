// Package admission is an admission webhook for Kubernetes: it lets in pods whose images a project released, by the project's trust file. To serve it:
//
//	trust, err := os.ReadFile("trust.yaml")
//	…
//	h := admission.Handler(verify.Options{TrustFile: trust, RequireRelease: true})
//	log.Fatal(http.ListenAndServeTLS(":8443", "tls.crt", "tls.key", h))
package admission

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/sello-release/sello/verify"
)

// review is what matters here of an AdmissionReview (admission.k8s.io/v1), about a pod.
type review struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Request    *request  `json:"request,omitempty"`
	Response   *response `json:"response,omitempty"`
}

type request struct {
	UID    string `json:"uid"`
	Object struct {
		Spec struct{ InitContainers, Containers, EphemeralContainers []struct{ Image string } } `json:"spec"`
	} `json:"object"`
}

type response struct {
	UID     string            `json:"uid"`
	Allowed bool              `json:"allowed"`
	Status  map[string]string `json:"status,omitempty"`
}

// Handler answers reviews: every image has to be named by its digest, since a tag may name another one when it is pulled, and to be released.
func Handler(o verify.Options) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in review
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<20)).Decode(&in); err != nil || in.Request == nil {
			http.Error(w, "this is no AdmissionReview", http.StatusBadRequest)
			return
		}
		out := response{UID: in.Request.UID, Allowed: true}
		spec := in.Request.Object.Spec
		for _, c := range slices.Concat(spec.InitContainers, spec.Containers, spec.EphemeralContainers) {
			if why := refused(r, c.Image, o); why != "" {
				out.Allowed, out.Status = false, map[string]string{"message": c.Image + ": " + why}
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review{APIVersion: in.APIVersion, Kind: in.Kind, Response: &out})
	}
}

func refused(r *http.Request, image string, o verify.Options) string {
	if !strings.Contains(image, "@sha256:") {
		return "name the image by its digest"
	}
	report, err := verify.Image(r.Context(), image, o)
	if err == nil {
		err = report.Err()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
