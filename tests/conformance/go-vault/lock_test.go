// The lock by which one of several Vaults is the active one: kept or lost by the
// rules when members die, and never held twice.
package vault

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/vault/physical/consul"
	"github.com/hashicorp/vault/sdk/physical"
)

// After a holder was lost nobody gets the lock for so long: Consul's default.
const lockDelay = 15 * time.Second

// A session that nobody renews lives no longer: Consul takes up to twice its time.
const sessionMax = 20 * time.Second

func killLeader(t *testing.T) {
	t.Helper()
	pid, err := strconv.Atoi(os.Getenv("CONSUL_LEADER_PID"))
	must(t, err)
	must(t, syscall.Kill(pid, syscall.SIGKILL))
}

// A Vault: its storage, its lock, and the channel that closes when it is lost.
type contender struct {
	*consul.ConsulBackend
	lock physical.Lock
	lost <-chan struct{}
}

func contend(t *testing.T, address, name string) *contender {
	t.Helper()
	backend := storage(t, address)
	lock, err := backend.LockWith("core/lock", name)
	must(t, err)
	return &contender{backend, lock, nil}
}

// Waits for the lock, trying again after errors, and fences all further writes
// with it, as Vault does.
func (c *contender) take() (err error) {
	for deadline := time.Now().Add(2 * secondsMax); c.lost == nil; {
		if time.Now().After(deadline) {
			return fmt.Errorf("there was no lock to be had: %w", err)
		}
		c.lost, err = c.lock.Lock(nil)
	}
	return c.RegisterActiveNodeLock(c.lock)
}

// Takes it in the background; what is sent is how that ended.
func (c *contender) waits() <-chan error {
	taken := make(chan error, 1)
	go func() { taken <- c.take() }()
	return taken
}

func (c *contender) write(value string) error {
	return c.Put(context.Background(), &physical.Entry{Key: "who", Value: []byte(value)})
}

func (c *contender) session() string {
	_, session := c.lock.(*consul.ConsulLock).Info()
	return session
}

func (c *contender) isLost() bool {
	select {
	case <-c.lost:
		return true
	default:
		return false
	}
}

func said(t *testing.T, c *contender) string {
	t.Helper()
	entry, err := c.Get(context.Background(), "who")
	must(t, err)
	return string(entry.Value)
}

// The member that leads dies; both Vaults are beside others.
func TestALockIsKeptWhenTheLeaderDiesAndLostWithItsSession(t *testing.T) {
	holder, waiter := contend(t, asked, "holder"), contend(t, other, "waiter")
	must(t, holder.take())
	must(t, holder.write("holder"))
	taken := waiter.waits()
	killLeader(t)
	for deadline := time.Now().Add(secondsMax); holder.write("still the holder") != nil; {
		if time.Now().After(deadline) {
			t.Fatal("the holder cannot write any more")
		}
	}
	// Longer than the session would live had the new leader not heard of it.
	for end := time.Now().Add(sessionMax); time.Now().Before(end); {
		must(t, holder.write("still the holder"))
		select {
		case err := <-taken:
			t.Fatalf("the lock is held twice: %v", err)
		case <-holder.lost:
			t.Fatal("the lock was lost, whose session is renewed")
		case <-time.After(100 * time.Millisecond):
		}
	}
	if found := said(t, waiter); found != "still the holder" {
		t.Fatalf("the other one reads %q", found)
	}
	// Whoever ends the session takes the lock away, in the middle of a write too.
	ended := time.Now()
	_, err := connect(t, other).Session().Destroy(holder.session(), nil)
	must(t, err)
	if holder.write("a write of the past") == nil {
		t.Fatal("a write without the lock was taken")
	}
	select {
	case <-holder.lost:
	case <-time.After(secondsMax):
		t.Fatal("the holder is not told")
	}
	must(t, <-taken)
	if waited := time.Since(ended); waited < lockDelay {
		t.Fatalf("it was taken over after %v", waited)
	}
	must(t, waiter.write("waiter"))
	if holder.write("a write of the past") == nil {
		t.Fatal("a write after the lock was taken over")
	}
	if found := said(t, holder); found != "waiter" {
		t.Fatalf("what stands is %q", found)
	}
	must(t, waiter.lock.Unlock())
}

// The Vault beside the leader loses its only member, and with it its lock: it
// must know so before another one has it.
func TestALockBesideTheLeaderIsLostWithItBeforeAnotherHasIt(t *testing.T) {
	holder, waiter := contend(t, os.Getenv("CONSUL_LEADER_ADDR"), "holder"), contend(t, asked, "waiter")
	must(t, holder.take())
	must(t, holder.write("holder"))
	taken := waiter.waits()
	killed := time.Now()
	killLeader(t)
	must(t, <-taken)
	if waited := time.Since(killed); waited < lockDelay {
		t.Fatalf("it was taken over after %v", waited)
	}
	if !holder.isLost() {
		t.Fatal("the lock is held twice")
	}
	must(t, waiter.write("waiter"))
	pair, _, err := connect(t, other).KV().Get("vault-test/core/lock", &api.QueryOptions{RequireConsistent: true})
	must(t, err)
	if pair.Session != waiter.session() || string(pair.Value) != "waiter" {
		t.Fatalf("the lock is %v", pair)
	}
}
