// Traefik's provider on Consul's keys, its own code, through valkeyrie.
package traefik

import (
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/traefik/traefik/v3/pkg/provider/kv/consul"
)

func TestTraefikFollowsItsKeys(t *testing.T) {
	kv := connect(t, other).KV()
	put := func(key, value string) {
		t.Helper()
		_, err := kv.Put(&api.KVPair{Key: "traefik/" + key, Value: []byte(value)}, nil)
		must(t, err)
	}
	builder := consul.ProviderBuilder{}
	builder.SetDefaults()
	builder.Endpoints = []string{asked}
	traefik := provide(t, builder.BuildProviders()[0])
	traefik.until("there is no key", nothing)
	put("http/services/shop/loadbalancer/servers/0/url", one)
	put("http/routers/shop/service", "shop")
	put("http/routers/shop/rule", rule)
	traefik.until("the route is complete", routed, one)
	put("http/services/shop/loadbalancer/servers/1/url", two)
	traefik.until("a server is added", routed, one, two)
	_, err := kv.Delete("traefik/http/services/shop/loadbalancer/servers/0/url", nil)
	must(t, err)
	traefik.until("one is taken away", routed, two)
	_, _, _, err = connect(t, other).Txn().Txn(api.TxnOps{
		{KV: &api.KVTxnOp{Verb: api.KVSet, Key: "traefik/http/services/shop/loadbalancer/servers/1/url", Value: []byte(one)}},
		{KV: &api.KVTxnOp{Verb: api.KVSet, Key: "traefik/http/routers/shop/rule", Value: []byte("Path(`/`)")}},
	}, nil)
	must(t, err)
	traefik.until("rule and server change at once", map[string]string{"shop": "Path(`/`)"}, one)
	_, err = kv.DeleteTree("traefik/", nil)
	must(t, err)
	traefik.until("everything is deleted", nothing)
}
