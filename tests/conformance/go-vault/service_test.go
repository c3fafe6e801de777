// Vault's registration of itself with Consul, its own code: by its tags others
// find the active one, and by its check those that are unsealed.
package vault

import (
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/serviceregistration"
	"github.com/hashicorp/vault/serviceregistration/consul"
)

func TestVaultRegistersItselfAndSaysWhatItIs(t *testing.T) {
	registration, err := consul.NewServiceRegistration(map[string]string{
		"address": asked, "service_tags": "blue",
	}, hclog.NewNullLogger(), serviceregistration.State{IsSealed: true})
	must(t, err)
	stop, stopped := make(chan struct{}), sync.WaitGroup{}
	must(t, registration.Run(stop, &stopped, "http://127.0.0.1:8200"))

	health := connect(t, other).Health()
	index := uint64(0)
	// Follows the service, as seen from the other member, until it is so. Vault drops
	// a change that is told while it handles another, so it is told until it is heard.
	until := func(what string, tell func() error, status string, tags ...string) {
		t.Helper()
		for deadline := time.Now().Add(secondsMax); ; {
			must(t, tell())
			found, meta, err := health.Service("vault", "", false, &api.QueryOptions{WaitIndex: index, WaitTime: time.Second})
			must(t, err)
			index = meta.LastIndex
			if len(tags) == 0 && len(found) == 0 {
				return
			}
			if len(found) == 1 && found[0].Checks.AggregatedStatus() == status && reflect.DeepEqual(found[0].Service.Tags, tags) {
				if service := found[0].Service; service.ID != "vault:127.0.0.1:8200" || service.Port != 8200 {
					t.Fatalf("%s: %v", what, service)
				}
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %+v", what, found)
			}
		}
	}
	nothing := func() error { return nil }
	until("a sealed one is critical", nothing, api.HealthCritical, "blue", "standby")
	unseal := func() error { return registration.NotifySealedStateChange(false) }
	until("an unsealed one passes", unseal, api.HealthPassing, "blue", "standby")
	// Of the second alone it tells Consul within a minute only.
	lead := func() error {
		return errors.Join(registration.NotifyActiveStateChange(true), registration.NotifyInitializedStateChange(true))
	}
	until("it is the active one", lead, api.HealthPassing, "blue", "active", "initialized")
	stepDown := func() error { return registration.NotifyActiveStateChange(false) }
	until("it has stepped down", stepDown, api.HealthPassing, "blue", "standby", "initialized")
	close(stop)
	stopped.Wait()
	until("it is stopped, and gone", nothing, "")
}
