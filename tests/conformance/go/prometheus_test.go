// The discovery of Prometheus, its own code: consul_sd_configs.
package conformance

import (
	"context"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/hashicorp/consul/api"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/consul"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

func TestPrometheusFindsItsTargets(t *testing.T) {
	settings := consul.DefaultSDConfig
	settings.Server = api.DefaultConfig().Address
	settings.Services = []string{"go-metrics"}
	settings.ServiceTags = []string{"prod"}
	settings.RefreshInterval = model.Duration(100 * time.Millisecond)
	discovery, err := consul.NewDiscovery(&settings, log.NewNopLogger())
	must(t, err)
	found := make(chan []*targetgroup.Group, 100)
	context, cancel := context.WithCancel(context.Background())
	defer cancel()
	go discovery.Run(context, found)
	targets := func(what string, count int) *targetgroup.Group {
		for {
			for _, group := range within(t, what, found) {
				if len(group.Targets) == count {
					return group
				}
			}
		}
	}

	client := connect(t)
	must(t, client.Agent().ServiceRegister(&api.AgentServiceRegistration{
		ID: "go-m-1", Name: "go-metrics", Address: "127.0.0.1", Port: 9999, Tags: []string{"prod"},
		Meta:  map[string]string{"zone": "a"},
		Check: &api.AgentServiceCheck{CheckID: "go-m", TTL: "60s", Status: "passing"},
	}))
	target := targets("the instance is a target", 1).Targets[0]
	equal(t, model.LabelValue("127.0.0.1:9999"), target[model.AddressLabel])
	equal(t, model.LabelValue(",prod,"), target["__meta_consul_tags"])
	equal(t, model.LabelValue("a"), target["__meta_consul_service_metadata_zone"])
	equal(t, model.LabelValue("passing"), target["__meta_consul_health"])
	// An instance without an address of its own is at its node's.
	_, err = client.Catalog().Register(&api.CatalogRegistration{
		Node: "go-metrics-ext", Address: "127.0.0.2",
		Service: &api.AgentService{Service: "go-metrics", ID: "go-m-2", Port: 9100, Tags: []string{"prod"}},
	}, nil)
	must(t, err)
	addresses := map[model.LabelValue]bool{}
	for _, target := range targets("the external one is a target", 2).Targets {
		addresses[target[model.AddressLabel]] = true
	}
	equal(t, map[model.LabelValue]bool{"127.0.0.1:9999": true, "127.0.0.2:9100": true}, addresses)
	_, err = client.Catalog().Deregister(&api.CatalogDeregistration{Node: "go-metrics-ext"}, nil)
	must(t, err)
	targets("a target goes with its instance", 1)
	must(t, client.Agent().ServiceDeregister("go-m-1"))
	targets("and so does the last", 0)
}
