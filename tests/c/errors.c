/* What goes wrong in the caller is told, and harms nobody. */
#define _POSIX_C_SOURCE 200112L /* for fork and pthread_sigmask */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expect.h"

static void null_is_refused_where_something_is_needed(void) {
    coord_settings *settings = NULL;
    EXPECT_STATUS(COORD_INVALID, coord_settings_new(NULL, &error));
    EXPECT_OK(coord_settings_new(&settings, &error));
    EXPECT_STATUS(COORD_INVALID, coord_settings_set(NULL, "zk_addr", "off", &error));
    EXPECT_STATUS(COORD_INVALID, coord_settings_set(settings, NULL, "off", &error));
    EXPECT_STATUS(COORD_INVALID, coord_settings_set(settings, "zk_addr", NULL, &error));
    coord_settings_free(settings);
    EXPECT_STATUS(COORD_INVALID, coord_server_start(NULL, 0, NULL, &error));
    EXPECT_STATUS(COORD_INVALID, coord_server_stop(NULL, &error));
    EXPECT_STATUS(COORD_INVALID, coord_zk_connect(NULL, -1, -1, NULL, &error));
    EXPECT_STATUS(COORD_INVALID, coord_zk_get(NULL, "/", NULL, NULL, &error));
    EXPECT_STATUS(COORD_INVALID, coord_zk_multi(NULL, NULL, NULL, &error));
    EXPECT_STATUS(COORD_INVALID, coord_consul_connect(NULL, NULL, NULL, &error));
    EXPECT_STATUS(COORD_INVALID, coord_consul_deregister(NULL, "x", &error));
    /* Nobody has to want the error. */
    EXPECT(coord_server_stop(NULL, NULL) == COORD_INVALID);
}

static void null_is_empty_where_something_is_looked_at(void) {
    EXPECT(coord_error_status(NULL) == COORD_OK && *coord_error_message(NULL) == 0);
    EXPECT(!coord_error_is_retryable(NULL) && !coord_error_may_have_applied(NULL));
    EXPECT(coord_error_zk_code(NULL) == 0 && coord_error_http_status(NULL) == 0);
    EXPECT(coord_bytes_data(NULL) == NULL && coord_bytes_len(NULL) == 0);
    EXPECT(coord_strings_count(NULL) == 0 && coord_strings_at(NULL, 0) == NULL);
    EXPECT(coord_services_count(NULL) == 0 && coord_services_id(NULL, 0) == NULL);
    EXPECT(coord_pair_data(NULL) == NULL && coord_pair_session(NULL) == NULL);
    EXPECT(coord_event_type(NULL) == COORD_EVENT_NONE && *coord_event_path(NULL) == 0);
    EXPECT(coord_zk_state(NULL) == COORD_SESSION_CLOSED && coord_zk_session_id(NULL) == 0);
    coord_error_free(NULL);
    coord_string_free(NULL);
    coord_bytes_free(NULL);
    coord_strings_free(NULL);
    coord_settings_free(NULL);
    coord_server_free(NULL);
    coord_zk_free(NULL);
    coord_event_free(NULL);
    coord_ops_free(NULL);
    coord_consul_free(NULL);
    coord_services_free(NULL);
    coord_pair_free(NULL);
}

static void text_that_is_not_utf8_is_refused(coord_zk *zk) {
    EXPECT_STATUS(COORD_INVALID, coord_zk_get(zk, "/\xff", NULL, NULL, &error));
    EXPECT_STATUS(COORD_INVALID, coord_zk_set(zk, "/a", NULL, 3, -1, NULL, &error));
}

/* A length that was computed wrongly: `0 - 1`, or a count in the wrong unit. */
static void a_length_that_cannot_be_meant_is_refused(coord_zk *zk, coord_consul *consul) {
    static const size_t lengths[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 2 + 1, (64u << 20) + 1};
    const uint8_t *x = (const uint8_t *)"x";
    const char *tag = "t";
    coord_ops *ops = NULL;
    coord_hash hash = {{0}};
    EXPECT_OK(coord_ops_new(&ops, &error));
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t n = lengths[i];
        bool held = true;
        EXPECT_STATUS(COORD_INVALID, coord_zk_create(zk, "/long", x, n, 0, 0, NULL, &error));
        EXPECT_STATUS(COORD_INVALID, coord_zk_create(zk, "/long", NULL, n, 0, 0, NULL, &error));
        EXPECT_STATUS(COORD_INVALID, coord_zk_set(zk, "/", x, n, -1, NULL, &error));
        EXPECT_STATUS(COORD_INVALID, coord_zk_set_if_hash(zk, "/", x, n, &hash, NULL, &error));
        EXPECT_STATUS(COORD_INVALID, coord_zk_add_auth(zk, "digest", x, n, &error));
        EXPECT_STATUS(COORD_INVALID, coord_ops_create(ops, "/long", x, n, 0, 0, &error));
        EXPECT_STATUS(COORD_INVALID, coord_ops_set(ops, "/long", x, n, -1, &error));
        EXPECT_STATUS(COORD_INVALID, coord_consul_kv_put(consul, "k", x, n, 0, &error));
        EXPECT_STATUS(COORD_INVALID, coord_consul_kv_cas(consul, "k", x, n, 0, &held, &error));
        EXPECT_STATUS(COORD_INVALID,
                      coord_consul_kv_acquire(consul, "k", x, n, "s", &held, &error));
        EXPECT_STATUS(COORD_INVALID,
                      coord_consul_kv_release(consul, "k", x, n, "s", &held, &error));
        EXPECT_STATUS(COORD_INVALID,
                      coord_consul_register(consul, "s", NULL, NULL, 0, &tag, n, 0, &error));
    }
    coord_ops_free(ops);
    bool there = true;
    EXPECT_OK(coord_zk_exists(zk, "/long", &there, NULL, &error));
    EXPECT(!there);
}

/* A position behind the end and a number of members that is none. */
static void a_position_that_is_none_is_told(void) {
    coord_cluster *cluster = NULL;
    EXPECT_STATUS(COORD_INVALID, coord_cluster_start(UINT64_MAX, NULL, 0, &cluster, &error));
    EXPECT(cluster == NULL);
}

/* Times as long as can be written mean for ever, and none is too long to be counted. */
static void no_time_is_too_long(coord_server *server) {
    char *address = address_of(server, COORD_LISTENER_ZK);
    coord_zk *zk = NULL;
    EXPECT_OK(coord_zk_connect(address, INT64_MAX, INT64_MAX, &zk, &error));
    EXPECT_OK(coord_zk_sync(zk, "/", &error));
    coord_zk_free(zk);
    coord_string_free(address);
}

static void an_error_tells_all_it_knows(coord_zk *zk, coord_consul *consul) {
    coord_error *error = NULL;
    EXPECT(coord_zk_get(zk, "/nothing", NULL, NULL, &error) == COORD_ZK_NO_NODE);
    EXPECT(strstr(coord_error_message(error), "/nothing") != NULL);
    EXPECT(coord_error_zk_code(error) == -101 && coord_error_http_status(error) == 0);
    EXPECT(!coord_error_is_retryable(error) && !coord_error_may_have_applied(error));
    coord_error_free(error);

    EXPECT(coord_zk_get(zk, "no-slash", NULL, NULL, &error) == COORD_ZK_BAD_ARGUMENTS);
    coord_error_free(error);

    EXPECT(coord_consul_deregister(consul, "nothing", &error) == COORD_NOT_FOUND);
    EXPECT(coord_error_http_status(error) == 404 && coord_error_zk_code(error) == 0);
    coord_error_free(error);

    bool held = true;
    EXPECT(coord_consul_kv_acquire(consul, "k", NULL, 0, "nobody", &held, &error) == COORD_HTTP);
    EXPECT(coord_error_http_status(error) == 500 && held);
    coord_error_free(error);
}

static void a_forked_child_is_refused(coord_server *server, coord_zk *zk, coord_consul *consul) {
    int outcome = 0;
    fflush(NULL);
    pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        char *address = NULL;
        EXPECT_STATUS(COORD_FORKED, coord_zk_sync(zk, "/", &error));
        EXPECT_STATUS(COORD_FORKED, coord_consul_deregister(consul, "x", &error));
        EXPECT_STATUS(COORD_FORKED,
                      coord_server_address(server, COORD_LISTENER_ZK, &address, &error));
        EXPECT_STATUS(COORD_FORKED, coord_server_stop(server, &error));
        EXPECT(coord_zk_state(zk) == COORD_SESSION_CLOSED);
        coord_zk_free(zk);
        coord_consul_free(consul);
        coord_server_free(server);
        /* Another program takes over, so that a memory checker does not ask after what
         * belongs to the parent's threads, which are missing here. */
        execlp("sh", "sh", "-c", "exit 7", (char *)NULL);
        _exit(1);
    }
    EXPECT(waitpid(child, &outcome, 0) == child);
    EXPECT(WIFEXITED(outcome) && WEXITSTATUS(outcome) == 7);
    EXPECT_OK(coord_zk_sync(zk, "/", &error));
}

static void the_callers_signals_stay_as_they_were(void) {
    sigset_t now;
    EXPECT(pthread_sigmask(SIG_SETMASK, NULL, &now) == 0);
    EXPECT(!sigismember(&now, SIGINT) && !sigismember(&now, SIGTERM));
}

int main(void) {
    null_is_refused_where_something_is_needed();
    null_is_empty_where_something_is_looked_at();
    coord_server *server = start_member();
    coord_zk *zk = open_session(server);
    coord_consul *consul = open_consul(server);
    text_that_is_not_utf8_is_refused(zk);
    a_length_that_cannot_be_meant_is_refused(zk, consul);
    a_position_that_is_none_is_told();
    no_time_is_too_long(server);
    an_error_tells_all_it_knows(zk, consul);
    a_forked_child_is_refused(server, zk, consul);
    the_callers_signals_stay_as_they_were();
    coord_consul_free(consul);
    coord_zk_free(zk);
    coord_server_free(server);
    return 0;
}
