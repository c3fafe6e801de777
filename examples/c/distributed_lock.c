/* A lock shared by any number of programs; only its holder does the work.
 *
 *   distributed_lock HOST:PORT SECONDS
 *
 * Each contender creates an ephemeral sequential znode. The lowest number holds
 * the lock; each other contender waits for the znode before its own to be
 * deleted, which also happens when that program dies.
 */
#define _POSIX_C_SOURCE 200112L /* for sleep */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coord.h"

static void check(const char *what, coord_status status, coord_error *error) {
    if (status == COORD_OK) {
        return;
    }
    fprintf(stderr, "%s failed (%d): %s\n", what, (int)status, coord_error_message(error));
    exit(1);
}

/* Writes the path of the contender before `mine` to `path`; false if there is none. */
static bool before(coord_zk *zk, const char *mine, char *path, size_t size) {
    coord_strings *names = NULL;
    coord_error *error = NULL;
    const char *best = NULL;

    check("children", coord_zk_children(zk, "/lock", &names, NULL, &error), error);
    for (size_t i = 0; i < coord_strings_count(names); i++) {
        const char *name = coord_strings_at(names, i);
        if (strcmp(name, mine) < 0 && (best == NULL || strcmp(name, best) > 0)) {
            best = name;
        }
    }
    snprintf(path, size, "/lock/%s", best != NULL ? best : "");
    coord_strings_free(names);
    return best != NULL;
}

int main(int argc, char **argv) {
    coord_zk *zk = NULL;
    coord_error *error = NULL;
    char *mine = NULL;
    char ahead[256];

    if (argc != 3) {
        fprintf(stderr, "usage: distributed_lock HOST:PORT SECONDS\n");
        return 2;
    }
    check("connecting", coord_zk_connect(argv[1], -1, -1, &zk, &error), error);
    check("ensure", coord_zk_ensure_path(zk, "/lock", &error), error);
    check("create",
          coord_zk_create(zk, "/lock/contender-", NULL, 0, COORD_CREATE_EPHEMERAL_SEQUENTIAL, 0,
                          &mine, &error),
          error);
    while (before(zk, mine + strlen("/lock/"), ahead, sizeof ahead)) {
        coord_event *event = NULL;
        bool there = false;
        /* Watch first, then check: it may have been deleted in between. */
        check("watch", coord_zk_watch(zk, ahead, COORD_WATCH_DATA, &error), error);
        check("exists", coord_zk_exists(zk, ahead, &there, NULL, &error), error);
        if (there) {
            printf("waiting for %s\n", ahead);
            check("waiting", coord_zk_wait_event(zk, -1, &event, &error), error);
            coord_event_free(event);
        }
    }
    printf("%s holds the lock\n", mine);
    sleep((unsigned)atoi(argv[2]));
    coord_string_free(mine);
    coord_zk_free(zk); /* ends the session and passes the lock on */
    printf("gave the lock back\n");
    return 0;
}
