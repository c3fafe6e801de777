// Go's Consul client, unchanged, against the server that CONSUL_HTTP_ADDR names.
package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

func connect(t *testing.T) *api.Client {
	t.Helper()
	client, err := api.NewClient(api.DefaultConfig())
	must(t, err)
	return client
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, wanted, found any) {
	t.Helper()
	if !reflect.DeepEqual(wanted, found) {
		t.Fatalf("wanted %#v, found %#v", wanted, found)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after 20 s: %s", what)
		}
	}
}

func within[T any](t *testing.T, what string, channel <-chan T) T {
	t.Helper()
	select {
	case value := <-channel:
		return value
	case <-time.After(20 * time.Second):
		t.Fatalf("did not happen within 20 s: %s", what)
		panic("unreachable")
	}
}

func nodeName(t *testing.T, client *api.Client) string {
	t.Helper()
	name, err := client.Agent().NodeName()
	must(t, err)
	return name
}

func TestKeysComparedAndListed(t *testing.T) {
	kv := connect(t).KV()
	pair := &api.KVPair{Key: "go/kv/a b", Flags: 1<<64 - 1, Value: []byte{0, 255}}
	_, err := kv.Put(pair, nil)
	must(t, err)
	found, meta, err := kv.Get("go/kv/a b", &api.QueryOptions{RequireConsistent: true})
	must(t, err)
	equal(t, pair.Value, found.Value)
	equal(t, pair.Flags, found.Flags)
	equal(t, found.ModifyIndex, meta.LastIndex)
	equal(t, true, meta.KnownLeader)
	missing, _, err := kv.Get("go/kv/none", &api.QueryOptions{AllowStale: true})
	must(t, err)
	equal(t, (*api.KVPair)(nil), missing)
	created, _, err := kv.CAS(&api.KVPair{Key: "go/kv/a b"}, nil)
	must(t, err)
	equal(t, false, created)
	found.Value = []byte("new")
	swapped, _, err := kv.CAS(found, nil)
	must(t, err)
	equal(t, true, swapped)
	_, err = kv.Put(&api.KVPair{Key: "go/kv/c/d"}, nil)
	must(t, err)
	keys, _, err := kv.Keys("go/kv/", "/", nil)
	must(t, err)
	equal(t, []string{"go/kv/a b", "go/kv/c/"}, keys)
	list, _, err := kv.List("go/kv/", nil)
	must(t, err)
	equal(t, 2, len(list))
	deleted, _, err := kv.DeleteCAS(found, nil)
	must(t, err)
	equal(t, false, deleted)
	_, err = kv.Delete("go/kv/c/d", nil)
	must(t, err)
	_, err = kv.DeleteTree("go/kv/", nil)
	must(t, err)
	list, _, err = kv.List("go/kv/", nil)
	must(t, err)
	equal(t, 0, len(list))
}

func TestTransactions(t *testing.T) {
	client := connect(t)
	ops := api.TxnOps{
		{KV: &api.KVTxnOp{Verb: api.KVSet, Key: "go/txn", Value: []byte("1")}},
		{KV: &api.KVTxnOp{Verb: api.KVGet, Key: "go/txn"}},
		{KV: &api.KVTxnOp{Verb: api.KVGetOrEmpty, Key: "go/txn/none"}},
		{Node: &api.NodeTxnOp{Verb: api.NodeSet, Node: api.Node{Node: "go-txn", Address: "10.9.9.9"}}},
		{Service: &api.ServiceTxnOp{Verb: api.ServiceSet, Node: "go-txn", Service: api.AgentService{ID: "s", Service: "s"}}},
		{Check: &api.CheckTxnOp{Verb: api.CheckSet, Check: api.HealthCheck{Node: "go-txn", CheckID: "c", Name: "c", Status: "passing"}}},
	}
	ok, answer, _, err := client.Txn().Txn(ops, nil)
	must(t, err)
	equal(t, true, ok)
	equal(t, 6, len(answer.Results))
	equal(t, []byte("1"), answer.Results[1].KV.Value)
	equal(t, "10.9.9.9", answer.Results[3].Node.Address)
	ok, answer, _, err = client.Txn().Txn(api.TxnOps{
		{KV: &api.KVTxnOp{Verb: api.KVDelete, Key: "go/txn"}},
		{KV: &api.KVTxnOp{Verb: api.KVCheckIndex, Key: "go/txn", Index: 1}},
	}, nil)
	must(t, err)
	equal(t, false, ok)
	equal(t, 1, len(answer.Errors))
	ok, _, _, err = client.KV().Txn(api.KVTxnOps{
		{Verb: api.KVCheckNotExists, Key: "go/txn/none"},
		{Verb: api.KVDeleteTree, Key: "go/txn"},
	}, nil)
	must(t, err)
	equal(t, true, ok)
	_, err = client.Catalog().Deregister(&api.CatalogDeregistration{Node: "go-txn"}, nil)
	must(t, err)
	// What Vault probes at its start.
	var probe api.TxnOps
	for number := 0; number < 128; number++ {
		probe = append(probe, &api.TxnOp{KV: &api.KVTxnOp{Verb: api.KVGetOrEmpty, Key: fmt.Sprint(number)}})
	}
	ok, answer, _, err = client.Txn().Txn(probe, nil)
	must(t, err)
	equal(t, true, ok)
	equal(t, 128, len(answer.Results))
}

func TestServicesOfTheAgent(t *testing.T) {
	client := connect(t)
	agent := client.Agent()
	must(t, agent.ServiceRegister(&api.AgentServiceRegistration{
		ID: "go-web-1", Name: "go-web", Tags: []string{"a"}, Port: 80, Address: "10.0.0.1",
		Meta: map[string]string{"zone": "z"}, Weights: &api.AgentWeights{Passing: 3, Warning: 1},
		TaggedAddresses: map[string]api.ServiceAddress{"wan": {Address: "192.0.2.9", Port: 81}},
		Checks: api.AgentServiceChecks{
			{CheckID: "go-ttl", TTL: "60s", DeregisterCriticalServiceAfter: "10m"},
			{CheckID: "go-alias", AliasNode: nodeName(t, client)},
		},
	}))
	must(t, agent.UpdateTTL("go-ttl", "fine", api.HealthPassing))
	eventually(t, "both checks pass", func() bool {
		status, _, err := agent.AgentHealthServiceByID("go-web-1")
		must(t, err)
		return status == api.HealthPassing
	})
	services, err := agent.ServicesWithFilter(`Meta.zone == "z"`)
	must(t, err)
	equal(t, 1, len(services))
	equal(t, api.AgentWeights{Passing: 3, Warning: 1}, services["go-web-1"].Weights)
	service, meta, err := agent.Service("go-web-1", nil)
	must(t, err)
	equal(t, service.ContentHash, meta.LastContentHash)
	changed := make(chan string, 1)
	go func() {
		later, _, err := agent.Service("go-web-1", &api.QueryOptions{WaitHash: service.ContentHash, WaitTime: 20 * time.Second})
		if err == nil {
			changed <- later.Address
		}
	}()
	must(t, agent.ServiceRegister(&api.AgentServiceRegistration{ID: "go-web-1", Name: "go-web", Address: "10.0.0.2"}))
	equal(t, "10.0.0.2", within(t, "the changed service is told", changed))
	must(t, agent.UpdateTTL("go-ttl", "slow", api.HealthWarning))
	status, infos, err := agent.AgentHealthServiceByName("go-web")
	must(t, err)
	equal(t, api.HealthWarning, status)
	equal(t, 1, len(infos))
	must(t, agent.EnableServiceMaintenance("go-web-1", "because"))
	status, _, err = agent.AgentHealthServiceByID("go-web-1")
	must(t, err)
	equal(t, api.HealthCritical, status)
	must(t, agent.DisableServiceMaintenance("go-web-1"))
	must(t, agent.EnableNodeMaintenance("because"))
	must(t, agent.DisableNodeMaintenance())
	must(t, agent.CheckRegister(&api.AgentCheckRegistration{Name: "go-node-check", AgentServiceCheck: api.AgentServiceCheck{TTL: "30s"}}))
	must(t, agent.PassTTL("go-node-check", "n"))
	must(t, agent.WarnTTL("go-node-check", "n"))
	must(t, agent.FailTTL("go-node-check", "n"))
	checks, err := agent.ChecksWithFilter(`CheckID == "go-node-check"`)
	must(t, err)
	equal(t, "critical", checks["go-node-check"].Status)
	must(t, agent.CheckDeregister("go-node-check"))
	must(t, agent.ServiceDeregister("go-web-1"))
	// The genuine one is older than 1.16 and says nothing then.
	isGenuine := os.Getenv("CONSUL_PEER") != ""
	if err := agent.ServiceDeregister("go-web-1"); !isGenuine && (err == nil || !strings.Contains(err.Error(), "Unknown service ID")) {
		t.Fatalf("an unknown service was deregistered: %v", err)
	}
}

func TestTheAgentItself(t *testing.T) {
	client := connect(t)
	about, err := client.Agent().Self()
	must(t, err)
	equal(t, "dc1", about["Config"]["Datacenter"])
	members, err := client.Agent().Members(false)
	must(t, err)
	equal(t, 1, len(members))
	metrics, err := client.Agent().Metrics()
	must(t, err)
	if len(metrics.Counters)+len(metrics.Samples) == 0 {
		t.Fatal("no metrics")
	}
	must(t, client.Agent().Reload())
	leader, err := client.Status().Leader()
	must(t, err)
	peers, err := client.Status().Peers()
	must(t, err)
	equal(t, []string{leader}, peers)
	raft, err := client.Operator().RaftGetConfiguration(nil)
	must(t, err)
	equal(t, leader, raft.Servers[0].Address)
	_, _, err = client.ACL().TokenList(nil)
	var refused api.StatusError
	if !errors.As(err, &refused) || refused.Code != 401 {
		t.Fatalf("access rules are not off: %v", err)
	}
}

func TestTheCatalog(t *testing.T) {
	client := connect(t)
	catalog, health := client.Catalog(), client.Health()
	_, err := catalog.Register(&api.CatalogRegistration{
		Node: "go-ext", Address: "10.3.3.3", NodeMeta: map[string]string{"external": "yes"},
		Service: &api.AgentService{ID: "go-db-1", Service: "go-db", Port: 5432, Tags: []string{"x"}},
		Checks: api.HealthChecks{{
			Node: "go-ext", CheckID: "up", Name: "up", Status: "passing", ServiceID: "go-db-1",
			Definition: api.HealthCheckDefinition{TCP: "10.3.3.3:5432", IntervalDuration: 5 * time.Second},
		}},
	}, nil)
	must(t, err)
	nodes, _, err := catalog.Nodes(&api.QueryOptions{NodeMeta: map[string]string{"external": "yes"}})
	must(t, err)
	equal(t, 1, len(nodes))
	services, _, err := catalog.Services(nil)
	must(t, err)
	equal(t, []string{"x"}, services["go-db"])
	instances, _, err := catalog.ServiceMultipleTags("go-db", []string{"x"}, nil)
	must(t, err)
	equal(t, "10.3.3.3", instances[0].Address)
	node, _, err := catalog.Node("go-ext", nil)
	must(t, err)
	equal(t, 5432, node.Services["go-db-1"].Port)
	list, _, err := catalog.NodeServiceList("go-ext", nil)
	must(t, err)
	equal(t, 1, len(list.Services))
	datacenters, err := catalog.Datacenters()
	must(t, err)
	equal(t, []string{"dc1"}, datacenters)
	checks, _, err := health.Node("go-ext", nil)
	must(t, err)
	equal(t, 5*time.Second, checks[0].Definition.IntervalDuration)
	equal(t, "10.3.3.3:5432", checks[0].Definition.TCP)
	entries, meta, err := health.Service("go-db", "x", true, nil)
	must(t, err)
	equal(t, api.HealthPassing, entries[0].Checks.AggregatedStatus())
	checks, _, err = health.Checks("go-db", nil)
	must(t, err)
	equal(t, "up", checks[0].CheckID)
	gone := make(chan int, 1)
	go func() {
		left, _, err := health.Service("go-db", "", false, &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: 20 * time.Second})
		if err == nil {
			gone <- len(left)
		}
	}()
	_, err = catalog.Deregister(&api.CatalogDeregistration{Node: "go-ext"}, nil)
	must(t, err)
	equal(t, 0, within(t, "the blocked read sees the node go", gone))
	state, _, err := health.State("any", nil)
	must(t, err)
	equal(t, api.HealthPassing, state.AggregatedStatus())
	_, _, err = client.Coordinate().Nodes(nil)
	must(t, err)
}

func TestDependenciesInMetadata(t *testing.T) {
	client := connect(t)
	register := func(name, needed string) error {
		meta := map[string]string{"depends-on": needed}
		return client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: name, Meta: meta})
	}
	must(t, register("go-web", "go-api, go-cache?"))
	must(t, register("go-api", "go-base"))
	var web struct {
		Waves   [][]string
		Missing []string
	}
	_, err := client.Raw().Query("/v1/coord/graph/go-web", &web, nil)
	must(t, err)
	equal(t, [][]string{{"go-api"}, {"go-web"}}, web.Waves)
	equal(t, []string{"go-base", "go-cache"}, web.Missing)
	refused := register("go-base", "go-web")
	if refused == nil || !strings.Contains(refused.Error(), "go-web -> go-api -> go-base -> go-web") {
		t.Fatalf("the cycle is not named: %v", refused)
	}
	services, err := client.Agent().Services()
	must(t, err)
	equal(t, "go-base", services["go-api"].Meta["depends-on"])
	for _, name := range []string{"go-web", "go-api"} {
		must(t, client.Agent().ServiceDeregister(name))
	}
}

func TestPreparedQueries(t *testing.T) {
	client := connect(t)
	query := client.PreparedQuery()
	must(t, client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "go-q", Tags: []string{"t"}}))
	definition := &api.PreparedQueryDefinition{
		Name: "go-find", Service: api.ServiceQuery{Service: "go-q", Tags: []string{"t"}, OnlyPassing: true},
		DNS: api.QueryDNSOptions{TTL: "7s"},
	}
	id, _, err := query.Create(definition, nil)
	must(t, err)
	found, _, err := query.Execute("go-find", nil)
	must(t, err)
	equal(t, 1, len(found.Nodes))
	equal(t, "7s", found.DNS.TTL)
	definition.ID, definition.Service.Tags = id, []string{"none"}
	_, err = query.Update(definition, nil)
	must(t, err)
	found, _, err = query.Execute(id, nil)
	must(t, err)
	equal(t, 0, len(found.Nodes))
	kept, _, err := query.Get(id, nil)
	must(t, err)
	equal(t, []string{"none"}, kept[0].Service.Tags)
	all, _, err := query.List(nil)
	must(t, err)
	equal(t, 1, len(all))
	_, err = query.Delete(id, nil)
	must(t, err)
	must(t, client.Agent().ServiceDeregister("go-q"))
}

func TestEvents(t *testing.T) {
	event := connect(t).Event()
	id, _, err := event.Fire(&api.UserEvent{Name: "go-deploy", Payload: []byte("now")}, nil)
	must(t, err)
	var events []*api.UserEvent
	var meta *api.QueryMeta
	eventually(t, "the event arrived", func() bool {
		events, meta, err = event.List("go-deploy", nil)
		must(t, err)
		return len(events) == 1
	})
	equal(t, id, events[0].ID)
	equal(t, []byte("now"), events[0].Payload)
	equal(t, event.IDToIndex(id), meta.LastIndex)
}

func TestSessions(t *testing.T) {
	client := connect(t)
	session := client.Session()
	id, _, err := session.Create(&api.SessionEntry{Name: "go", TTL: "10s", Behavior: api.SessionBehaviorDelete, LockDelay: time.Millisecond}, nil)
	must(t, err)
	entry, _, err := session.Info(id, nil)
	must(t, err)
	equal(t, time.Millisecond, entry.LockDelay)
	entry, _, err = session.Renew(id, nil)
	must(t, err)
	equal(t, id, entry.ID)
	listed, _, err := session.Node(nodeName(t, client), nil)
	must(t, err)
	found := false
	for _, one := range listed {
		found = found || one.ID == id
	}
	equal(t, true, found)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- session.RenewPeriodic("10s", id, nil, stop) }()
	held, _, err := client.KV().Acquire(&api.KVPair{Key: "go/session", Session: id}, nil)
	must(t, err)
	equal(t, true, held)
	// Ending the renewal destroys the session, and with it the key.
	close(stop)
	must(t, within(t, "the renewal ended", done))
	gone, _, err := client.KV().Get("go/session", nil)
	must(t, err)
	equal(t, (*api.KVPair)(nil), gone)
	entry, _, err = session.Renew(id, nil)
	must(t, err)
	equal(t, (*api.SessionEntry)(nil), entry)
	plain, _, err := session.CreateNoChecks(nil, nil)
	must(t, err)
	_, err = session.Destroy(plain, nil)
	must(t, err)
}

func TestALockHasOneHolder(t *testing.T) {
	client := connect(t)
	first, err := client.LockOpts(&api.LockOptions{Key: "go/lock", Value: []byte("first")})
	must(t, err)
	lost, err := first.Lock(nil)
	must(t, err)
	equal(t, api.ErrLockHeld, func() error { _, err := first.Lock(nil); return err }())
	once, err := client.LockOpts(&api.LockOptions{Key: "go/lock", LockTryOnce: true, LockWaitTime: 300 * time.Millisecond})
	must(t, err)
	none, err := once.Lock(nil)
	must(t, err)
	if none != nil {
		t.Fatal("two hold the lock")
	}
	second, err := client.LockOpts(&api.LockOptions{Key: "go/lock", LockDelay: time.Millisecond})
	must(t, err)
	held := make(chan error, 1)
	var secondLost <-chan struct{}
	go func() {
		secondLost, err = second.Lock(nil)
		held <- err
	}()
	equal(t, api.ErrLockInUse, once.Destroy())
	must(t, first.Unlock())
	within(t, "the first is told that it let go", lost)
	must(t, within(t, "the second holds it", held))
	// Whoever loses the session is told.
	pair, _, err := client.KV().Get("go/lock", nil)
	must(t, err)
	_, err = client.Session().Destroy(pair.Session, nil)
	must(t, err)
	within(t, "the second is told that it lost it", secondLost)
}

func TestASemaphoreHasAsManyHoldersAsSlots(t *testing.T) {
	client := connect(t)
	var holders []*api.Semaphore
	for number := 0; number < 2; number++ {
		semaphore, err := client.SemaphorePrefix("go/semaphore", 2)
		must(t, err)
		_, err = semaphore.Acquire(nil)
		must(t, err)
		holders = append(holders, semaphore)
	}
	third, err := client.SemaphoreOpts(&api.SemaphoreOptions{Prefix: "go/semaphore", Limit: 2, SemaphoreTryOnce: true, SemaphoreWaitTime: 300 * time.Millisecond})
	must(t, err)
	none, err := third.Acquire(nil)
	must(t, err)
	if none != nil {
		t.Fatal("three hold two slots")
	}
	must(t, holders[0].Release())
	slot, err := third.Acquire(nil)
	must(t, err)
	if slot == nil {
		t.Fatal("a free slot was not given")
	}
	must(t, third.Release())
	must(t, holders[1].Release())
	must(t, third.Destroy())
}

func TestOneOfThreeLeadsUntilAllDid(t *testing.T) {
	var lock sync.Mutex
	var order []string
	leading := 0
	var group sync.WaitGroup
	for _, name := range []string{"a", "b", "c"} {
		group.Add(1)
		go func(name string) {
			defer group.Done()
			election, err := connect(t).LockOpts(&api.LockOptions{Key: "go/leader", Value: []byte(name), SessionTTL: "10s"})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := election.Lock(nil); err != nil {
				t.Error(err)
				return
			}
			lock.Lock()
			leading++
			if leading != 1 {
				t.Errorf("%d lead at once", leading)
			}
			order = append(order, name)
			lock.Unlock()
			pair, _, err := connect(t).KV().Get("go/leader", &api.QueryOptions{RequireConsistent: true})
			if err != nil || string(pair.Value) != name {
				t.Errorf("%s leads, but the key says %v, %v", name, pair, err)
			}
			lock.Lock()
			leading--
			lock.Unlock()
			if err := election.Unlock(); err != nil {
				t.Error(err)
			}
		}(name)
	}
	group.Wait()
	sort.Strings(order)
	equal(t, []string{"a", "b", "c"}, order)
}

func TestASnapshotBringsTheStateBack(t *testing.T) {
	client := connect(t)
	_, err := client.KV().Put(&api.KVPair{Key: "go/snap", Value: []byte("kept")}, nil)
	must(t, err)
	reader, _, err := client.Snapshot().Save(nil)
	must(t, err)
	archive, err := io.ReadAll(reader)
	must(t, err)
	must(t, reader.Close())
	_, err = client.KV().DeleteTree("go/snap", nil)
	must(t, err)
	must(t, client.Snapshot().Restore(nil, bytes.NewReader(archive)))
	eventually(t, "the key is back", func() bool {
		pair, _, err := client.KV().Get("go/snap", nil)
		return err == nil && pair != nil && string(pair.Value) == "kept"
	})
}
