import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.retry.RetryForever;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;

/**
 * A program on Apache Curator, unchanged: see ../programs.py.
 *
 * <pre>
 * Recipes NAME HOSTS           ends with 0 if all is as it should be
 * Recipes write HOSTS FOLDER   creates until its input ends
 * </pre>
 */
public final class Recipes {
    private static final int SESSION_MS = 30000;
    private static final long WAIT_S = 30;

    private interface Condition {
        boolean holds() throws Exception;
    }

    private final CuratorFramework one;
    private final CuratorFramework two;

    private Recipes(String hosts) {
        one = connect(hosts);
        two = connect(hosts);
    }

    private static CuratorFramework connect(String hosts) {
        CuratorFramework client = CuratorFrameworkFactory.newClient(
                hosts, SESSION_MS, 15000, new ExponentialBackoffRetry(100, 10));
        client.start();
        return client;
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("write")) {
            writeUntilTold(arguments[1], arguments[2]);
            return;
        }
        Recipes recipes = new Recipes(arguments[1]);
        try {
            recipes.run(arguments[0]);
        } catch (Throwable trouble) {
            trouble.printStackTrace();
            System.exit(1);
        }
        recipes.one.close();
        recipes.two.close();
        System.exit(0);
    }

    private void run(String name) throws Exception {
        switch (name) {
            case "leaders" -> leaders();
            case "locks" -> locks();
            case "semaphores" -> semaphores();
            case "caches" -> caches();
            case "nodes" -> nodes();
            case "barriers" -> barriers();
            case "counters" -> counters();
            case "queues" -> queues();
            case "framework" -> framework();
            default -> throw new IllegalArgumentException(name);
        }
    }

    private void leaders() throws Exception {
        LeaderLatch first = new LeaderLatch(one, "/latch", "first");
        LeaderLatch second = new LeaderLatch(two, "/latch", "second");
        first.start();
        eventually("the first leads", first::hasLeadership);
        second.start();
        eventually("both take part", () -> second.getParticipants().size() == 2);
        that("one leads", !second.hasLeadership() && second.getLeader().getId().equals("first"));
        first.close();
        that("the second leads", second.await(WAIT_S, TimeUnit.SECONDS));
        second.close();

        AtomicInteger led = new AtomicInteger();
        LeaderSelectorListenerAdapter once = new LeaderSelectorListenerAdapter() {
            @Override
            public void takeLeadership(CuratorFramework client) {
                led.incrementAndGet();
            }
        };
        try (LeaderSelector a = new LeaderSelector(one, "/selector", once);
                LeaderSelector b = new LeaderSelector(two, "/selector", once)) {
            a.start();
            b.start();
            eventually("both led in turn", () -> led.get() == 2);
        }
    }

    private void locks() throws Exception {
        InterProcessMutex mine = new InterProcessMutex(one, "/mutex");
        InterProcessMutex theirs = new InterProcessMutex(two, "/mutex");
        mine.acquire();
        mine.acquire();
        that("it keeps others out", !theirs.acquire(200, TimeUnit.MILLISECONDS));
        mine.release();
        that("as often as it was taken", !theirs.acquire(200, TimeUnit.MILLISECONDS));
        mine.release();
        that("then it is free", theirs.acquire(WAIT_S, TimeUnit.SECONDS));
        theirs.release();

        int[] counted = {0};
        List<Thread> threads = new ArrayList<>();
        for (InterProcessMutex lock : List.of(mine, theirs)) {
            threads.add(new Thread(() -> {
                for (int round = 0; round < 50; round++) {
                    try {
                        lock.acquire();
                        counted[0]++;
                        lock.release();
                    } catch (Exception error) {
                        error.printStackTrace();
                    }
                }
            }));
        }
        for (Thread thread : threads) thread.start();
        for (Thread thread : threads) thread.join();
        that("no count is lost", counted[0] == 100);

        InterProcessReadWriteLock readOne = new InterProcessReadWriteLock(one, "/rw");
        InterProcessReadWriteLock readTwo = new InterProcessReadWriteLock(two, "/rw");
        readOne.readLock().acquire();
        that("two read", readTwo.readLock().acquire(WAIT_S, TimeUnit.SECONDS));
        readTwo.readLock().release();
        that("nobody writes", !readTwo.writeLock().acquire(200, TimeUnit.MILLISECONDS));
        readOne.readLock().release();
        that("one writes", readTwo.writeLock().acquire(WAIT_S, TimeUnit.SECONDS));
        readTwo.writeLock().release();
    }

    private void semaphores() throws Exception {
        InterProcessSemaphoreV2 here = new InterProcessSemaphoreV2(one, "/semaphore", 2);
        InterProcessSemaphoreV2 there = new InterProcessSemaphoreV2(two, "/semaphore", 2);
        var first = here.acquire();
        var second = there.acquire(WAIT_S, TimeUnit.SECONDS);
        that("two leases", second != null);
        that("and no third", here.acquire(300, TimeUnit.MILLISECONDS) == null);
        there.returnLease(second);
        that("a returned one", here.acquire(WAIT_S, TimeUnit.SECONDS) != null);
        here.returnLease(first);
    }

    private void caches() throws Exception {
        one.create().forPath("/cached", "0".getBytes());
        Set<String> seen = new ConcurrentSkipListSet<>();
        try (CuratorCache cache = CuratorCache.build(one, "/cached");
                PathChildrenCache children = new PathChildrenCache(one, "/cached", true);
                NodeCache node = new NodeCache(one, "/cached");
                TreeCache tree = new TreeCache(one, "/cached")) {
            cache.listenable().addListener((type, old, now) ->
                    seen.add(type + " " + (now == null ? old : now).getPath()));
            cache.start();
            children.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            node.start(true);
            tree.start();
            for (int number = 0; number < 20; number++) {
                two.create().creatingParentsIfNeeded().forPath("/cached/" + number + "/deep", new byte[9]);
            }
            two.setData().forPath("/cached", "1".getBytes());
            two.delete().deletingChildrenIfNeeded().forPath("/cached/3");
            eventually("all 1 + 19 * 2", () -> cache.size() == 39);
            eventually("19 children", () -> children.getCurrentData().size() == 19);
            eventually("the node", () -> new String(node.getCurrentData().getData()).equals("1"));
            eventually("the tree", () -> {
                var known = tree.getCurrentChildren("/cached");
                return known != null && known.size() == 19
                        && tree.getCurrentData("/cached/19/deep") != null;
            });
            eventually("events", () -> seen.contains("NODE_CREATED /cached/19/deep")
                    && seen.contains("NODE_CHANGED /cached")
                    && seen.contains("NODE_DELETED /cached/3/deep"));
        }
    }

    private void nodes() throws Exception {
        try (PersistentNode kept =
                new PersistentNode(one, CreateMode.EPHEMERAL, false, "/kept", "x".getBytes())) {
            kept.start();
            that("it is made", kept.waitForInitialCreate(WAIT_S, TimeUnit.SECONDS));
            long made = two.checkExists().forPath("/kept").getCzxid();
            two.delete().forPath("/kept");
            eventually("it is made again", () -> {
                var stat = two.checkExists().forPath("/kept");
                return stat != null && stat.getCzxid() != made;
            });
        }
        try (PersistentTtlNode touched = new PersistentTtlNode(one, "/ttl", 2000, "x".getBytes())) {
            touched.start();
            that("the container is made", touched.waitForInitialCreate(WAIT_S, TimeUnit.SECONDS));
            eventually("the child is touched", () -> {
                var stat = two.checkExists().forPath("/ttl/touch");
                return stat != null && stat.getVersion() >= 1;
            });
        }
        try (GroupMember a = new GroupMember(one, "/group", "a");
                GroupMember b = new GroupMember(two, "/group", "b")) {
            a.start();
            b.start();
            eventually("each knows the other", () ->
                    a.getCurrentMembers().size() == 2 && b.getCurrentMembers().size() == 2);
        }
        try (PersistentWatcher watcher = new PersistentWatcher(one, "/watched", true)) {
            CountDownLatch rang = new CountDownLatch(3);
            watcher.getListenable().addListener(event -> rang.countDown());
            CountDownLatch set = new CountDownLatch(1);
            watcher.getResetListenable().addListener(set::countDown);
            watcher.start();
            that("the watch is set", set.await(WAIT_S, TimeUnit.SECONDS));
            two.create().forPath("/watched");
            two.create().forPath("/watched/a");
            two.setData().forPath("/watched/a", new byte[1]);
            that("three events", rang.await(WAIT_S, TimeUnit.SECONDS));
        }
    }

    private void barriers() throws Exception {
        DistributedBarrier barrier = new DistributedBarrier(one, "/barrier");
        barrier.setBarrier();
        DistributedBarrier waiting = new DistributedBarrier(two, "/barrier");
        that("it holds", !waiting.waitOnBarrier(300, TimeUnit.MILLISECONDS));
        barrier.removeBarrier();
        that("it is gone", waiting.waitOnBarrier(WAIT_S, TimeUnit.SECONDS));

        var threads = Executors.newFixedThreadPool(2);
        AtomicInteger inside = new AtomicInteger();
        List<java.util.concurrent.Future<Integer>> all = new ArrayList<>();
        for (CuratorFramework client : List.of(one, two)) {
            all.add(threads.submit(() -> {
                DistributedDoubleBarrier both = new DistributedDoubleBarrier(client, "/double", 2);
                that("both enter", both.enter(WAIT_S, TimeUnit.SECONDS));
                int count = inside.incrementAndGet();
                that("both leave", both.leave(WAIT_S, TimeUnit.SECONDS));
                return count;
            }));
        }
        int sum = 0;
        for (var each : all) sum += each.get();
        that("each was inside once", sum == 3);
        threads.shutdown();
    }

    private void counters() throws Exception {
        try (SharedCount here = new SharedCount(one, "/count", 7);
                SharedCount there = new SharedCount(two, "/count", 0)) {
            here.start();
            there.start();
            here.setCount(8);
            eventually("the other sees it", () -> there.getCount() == 8);
            that("an old version is refused",
                    there.trySetCount(there.getVersionedValue(), 9) && !stale(here));
        }
        DistributedAtomicLong mine = new DistributedAtomicLong(one, "/long", new RetryForever(5));
        DistributedAtomicLong theirs = new DistributedAtomicLong(two, "/long", new RetryForever(5));
        List<Thread> threads = new ArrayList<>();
        for (DistributedAtomicLong number : List.of(mine, theirs)) {
            threads.add(new Thread(() -> {
                for (int round = 0; round < 50; round++) {
                    try {
                        while (!number.increment().succeeded()) Thread.yield();
                    } catch (Exception error) {
                        error.printStackTrace();
                    }
                }
            }));
        }
        for (Thread thread : threads) thread.start();
        for (Thread thread : threads) thread.join();
        that("all are counted", mine.get().postValue() == 100);
    }

    /** Whether setting by the version of two changes ago succeeds. */
    private static boolean stale(SharedCount count) throws Exception {
        var old = count.getVersionedValue();
        count.setCount(10);
        count.setCount(11);
        return count.trySetCount(old, 12);
    }

    private void queues() throws Exception {
        SimpleDistributedQueue queue = new SimpleDistributedQueue(one, "/queue");
        SimpleDistributedQueue other = new SimpleDistributedQueue(two, "/queue");
        for (int number = 0; number < 5; number++) queue.offer(new byte[] {(byte) number});
        for (int number = 0; number < 5; number++) {
            that("in order", other.poll(WAIT_S, TimeUnit.SECONDS)[0] == number);
        }
        that("then empty", other.poll() == null);
    }

    private void framework() throws Exception {
        one.create().creatingParentContainersIfNeeded().forPath("/boxes/inner/leaf", new byte[1]);
        that("leaf", two.checkExists().forPath("/boxes/inner/leaf") != null);
        String guarded = one.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
                .forPath("/boxes/p-");
        that("protected", guarded.startsWith("/boxes/_c_"));
        one.create().withTtl(100000).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath("/boxes/ttl");
        one.create().orSetData().forPath("/boxes/leaf", "a".getBytes());
        one.create().orSetData().forPath("/boxes/leaf", "b".getBytes());
        that("set", new String(one.getData().forPath("/boxes/leaf")).equals("b"));
        one.create().idempotent().forPath("/boxes/same", "a".getBytes());
        one.create().idempotent().forPath("/boxes/same", "a".getBytes());
        var results = one.transaction().forOperations(
                one.transactionOp().create().forPath("/boxes/t", "1".getBytes()),
                one.transactionOp().setData().forPath("/boxes/leaf", "c".getBytes()),
                one.transactionOp().check().withVersion(2).forPath("/boxes/leaf"),
                one.transactionOp().delete().forPath("/boxes/same"));
        that("four results", results.size() == 4 && results.get(1).getResultStat().getVersion() == 2);
        try {
            one.transaction().forOperations(
                    one.transactionOp().create().forPath("/boxes/not"),
                    one.transactionOp().check().withVersion(9).forPath("/boxes/leaf"));
            that("it fails", false);
        } catch (KeeperException.BadVersionException expected) {
            that("nothing is left", one.checkExists().forPath("/boxes/not") == null);
        }
        one.usingNamespace("named").create().creatingParentsIfNeeded().forPath("/x");
        that("namespace", two.checkExists().forPath("/named/x") != null);
        one.delete().guaranteed().deletingChildrenIfNeeded().forPath("/boxes");
    }

    private static void writeUntilTold(String hosts, String folder) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.newClient(
                hosts, SESSION_MS, 15000, new ExponentialBackoffRetry(20, 12, 500));
        client.start();
        client.create().forPath(folder);
        long session = client.getZookeeperClient().getZooKeeper().getSessionId();
        Thread reader = new Thread(Recipes::readToTheEnd);
        reader.setDaemon(true);
        reader.start();
        for (int number = 0; reader.isAlive(); number++) {
            String path = String.format("%s/%06d", folder, number);
            try {
                client.create().forPath(path);
            } catch (KeeperException.NodeExistsException retried) {
                // Its own first try had succeeded without an answer.
            }
            System.out.println("created " + path);
            System.out.flush();
        }
        long last = client.getZookeeperClient().getZooKeeper().getSessionId();
        System.out.println(last == session ? "session same" : "session other");
        client.close();
        System.exit(0);
    }

    private static void readToTheEnd() {
        try {
            while (System.in.read() >= 0) continue;
        } catch (java.io.IOException closed) {
            // As good as its end.
        }
    }

    private static void eventually(String what, Condition condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_S);
        while (!condition.holds()) {
            that("still not so: " + what, System.nanoTime() < deadline);
            Thread.sleep(10);
        }
    }

    private static void that(String what, boolean condition) {
        if (!condition) throw new AssertionError(what);
    }
}
