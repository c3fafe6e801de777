/* The graph of services: declared, refused, read, waited for. */
#include <pthread.h>

#include "expect.h"

#define NEED(name) {name, NULL, false}
#define CAN_USE(name) {name, NULL, true}
#define COUNT(list) (sizeof(list) / sizeof *(list))

static coord_status offer(coord_consul *consul, const char *name, const coord_dependency *needs,
                          size_t count, coord_error **error) {
    return coord_consul_register_with_dependencies(consul, name, NULL, NULL, 0, NULL, 0, needs,
                                                   count, 0, error);
}

static size_t position_of(const coord_graph *graph, const char *name) {
    size_t position = 0;
    while (position < coord_graph_count(graph) &&
           strcmp(coord_graph_name(graph, position), name) != 0)
        position++;
    return position;
}

static void what_is_declared_is_told(coord_consul *consul) {
    const coord_dependency of_web[] = {NEED("api"), {"db", "primary", false}, {"db", "replica", true}};
    const coord_dependency of_api[] = {NEED("db"), CAN_USE("cache")};
    coord_graph *graph = NULL;
    uint64_t index = 0;
    size_t at;

    EXPECT_OK(offer(consul, "web", of_web, COUNT(of_web), &error));
    EXPECT_OK(offer(consul, "api", of_api, COUNT(of_api), &error));
    EXPECT_OK(offer(consul, "db", NULL, 0, &error));
    EXPECT_OK(coord_consul_graph(consul, NULL, &index, 0, &graph, &error));
    EXPECT(index > 0 && coord_graph_count(graph) == 4);
    EXPECT(strcmp(coord_graph_name(graph, 0), "cache") == 0 && coord_graph_wave(graph, 0) == -1);
    EXPECT(coord_graph_state(graph, 0) == COORD_CHECK_CRITICAL);
    EXPECT(strcmp(coord_graph_name(graph, 1), "db") == 0 && coord_graph_wave(graph, 1) == 0);
    EXPECT(strcmp(coord_graph_name(graph, 2), "api") == 0 && coord_graph_wave(graph, 2) == 1);
    EXPECT(strcmp(coord_graph_name(graph, 3), "web") == 0 && coord_graph_wave(graph, 3) == 2);
    EXPECT(coord_graph_name(graph, 4) == NULL && coord_graph_wave(graph, 4) == -1);

    at = position_of(graph, "api");
    EXPECT(coord_graph_state(graph, at) == COORD_CHECK_PASSING);
    EXPECT(coord_graph_effective_state(graph, at) == COORD_CHECK_WARNING);
    EXPECT(strcmp(coord_strings_at(coord_graph_because(graph, at), 0), "cache") == 0);
    EXPECT(strcmp(coord_strings_at(coord_graph_required(graph, at), 0), "db") == 0);
    EXPECT(strcmp(coord_strings_at(coord_graph_optional(graph, at), 0), "cache") == 0);
    /* What is required of some instances and can be done without of others is required. */
    at = position_of(graph, "web");
    EXPECT(coord_strings_count(coord_graph_required(graph, at)) == 2);
    EXPECT(coord_strings_count(coord_graph_optional(graph, at)) == 0);
    EXPECT(strstr(coord_graph_json(graph), "\"primary\"") != NULL);
    coord_graph_free(graph);
}

static void one_service_is_told_with_what_is_around_it(coord_consul *consul) {
    coord_graph *graph = NULL;
    uint64_t index = 0;

    EXPECT_OK(offer(consul, "alone", NULL, 0, &error));
    EXPECT_OK(coord_consul_graph(consul, "api", &index, 0, &graph, &error));
    EXPECT(coord_graph_count(graph) == 4 && position_of(graph, "alone") == 4);
    EXPECT(strstr(coord_graph_json(graph), "\"Distance\"") != NULL);
    coord_graph_free(graph);
    index = 0;
    EXPECT_STATUS(COORD_NOT_FOUND, coord_consul_graph(consul, "none", &index, 0, &graph, &error));
    EXPECT(index > 0);
}

static void a_cycle_is_refused_and_named(coord_consul *consul) {
    const coord_dependency needs[] = {NEED("web")};
    coord_error *error = NULL;

    EXPECT(offer(consul, "db", needs, 1, &error) == COORD_HTTP);
    EXPECT(coord_error_http_status(error) == 400);
    EXPECT(strstr(coord_error_message(error), "dependency cycle") != NULL);
    EXPECT(strstr(coord_error_message(error), "web") != NULL);
    coord_error_free(error);
}

static void *a_wait(void *consul) {
    EXPECT_OK(coord_consul_wait_ready(consul, "shop", -1, &error));
    return NULL;
}

static void a_wait_ends_once_all_that_is_required_passes(coord_consul *consul) {
    const coord_dependency needs[] = {NEED("till"), CAN_USE("music")};
    coord_error *error = NULL;
    pthread_t thread;

    EXPECT_OK(coord_consul_wait_ready(consul, "web", 60000, &error));
    EXPECT_OK(offer(consul, "shop", needs, COUNT(needs), &error));
    EXPECT(coord_consul_wait_ready(consul, "shop", 20, &error) == COORD_TIMEOUT);
    EXPECT(strstr(coord_error_message(error), "till") != NULL);
    coord_error_free(error);
    EXPECT_STATUS(COORD_TIMEOUT, coord_consul_wait_ready(consul, "nobody", 20, &error));
    EXPECT_STATUS(COORD_INVALID, coord_consul_wait_ready(consul, "", 20, &error));
    EXPECT(pthread_create(&thread, NULL, a_wait, consul) == 0);
    EXPECT_OK(offer(consul, "till", NULL, 0, &error));
    EXPECT(pthread_join(thread, NULL) == 0);
}

static void *an_endless_wait(void *consul) {
    EXPECT_STATUS(COORD_CLOSED, coord_consul_wait_ready(consul, "nobody", -1, &error));
    return NULL;
}

static void a_wait_is_ended_by_closing(coord_server *server) {
    coord_consul *consul = open_consul(server);
    pthread_t thread;

    EXPECT(pthread_create(&thread, NULL, an_endless_wait, consul) == 0);
    EXPECT_OK(coord_consul_close(consul, &error));
    EXPECT(pthread_join(thread, NULL) == 0);
    coord_consul_free(consul);
}

static void mistakes_are_told(coord_consul *consul) {
    const coord_dependency nameless[] = {NEED(NULL)};
    EXPECT_STATUS(COORD_INVALID, offer(consul, "x", nameless, 1, &error));
    EXPECT_STATUS(COORD_INVALID, offer(consul, "x", NULL, 1, &error));
    EXPECT_STATUS(COORD_INVALID, offer(consul, "x", nameless, SIZE_MAX, &error));
    EXPECT_STATUS(COORD_INVALID, coord_consul_graph(consul, NULL, NULL, 0, NULL, &error));
    EXPECT(coord_graph_count(NULL) == 0 && coord_graph_name(NULL, 0) == NULL);
    EXPECT(coord_graph_because(NULL, 0) == NULL && coord_graph_json(NULL) == NULL);
    coord_graph_free(NULL);
}

int main(void) {
    coord_server *server = start_member();
    coord_consul *consul = open_consul(server);
    what_is_declared_is_told(consul);
    one_service_is_told_with_what_is_around_it(consul);
    a_cycle_is_refused_and_named(consul);
    a_wait_ends_once_all_that_is_required_passes(consul);
    a_wait_is_ended_by_closing(server);
    mistakes_are_told(consul);
    coord_consul_free(consul);
    coord_server_free(server);
    return 0;
}
