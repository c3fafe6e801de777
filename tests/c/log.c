/* What members log is fetched, waited for, and handed to a function on the thread
 * that asks for it. */
#define _POSIX_C_SOURCE 200112L
#include <pthread.h>

#include "expect.h"

static coord_server *start_with(const coord_log *log) {
    coord_settings *settings = NULL;
    coord_server *server = NULL;
    EXPECT_OK(coord_settings_new(&settings, &error));
    EXPECT_OK(coord_settings_set(settings, "auth.super_digest", "super:hush-hush", &error));
    EXPECT_OK(coord_settings_set_log(settings, log, &error));
    EXPECT_OK(coord_server_start(settings, 60000, &server, &error));
    coord_settings_free(settings);
    return server;
}

static void look_at(const coord_log_record *record) {
    int level = (int)coord_log_record_level(record);
    EXPECT(level >= COORD_LOG_ERROR && level <= COORD_LOG_TRACE);
    EXPECT(*coord_log_record_message(record) != 0);
    EXPECT(*coord_log_record_target(record) != 0);
    EXPECT(coord_log_record_unix_ms(record) > 1700000000000u);
    EXPECT(strstr(coord_log_record_message(record), "hush") == NULL);
}

struct seen {
    int records;
    pthread_t thread;
};

static void count(void *context, const coord_log_record *record) {
    struct seen *seen = context;
    EXPECT(pthread_equal(pthread_self(), seen->thread));
    look_at(record);
    seen->records++;
}

static void records_are_fetched_one_by_one_and_to_the_end(void) {
    coord_log *log = NULL;
    coord_log_record *record = NULL;
    coord_status status;
    int records = 0;
    EXPECT_OK(coord_log_new(COORD_LOG_TRACE, &log, &error));
    EXPECT_STATUS(COORD_TIMEOUT, coord_log_wait(log, 0, &record, &error));
    coord_server *server = start_with(log);
    coord_server_free(server);
    EXPECT_OK(coord_log_close(log, &error));
    EXPECT_OK(coord_log_close(log, &error));
    while ((status = coord_log_wait(log, -1, &record, NULL)) == COORD_OK) {
        look_at(record);
        coord_log_record_free(record);
        records++;
    }
    EXPECT(status == COORD_CLOSED && records > 0);
    EXPECT_STATUS(COORD_CLOSED, coord_log_wait(log, -1, &record, &error));
    coord_log_free(log);
}

static void records_are_handed_to_a_function_on_this_thread(void) {
    coord_log *log = NULL;
    struct seen seen = {0, pthread_self()};
    EXPECT_OK(coord_log_new(COORD_LOG_DEBUG, &log, &error));
    EXPECT_STATUS(COORD_TIMEOUT, coord_log_drain(log, 0, count, &seen, &error));
    coord_server *server = start_with(log);
    EXPECT_OK(coord_log_drain(log, 60000, count, &seen, &error));
    EXPECT(seen.records > 0);
    coord_server_free(server);
    coord_log_free(log);
}

static void a_level_leaves_out_what_is_more_detailed(void) {
    coord_log *log = NULL;
    coord_log_record *record = NULL;
    EXPECT_OK(coord_log_new(COORD_LOG_ERROR, &log, &error));
    coord_server *server = start_with(log);
    EXPECT_STATUS(COORD_TIMEOUT, coord_log_wait(log, 0, &record, &error));
    EXPECT_OK(coord_log_set_level(log, COORD_LOG_WARN, &error));
    coord_server_free(server);
    coord_log_free(log);
}

static void a_log_may_go_before_its_members(void) {
    coord_log *log = NULL;
    EXPECT_OK(coord_log_new(COORD_LOG_TRACE, &log, &error));
    coord_server *server = start_with(log);
    coord_log_free(log);
    coord_server_free(server);
}

static void mistakes_are_told(void) {
    coord_log *log = NULL;
    coord_log_record *record = NULL;
    coord_settings *settings = NULL;
    EXPECT_STATUS(COORD_INVALID, coord_log_new(COORD_LOG_NONE, &log, &error));
    EXPECT_STATUS(COORD_INVALID, coord_log_new(6, &log, &error));
    EXPECT_STATUS(COORD_INVALID, coord_log_new(COORD_LOG_INFO, NULL, &error));
    EXPECT_STATUS(COORD_INVALID, coord_log_wait(NULL, 0, &record, &error));
    EXPECT_OK(coord_log_new(COORD_LOG_INFO, &log, &error));
    EXPECT_STATUS(COORD_INVALID, coord_log_wait(log, 0, NULL, &error));
    EXPECT_STATUS(COORD_INVALID, coord_log_drain(log, 0, NULL, NULL, &error));
    EXPECT_STATUS(COORD_INVALID, coord_log_set_level(log, -1, &error));
    EXPECT_STATUS(COORD_INVALID, coord_settings_set_log(NULL, log, &error));
    EXPECT_OK(coord_settings_new(&settings, &error));
    EXPECT_OK(coord_settings_set_log(settings, log, &error));
    EXPECT_OK(coord_settings_set_log(settings, NULL, &error));
    EXPECT(coord_log_record_level(NULL) == COORD_LOG_NONE);
    EXPECT(*coord_log_record_message(NULL) == 0 && *coord_log_record_target(NULL) == 0);
    coord_settings_free(settings);
    coord_log_free(log);
    coord_log_free(NULL);
    coord_log_record_free(NULL);
}

int main(void) {
    mistakes_are_told();
    records_are_fetched_one_by_one_and_to_the_end();
    records_are_handed_to_a_function_on_this_thread();
    a_level_leaves_out_what_is_more_detailed();
    a_log_may_go_before_its_members();
    return 0;
}
