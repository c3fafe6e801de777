// Vault's storage on Consul, its own code, put through the exercises that Vault
// has for every storage.
package vault

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/physical/consul"
	"github.com/hashicorp/vault/sdk/physical"
)

// Two members of a cluster. In a cluster of three they are those that follow.
var asked, other = os.Getenv("CONSUL_HTTP_ADDR"), os.Getenv("CONSUL_OTHER_ADDR")

const secondsMax = 60 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, address string) *api.Client {
	t.Helper()
	client, err := api.NewClient(&api.Config{Address: address})
	must(t, err)
	return client
}

// The storage of a Vault beside that member.
func storage(t *testing.T, address string) *consul.ConsulBackend {
	t.Helper()
	backend, err := consul.NewConsulBackend(map[string]string{
		"address": address, "path": "vault-test/", "max_parallel": "128",
		"lock_wait_time": "3s", "session_ttl": "10s",
	}, hclog.NewNullLogger())
	must(t, err)
	return backend.(*consul.ConsulBackend)
}

func TestStorageExercise(t *testing.T) { physical.ExerciseBackend(t, storage(t, asked)) }

func TestStorageListsPrefixes(t *testing.T) {
	physical.ExerciseBackend_ListPrefix(t, storage(t, asked))
}

func TestStorageTransactions(t *testing.T) {
	physical.ExerciseTransactionalBackend(t, storage(t, asked))
}

func TestLocksBetweenMembers(t *testing.T) {
	physical.ExerciseHABackend(t, storage(t, asked), storage(t, other))
}

// All or nothing in the largest transaction there may be, seen from elsewhere.
func TestTransactionsAsLargeAsTheyMayBe(t *testing.T) {
	here, there := storage(t, asked), storage(t, other)
	background := context.Background()
	if !here.ExpandedCapabilitiesAvailable(background) {
		t.Fatal("128 operations and get-or-empty are not to be had")
	}
	largest := func(count int) (entries []*physical.TxnEntry) {
		for number := range count {
			entries = append(entries, &physical.TxnEntry{
				Operation: physical.PutOperation,
				Entry:     &physical.Entry{Key: fmt.Sprintf("many/%d", number), Value: []byte{byte(number)}},
			})
		}
		return entries
	}
	if err := here.Transaction(background, largest(129)); err == nil {
		t.Fatal("129 operations were taken")
	}
	keys, err := there.List(background, "many/")
	must(t, err)
	if len(keys) != 0 {
		t.Fatalf("of what was refused there is %v", keys)
	}
	must(t, here.Transaction(background, largest(128)))
	keys, err = there.List(background, "many/")
	must(t, err)
	if len(keys) != 128 {
		t.Fatalf("of 128 keys there are %d", len(keys))
	}
}

func TestStorageKeepsWhatItTookWhenTheLeaderDies(t *testing.T) {
	here, there := storage(t, asked), storage(t, other)
	background := context.Background()
	kept := map[string]bool{}
	put := func(number int) error {
		key := fmt.Sprint(number)
		err := here.Put(background, &physical.Entry{Key: "kept/" + key, Value: []byte(key)})
		if err == nil {
			kept[key] = true
		}
		return err
	}
	for number := range 20 {
		must(t, put(number))
	}
	killLeader(t)
	for number, deadline := 20, time.Now().Add(secondsMax); len(kept) < 40; number++ {
		if err := put(number); err != nil && time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	for key := range kept {
		entry, err := there.Get(background, "kept/"+key)
		must(t, err)
		if entry == nil || string(entry.Value) != key {
			t.Fatalf("%s was acknowledged and is %v", key, entry)
		}
	}
}
