package traefik

import (
	"context"
	"os"
	"reflect"
	"sort"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/provider"
	"github.com/traefik/traefik/v3/pkg/safe"
)

// The member that a provider asks, and another one, where services register.
var asked, other = os.Getenv("CONSUL_HTTP_ADDR"), os.Getenv("CONSUL_OTHER_ADDR")

const secondsMax = 60 * time.Second

func connect(t *testing.T, address string) *api.Client {
	t.Helper()
	client, err := api.NewClient(&api.Config{Address: address})
	must(t, err)
	return client
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Traefik's other half, which takes what a provider makes.
type taker struct {
	t    *testing.T
	made chan dynamic.Message
}

// Starts a provider as Traefik starts it.
func provide(t *testing.T, provider provider.Provider) *taker {
	t.Helper()
	must(t, provider.Init())
	taker := &taker{t, make(chan dynamic.Message)}
	pool := safe.NewPool(context.Background())
	must(t, startWithin(taker, provider, pool))
	t.Cleanup(func() {
		// It may be just about to hand one over.
		ended := make(chan struct{})
		go func() {
			pool.Stop()
			close(ended)
		}()
		for {
			select {
			case <-taker.made:
			case <-ended:
				return
			}
		}
	})
	return taker
}

// The provider of keys hands its first configuration over before it returns,
// and that one must not be lost: it goes on in front of those that follow.
func startWithin(taker *taker, provider provider.Provider, pool *safe.Pool) error {
	raw := make(chan dynamic.Message)
	pool.GoCtx(func(ctx context.Context) {
		for {
			select {
			case <-ctx.Done():
				return
			case message := <-raw:
				select {
				case <-ctx.Done():
					return
				case taker.made <- message:
				}
			}
		}
	})
	return provider.Provide(raw, pool)
}

// Takes configurations until one has exactly these routers, with rules, and
// these servers behind them.
func (taker *taker) until(what string, rules map[string]string, servers ...string) {
	taker.t.Helper()
	var last *dynamic.HTTPConfiguration
	for deadline := time.After(secondsMax); ; {
		select {
		case message := <-taker.made:
			last = message.Configuration.HTTP
			if reflect.DeepEqual(rules, rulesOf(last)) && reflect.DeepEqual(servers, serversOf(last)) {
				return
			}
		case <-deadline:
			taker.t.Fatalf("%s: wanted %v and %v, was last %v and %v", what, rules, servers, rulesOf(last), serversOf(last))
		}
	}
}

func rulesOf(configuration *dynamic.HTTPConfiguration) map[string]string {
	rules := map[string]string{}
	if configuration != nil {
		for name, router := range configuration.Routers {
			rules[name] = router.Rule
		}
	}
	return rules
}

func serversOf(configuration *dynamic.HTTPConfiguration) (servers []string) {
	if configuration != nil {
		for _, service := range configuration.Services {
			for _, server := range service.LoadBalancer.Servers {
				servers = append(servers, server.URL)
			}
		}
	}
	sort.Strings(servers)
	return servers
}
