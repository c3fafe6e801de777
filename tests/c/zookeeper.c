/* A session: znodes, watches, several changes as one, closing. */
#include "expect.h"

static void znodes_are_created_read_set_and_deleted(coord_zk *zk) {
    coord_bytes *data = NULL;
    coord_stat stat;
    char *path = NULL;
    bool there = false;

    EXPECT_OK(coord_zk_create(zk, "/a", BYTES("one"), COORD_CREATE_PERSISTENT, 0, &path, &error));
    EXPECT(strcmp(path, "/a") == 0);
    coord_string_free(path);
    EXPECT_OK(coord_zk_get(zk, "/a", &data, &stat, &error));
    EXPECT(coord_bytes_len(data) == 3 && memcmp(coord_bytes_data(data), "one", 3) == 0);
    EXPECT(stat.version == 0 && stat.data_length == 3 && stat.ephemeral_owner == 0);
    coord_bytes_free(data);

    EXPECT_OK(coord_zk_set(zk, "/a", BYTES("three"), 0, &stat, &error));
    EXPECT(stat.version == 1 && stat.mzxid > stat.czxid);
    EXPECT(coord_zk_last_zxid(zk) >= stat.mzxid);
    EXPECT_STATUS(COORD_ZK_BAD_VERSION, coord_zk_set(zk, "/a", BYTES("x"), 0, NULL, &error));
    EXPECT_OK(coord_zk_exists(zk, "/a", &there, NULL, &error));
    EXPECT(there);
    EXPECT_OK(coord_zk_delete(zk, "/a", 1, &error));
    EXPECT_OK(coord_zk_exists(zk, "/a", &there, NULL, &error));
    EXPECT(!there);
    EXPECT_STATUS(COORD_ZK_NO_NODE, coord_zk_get(zk, "/a", NULL, NULL, &error));
}

static void the_kind_of_a_znode_is_as_asked(coord_zk *zk) {
    coord_stat stat;
    char *path = NULL;

    EXPECT_OK(coord_zk_create(zk, "/e", NULL, 0, COORD_CREATE_EPHEMERAL, 0, NULL, &error));
    EXPECT_OK(coord_zk_get(zk, "/e", NULL, &stat, &error));
    EXPECT(stat.ephemeral_owner == coord_zk_session_id(zk));
    EXPECT_STATUS(COORD_ZK_NO_CHILDREN_FOR_EPHEMERALS,
                  coord_zk_create(zk, "/e/x", NULL, 0, COORD_CREATE_PERSISTENT, 0, NULL, &error));
    EXPECT_OK(coord_zk_create(zk, "/n-", NULL, 0, COORD_CREATE_PERSISTENT_SEQUENTIAL, 0, &path,
                              &error));
    EXPECT(strncmp(path, "/n-", 3) == 0 && strlen(path) == 3 + 10);
    coord_string_free(path);
    EXPECT_OK(coord_zk_create(zk, "/c", NULL, 0, COORD_CREATE_CONTAINER, 0, NULL, &error));
    EXPECT_STATUS(COORD_INVALID, coord_zk_create(zk, "/t", NULL, 0, 99, 0, NULL, &error));
    EXPECT_STATUS(COORD_INVALID, coord_zk_create(zk, "/t", NULL, 0, COORD_CREATE_PERSISTENT, 5,
                                                 NULL, &error));
}

static void children_are_listed_and_deleted_together(coord_zk *zk) {
    coord_strings *names = NULL;
    coord_stat stat;

    EXPECT_OK(coord_zk_ensure_path(zk, "/p/q/r", &error));
    EXPECT_OK(coord_zk_ensure_path(zk, "/p/s", &error));
    EXPECT_OK(coord_zk_sync(zk, "/p", &error));
    EXPECT_OK(coord_zk_children(zk, "/p", &names, &stat, &error));
    EXPECT(coord_strings_count(names) == 2 && stat.num_children == 2);
    EXPECT(strlen(coord_strings_at(names, 0)) == 1 && coord_strings_at(names, 2) == NULL);
    coord_strings_free(names);
    EXPECT_STATUS(COORD_ZK_NOT_EMPTY, coord_zk_delete(zk, "/p", -1, &error));
    EXPECT_OK(coord_zk_delete_recursive(zk, "/p", &error));
    EXPECT_STATUS(COORD_ZK_NO_NODE, coord_zk_children(zk, "/p", &names, NULL, &error));
}

static void expect_event(coord_zk *zk, coord_event_kind kind, const char *path) {
    coord_event *event = NULL;
    EXPECT_OK(coord_zk_wait_event(zk, 30000, &event, &error));
    EXPECT(coord_event_type(event) == kind);
    EXPECT(strcmp(coord_event_path(event), path) == 0);
    coord_event_free(event);
}

static void watches_tell_what_happens(coord_zk *zk) {
    coord_event *event = NULL;
    EXPECT_STATUS(COORD_TIMEOUT, coord_zk_wait_event(zk, 0, &event, &error));
    EXPECT(event == NULL);

    EXPECT_OK(coord_zk_watch(zk, "/w", COORD_WATCH_DATA, &error));
    EXPECT_OK(coord_zk_ensure_path(zk, "/w", &error));
    expect_event(zk, COORD_EVENT_CREATED, "/w");
    EXPECT_OK(coord_zk_watch(zk, "/w", COORD_WATCH_CHILDREN, &error));
    EXPECT_OK(coord_zk_ensure_path(zk, "/w/x", &error));
    expect_event(zk, COORD_EVENT_CHILDREN_CHANGED, "/w");

    EXPECT_OK(coord_zk_watch(zk, "/w", COORD_WATCH_RECURSIVE, &error));
    EXPECT_OK(coord_zk_set(zk, "/w/x", NULL, 0, -1, NULL, &error));
    expect_event(zk, COORD_EVENT_DATA_CHANGED, "/w/x");
    EXPECT_OK(coord_zk_delete(zk, "/w/x", -1, &error));
    expect_event(zk, COORD_EVENT_DELETED, "/w/x");
    EXPECT_OK(coord_zk_unwatch(zk, "/w", COORD_WATCH_RECURSIVE, &error));
    expect_event(zk, COORD_EVENT_WATCH_REMOVED, "/w");
    EXPECT_STATUS(COORD_INVALID, coord_zk_watch(zk, "/w", 99, &error));
}

static void changes_are_made_all_or_none(coord_zk *zk) {
    coord_ops *ops = NULL;
    coord_strings *paths = NULL;
    bool there = true;

    EXPECT_OK(coord_ops_new(&ops, &error));
    EXPECT_OK(coord_ops_create(ops, "/m", BYTES("1"), COORD_CREATE_PERSISTENT, 0, &error));
    EXPECT_OK(coord_ops_set(ops, "/m", BYTES("2"), 0, &error));
    EXPECT_OK(coord_ops_check(ops, "/m", 1, &error));
    EXPECT_OK(coord_zk_multi(zk, ops, &paths, &error));
    EXPECT(coord_strings_count(paths) == 3);
    EXPECT(strcmp(coord_strings_at(paths, 0), "/m") == 0 && *coord_strings_at(paths, 1) == 0);
    coord_strings_free(paths);
    EXPECT_STATUS(COORD_ZK_NODE_EXISTS, coord_zk_multi(zk, ops, NULL, &error));
    coord_ops_free(ops);

    EXPECT_OK(coord_ops_new(&ops, &error));
    EXPECT_OK(coord_ops_delete(ops, "/m", -1, &error));
    EXPECT_OK(coord_ops_delete(ops, "/not-there", -1, &error));
    EXPECT_STATUS(COORD_ZK_NO_NODE, coord_zk_multi(zk, ops, NULL, &error));
    EXPECT_OK(coord_zk_exists(zk, "/m", &there, NULL, &error));
    EXPECT(there);
    coord_ops_free(ops);
}

static void contents_are_changed_only_as_they_were_read(coord_zk *zk) {
    coord_hash own, all, now;
    coord_stat stat;
    coord_ops *ops = NULL;
    int64_t zxid = 0;

    EXPECT_OK(coord_zk_ensure_path(zk, "/h/x", &error));
    EXPECT_OK(coord_zk_hash(zk, "/h", false, &own, &zxid, &error));
    EXPECT_OK(coord_zk_hash(zk, "/h", true, &all, NULL, &error));
    EXPECT(zxid > 0 && memcmp(&own, &all, sizeof own) != 0);
    EXPECT_OK(coord_zk_set_if_hash(zk, "/h", BYTES("1"), &own, &stat, &error));
    EXPECT(stat.version == 1);
    EXPECT_STATUS(COORD_ZK_BAD_VERSION,
                  coord_zk_set_if_hash(zk, "/h", BYTES("2"), &own, NULL, &error));
    EXPECT_STATUS(COORD_ZK_BAD_VERSION, coord_zk_delete_if_hash(zk, "/h/x", &own, &error));

    EXPECT_OK(coord_ops_new(&ops, &error));
    EXPECT_OK(coord_ops_check_hash(ops, "/h", true, &all, &error));
    EXPECT_OK(coord_ops_delete(ops, "/h/x", -1, &error));
    EXPECT_STATUS(COORD_ZK_BAD_VERSION, coord_zk_multi(zk, ops, NULL, &error));
    /* As it was read once more. */
    EXPECT_OK(coord_zk_set(zk, "/h", BYTES(""), -1, NULL, &error));
    EXPECT_OK(coord_zk_hash(zk, "/h", true, &now, NULL, &error));
    EXPECT(memcmp(&now, &all, sizeof now) == 0);
    EXPECT_OK(coord_zk_multi(zk, ops, NULL, &error));
    coord_ops_free(ops);

    EXPECT_OK(coord_zk_delete_if_hash(zk, "/h", &own, &error));
    EXPECT_STATUS(COORD_ZK_NO_NODE, coord_zk_hash(zk, "/h", false, &own, NULL, &error));
    EXPECT_STATUS(COORD_INVALID, coord_zk_hash(zk, "/h", false, NULL, NULL, &error));
    EXPECT_STATUS(COORD_INVALID, coord_zk_delete_if_hash(zk, "/h", NULL, &error));
}

static void ephemerals_go_with_a_closed_session(coord_server *server, coord_zk *zk) {
    coord_zk *other = open_session(server);
    coord_event *event = NULL;
    EXPECT(coord_zk_session_timeout_ms(other) > 0);
    EXPECT_OK(coord_zk_add_auth(other, "digest", BYTES("user:password"), &error));
    EXPECT_OK(coord_zk_create(other, "/o", NULL, 0, COORD_CREATE_EPHEMERAL, 0, NULL, &error));
    EXPECT_OK(coord_zk_watch(zk, "/o", COORD_WATCH_DATA, &error));
    EXPECT(coord_zk_state(other) == COORD_SESSION_CONNECTED);
    EXPECT_OK(coord_zk_close(other, &error));
    EXPECT_OK(coord_zk_close(other, &error));
    EXPECT(coord_zk_state(other) == COORD_SESSION_CLOSED);
    expect_event(zk, COORD_EVENT_DELETED, "/o");
    EXPECT_STATUS(COORD_CLOSED, coord_zk_sync(other, "/", &error));
    EXPECT_STATUS(COORD_CLOSED, coord_zk_watch(other, "/o", COORD_WATCH_DATA, &error));
    EXPECT_STATUS(COORD_CLOSED, coord_zk_wait_event(other, -1, &event, &error));
    coord_zk_free(other);
}

static void what_secures_a_connection_is_looked_at_first(const coord_server *server) {
    coord_zk *zk = NULL;
    char *address = address_of(server, COORD_LISTENER_ZK);
    const char *unfit[] = {"nonsense", "color=red", "tls.verify=perhaps", "sasl=bob",
                           "tls.ca_file=/nowhere.pem"};

    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++) {
        EXPECT_STATUS(COORD_INVALID,
                      coord_zk_connect_secured(address, unfit[i], -1, 60000, &zk, &error));
    }
    /* This member has no users. */
    EXPECT_STATUS(COORD_ZK_AUTH_FAILED,
                  coord_zk_connect_secured(address, "sasl=bob:secret\n", -1, 60000, &zk, &error));
    EXPECT(zk == NULL);
    EXPECT_OK(coord_zk_connect_secured(address, "tls=off", -1, 60000, &zk, &error));
    coord_zk_free(zk);
    coord_string_free(address);
}

int main(void) {
    coord_server *server = start_member();
    coord_zk *zk = open_session(server);
    znodes_are_created_read_set_and_deleted(zk);
    the_kind_of_a_znode_is_as_asked(zk);
    children_are_listed_and_deleted_together(zk);
    watches_tell_what_happens(zk);
    changes_are_made_all_or_none(zk);
    contents_are_changed_only_as_they_were_read(zk);
    ephemerals_go_with_a_closed_session(server, zk);
    what_secures_a_connection_is_looked_at_first(server);
    coord_zk_free(zk);
    coord_server_free(server);
    return 0;
}
