/* A program on ZooKeeper's own C library, unchanged: see ../programs.py.
 *
 *   client tree|watches|multi|sessions HOSTS ends with 0 if all is as it should be
 *   client write HOSTS FOLDER                creates until its input ends
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper.h>

enum { TIMEOUT_MS = 30000, WAIT_S = 30 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rang = PTHREAD_COND_INITIALIZER;
static int state;
/* Events as text, so that a test can say what it wants to see. */
static char events[4096];

#define CHECK(wanted, call) check(__LINE__, #call, (wanted), (call))
#define THAT(condition) \
    do { \
        if (!(condition)) fail(__LINE__, #condition); \
    } while (0)

static void fail(int line, const char *what)
{
    printf("line %d: %s\n", line, what);
    exit(1);
}

static void check(int line, const char *what, int wanted, int got)
{
    if (wanted != got) {
        printf("line %d: %s: %s, but wanted %s\n", line, what, zerror(got), zerror(wanted));
        exit(1);
    }
}

static void on_event(zhandle_t *zk, int type, int now, const char *path, void *context)
{
    (void)zk;
    (void)context;
    pthread_mutex_lock(&lock);
    if (type == ZOO_SESSION_EVENT) {
        state = now;
    } else {
        size_t used = strlen(events);
        const char *name = type == ZOO_CREATED_EVENT   ? "created"
                           : type == ZOO_DELETED_EVENT ? "deleted"
                           : type == ZOO_CHANGED_EVENT ? "changed"
                           : type == ZOO_CHILD_EVENT   ? "children"
                                                       : "other";
        snprintf(events + used, sizeof events - used, "%s %s\n", name, path);
    }
    pthread_cond_broadcast(&rang);
    pthread_mutex_unlock(&lock);
}

static void wait_for(int line, int wanted_state, const char *wanted_events)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_S;
    pthread_mutex_lock(&lock);
    while (state != wanted_state || (wanted_events && strcmp(events, wanted_events) != 0)) {
        if (pthread_cond_timedwait(&rang, &lock, &deadline) == ETIMEDOUT) {
            printf("line %d: state %d, events:\n%s", line, state, events);
            exit(1);
        }
    }
    events[0] = 0;
    pthread_mutex_unlock(&lock);
}

static zhandle_t *connect_to(const char *hosts, const clientid_t *id)
{
    state = 0;
    zhandle_t *zk = zookeeper_init(hosts, on_event, TIMEOUT_MS, id, NULL, 0);
    if (!zk) {
        perror("zookeeper_init");
        exit(1);
    }
    wait_for(__LINE__, ZOO_CONNECTED_STATE, NULL);
    return zk;
}

/* Every mode, data, versions, children, access lists. */
static void tree(const char *hosts)
{
    zhandle_t *zk = connect_to(hosts, NULL);
    struct Stat stat;
    char path[128], data[64];
    int length = sizeof data;

    CHECK(ZOK, zoo_create(zk, "/c", "one", 3, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, path, sizeof path));
    THAT(strcmp(path, "/c") == 0);
    CHECK(ZNODEEXISTS, zoo_create(zk, "/c", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path));
    CHECK(ZNONODE, zoo_create(zk, "/none/c", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path));
    CHECK(ZOK, zoo_create2(zk, "/c/s-", "x", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL, path,
                           sizeof path, &stat));
    THAT(strcmp(path, "/c/s-0000000000") == 0 && stat.dataLength == 1 && stat.czxid == stat.pzxid);
    CHECK(ZOK, zoo_create2(zk, "/c/e-", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, path,
                           sizeof path, &stat));
    THAT(strcmp(path, "/c/e-0000000001") == 0);
    THAT(stat.ephemeralOwner == zoo_client_id(zk)->client_id);
    CHECK(ZNOCHILDRENFOREPHEMERALS,
          zoo_create(zk, "/c/e-0000000001/x", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path));
    CHECK(ZOK, zoo_create(zk, "/box", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_CONTAINER, path, sizeof path));
    CHECK(ZOK, zoo_create2_ttl(zk, "/t", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL, 100000,
                               path, sizeof path, &stat));
    CHECK(ZOK, zoo_create_ttl(zk, "/t-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL,
                              100000, path, sizeof path));

    CHECK(ZOK, zoo_get(zk, "/c", 0, data, &length, &stat));
    THAT(length == 3 && memcmp(data, "one", 3) == 0 && stat.version == 0 && stat.numChildren == 2);
    CHECK(ZOK, zoo_set2(zk, "/c", "three", 5, 0, &stat));
    THAT(stat.version == 1 && stat.dataLength == 5);
    CHECK(ZBADVERSION, zoo_set(zk, "/c", "", 0, 0));
    CHECK(ZOK, zoo_set(zk, "/c", "", 0, -1));
    length = sizeof data;
    CHECK(ZOK, zoo_get(zk, "/c", 0, data, &length, &stat));
    THAT(length == 0);
    CHECK(ZOK, zoo_exists(zk, "/c", 0, &stat));
    CHECK(ZNONODE, zoo_exists(zk, "/none", 0, &stat));

    struct String_vector names;
    CHECK(ZOK, zoo_get_children2(zk, "/c", 0, &names, &stat));
    THAT(names.count == 2 && stat.cversion == 2);
    deallocate_String_vector(&names);

    struct ACL_vector acl;
    CHECK(ZOK, zoo_get_acl(zk, "/c", &acl, &stat));
    THAT(acl.count == 1 && acl.data[0].perms == ZOO_PERM_ALL);
    deallocate_ACL_vector(&acl);
    CHECK(ZOK, zoo_set_acl(zk, "/c", 0, &ZOO_READ_ACL_UNSAFE));
    CHECK(ZNOAUTH, zoo_set(zk, "/c", "x", 1, -1));
    CHECK(ZNOTEMPTY, zoo_delete(zk, "/c", -1));
    CHECK(ZNOAUTH, zoo_delete(zk, "/c/s-0000000000", -1));
    CHECK(ZBADVERSION, zoo_delete(zk, "/t", 3));
    CHECK(ZOK, zoo_delete(zk, "/t", 0));

    length = sizeof data;
    int configured = zoo_getconfig(zk, 0, data, &length, &stat);
    THAT(configured == ZOK && stat.czxid == 0);
    CHECK(ZOK, zookeeper_close(zk));

    /* The ephemeral went with the session. */
    zk = connect_to(hosts, NULL);
    CHECK(ZNONODE, zoo_exists(zk, "/c/e-0000000001", 0, &stat));
    CHECK(ZOK, zookeeper_close(zk));
}

static void watches(const char *hosts)
{
    zhandle_t *zk = connect_to(hosts, NULL);
    zhandle_t *other = zookeeper_init(hosts, NULL, TIMEOUT_MS, NULL, NULL, 0);
    struct Stat stat;
    struct String_vector names;
    char data[64];
    int length = sizeof data;

    while (zoo_state(other) != ZOO_CONNECTED_STATE) poll(NULL, 0, 10);
    CHECK(ZNONODE, zoo_wexists(zk, "/w", on_event, NULL, &stat));
    CHECK(ZOK, zoo_create(other, "/w", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0));
    wait_for(__LINE__, ZOO_CONNECTED_STATE, "created /w\n");
    CHECK(ZOK, zoo_wget(zk, "/w", on_event, NULL, data, &length, &stat));
    CHECK(ZOK, zoo_wget_children(zk, "/w", on_event, NULL, &names));
    deallocate_String_vector(&names);
    CHECK(ZOK, zoo_create(other, "/w/k", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0));
    CHECK(ZOK, zoo_set(other, "/w", "x", 1, -1));
    wait_for(__LINE__, ZOO_CONNECTED_STATE, "children /w\nchanged /w\n");
    /* Once only: the next event is of the next watch. */
    CHECK(ZOK, zoo_set(other, "/w", "y", 1, -1));
    CHECK(ZOK, zoo_wexists(zk, "/w/k", on_event, NULL, &stat));
    CHECK(ZOK, zoo_delete(other, "/w/k", -1));
    wait_for(__LINE__, ZOO_CONNECTED_STATE, "deleted /w/k\n");
    /* Removed, so silent. */
    CHECK(ZOK, zoo_wexists(zk, "/w", on_event, NULL, &stat));
    CHECK(ZOK, zoo_remove_watches(zk, "/w", ZWATCHTYPE_DATA, on_event, NULL, 0));
    CHECK(ZNOWATCHER, zoo_remove_watches(zk, "/w", ZWATCHTYPE_DATA, on_event, NULL, 0));
    CHECK(ZOK, zookeeper_close(other));
    CHECK(ZOK, zookeeper_close(zk));
}

static void multi(const char *hosts)
{
    zhandle_t *zk = connect_to(hosts, NULL);
    struct Stat stat;
    char first[64], second[64];
    zoo_op_t ops[4];
    zoo_op_result_t results[4];

    zoo_create_op_init(&ops[0], "/m", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, first, sizeof first);
    zoo_create_op_init(&ops[1], "/m/s-", "2", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, second, sizeof second);
    zoo_set_op_init(&ops[2], "/m", "3", 1, 0, &stat);
    zoo_check_op_init(&ops[3], "/m", 1);
    CHECK(ZOK, zoo_multi(zk, 4, ops, results));
    THAT(strcmp(first, "/m") == 0 && strcmp(second, "/m/s-0000000000") == 0 && stat.version == 1);

    zoo_create_op_init(&ops[0], "/m/lost", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, first, sizeof first);
    zoo_delete_op_init(&ops[1], "/m/s-0000000000", 7);
    zoo_check_op_init(&ops[2], "/m", 1);
    CHECK(ZBADVERSION, zoo_multi(zk, 3, ops, results));
    THAT(results[0].err == ZOK && results[1].err == ZBADVERSION);
    THAT(results[2].err == ZRUNTIMEINCONSISTENCY);
    CHECK(ZNONODE, zoo_exists(zk, "/m/lost", 0, &stat));
    CHECK(ZOK, zookeeper_close(zk));
}

/* A session goes on where a process left it, and does not come back once closed. */
static void sessions(const char *hosts)
{
    clientid_t id;
    int ends[2];

    /* The process before: gone without a word, as after a crash. */
    THAT(pipe(ends) == 0);
    if (fork() == 0) {
        zhandle_t *zk = connect_to(hosts, NULL);
        CHECK(ZOK, zoo_add_auth(zk, "digest", "bob:secret", 10, NULL, NULL));
        CHECK(ZOK, zoo_create(zk, "/mine", "", 0, &ZOO_CREATOR_ALL_ACL, ZOO_EPHEMERAL, NULL, 0));
        THAT(write(ends[1], zoo_client_id(zk), sizeof id) == sizeof id);
        _exit(0);
    }
    THAT(read(ends[0], &id, sizeof id) == sizeof id);
    zhandle_t *zk = connect_to(hosts, &id);
    THAT(zoo_client_id(zk)->client_id == id.client_id);
    /* The identity belonged to the connection, the znode to the session. */
    CHECK(ZNOAUTH, zoo_set(zk, "/mine", "x", 1, -1));
    CHECK(ZOK, zoo_add_auth(zk, "digest", "bob:secret", 10, NULL, NULL));
    CHECK(ZOK, zoo_set(zk, "/mine", "x", 1, -1));
    CHECK(ZOK, zookeeper_close(zk));

    zookeeper_init(hosts, on_event, TIMEOUT_MS, &id, NULL, 0);
    wait_for(__LINE__, ZOO_EXPIRED_SESSION_STATE, NULL);
}

static void write_until_told(const char *hosts, const char *folder)
{
    zhandle_t *zk = connect_to(hosts, NULL);
    int64_t session = zoo_client_id(zk)->client_id;
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char path[256];

    CHECK(ZOK, zoo_create(zk, folder, "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0));
    for (int number = 0; poll(&input, 1, 0) == 0; number++) {
        snprintf(path, sizeof path, "%s/%06d", folder, number);
        int told = zoo_create(zk, path, "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
        printf(told == ZOK ? "created %s\n" : "lost %s\n", path);
        fflush(stdout);
    }
    wait_for(__LINE__, ZOO_CONNECTED_STATE, NULL);
    puts(zoo_client_id(zk)->client_id == session ? "session same" : "session other");
    CHECK(ZOK, zookeeper_close(zk));
}

int main(int count, char **arguments)
{
    if (count < 3) return 2;
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    const char *what = arguments[1], *hosts = arguments[2];
    if (strcmp(what, "tree") == 0) tree(hosts);
    else if (strcmp(what, "watches") == 0) watches(hosts);
    else if (strcmp(what, "multi") == 0) multi(hosts);
    else if (strcmp(what, "sessions") == 0) sessions(hosts);
    else if (strcmp(what, "write") == 0 && count > 3) write_until_told(hosts, arguments[3]);
    else return 2;
    return 0;
}
