/* What the tests in C have in common: expectations that say where they failed,
 * and a member to try things on. */
#ifndef EXPECT_H
#define EXPECT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coord.h"

#define EXPECT(condition)                                                                 \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition);      \
            exit(1);                                                                      \
        }                                                                                 \
    } while (0)

/* Expects a status; the call gets &error as its last argument. */
#define EXPECT_STATUS(expected, call)                                                     \
    do {                                                                                  \
        coord_error *error = NULL;                                                        \
        coord_status got = (call);                                                        \
        if (got != (expected)) {                                                          \
            fprintf(stderr, "%s:%d: %s gave %d, not %s: %s\n", __FILE__, __LINE__, #call, \
                    (int)got, #expected, coord_error_message(error));                     \
            exit(1);                                                                      \
        }                                                                                 \
        EXPECT(got == COORD_OK || got == COORD_TIMEOUT || error != NULL);                 \
        EXPECT(coord_error_status(error) == (error != NULL ? got : COORD_OK));            \
        coord_error_free(error);                                                          \
    } while (0)

#define EXPECT_OK(call) EXPECT_STATUS(COORD_OK, call)

#define BYTES(text) (const uint8_t *)(text), strlen(text)

static inline coord_server *start_member(void) {
    coord_server *server = NULL;
    EXPECT_OK(coord_server_start(NULL, 60000, &server, &error));
    return server;
}

static inline char *address_of(const coord_server *server, coord_listener listener) {
    char *address = NULL;
    EXPECT_OK(coord_server_address(server, listener, &address, &error));
    return address;
}

static inline coord_zk *open_session(const coord_server *server) {
    coord_zk *zk = NULL;
    char *address = address_of(server, COORD_LISTENER_ZK);
    EXPECT_OK(coord_zk_connect(address, 10000, 60000, &zk, &error));
    coord_string_free(address);
    return zk;
}

static inline coord_consul *open_consul(const coord_server *server) {
    coord_consul *consul = NULL;
    char *address = address_of(server, COORD_LISTENER_HTTP);
    EXPECT_OK(coord_consul_connect(address, NULL, &consul, &error));
    coord_string_free(address);
    return consul;
}

#endif
