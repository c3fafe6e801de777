/* What document_zk.py and document_consul.py do, from C.
 *
 *   document                        a ZooKeeper on localhost:2181, a Consul on localhost:8500
 *   document HOST:PORT HOST:PORT    others
 *   document --embedded             a member inside this program
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

static void use_zookeeper(const char *hosts) {
    coord_zk *zk = NULL;
    coord_bytes *data = NULL;
    coord_error *error = NULL;

    check("connecting", coord_zk_connect(hosts, -1, -1, &zk, &error), error);
    check("create",
          coord_zk_create(zk, "/test", (const uint8_t *)"data", 4, COORD_CREATE_EPHEMERAL, 0,
                          NULL, &error),
          error);
    printf("created /test, an ephemeral znode: it goes when this session ends\n");
    check("get", coord_zk_get(zk, "/test", &data, NULL, &error), error);
    printf("read /test: \"%.*s\"\n", (int)coord_bytes_len(data),
           (const char *)coord_bytes_data(data));
    coord_bytes_free(data);
    coord_zk_free(zk);
    printf("ended the session, and /test with it\n");
}

static void use_consul(const char *address) {
    coord_consul *consul = NULL;
    coord_services *found = NULL;
    coord_error *error = NULL;

    check("opening", coord_consul_connect(address, NULL, &consul, &error), error);
    check("register",
          coord_consul_register(consul, "test", NULL, "127.0.0.1", 8500, NULL, 0, 0, &error),
          error);
    check("finding",
          coord_consul_health_service(consul, "test", true, NULL, 0, &found, &error), error);
    for (size_t i = 0; i < coord_services_count(found); i++) {
        printf("registered and found the service \"test\" at %s:%u\n",
               coord_services_address(found, i), (unsigned)coord_services_port(found, i));
    }
    coord_services_free(found);
    check("deregister", coord_consul_deregister(consul, "test", &error), error);
    printf("deregistered it\n");
    coord_consul_free(consul);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--embedded") == 0) {
        coord_server *server = NULL;
        coord_error *error = NULL;
        char *zk = NULL, *http = NULL;
        check("starting a member", coord_server_start(NULL, -1, &server, &error), error);
        check("address", coord_server_address(server, COORD_LISTENER_ZK, &zk, &error), error);
        check("address", coord_server_address(server, COORD_LISTENER_HTTP, &http, &error), error);
        printf("a member runs in this program: ZooKeeper on %s, Consul on %s\n", zk, http);
        use_zookeeper(zk);
        use_consul(http);
        coord_string_free(zk);
        coord_string_free(http);
        coord_server_free(server);
        return 0;
    }
    use_zookeeper(argc > 1 ? argv[1] : "localhost:2181");
    use_consul(argc > 2 ? argv[2] : "localhost:8500");
    return 0;
}
