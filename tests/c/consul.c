/* Consul's API: services, checks, keys, locks, closing. */
#include "expect.h"

static void a_service_is_registered_found_and_gone(coord_consul *consul) {
    const char *tags[] = {"blue", "first"};
    coord_services *found = NULL;
    uint64_t index = 0;

    EXPECT_OK(coord_consul_register(consul, "web", "web-1", "10.0.0.7", 80, tags, 2, 0, &error));
    EXPECT_OK(coord_consul_health_service(consul, "web", true, &index, 0, &found, &error));
    EXPECT(index > 0);
    EXPECT(coord_services_count(found) == 1);
    EXPECT(strcmp(coord_services_id(found, 0), "web-1") == 0);
    EXPECT(strcmp(coord_services_address(found, 0), "10.0.0.7") == 0);
    EXPECT(coord_services_port(found, 0) == 80 && strlen(coord_services_node(found, 0)) > 0);
    EXPECT(coord_services_state(found, 0) == COORD_CHECK_PASSING);
    EXPECT(coord_services_id(found, 1) == NULL);
    coord_services_free(found);

    EXPECT_OK(coord_consul_deregister(consul, "web-1", &error));
    EXPECT_OK(coord_consul_health_service(consul, "web", true, &index, 30000, &found, &error));
    EXPECT(coord_services_count(found) == 0);
    coord_services_free(found);
    EXPECT_STATUS(COORD_NOT_FOUND, coord_consul_deregister(consul, "web-1", &error));
}

/* The rest of the graph is tried in graph.c, without valgrind. */
static void a_graph_is_given_and_released(coord_consul *consul) {
    const coord_dependency needs[] = {{"db", "primary", false}, {"cache", NULL, true}};
    coord_graph *graph = NULL;

    EXPECT_OK(coord_consul_register_with_dependencies(consul, "web", NULL, NULL, 0, NULL, 0, needs,
                                                      2, 0, &error));
    EXPECT_STATUS(COORD_TIMEOUT, coord_consul_wait_ready(consul, "web", 1, &error));
    EXPECT_OK(coord_consul_graph(consul, NULL, NULL, 0, &graph, &error));
    EXPECT(coord_graph_count(graph) == 3 && strcmp(coord_graph_name(graph, 2), "web") == 0);
    EXPECT(coord_strings_count(coord_graph_required(graph, 2)) == 1);
    coord_graph_free(graph);
    EXPECT_OK(coord_consul_deregister(consul, "web", &error));
}

static coord_check_state state_of(coord_consul *consul, const char *name) {
    coord_services *found = NULL;
    EXPECT_OK(coord_consul_health_service(consul, name, false, NULL, 0, &found, &error));
    EXPECT(coord_services_count(found) == 1);
    coord_check_state state = coord_services_state(found, 0);
    coord_services_free(found);
    return state;
}

static void a_check_is_as_last_reported(coord_consul *consul) {
    EXPECT_OK(coord_consul_register(consul, "db", NULL, NULL, 0, NULL, 0, 60000, &error));
    EXPECT(state_of(consul, "db") == COORD_CHECK_CRITICAL);
    EXPECT_OK(coord_consul_check_update(consul, "service:db", COORD_CHECK_PASSING, NULL, &error));
    EXPECT(state_of(consul, "db") == COORD_CHECK_PASSING);
    EXPECT_OK(coord_consul_check_register(consul, "disk", "db-disk", "db", 60000, &error));
    EXPECT_OK(coord_consul_check_update(consul, "db-disk", COORD_CHECK_WARNING, "full", &error));
    EXPECT(state_of(consul, "db") == COORD_CHECK_WARNING);
    EXPECT_OK(coord_consul_check_deregister(consul, "db-disk", &error));
    EXPECT_STATUS(COORD_NOT_FOUND, coord_consul_check_deregister(consul, "db-disk", &error));
    EXPECT_STATUS(COORD_NOT_FOUND,
                  coord_consul_check_update(consul, "no", COORD_CHECK_PASSING, NULL, &error));
    EXPECT_STATUS(COORD_INVALID, coord_consul_check_update(consul, "no", 99, NULL, &error));
    EXPECT_OK(coord_consul_deregister(consul, "db", &error));
}

static void keys_are_set_read_listed_and_deleted(coord_consul *consul) {
    coord_pair *pair = NULL;
    coord_strings *keys = NULL;
    uint64_t index = 0, modified;
    bool done = true;

    EXPECT_STATUS(COORD_NOT_FOUND,
                  coord_consul_kv_get(consul, "k/a", &index, 0, &pair, &error));
    EXPECT(index > 0 && pair == NULL);
    EXPECT_OK(coord_consul_kv_put(consul, "k/a", BYTES("red"), 7, &error));
    EXPECT_OK(coord_consul_kv_get(consul, "k/a", &index, 30000, &pair, &error));
    EXPECT(coord_pair_len(pair) == 3 && memcmp(coord_pair_data(pair), "red", 3) == 0);
    EXPECT(coord_pair_flags(pair) == 7 && coord_pair_session(pair) == NULL);
    modified = coord_pair_modify_index(pair);
    coord_pair_free(pair);

    EXPECT_OK(coord_consul_kv_cas(consul, "k/a", BYTES("blue"), modified, &done, &error));
    EXPECT(done);
    EXPECT_OK(coord_consul_kv_cas(consul, "k/a", BYTES("grey"), modified, &done, &error));
    EXPECT(!done);
    EXPECT_OK(coord_consul_kv_delete_cas(consul, "k/a", modified, &done, &error));
    EXPECT(!done);

    EXPECT_OK(coord_consul_kv_put(consul, "k/b/c", NULL, 0, 0, &error));
    EXPECT_OK(coord_consul_kv_keys(consul, "k/", "/", &keys, &error));
    EXPECT(coord_strings_count(keys) == 2 && strcmp(coord_strings_at(keys, 1), "k/b/") == 0);
    coord_strings_free(keys);
    EXPECT_OK(coord_consul_kv_delete(consul, "k/", true, &error));
    EXPECT_OK(coord_consul_kv_keys(consul, "k/", NULL, &keys, &error));
    EXPECT(coord_strings_count(keys) == 0);
    coord_strings_free(keys);
}

static void a_lock_has_one_holder(coord_consul *consul) {
    char *one = NULL, *two = NULL;
    coord_pair *pair = NULL;
    bool held = false;

    EXPECT_OK(coord_consul_session_create(consul, "one", 60000, 0, false, &one, &error));
    EXPECT_OK(coord_consul_session_create(consul, NULL, 0, -1, true, &two, &error));
    EXPECT_OK(coord_consul_session_renew(consul, one, &error));
    EXPECT_OK(coord_consul_kv_acquire(consul, "lock", BYTES("1"), one, &held, &error));
    EXPECT(held);
    EXPECT_OK(coord_consul_kv_acquire(consul, "lock", BYTES("2"), two, &held, &error));
    EXPECT(!held);
    EXPECT_OK(coord_consul_kv_get(consul, "lock", NULL, 0, &pair, &error));
    EXPECT(strcmp(coord_pair_session(pair), one) == 0 && coord_pair_lock_index(pair) == 1);
    coord_pair_free(pair);
    EXPECT_OK(coord_consul_kv_release(consul, "lock", BYTES("1"), one, &held, &error));
    EXPECT(held);
    EXPECT_OK(coord_consul_kv_acquire(consul, "lock", BYTES("2"), two, &held, &error));
    EXPECT(held);

    EXPECT_OK(coord_consul_session_destroy(consul, two, &error));
    EXPECT_STATUS(COORD_NOT_FOUND, coord_consul_kv_get(consul, "lock", NULL, 0, &pair, &error));
    EXPECT_STATUS(COORD_NOT_FOUND, coord_consul_session_renew(consul, two, &error));
    EXPECT_OK(coord_consul_session_destroy(consul, one, &error));
    coord_string_free(one);
    coord_string_free(two);
}

static void an_agent_that_is_not_there_is_told(void) {
    coord_consul *consul = NULL;
    EXPECT_STATUS(COORD_INVALID, coord_consul_connect("ftp://a:1", NULL, &consul, &error));
    /* Port 1 is reserved, and nobody's. */
    EXPECT_OK(coord_consul_connect("127.0.0.1:1", NULL, &consul, &error));
    EXPECT_STATUS(COORD_UNAVAILABLE, coord_consul_deregister(consul, "x", &error));
    EXPECT_OK(coord_consul_close(consul, &error));
    EXPECT_OK(coord_consul_close(consul, &error));
    EXPECT_STATUS(COORD_CLOSED, coord_consul_deregister(consul, "x", &error));
    coord_consul_free(consul);
}

static void options_that_cannot_be_used_are_told(void) {
    coord_consul *consul = NULL;
    const char *unfit[] = {"tls.ca_file=/nowhere", "tls", "tls=hush", "port=1"};
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++)
        EXPECT_STATUS(COORD_INVALID,
                      coord_consul_connect_secured("a:1", NULL, unfit[i], &consul, &error));
    EXPECT_OK(coord_consul_connect_secured("a:1", NULL, "tls=off\n", &consul, &error));
    coord_consul_free(consul);
}

int main(void) {
    coord_server *server = start_member();
    coord_consul *consul = open_consul(server);
    a_service_is_registered_found_and_gone(consul);
    a_graph_is_given_and_released(consul);
    a_check_is_as_last_reported(consul);
    keys_are_set_read_listed_and_deleted(consul);
    a_lock_has_one_holder(consul);
    an_agent_that_is_not_there_is_told();
    options_that_cannot_be_used_are_told();
    coord_consul_free(consul);
    coord_server_free(server);
    return 0;
}
