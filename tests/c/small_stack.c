/* A thread with a small stack may make every call: hosts such as Node.js have
 * threads of less than is usual, and what a member needs is on threads of ours. */
#define _POSIX_C_SOURCE 200112L
#include <pthread.h>

#include "expect.h"

static coord_server *server;
static char *zk_address, *http_address;

static void a_member_starts_and_stops(void) {
    coord_settings *settings = NULL;
    coord_server *own = NULL;
    char *reason = NULL;
    int32_t state = -1;
    EXPECT_OK(coord_settings_new(&settings, &error));
    EXPECT_OK(coord_settings_set(settings, "session.tick_ms", "500", &error));
    EXPECT_OK(coord_server_start(settings, 60000, &own, &error));
    EXPECT_OK(coord_server_status(own, &state, &reason, &error));
    EXPECT_STATUS(COORD_TIMEOUT, coord_server_wait_failed(own, 0, NULL, &error));
    EXPECT_OK(coord_server_stop(own, &error));
    coord_string_free(reason);
    coord_server_free(own);
    EXPECT_OK(coord_server_start(NULL, 60000, &own, &error));
    coord_server_free(own);
    coord_settings_free(settings);
}

static void a_cluster_starts_and_stops(void) {
    coord_cluster *cluster = NULL;
    EXPECT_OK(coord_cluster_start(2, NULL, 120000, &cluster, &error));
    EXPECT_OK(coord_cluster_stop_member(cluster, 1, &error));
    coord_cluster_free(cluster);
}

static void a_session_is_used(void) {
    coord_zk *zk = NULL;
    coord_bytes *data = NULL;
    coord_strings *names = NULL;
    coord_event *event = NULL;
    coord_ops *ops = NULL;
    coord_stat stat;
    coord_hash hash;
    bool there = false;
    EXPECT_OK(coord_zk_connect(zk_address, -1, -1, &zk, &error));
    EXPECT_OK(coord_zk_watch(zk, "/", COORD_WATCH_RECURSIVE, &error));
    EXPECT_OK(coord_zk_create(zk, "/a", BYTES("1"), 0, 0, NULL, &error));
    EXPECT_OK(coord_zk_wait_event(zk, 60000, &event, &error));
    EXPECT_OK(coord_zk_set(zk, "/a", BYTES("2"), 0, &stat, &error));
    EXPECT_OK(coord_zk_get(zk, "/a", &data, &stat, &error));
    EXPECT_OK(coord_zk_exists(zk, "/a", &there, &stat, &error));
    EXPECT_OK(coord_zk_children(zk, "/", &names, NULL, &error));
    EXPECT_OK(coord_zk_sync(zk, "/", &error));
    EXPECT_OK(coord_zk_ensure_path(zk, "/b/c", &error));
    EXPECT_OK(coord_zk_hash(zk, "/a", true, &hash, NULL, &error));
    EXPECT_OK(coord_zk_add_auth(zk, "digest", BYTES("user:password"), &error));
    EXPECT_OK(coord_ops_new(&ops, &error));
    EXPECT_OK(coord_ops_check_hash(ops, "/a", true, &hash, &error));
    EXPECT_OK(coord_ops_delete(ops, "/a", -1, &error));
    EXPECT_OK(coord_zk_multi(zk, ops, NULL, &error));
    EXPECT_STATUS(COORD_ZK_NO_NODE, coord_zk_get(zk, "/a", NULL, NULL, &error));
    EXPECT_OK(coord_zk_delete_recursive(zk, "/b", &error));
    EXPECT_OK(coord_zk_close(zk, &error));
    coord_ops_free(ops);
    coord_event_free(event);
    coord_strings_free(names);
    coord_bytes_free(data);
    coord_zk_free(zk);
    EXPECT_OK(coord_zk_connect(zk_address, -1, -1, &zk, &error));
    coord_zk_free(zk);
}

static void a_consul_client_is_used(void) {
    coord_consul *consul = NULL;
    coord_pair *pair = NULL;
    coord_strings *keys = NULL;
    coord_services *services = NULL;
    coord_graph *graph = NULL;
    char *session = NULL;
    bool held = false;
    EXPECT_OK(coord_consul_connect(http_address, NULL, &consul, &error));
    EXPECT_OK(coord_consul_session_create(consul, NULL, 0, 0, false, &session, &error));
    EXPECT_OK(coord_consul_kv_acquire(consul, "k", BYTES("v"), session, &held, &error));
    EXPECT_OK(coord_consul_kv_get(consul, "k", NULL, 0, &pair, &error));
    EXPECT_OK(coord_consul_kv_keys(consul, "", NULL, &keys, &error));
    EXPECT_OK(coord_consul_register(consul, "web", NULL, NULL, 80, NULL, 0, 60000, &error));
    EXPECT_OK(coord_consul_check_update(consul, "service:web", 0, NULL, &error));
    EXPECT_OK(coord_consul_health_service(consul, "web", false, NULL, 0, &services, &error));
    EXPECT_OK(coord_consul_wait_ready(consul, "web", 60000, &error));
    EXPECT_OK(coord_consul_graph(consul, NULL, NULL, 0, &graph, &error));
    EXPECT_OK(coord_consul_deregister(consul, "web", &error));
    EXPECT_OK(coord_consul_kv_delete(consul, "k", false, &error));
    EXPECT_OK(coord_consul_session_destroy(consul, session, &error));
    EXPECT_OK(coord_consul_close(consul, &error));
    coord_string_free(session);
    coord_graph_free(graph);
    coord_services_free(services);
    coord_strings_free(keys);
    coord_pair_free(pair);
    coord_consul_free(consul);
}

static void what_fails_is_told(void) {
    coord_server *own = NULL;
    coord_settings *settings = NULL;
    coord_zk *zk = NULL;
    EXPECT_OK(coord_settings_new(&settings, &error));
    EXPECT_STATUS(COORD_INVALID, coord_settings_set(settings, "no_such", "1", &error));
    EXPECT_OK(coord_settings_set(settings, "zk_addr", zk_address, &error));
    EXPECT_STATUS(COORD_INVALID, coord_server_start(settings, 60000, &own, &error));
    EXPECT_STATUS(COORD_UNAVAILABLE, coord_zk_connect("127.0.0.1:1", -1, 100, &zk, &error));
    coord_settings_free(settings);
}

static void *everything(void *unused) {
    (void)unused;
    what_fails_is_told();
    a_session_is_used();
    a_consul_client_is_used();
    a_member_starts_and_stops();
    a_cluster_starts_and_stops();
    return NULL;
}

int main(void) {
    pthread_attr_t attributes;
    pthread_t thread;
    server = start_member();
    zk_address = address_of(server, COORD_LISTENER_ZK);
    http_address = address_of(server, COORD_LISTENER_HTTP);
    EXPECT(pthread_attr_init(&attributes) == 0);
    EXPECT(pthread_attr_setstacksize(&attributes, 64 * 1024) == 0);
    EXPECT(pthread_create(&thread, &attributes, everything, NULL) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    EXPECT(pthread_attr_destroy(&attributes) == 0);
    coord_string_free(zk_address);
    coord_string_free(http_address);
    coord_server_free(server);
    return 0;
}
