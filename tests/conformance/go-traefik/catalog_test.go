// Traefik's Consul Catalog provider, its own code, in both of its modes.
package traefik

import (
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/traefik/paerser/types"
	"github.com/traefik/traefik/v3/pkg/provider/consulcatalog"
)

const one, two = "http://127.0.0.1:9001", "http://127.0.0.1:9002"

var rule = "Host(`shop.test`) && Query(`a`, `b=c`)"
var routed, nothing = map[string]string{"shop": rule}, map[string]string{}

// An instance that Traefik is to route to, at 127.0.0.1.
func shop(t *testing.T, agent *api.Agent, id string, port int) {
	t.Helper()
	must(t, agent.ServiceRegister(&api.AgentServiceRegistration{
		ID: id, Name: "shop", Address: "127.0.0.1", Port: port,
		Tags:  []string{"traefik.enable=true", "traefik.http.routers.shop.rule=" + rule},
		Check: &api.AgentServiceCheck{CheckID: id, TTL: "120s", Status: "passing"},
	}))
}

func catalog(t *testing.T, configure func(*consulcatalog.Configuration)) *taker {
	t.Helper()
	builder := consulcatalog.ProviderBuilder{}
	builder.SetDefaults()
	builder.Endpoint.Address = asked
	builder.ExposedByDefault = false
	configure(&builder.Configuration)
	return provide(t, builder.BuildProviders()[0])
}

func followsTheCatalog(t *testing.T, configure func(*consulcatalog.Configuration)) {
	here, there := connect(t, asked).Agent(), connect(t, other).Agent()
	traefik := catalog(t, configure)
	traefik.until("at first there is nothing", nothing)
	must(t, here.ServiceRegister(&api.AgentServiceRegistration{Name: "hidden", Port: 9003}))
	shop(t, here, "shop-1", 9001)
	traefik.until("the first instance has its route", routed, one)
	shop(t, there, "shop-2", 9002)
	traefik.until("the second shares it", routed, one, two)
	must(t, here.FailTTL("shop-1", "down"))
	traefik.until("who is critical gets nothing", routed, two)
	must(t, here.WarnTTL("shop-1", "so so"))
	traefik.until("who only warns gets its share", routed, one, two)
	must(t, here.EnableServiceMaintenance("shop-1", "repairs"))
	traefik.until("who is under maintenance gets nothing", routed, two)
	must(t, here.DisableServiceMaintenance("shop-1"))
	traefik.until("and is back afterwards", routed, one, two)
	must(t, here.ServiceDeregister("shop-1"))
	traefik.until("who is deregistered is gone", routed, two)
	must(t, there.FailTTL("shop-2", "down"))
	traefik.until("the last one takes the route along", nothing)
	must(t, there.PassTTL("shop-2", ""))
	traefik.until("and brings it back", routed, two)
	must(t, there.ServiceDeregister("shop-2"))
	traefik.until("nothing is left", nothing)
	must(t, here.ServiceDeregister("hidden"))
}

func TestTraefikWatchesTheCatalog(t *testing.T) {
	followsTheCatalog(t, func(provider *consulcatalog.Configuration) { provider.Watch = true })
}

func TestTraefikPollsTheCatalog(t *testing.T) {
	followsTheCatalog(t, func(provider *consulcatalog.Configuration) {
		provider.RefreshInterval = types.Duration(50 * time.Millisecond)
	})
}

func TestTraefikPollsConsistently(t *testing.T) {
	followsTheCatalog(t, func(provider *consulcatalog.Configuration) {
		provider.RefreshInterval = types.Duration(50 * time.Millisecond)
		provider.RequireConsistent = true
	})
}

// Its cached reads are left out: the cache of a genuine agent went on showing the
// first list of services for as long as the test waited.
func TestTraefikWatchesStaleReads(t *testing.T) {
	followsTheCatalog(t, func(provider *consulcatalog.Configuration) {
		provider.Watch, provider.Stale = true, true
	})
}

func TestTraefikObeysConstraints(t *testing.T) {
	agent := connect(t, asked).Agent()
	for _, zone := range []string{"a", "b"} {
		must(t, agent.ServiceRegister(&api.AgentServiceRegistration{
			Name: "zone-" + zone, Address: "127.0.0.1", Port: 9001, Tags: []string{"zone=" + zone},
		}))
	}
	traefik := catalog(t, func(provider *consulcatalog.Configuration) {
		provider.Watch, provider.ExposedByDefault = true, true
		provider.Constraints = "Tag(`zone=a`)"
	})
	traefik.until("only those with the tag", map[string]string{"zone-a": "Host(`zone-a`)"}, one)
}

// With the leader gone, what was routed stays so, and changes are seen.
func TestTraefikGoesOnWhenTheLeaderDies(t *testing.T) {
	traefik := catalog(t, func(provider *consulcatalog.Configuration) { provider.Watch = true })
	shop(t, connect(t, asked).Agent(), "shop-1", 9001)
	traefik.until("there is a route", routed, one)
	pid, err := strconv.Atoi(os.Getenv("CONSUL_LEADER_PID"))
	must(t, err)
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	shop(t, connect(t, other).Agent(), "shop-2", 9002)
	for deadline := time.After(secondsMax); ; {
		select {
		case message := <-traefik.made:
			servers := serversOf(message.Configuration.HTTP)
			if len(servers) == 0 {
				t.Fatal("a change of leader is no reason to stop routing")
			}
			if len(servers) == 2 {
				return
			}
		case <-deadline:
			t.Fatal("the second instance is never seen")
		}
	}
}
