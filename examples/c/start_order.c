/* start_order.py in C: services that depend on each other, their start order,
 * and which of them are affected when one fails.
 *
 *   start_order HOST:PORT     the HTTP port of a member of libcoord
 *   start_order --embedded    a member inside this program
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coord.h"

/* Ends the program if a call failed, saying why. */
static void check(const char *what, coord_status status, coord_error *error) {
    if (status == COORD_OK) {
        return;
    }
    fprintf(stderr, "%s failed (%d): %s\n", what, (int)status, coord_error_message(error));
    exit(1);
}

/* Registers a service with a check that passes until it is told to fail. */
static void offer(coord_consul *consul, const char *name, const coord_dependency *needs,
                  size_t count) {
    coord_error *error = NULL;
    char id[64];

    check("register",
          coord_consul_register_with_dependencies(consul, name, NULL, NULL, 0, NULL, 0, needs, count,
                                                  600000, &error),
          error);
    snprintf(id, sizeof id, "service:%s", name);
    check("pass", coord_consul_check_update(consul, id, COORD_CHECK_PASSING, NULL, &error), error);
}

static const char *state_name(coord_check_state state) {
    return state == COORD_CHECK_PASSING   ? "passing"
           : state == COORD_CHECK_WARNING ? "warning"
                                          : "critical";
}

/* Whether a service of the graph has that status. */
static bool is(const coord_graph *graph, const char *name, coord_check_state state) {
    for (size_t i = 0; i < coord_graph_count(graph); i++) {
        if (strcmp(coord_graph_name(graph, i), name) == 0) {
            return coord_graph_effective_state(graph, i) == state;
        }
    }
    return false;
}

/* The graph, once the catalog shows that status for the service. */
static coord_graph *graph_when(coord_consul *consul, const char *name, coord_check_state state) {
    coord_graph *graph = NULL;
    coord_error *error = NULL;
    uint64_t index = 0;

    for (;;) {
        check("graph", coord_consul_graph(consul, NULL, &index, -1, &graph, &error), error);
        if (is(graph, name, state)) {
            return graph;
        }
        coord_graph_free(graph);
    }
}

static void use(const char *address) {
    const coord_dependency of_web[] = {{"api", NULL, false}};
    const coord_dependency of_api[] = {{"db", NULL, false}, {"cache", NULL, true}};
    coord_consul *consul = NULL;
    coord_graph *graph = NULL;
    coord_error *error = NULL;

    check("opening", coord_consul_connect(address, NULL, &consul, &error), error);
    offer(consul, "web", of_web, 1);
    offer(consul, "api", of_api, 2);
    offer(consul, "db", NULL, 0);
    check("waiting", coord_consul_wait_ready(consul, "api", 60000, &error), error);

    graph = graph_when(consul, "db", COORD_CHECK_PASSING);
    for (size_t i = 0; i < coord_graph_count(graph); i++) {
        if (coord_graph_wave(graph, i) >= 0) {
            printf("start %s\n", coord_graph_name(graph, i));
        }
    }
    coord_graph_free(graph);

    check("fail",
          coord_consul_check_update(consul, "service:db", COORD_CHECK_CRITICAL, "killed", &error),
          error);
    graph = graph_when(consul, "web", COORD_CHECK_CRITICAL);
    for (size_t i = 0; i < coord_graph_count(graph); i++) {
        const coord_strings *because = coord_graph_because(graph, i);
        if (coord_strings_count(because) > 0) {
            printf("%s is %s because of %s\n", coord_graph_name(graph, i),
                   state_name(coord_graph_effective_state(graph, i)),
                   coord_strings_at(because, 0));
        }
    }
    coord_graph_free(graph);
    coord_consul_free(consul);
}

int main(int argc, char **argv) {
    coord_server *server = NULL;
    coord_error *error = NULL;
    char *address = NULL;

    if (argc == 2 && strcmp(argv[1], "--embedded") != 0) {
        use(argv[1]);
        return 0;
    }
    check("starting a member", coord_server_start(NULL, -1, &server, &error), error);
    check("address", coord_server_address(server, COORD_LISTENER_HTTP, &address, &error), error);
    use(address);
    coord_string_free(address);
    coord_server_free(server);
    return 0;
}
