// The watch plans of Go's Consul client: what `consul watch` runs.
package conformance

import (
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/api/watch"
)

// Starts a plan; what it tells arrives in the channel, the present state first.
func run(t *testing.T, params map[string]any) <-chan any {
	t.Helper()
	plan, err := watch.Parse(params)
	must(t, err)
	told := make(chan any, 100)
	plan.Handler = func(_ uint64, value any) { told <- value }
	client := connect(t)
	ended := make(chan error, 1)
	go func() { ended <- plan.RunWithClientAndHclog(client, nil) }()
	t.Cleanup(func() {
		plan.Stop()
		must(t, within(t, "the plan stops", ended))
	})
	return told
}

// Waits for a value that satisfies the condition.
func until[T any](t *testing.T, what string, told <-chan any, condition func(T) bool) {
	t.Helper()
	for {
		if value, ok := within(t, what, told).(T); ok && condition(value) {
			return
		}
	}
}

func TestPlansForKeys(t *testing.T) {
	kv := connect(t).KV()
	_, err := kv.Put(&api.KVPair{Key: "go/watch/a", Value: []byte("1")}, nil)
	must(t, err)
	key := run(t, map[string]any{"type": "key", "key": "go/watch/a"})
	prefix := run(t, map[string]any{"type": "keyprefix", "prefix": "go/watch/"})
	until(t, "the key as it is", key, func(pair *api.KVPair) bool { return string(pair.Value) == "1" })
	until(t, "the prefix as it is", prefix, func(pairs api.KVPairs) bool { return len(pairs) == 1 })
	_, err = kv.Put(&api.KVPair{Key: "go/watch/b", Value: []byte("2")}, nil)
	must(t, err)
	until(t, "the prefix grew", prefix, func(pairs api.KVPairs) bool { return len(pairs) == 2 })
	_, err = kv.Delete("go/watch/a", nil)
	must(t, err)
	for within(t, "the key is gone", key) != nil {
	}
	_, err = kv.DeleteTree("go/watch/", nil)
	must(t, err)
}

func TestPlansForTheCatalog(t *testing.T) {
	client := connect(t)
	services := run(t, map[string]any{"type": "services"})
	nodes := run(t, map[string]any{"type": "nodes"})
	service := run(t, map[string]any{"type": "service", "service": "go-watched", "passingonly": true})
	checks := run(t, map[string]any{"type": "checks", "state": "critical"})
	events := run(t, map[string]any{"type": "event", "name": "go-watched"})
	until(t, "the nodes as they are", nodes, func(list []*api.Node) bool { return len(list) == 1 })
	must(t, client.Agent().ServiceRegister(&api.AgentServiceRegistration{
		Name: "go-watched", Check: &api.AgentServiceCheck{CheckID: "go-watched-ttl", TTL: "60s"},
	}))
	until(t, "the service is listed", services, func(list map[string][]string) bool {
		_, there := list["go-watched"]
		return there
	})
	until(t, "its check is critical", checks, func(list []*api.HealthCheck) bool {
		return len(list) == 1 && list[0].CheckID == "go-watched-ttl"
	})
	must(t, client.Agent().PassTTL("go-watched-ttl", ""))
	until(t, "it passes", service, func(list []*api.ServiceEntry) bool { return len(list) == 1 })
	_, _, err := client.Event().Fire(&api.UserEvent{Name: "go-watched"}, nil)
	must(t, err)
	until(t, "the event arrives", events, func(list []*api.UserEvent) bool { return len(list) == 1 })
	must(t, client.Agent().ServiceDeregister("go-watched"))
	until(t, "it is gone", service, func(list []*api.ServiceEntry) bool { return len(list) == 0 })
}
