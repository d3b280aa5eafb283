package keyless

import (
	"context"

	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// spiffeVariable is where the Workload API is, as the SPIFFE Workload Endpoint standard has it, section 4.
const spiffeVariable = workloadapi.SocketEnv

// spiffe asks the SPIFFE Workload API for a JWT-SVID. The first one is taken, which is the default identity.
func (e Environment) spiffe(ctx context.Context, audience string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, oneTry)
	defer cancel()
	client, err := workloadapi.New(ctx, workloadapi.WithAddr(e.Getenv(spiffeVariable)))
	if err != nil {
		return "", refused("SPIFFE", err)
	}
	defer client.Close()
	svid, err := client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		return "", refused("SPIFFE", brief(err))
	}
	return svid.Marshal(), nil
}
