// A program on go-zookeeper, unchanged: see ../programs.py.
//
//	client tree|watches|multi|locks HOSTS   ends with 0 if all is as it should be
//	client write HOSTS FOLDER               creates until its input ends
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

const sessionTimeout = 30 * time.Second

var open = zk.WorldACL(zk.PermAll)

type quiet struct{}

func (quiet) Printf(string, ...interface{}) {}

func connect(hosts string) *zk.Conn {
	conn, events, err := zk.Connect(strings.Split(hosts, ","), sessionTimeout, zk.WithLogger(quiet{}))
	must(err)
	for event := range events {
		if event.State == zk.StateHasSession {
			// Whoever sends the events waits for nobody.
			return conn
		}
	}
	panic("no session")
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func wants(wanted, err error) {
	if !errors.Is(err, wanted) {
		panic(fmt.Sprintf("%v, but wanted %v", err, wanted))
	}
}

func same(wanted, got interface{}) {
	if !reflect.DeepEqual(wanted, got) {
		panic(fmt.Sprintf("%v, but wanted %v", got, wanted))
	}
}

func tree(hosts string) {
	conn := connect(hosts)
	defer conn.Close()
	path, err := conn.Create("/go", []byte("one"), zk.FlagPersistent, open)
	must(err)
	same("/go", path)
	_, err = conn.Create("/go", nil, 0, open)
	wants(zk.ErrNodeExists, err)
	path, err = conn.Create("/go/s-", nil, zk.FlagSequence, open)
	must(err)
	same("/go/s-0000000000", path)
	path, err = conn.Create("/go/e-", nil, zk.FlagSequence|zk.FlagEphemeral, open)
	must(err)
	same("/go/e-0000000001", path)
	path, err = conn.CreateProtectedEphemeralSequential("/go/p-", nil, open)
	must(err)
	same(true, strings.HasPrefix(path, "/go/_c_"))
	_, err = conn.CreateContainer("/go/box", nil, zk.FlagContainer, open)
	must(err)
	_, err = conn.CreateTTL("/go/ttl", nil, zk.FlagTTL, open, 100*time.Second)
	must(err)
	data, stat, err := conn.Get("/go")
	must(err)
	same("one", string(data))
	same(int32(5), stat.NumChildren)
	stat, err = conn.Set("/go", []byte("two"), 0)
	must(err)
	same(int32(1), stat.Version)
	_, err = conn.Set("/go", nil, 0)
	wants(zk.ErrBadVersion, err)
	wants(zk.ErrNotEmpty, conn.Delete("/go", -1))
	wants(zk.ErrNoNode, conn.Delete("/none", -1))
	names, _, err := conn.Children("/go/box")
	must(err)
	same(0, len(names))
	_, err = conn.Sync("/go")
	must(err)
	must(conn.AddAuth("digest", []byte("bob:secret")))
	_, err = conn.Create("/go/mine", nil, 0, zk.AuthACL(zk.PermAll))
	must(err)
	acl, _, err := conn.GetACL("/go/mine")
	must(err)
	same(zk.DigestACL(zk.PermAll, "bob", "secret"), acl)
	stranger := connect(hosts)
	_, _, err = stranger.Get("/go/mine")
	wants(zk.ErrNoAuth, err)
	stranger.Close()
	_, err = conn.SetACL("/go/mine", open, 0)
	must(err)
	// What it makes of `srvr` is in its own tests; `cons` it reads in a form that 3.9 no longer writes.
	for _, ok := range zk.FLWRuok(strings.Split(hosts, ","), 5*time.Second) {
		same(true, ok)
	}
}

func watches(hosts string) {
	conn, other := connect(hosts), connect(hosts)
	defer conn.Close()
	defer other.Close()
	_, _, created, err := conn.ExistsW("/gow")
	must(err)
	_, err = other.Create("/gow", nil, 0, open)
	must(err)
	same(zk.EventNodeCreated, (<-created).Type)
	_, _, changed, err := conn.GetW("/gow")
	must(err)
	_, _, children, err := conn.ChildrenW("/gow")
	must(err)
	_, err = other.Set("/gow", nil, -1)
	must(err)
	same(zk.EventNodeDataChanged, (<-changed).Type)
	_, err = other.Create("/gow/k", nil, 0, open)
	must(err)
	same(zk.EventNodeChildrenChanged, (<-children).Type)
	_, _, deleted, err := conn.ExistsW("/gow/k")
	must(err)
	must(other.Delete("/gow/k", -1))
	same(zk.EventNodeDeleted, (<-deleted).Type)
}

func multi(hosts string) {
	conn := connect(hosts)
	defer conn.Close()
	responses, err := conn.Multi(
		&zk.CreateRequest{Path: "/gom", Acl: open},
		&zk.SetDataRequest{Path: "/gom", Data: []byte("x"), Version: 0},
		&zk.CheckVersionRequest{Path: "/gom", Version: 1},
	)
	must(err)
	same(3, len(responses))
	same(int32(1), responses[1].Stat.Version)
	_, err = conn.Multi(
		&zk.CreateRequest{Path: "/gom/lost", Acl: open},
		&zk.DeleteRequest{Path: "/gom", Version: 9},
	)
	same(true, err != nil)
	there, _, err := conn.Exists("/gom/lost")
	must(err)
	same(false, there)
}

func locks(hosts string) {
	counted := 0
	var done sync.WaitGroup
	for range []int{1, 2, 3} {
		done.Add(1)
		go func() {
			defer done.Done()
			conn := connect(hosts)
			defer conn.Close()
			lock := zk.NewLock(conn, "/golock", open)
			for round := 0; round < 20; round++ {
				must(lock.Lock())
				counted++
				must(lock.Unlock())
			}
		}()
	}
	done.Wait()
	same(60, counted)
}

func write(hosts, folder string) {
	conn := connect(hosts)
	session := conn.SessionID()
	_, err := conn.Create(folder, nil, 0, open)
	must(err)
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	for number := 0; ; number++ {
		select {
		case <-ended:
			if conn.SessionID() == session {
				fmt.Println("session same")
			}
			conn.Close()
			return
		default:
		}
		path := fmt.Sprintf("%s/%06d", folder, number)
		if _, err := conn.Create(path, nil, 0, open); err != nil {
			fmt.Println(path, err)
			time.Sleep(20 * time.Millisecond)
			continue
		}
		fmt.Println("created", path)
	}
}

func main() {
	works := map[string]func(string){"tree": tree, "watches": watches, "multi": multi, "locks": locks}
	if len(os.Args) == 4 && os.Args[1] == "write" {
		write(os.Args[2], os.Args[3])
		return
	}
	names := []string{}
	for name := range works {
		names = append(names, name)
	}
	sort.Strings(names)
	if len(os.Args) != 3 || works[os.Args[1]] == nil {
		fmt.Println("one of", names, "and HOSTS")
		os.Exit(2)
	}
	works[os.Args[1]](os.Args[2])
}
