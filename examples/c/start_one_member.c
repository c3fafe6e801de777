/* Starts a member inside this program, with its data in a permanent directory.
 *
 *   start_one_member FOLDER
 *
 * Run it twice with the same folder: the second run finds what the first wrote.
 */
#include <stdio.h>
#include <stdlib.h>

#include "coord.h"

static void check(const char *what, coord_status status, coord_error *error) {
    if (status == COORD_OK) {
        return;
    }
    fprintf(stderr, "%s failed (%d): %s\n", what, (int)status, coord_error_message(error));
    exit(1);
}

int main(int argc, char **argv) {
    coord_settings *settings = NULL;
    coord_server *server = NULL;
    coord_error *error = NULL;
    coord_zk *zk = NULL;
    coord_stat stat;
    char *address = NULL;
    bool there = false;

    if (argc != 2) {
        fprintf(stderr, "usage: start_one_member FOLDER\n");
        return 2;
    }
    /* Without a data_dir the data would be in a temporary directory, deleted with the member. */
    check("settings", coord_settings_new(&settings, &error), error);
    check("data_dir", coord_settings_set(settings, "data_dir", argv[1], &error), error);
    check("starting", coord_server_start(settings, 10000, &server, &error), error);
    coord_settings_free(settings);

    /* Unless ports are set, free ones are used, so that several members can run. */
    check("address", coord_server_address(server, COORD_LISTENER_ZK, &address, &error), error);
    printf("a member serves ZooKeeper on %s\n", address);
    check("connecting", coord_zk_connect(address, -1, 10000, &zk, &error), error);
    coord_string_free(address);

    check("exists", coord_zk_exists(zk, "/runs", &there, &stat, &error), error);
    if (!there) {
        check("create",
              coord_zk_create(zk, "/runs", NULL, 0, COORD_CREATE_PERSISTENT, 0, NULL, &error),
              error);
    }
    check("set", coord_zk_set(zk, "/runs", NULL, 0, -1, &stat, &error), error);
    printf("runs with this folder: %d\n", stat.version);

    coord_zk_free(zk);
    coord_server_free(server);
    return 0;
}
