/* Embedded members: settings, ports, several at once, many after another. */
#include "expect.h"

static void settings_are_known_by_name(void) {
    coord_settings *settings = NULL;
    EXPECT_OK(coord_settings_new(&settings, &error));
    EXPECT_OK(coord_settings_set(settings, "dns_addr", "off", &error));
    EXPECT_STATUS(COORD_INVALID, coord_settings_set(settings, "no_such", "1", &error));
    EXPECT_STATUS(COORD_INVALID, coord_settings_set(settings, "member_id", "one", &error));

    coord_server *server = NULL;
    EXPECT_OK(coord_server_start(settings, 60000, &server, &error));
    coord_settings_free(settings);
    char *dns = address_of(server, COORD_LISTENER_DNS);
    EXPECT(strcmp(dns, "off") == 0);
    coord_string_free(dns);
    coord_server_free(server);
}

static void a_port_that_is_taken_is_told(void) {
    coord_server *first = start_member(), *second = NULL;
    coord_settings *settings = NULL;
    char *taken = address_of(first, COORD_LISTENER_ZK);
    EXPECT_OK(coord_settings_new(&settings, &error));
    EXPECT_OK(coord_settings_set(settings, "zk_addr", taken, &error));
    EXPECT_STATUS(COORD_INVALID, coord_server_start(settings, 60000, &second, &error));
    EXPECT(second == NULL);
    coord_string_free(taken);
    coord_settings_free(settings);
    coord_server_free(first);
}

static void two_members_in_one_process_know_nothing_of_each_other(void) {
    coord_server *one = start_member(), *two = start_member();
    coord_zk *in_one = open_session(one), *in_two = open_session(two);
    bool there = true;
    EXPECT_OK(coord_zk_create(in_one, "/only-here", NULL, 0, COORD_CREATE_PERSISTENT, 0, NULL,
                              &error));
    EXPECT_OK(coord_zk_exists(in_two, "/only-here", &there, NULL, &error));
    EXPECT(!there);
    coord_zk_free(in_one);
    coord_zk_free(in_two);
    coord_server_free(one);
    coord_server_free(two);
}

static void a_member_starts_and_stops_again_and_again(void) {
    for (int i = 0; i < 5; i++) {
        coord_server *server = start_member();
        EXPECT_OK(coord_server_stop(server, &error));
        EXPECT_OK(coord_server_stop(server, &error));
        coord_server_free(server);
    }
}

static void a_stopped_member_answers_nobody(void) {
    coord_server *server = start_member();
    char *address = address_of(server, COORD_LISTENER_ZK);
    coord_zk *zk = NULL;
    EXPECT_OK(coord_server_stop(server, &error));
    EXPECT_STATUS(COORD_UNAVAILABLE, coord_zk_connect(address, -1, 200, &zk, &error));
    EXPECT(zk == NULL);
    coord_string_free(address);
    coord_server_free(server);
}

static void a_member_tells_how_it_stands(void) {
    coord_server *server = start_member();
    char *reason = NULL;
    int32_t state = -1;
    EXPECT_OK(coord_server_status(server, &state, &reason, &error));
    EXPECT(state == COORD_SERVER_SERVING && strcmp(reason, "") == 0);
    coord_string_free(reason);
    reason = NULL;
    EXPECT_STATUS(COORD_INVALID, coord_server_status(server, NULL, NULL, &error));
    EXPECT_STATUS(COORD_TIMEOUT, coord_server_wait_failed(server, 0, &reason, &error));
    EXPECT(reason == NULL);
    EXPECT_OK(coord_server_stop(server, &error));
    EXPECT_STATUS(COORD_CLOSED, coord_server_wait_failed(server, -1, NULL, &error));
    EXPECT_OK(coord_server_status(server, &state, NULL, &error));
    EXPECT(state == COORD_SERVER_STOPPED);
    coord_server_free(server);
}

static void a_cluster_goes_on_without_one_member(void) {
    coord_cluster *cluster = NULL;
    coord_zk *zk = NULL;
    char *address = NULL;
    EXPECT_STATUS(COORD_INVALID, coord_cluster_start(8, NULL, 0, &cluster, &error));
    EXPECT_OK(coord_cluster_start(3, NULL, 120000, &cluster, &error));
    EXPECT(coord_cluster_size(cluster) == 3);
    EXPECT_OK(coord_cluster_stop_member(cluster, 0, &error));
    EXPECT_STATUS(COORD_INVALID, coord_cluster_stop_member(cluster, 3, &error));
    EXPECT_OK(coord_cluster_address(cluster, 1, COORD_LISTENER_ZK, &address, &error));
    EXPECT_OK(coord_zk_connect(address, -1, 60000, &zk, &error));
    EXPECT_OK(coord_zk_ensure_path(zk, "/still-here", &error));
    coord_zk_free(zk);
    coord_string_free(address);
    coord_cluster_free(cluster);
}

int main(void) {
    settings_are_known_by_name();
    a_port_that_is_taken_is_told();
    two_members_in_one_process_know_nothing_of_each_other();
    a_member_starts_and_stops_again_and_again();
    a_stopped_member_answers_nobody();
    a_member_tells_how_it_stands();
    a_cluster_goes_on_without_one_member();
    return 0;
}
