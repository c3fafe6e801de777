/* Consul's API over TLS. The argument is a folder of certificates for tests. */
#include "expect.h"

static void tls_is_spoken_with_whom_the_options_trust(const char *folder) {
    char cert[512], key[512], ca[512], options[1024];
    coord_settings *settings = NULL;
    coord_server *server = NULL;
    coord_consul *consul = NULL;
    coord_services *found = NULL;

    snprintf(cert, sizeof cert, "%s/server.pem", folder);
    snprintf(key, sizeof key, "%s/server.key", folder);
    snprintf(ca, sizeof ca, "%s/ca.pem", folder);
    EXPECT_OK(coord_settings_new(&settings, &error));
    EXPECT_OK(coord_settings_set(settings, "https_addr", "127.0.0.1:0", &error));
    EXPECT_OK(coord_settings_set(settings, "tls.cert_file", cert, &error));
    EXPECT_OK(coord_settings_set(settings, "tls.key_file", key, &error));
    EXPECT_OK(coord_server_start(settings, 60000, &server, &error));
    coord_settings_free(settings);
    char *address = address_of(server, COORD_LISTENER_HTTPS);

    snprintf(options, sizeof options, "tls.ca_file=%s\n", ca);
    EXPECT_OK(coord_consul_connect_secured(address, NULL, options, &consul, &error));
    EXPECT_OK(coord_consul_health_service(consul, "web", true, NULL, 0, &found, &error));
    coord_services_free(found);
    coord_consul_free(consul);

    /* Its own certificate is nobody's authority. */
    snprintf(options, sizeof options, "tls.ca_file=%s", cert);
    EXPECT_OK(coord_consul_connect_secured(address, NULL, options, &consul, &error));
    EXPECT_STATUS(COORD_UNAVAILABLE, coord_consul_deregister(consul, "x", &error));
    coord_consul_free(consul);
    coord_string_free(address);
    coord_server_free(server);
}

int main(int count, char **arguments) {
    EXPECT(count == 2);
    tls_is_spoken_with_whom_the_options_trust(arguments[1]);
    return 0;
}
