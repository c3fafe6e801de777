/*
 * libcoord: a replicated coordination service as a library, and clients for
 * ZooKeeper and Consul servers, libcoord's own or the originals.
 *
 * Results    Functions that can fail return a coord_status: COORD_OK (0) on
 *            success. Results are returned in out-parameters, which are not
 *            changed on failure unless the function's description says so.
 * Errors     The last parameter `error` is NULL, or the address of a pointer
 *            that receives a coord_error on failure and is not changed otherwise.
 *            It contains more than the status: a message, whether to retry, the
 *            server's own code. Release it with coord_error_free.
 * Ownership  The caller owns what a function returns, and releases it once with
 *            the function named there; all of those accept NULL. A returned
 *            `const char *` or `const uint8_t *` belongs to the object it was
 *            read from. Arguments are copied.
 * NULL       NULL returns COORD_INVALID unless the description allows it.
 *            Functions that only read an object treat NULL as an empty one.
 * Text       NUL-terminated UTF-8. Data is a pointer and a length of at most
 *            64 MiB, and may contain any bytes. Lists have at most 65536 strings.
 *            A greater length returns COORD_INVALID, and nothing is read.
 * Threads    Several threads may use any object at the same time, and closing an
 *            object ends calls that wait in other threads. Only releasing it must
 *            come last. No thread of the library calls into the host program.
 *            They block all signals. A thread with a stack of 64 KiB may make any
 *            call.
 * Fork       A member, session or client works in the process that created it. In
 *            a forked child calls on it return COORD_FORKED; releasing it there
 *            frees memory and does not affect the parent.
 * Panics     A bug in the library does not end the process: the call returns
 *            COORD_PANIC, and the object should not be used any more.
 *
 * Link with -lcoord; with the static library also -lpthread -ldl -lm.
 * Status numbers and functions are stable within one soname.
 */

#ifndef COORD_H
#define COORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The result of a call: `COORD_OK`, or why it failed. */
enum coord_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Success. */
    COORD_OK = 0,
    /** This member is not the leader: retry there. */
    COORD_NOT_LEADER = 1,
    /** Nothing was applied; retry later. */
    COORD_UNAVAILABLE = 2,
    /** The call may or may not have taken effect: read again before retrying. */
    COORD_INDETERMINATE = 3,
    /** The handle was closed. */
    COORD_CLOSED = 4,
    /** The call itself is wrong: an argument is NULL, not UTF-8 or not acceptable. */
    COORD_INVALID = 5,
    /** Stored or received data is damaged: stop and repair. */
    COORD_CORRUPT = 6,
    /** A bug in libcoord: please report it. */
    COORD_INTERNAL = 7,
    /** Nothing happened within the timeout. */
    COORD_TIMEOUT = 8,
    /** A panic in libcoord was caught; do not use the handle any more. */
    COORD_PANIC = 9,
    /** The handle was created before fork(): open a new one in the child. */
    COORD_FORKED = 10,
    /** A Consul server refused the call; see `coord_error_http_status`. */
    COORD_HTTP = 11,
    /** The key, service or other object does not exist. */
    COORD_NOT_FOUND = 12,
    /** ZooKeeper: a request or reply could not be decoded. */
    COORD_ZK_MARSHALLING_ERROR = -5,
    /** ZooKeeper: the server does not support the operation. */
    COORD_ZK_UNIMPLEMENTED = -6,
    /** ZooKeeper: bad path, flags or other argument. */
    COORD_ZK_BAD_ARGUMENTS = -8,
    /** ZooKeeper: no such znode, or no such parent. */
    COORD_ZK_NO_NODE = -101,
    /** ZooKeeper: the ACL forbids it. */
    COORD_ZK_NO_AUTH = -102,
    /** ZooKeeper: the version is not the expected one. */
    COORD_ZK_BAD_VERSION = -103,
    /** ZooKeeper: ephemeral znodes cannot have children. */
    COORD_ZK_NO_CHILDREN_FOR_EPHEMERALS = -108,
    /** ZooKeeper: the znode already exists. */
    COORD_ZK_NODE_EXISTS = -110,
    /** ZooKeeper: the znode has children. */
    COORD_ZK_NOT_EMPTY = -111,
    /** ZooKeeper: the session has expired. */
    COORD_ZK_SESSION_EXPIRED = -112,
    /** ZooKeeper: the ACL is invalid. */
    COORD_ZK_INVALID_ACL = -114,
    /** ZooKeeper: authentication failed. */
    COORD_ZK_AUTH_FAILED = -115,
    /** ZooKeeper: the session moved to another connection. */
    COORD_ZK_SESSION_MOVED = -118,
    /** ZooKeeper: the server is read-only. */
    COORD_ZK_NOT_READ_ONLY = -119,
    /** ZooKeeper: a quota would be exceeded. */
    COORD_ZK_QUOTA_EXCEEDED = -125,
    /** ZooKeeper: any other code; see `coord_error_zk_code`. */
    COORD_ZK_OTHER = -100,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_status coord_status;
#else
typedef int32_t coord_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** Severity of a log record. Each level includes those before it. */
enum coord_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** No records; no record has this level. */
    COORD_LOG_NONE = 0,
    /** Something failed. */
    COORD_LOG_ERROR = 1,
    /** Something may fail, or failed temporarily. */
    COORD_LOG_WARN = 2,
    /** Events of interest to an operator. */
    COORD_LOG_INFO = 3,
    /** Details for debugging. */
    COORD_LOG_DEBUG = 4,
    /** All details. */
    COORD_LOG_TRACE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_log_level coord_log_level;
#else
typedef int32_t coord_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** The state of a session. */
enum coord_session_state
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Not connected yet. */
    COORD_SESSION_CONNECTING = 0,
    /** Connected and alive. */
    COORD_SESSION_CONNECTED = 1,
    /**
     * Not connected; the session may or may not be alive. Treat its ephemeral
     * znodes and locks as lost until it is connected again.
     */
    COORD_SESSION_SUSPENDED = 2,
    /** Expired, and its ephemeral znodes with it: open a new session. */
    COORD_SESSION_LOST = 3,
    /** Closed by coord_zk_close. */
    COORD_SESSION_CLOSED = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_session_state coord_session_state;
#else
typedef int32_t coord_session_state;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** What happened to a watched znode. ZooKeeper's numbers where it has one. */
enum coord_event_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** No event. */
    COORD_EVENT_NONE = 0,
    /** It was created. */
    COORD_EVENT_CREATED = 1,
    /** It was deleted. */
    COORD_EVENT_DELETED = 2,
    /** Its data was written. */
    COORD_EVENT_DATA_CHANGED = 3,
    /** A child of it was created or deleted. */
    COORD_EVENT_CHILDREN_CHANGED = 4,
    /** The watch was removed: this is its last event. */
    COORD_EVENT_WATCH_REMOVED = 7,
    /**
     * Changes may have been missed because the connection was lost or events
     * were not fetched: read again. A one-time watch may already have fired.
     */
    COORD_EVENT_MISSED = 101,
    /** The session has ended, and the watch with it. */
    COORD_EVENT_SESSION_LOST = 102,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_event_kind coord_event_kind;
#else
typedef int32_t coord_event_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** The state of a service or check. */
enum coord_check_state
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Healthy. */
    COORD_CHECK_PASSING = 0,
    /** Working, with a warning. */
    COORD_CHECK_WARNING = 1,
    /** Not usable. */
    COORD_CHECK_CRITICAL = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_check_state coord_check_state;
#else
typedef int32_t coord_check_state;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** The create mode of a znode, with ZooKeeper's numbers. */
enum coord_create_mode
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Exists until deleted. */
    COORD_CREATE_PERSISTENT = 0,
    /** Deleted when its session ends. */
    COORD_CREATE_EPHEMERAL = 1,
    /** Exists until deleted; a sequence number is appended to its name. */
    COORD_CREATE_PERSISTENT_SEQUENTIAL = 2,
    /**
     * Deleted when its session ends; a sequence number is appended to its
     * name.
     */
    COORD_CREATE_EPHEMERAL_SEQUENTIAL = 3,
    /** Deleted some time after its last child. */
    COORD_CREATE_CONTAINER = 4,
    /** Deleted when it has no children and was not written for `ttl_ms`. */
    COORD_CREATE_TTL = 5,
    /** As COORD_CREATE_TTL; a sequence number is appended to its name. */
    COORD_CREATE_TTL_SEQUENTIAL = 6,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_create_mode coord_create_mode;
#else
typedef int32_t coord_create_mode;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** A listener of a member. */
enum coord_listener
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** ZooKeeper clients. */
    COORD_LISTENER_ZK = 0,
    /** Consul's HTTP API. */
    COORD_LISTENER_HTTP = 1,
    /** DNS. */
    COORD_LISTENER_DNS = 2,
    /** Other members. */
    COORD_LISTENER_PEER = 3,
    /** ZooKeeper clients over TLS, on a port of its own. */
    COORD_LISTENER_ZK_TLS = 4,
    /** Consul's HTTP API over TLS. */
    COORD_LISTENER_HTTPS = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_listener coord_listener;
#else
typedef int32_t coord_listener;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** The current state of a member. */
enum coord_server_state
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Serves reads and writes. */
    COORD_SERVER_SERVING = 0,
    /** Waits until it knows a leader, belongs to the cluster and has its state. */
    COORD_SERVER_WAITING = 1,
    /** Serves reads only: its disk is almost full. It resumes by itself. */
    COORD_SERVER_REFUSING_WRITES = 2,
    /** Serves almost nothing: it cannot write its log. It resumes by itself. */
    COORD_SERVER_STALLED = 3,
    /** Failed permanently: stop it and start it again. */
    COORD_SERVER_FAILED = 4,
    /** Stopped. */
    COORD_SERVER_STOPPED = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_server_state coord_server_state;
#else
typedef int32_t coord_server_state;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** What to watch, and for how long. */
enum coord_watch_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** One event, when the znode is created, deleted or written. It need not exist yet. */
    COORD_WATCH_DATA = 0,
    /** One event, when a child is created or deleted, or the znode itself deleted. */
    COORD_WATCH_CHILDREN = 1,
    /** All events of the znode and its list of children, until unwatched. */
    COORD_WATCH_PERSISTENT = 2,
    /** All events of the znode and its descendants, until unwatched. */
    COORD_WATCH_RECURSIVE = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_watch_kind coord_watch_kind;
#else
typedef int32_t coord_watch_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** Bytes returned by the library. Release with `coord_bytes_free`. */
typedef struct coord_bytes coord_bytes;

/**
 * A cluster of members inside this process, each with its own threads, ports
 * and temporary directory. Release with `coord_cluster_free`.
 */
typedef struct coord_cluster coord_cluster;

/** A client of a Consul agent, libcoord's own or the original. Release with `coord_consul_free`. */
typedef struct coord_consul coord_consul;

/** Why a call failed. Owned by the caller; release with `coord_error_free`. */
typedef struct coord_error coord_error;

/** An event of a watch. Release with `coord_event_free`. */
typedef struct coord_event coord_event;

/**
 * Services and their dependencies, in start order. Release with
 * `coord_graph_free`.
 */
typedef struct coord_graph coord_graph;

/**
 * The log of the members that are started with it: see coord_settings_set_log.
 * It queues up to 1024 records; further ones are dropped, and a later record
 * reports how many. Release with `coord_log_free`.
 */
typedef struct coord_log coord_log;

/** A log record. Release with `coord_log_record_free`. */
typedef struct coord_log_record coord_log_record;

/**
 * Operations to apply atomically with coord_zk_multi. Release with
 * `coord_ops_free`.
 */
typedef struct coord_ops coord_ops;

/** The value of a key, with its metadata. Release with `coord_pair_free`. */
typedef struct coord_pair coord_pair;

/**
 * A member running inside this process, with its own threads, ports and data
 * directory. A process can run several. Release with `coord_server_free`.
 */
typedef struct coord_server coord_server;

/** The instances of a service. Release with `coord_services_free`. */
typedef struct coord_services coord_services;

/** The settings to start a member with. Release with `coord_settings_free`. */
typedef struct coord_settings coord_settings;

/** A list of strings. Release with `coord_strings_free`. */
typedef struct coord_strings coord_strings;

/** A session with a ZooKeeper server, libcoord's own or the original. Release with `coord_zk_free`. */
typedef struct coord_zk coord_zk;

/** Receives a record from coord_log_drain. The record is valid during the call. */
typedef void (*coord_log_callback)(void *context,
                                   const struct coord_log_record *record);

/** The stat of a znode, with ZooKeeper's fields. */
typedef struct coord_stat {
    /** The zxid that created it. */
    int64_t czxid;
    /** The zxid of the last change of its data. */
    int64_t mzxid;
    /** The zxid of the last creation or deletion of a child. */
    int64_t pzxid;
    /** When it was created, ms since 1970. */
    int64_t ctime;
    /** When its data was last changed, ms since 1970. */
    int64_t mtime;
    /** The id of the owning session, 0 if it is not ephemeral. */
    int64_t ephemeral_owner;
    /**
     * The number of changes of its data; pass it to coord_zk_set and
     * coord_zk_delete.
     */
    int32_t version;
    /** The number of changes of its children, as ZooKeeper counts them. */
    int32_t cversion;
    /** The number of changes of its ACL. */
    int32_t aversion;
    /** The length of its data in bytes. */
    int32_t data_length;
    /** The number of direct children. */
    int32_t num_children;
} coord_stat;

/**
 * A content hash: equal for equal content, within one cluster. Compare with
 * memcmp.
 */
typedef struct coord_hash {
    /** The hash. */
    uint8_t bytes[16];
} coord_hash;

/** A dependency of a service. */
typedef struct coord_dependency {
    /** The name of a service, registered or not. */
    const char *name;
    /** A tag that selects some of its instances; NULL for all. */
    const char *tag;
    /** Whether the service can run without it. */
    bool optional;
} coord_dependency;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/** The status of the failed call. `COORD_OK` for NULL. */
coord_status coord_error_status(const struct coord_error *error);

/**
 * A human-readable message: what went wrong and what to do. NUL-terminated;
 * valid as long as the error. Empty for NULL.
 */
const char *coord_error_message(const struct coord_error *error);

/** Whether the same call may succeed later. False for NULL. */
bool coord_error_is_retryable(const struct coord_error *error);

/** Whether the operation may have taken effect despite the error. False for NULL. */
bool coord_error_may_have_applied(const struct coord_error *error);

/** ZooKeeper's own code, or 0 if the call was not one to a ZooKeeper server. */
int32_t coord_error_zk_code(const struct coord_error *error);

/** The HTTP status, or 0 if no Consul server answered. */
int32_t coord_error_http_status(const struct coord_error *error);

/** Releases an error. NULL is allowed. */
void coord_error_free(struct coord_error *error);

/**
 * Releases a string that the library returned, where the function's description says so. NULL is
 * allowed.
 */
void coord_string_free(char *text);

/** The number of strings; 0 for NULL. */
size_t coord_strings_count(const struct coord_strings *strings);

/**
 * The string at `position`, from 0; NULL past the end. Valid as long as the
 * list.
 */
const char *coord_strings_at(const struct coord_strings *strings,
                             size_t position);

/** Releases a list. NULL is allowed. */
void coord_strings_free(struct coord_strings *strings);

/** The bytes; NULL only for NULL. */
const uint8_t *coord_bytes_data(const struct coord_bytes *bytes);

/** The number of bytes; 0 for NULL. */
size_t coord_bytes_len(const struct coord_bytes *bytes);

/** Releases bytes. NULL is allowed. */
void coord_bytes_free(struct coord_bytes *bytes);

/**
 * Creates an empty log.
 *
 * level    one of coord_log_level except none: more detailed records are left out.
 * out      receives the log; release with coord_log_free.
 * Returns  COORD_OK, COORD_INVALID.
 */
coord_status coord_log_new(int32_t level,
                           struct coord_log **out,
                           struct coord_error **error);

/**
 * Changes the level of a log, for future records.
 *
 * level    as for coord_log_new.
 * Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
 */
coord_status coord_log_set_level(const struct coord_log *log,
                                 int32_t level,
                                 struct coord_error **error);

/**
 * Waits for the next record of a log.
 *
 * timeout_ms  0 returns immediately, negative waits forever.
 * out         receives the record; release with coord_log_record_free.
 * Returns     COORD_OK; COORD_TIMEOUT (no record, no error object); COORD_CLOSED (closed, and
 *             everything was fetched); COORD_INVALID; COORD_FORKED.
 */
coord_status coord_log_wait(const struct coord_log *log,
                            int64_t timeout_ms,
                            struct coord_log_record **out,
                            struct coord_error **error);

/**
 * Waits for a record of a log, and passes it and all others in the queue to a
 * callback, in order. The callback is called on this thread, before this
 * function returns, and never on a thread of the library.
 *
 * timeout_ms  how long to wait for the first; as for coord_log_wait.
 * callback    called once for each record.
 * context     passed to the callback unchanged.
 * Returns     as coord_log_wait.
 */
coord_status coord_log_drain(const struct coord_log *log,
                             int64_t timeout_ms,
                             coord_log_callback callback,
                             void *context,
                             struct coord_error **error);

/**
 * Closes a log: no more records are added, and waiting calls return once all
 * records were fetched. Closing twice is allowed.
 *
 * Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
 */
coord_status coord_log_close(const struct coord_log *log,
                             struct coord_error **error);

/**
 * Releases a log. Members that log to it continue, but their records are lost.
 * NULL is allowed.
 */
void coord_log_free(struct coord_log *log);

/** The level, one of coord_log_level; none for NULL. */
coord_log_level coord_log_record_level(const struct coord_log_record *record);

/**
 * The module that logged it, such as `coord_core::storage`; empty for NULL. Valid as long as the
 * record.
 */
const char *coord_log_record_target(const struct coord_log_record *record);

/**
 * The message, followed by its fields as names and values; empty for NULL.
 * Valid as long as the record.
 */
const char *coord_log_record_message(const struct coord_log_record *record);

/** When it happened, in milliseconds since 1970; 0 for NULL. */
uint64_t coord_log_record_unix_ms(const struct coord_log_record *record);

/** Releases a record. NULL is allowed. */
void coord_log_record_free(struct coord_log_record *record);

/**
 * Settings of one member for embedding: any free loopback port for each
 * protocol, data in a temporary directory unless `data_dir` is set.
 *
 * out      receives the settings; release with coord_settings_free.
 * Returns  COORD_OK, COORD_INVALID.
 */
coord_status coord_settings_new(struct coord_settings **out,
                                struct coord_error **error);

/**
 * Sets one setting by its name, as in docs/CONFIGURATION.md: `data_dir`,
 * `zk_addr`, `session.tick_ms` and so on.
 *
 * Returns  COORD_OK; COORD_INVALID for an unknown name or an invalid value.
 */
coord_status coord_settings_set(struct coord_settings *settings,
                                const char *key,
                                const char *value,
                                struct coord_error **error);

/**
 * Redirects the log of members started with these settings to `log` only.
 *
 * log      NULL for none. It may be released before the settings and the members.
 * Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
 */
coord_status coord_settings_set_log(struct coord_settings *settings,
                                    const struct coord_log *log,
                                    struct coord_error **error);

/** Releases settings. NULL is allowed. */
void coord_settings_free(struct coord_settings *settings);

/**
 * Starts a member and waits until it is ready. Blocks.
 *
 * settings    NULL for the defaults of coord_settings_new; copied.
 * timeout_ms  how long to wait for a majority; negative means one minute.
 * out         receives the member; release with coord_server_free.
 * Returns     COORD_OK; COORD_INVALID (a setting, a port or directory in use);
 *             COORD_CORRUPT (a damaged data directory); COORD_UNAVAILABLE (no majority in time).
 */
coord_status coord_server_start(const struct coord_settings *settings,
                                int64_t timeout_ms,
                                struct coord_server **out,
                                struct coord_error **error);

/**
 * The address of a listener, as `host:port` with the actual port, or `off`.
 *
 * listener  one of coord_listener.
 * out       receives a string; release with coord_string_free.
 * Returns   COORD_OK, COORD_INVALID, COORD_FORKED.
 */
coord_status coord_server_address(const struct coord_server *server,
                                  int32_t listener,
                                  char **out,
                                  struct coord_error **error);

/**
 * The state of a member, and why.
 *
 * state    receives one of coord_server_state.
 * reason   NULL, or receives the problem, empty if there is none; release with
 *          coord_string_free.
 * Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
 */
coord_status coord_server_status(const struct coord_server *server,
                                 int32_t *state,
                                 char **reason,
                                 struct coord_error **error);

/**
 * Waits until a member fails permanently. Blocks; other threads may use the
 * member meanwhile, and stop it.
 *
 * timeout_ms  0 returns immediately; negative waits forever.
 * reason      NULL, or receives why; release with coord_string_free.
 * Returns     COORD_OK: it failed; COORD_TIMEOUT: it did not; COORD_CLOSED: it was stopped;
 *             COORD_INVALID, COORD_FORKED.
 */
coord_status coord_server_wait_failed(const struct coord_server *server,
                                      int64_t timeout_ms,
                                      char **reason,
                                      struct coord_error **error);

/**
 * Stops a member: closes its ports, flushes its log, joins its threads.
 * Blocks; stopping twice is allowed.
 *
 * Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
 */
coord_status coord_server_stop(struct coord_server *server,
                               struct coord_error **error);

/**
 * Stops a member if it is still running, and releases it. NULL is allowed. In
 * a forked child nothing is stopped: the member runs in the parent.
 */
void coord_server_free(struct coord_server *server);

/**
 * Starts a cluster on free loopback ports and waits until all members are
 * ready. Blocks.
 *
 * size        1 to 7 members; 3 tolerate the loss of one, 5 of two.
 * settings    for each member, except addresses and directories; NULL for the defaults; copied.
 * timeout_ms  how long to wait for each; negative means one minute.
 * out         receives the cluster; release with coord_cluster_free.
 * Returns     as coord_server_start.
 */
coord_status coord_cluster_start(uint64_t size,
                                 const struct coord_settings *settings,
                                 int64_t timeout_ms,
                                 struct coord_cluster **out,
                                 struct coord_error **error);

/** The number of members that a cluster was started with; 0 for NULL. */
size_t coord_cluster_size(const struct coord_cluster *cluster);

/**
 * The address of a listener of a member; see coord_server_address.
 *
 * position  which member, from 0.
 */
coord_status coord_cluster_address(const struct coord_cluster *cluster,
                                   size_t position,
                                   int32_t listener,
                                   char **out,
                                   struct coord_error **error);

/**
 * Stops one member permanently. The others continue while they are a majority.
 *
 * position  which member, from 0.
 * Returns   COORD_OK, also if it was already stopped; COORD_INVALID; COORD_FORKED.
 */
coord_status coord_cluster_stop_member(struct coord_cluster *cluster,
                                       size_t position,
                                       struct coord_error **error);

/**
 * Stops all members that are still running, and releases the cluster. NULL is
 * allowed. In a forked child nothing is stopped: the members run in the
 * parent.
 */
void coord_cluster_free(struct coord_cluster *cluster);

/**
 * Connects and opens a session. Blocks. If the connection is lost, the client reconnects to any of
 * the hosts; calls wait for that up to 30 seconds.
 *
 * hosts               `host:port,host:port`, optionally followed by a chroot path.
 * session_timeout_ms  the session and its ephemeral znodes end if the servers receive
 *                     nothing for this long; negative means 10 seconds. Servers limit it.
 * timeout_ms          how long to try; negative means 30 seconds, or about 5 if none of the
 *                     hosts is listening. The error contains the reason for each host.
 * out                 receives the session; release with coord_zk_free.
 * Returns             COORD_OK; COORD_INVALID (hosts); COORD_UNAVAILABLE (no server in time).
 */
coord_status coord_zk_connect(const char *hosts,
                              int64_t session_timeout_ms,
                              int64_t timeout_ms,
                              struct coord_zk **out,
                              struct coord_error **error);

/**
 * Connects like coord_zk_connect, with TLS or authentication.
 *
 * options  lines of `name=value`:
 *          `tls=on` trusts the system's CAs; `tls.ca_file=PATH` those in a PEM file,
 *          `tls.ca_path=PATH` those in the files of a directory;
 *          `tls.cert_file=PATH` and `tls.key_file=PATH` are the client certificate;
 *          `tls.verify=any_name` accepts a valid certificate of any host, `nothing` any at all;
 *          `sasl=USER:PASSWORD` authenticates with DIGEST-MD5.
 * Returns  as coord_zk_connect; COORD_INVALID also for an invalid option or an unusable
 *          file; COORD_ZK_AUTH_FAILED if the server rejects the user.
 */
coord_status coord_zk_connect_secured(const char *hosts,
                                      const char *options,
                                      int64_t session_timeout_ms,
                                      int64_t timeout_ms,
                                      struct coord_zk **out,
                                      struct coord_error **error);

/**
 * Ends the session and with it its ephemeral znodes and watches. Other calls
 * on it, also those waiting in another thread, return COORD_CLOSED; a change
 * that was sent but not answered returns COORD_INDETERMINATE. Closing twice is
 * allowed and returns the same.
 *
 * Returns  COORD_OK once the server has confirmed it; COORD_INDETERMINATE if no server did: the
 *          client is closed, but the session, its ephemeral znodes and its locks may
 *          live until its timeout; COORD_INVALID, COORD_FORKED.
 */
coord_status coord_zk_close(struct coord_zk *zk,
                            struct coord_error **error);

/**
 * Ends the session unless it was closed, and releases it. NULL is allowed. In
 * a forked child the session stays open: it belongs to the parent.
 */
void coord_zk_free(struct coord_zk *zk);

/** The current state of a session. Closed for NULL and in a forked child. */
coord_session_state coord_zk_state(const struct coord_zk *zk);

/**
 * The id of a session, as in `ephemeral_owner` of what it creates. 0 for NULL
 * and in a forked child.
 */
int64_t coord_zk_session_id(const struct coord_zk *zk);

/**
 * The session timeout that the server granted, in ms. 0 for NULL and in a
 * forked child.
 */
int64_t coord_zk_session_timeout_ms(const struct coord_zk *zk);

/**
 * The latest zxid that this session has seen. 0 for NULL and in a forked
 * child.
 */
int64_t coord_zk_last_zxid(const struct coord_zk *zk);

/**
 * Authenticates, now and on every later connection of the session.
 *
 * scheme   such as `digest`.
 * proof    `proof_len` bytes, such as `user:password`.
 * Returns  COORD_OK; COORD_ZK_AUTH_FAILED; see also coord_zk_get.
 */
coord_status coord_zk_add_auth(const struct coord_zk *zk,
                               const char *scheme,
                               const uint8_t *proof,
                               size_t proof_len,
                               struct coord_error **error);

/**
 * Creates a znode with an open ACL: anyone may read and change it.
 *
 * data      `data_len` bytes; NULL with 0 means no data, which differs from empty data.
 * mode      one of coord_create_mode.
 * ttl_ms    TTL for the two modes that have one, otherwise 0.
 * out_path  NULL, or receives the path as created; release with coord_string_free.
 * Returns   COORD_OK; COORD_ZK_NODE_EXISTS; COORD_ZK_NO_NODE (no parent);
 *           COORD_ZK_NO_CHILDREN_FOR_EPHEMERALS; COORD_ZK_UNIMPLEMENTED (a disabled mode);
 *           see also coord_zk_get.
 */
coord_status coord_zk_create(const struct coord_zk *zk,
                             const char *path,
                             const uint8_t *data,
                             size_t data_len,
                             int32_t mode,
                             int64_t ttl_ms,
                             char **out_path,
                             struct coord_error **error);

/**
 * Creates a persistent znode without data, and missing parents. Succeeds if it
 * already exists.
 *
 * Returns  as coord_zk_create.
 */
coord_status coord_zk_ensure_path(const struct coord_zk *zk,
                                  const char *path,
                                  struct coord_error **error);

/**
 * Reads a znode.
 *
 * out       NULL, or receives its data; release with coord_bytes_free.
 * out_stat  NULL, or receives its stat.
 * Returns   COORD_OK; COORD_ZK_NO_NODE; COORD_ZK_NO_AUTH. As every call of a session also
 *           COORD_UNAVAILABLE (no server; nothing was done), COORD_INDETERMINATE (a change
 *           without a reply: it may have been made), COORD_ZK_SESSION_EXPIRED,
 *           COORD_ZK_BAD_ARGUMENTS (such as a relative path), COORD_INVALID,
 *           COORD_CLOSED, COORD_FORKED.
 */
coord_status coord_zk_get(const struct coord_zk *zk,
                          const char *path,
                          struct coord_bytes **out,
                          struct coord_stat *out_stat,
                          struct coord_error **error);

/**
 * Sets the data of a znode.
 *
 * data      as for coord_zk_create.
 * version   the expected version, from coord_stat; -1 for any.
 * out_stat  NULL, or receives the new stat.
 * Returns   COORD_OK; COORD_ZK_NO_NODE; COORD_ZK_BAD_VERSION; see also coord_zk_get.
 */
coord_status coord_zk_set(const struct coord_zk *zk,
                          const char *path,
                          const uint8_t *data,
                          size_t data_len,
                          int32_t version,
                          struct coord_stat *out_stat,
                          struct coord_error **error);

/**
 * Deletes a znode without children.
 *
 * version  the expected version, from coord_stat; -1 for any.
 * Returns  COORD_OK; COORD_ZK_NO_NODE; COORD_ZK_NOT_EMPTY; COORD_ZK_BAD_VERSION;
 *          see also coord_zk_get.
 */
coord_status coord_zk_delete(const struct coord_zk *zk,
                             const char *path,
                             int32_t version,
                             struct coord_error **error);

/**
 * Deletes a znode with all its descendants, one after the other.
 *
 * Returns  as coord_zk_delete.
 */
coord_status coord_zk_delete_recursive(const struct coord_zk *zk,
                                       const char *path,
                                       struct coord_error **error);

/**
 * Checks whether a znode exists. It is not an error if it does not.
 *
 * out       receives whether it exists.
 * out_stat  NULL, or receives its stat if it exists.
 * Returns   COORD_OK; see also coord_zk_get.
 */
coord_status coord_zk_exists(const struct coord_zk *zk,
                             const char *path,
                             bool *out,
                             struct coord_stat *out_stat,
                             struct coord_error **error);

/**
 * Lists the names of a znode's children, in no particular order.
 *
 * out       receives the names, without the path; release with coord_strings_free.
 * out_stat  NULL, or receives the znode's stat.
 * Returns   COORD_OK; COORD_ZK_NO_NODE; see also coord_zk_get.
 */
coord_status coord_zk_children(const struct coord_zk *zk,
                               const char *path,
                               struct coord_strings **out,
                               struct coord_stat *out_stat,
                               struct coord_error **error);

/**
 * Makes the server catch up: later reads see every change that any client had
 * acknowledged before this call.
 *
 * Returns  COORD_OK; see also coord_zk_get.
 */
coord_status coord_zk_sync(const struct coord_zk *zk,
                           const char *path,
                           struct coord_error **error);

/**
 * Sets a watch on a znode; fetch its events with coord_zk_wait_event. To miss
 * no change, set the watch before reading.
 *
 * kind     one of coord_watch_kind.
 * Returns  COORD_OK; COORD_ZK_NO_NODE (children of a missing znode); see also coord_zk_get.
 */
coord_status coord_zk_watch(const struct coord_zk *zk,
                            const char *path,
                            int32_t kind,
                            struct coord_error **error);

/**
 * Removes the session's watches of a kind from a znode. The last event for
 * each is COORD_EVENT_WATCH_REMOVED.
 *
 * kind     one of coord_watch_kind.
 * Returns  COORD_OK; COORD_ZK_OTHER (no such watch); see also coord_zk_get.
 */
coord_status coord_zk_unwatch(const struct coord_zk *zk,
                              const char *path,
                              int32_t kind,
                              struct coord_error **error);

/**
 * Waits for the next event of any watch of the session. Up to 4096 events are
 * queued; beyond that they are replaced by one COORD_EVENT_MISSED.
 *
 * timeout_ms  0 returns immediately, negative waits forever.
 * out         receives the event; release with coord_event_free.
 * Returns     COORD_OK; COORD_TIMEOUT (no event, no error object); COORD_CLOSED; COORD_INVALID;
 *             COORD_FORKED.
 */
coord_status coord_zk_wait_event(const struct coord_zk *zk,
                                 int64_t timeout_ms,
                                 struct coord_event **out,
                                 struct coord_error **error);

/** What happened. COORD_EVENT_NONE for NULL. */
coord_event_kind coord_event_type(const struct coord_event *event);

/**
 * The path of the znode; empty if it concerns all znodes, and for NULL. Valid as long as the
 * event.
 */
const char *coord_event_path(const struct coord_event *event);

/**
 * The zxid of the change; -1 if the server does not send it (before ZooKeeper
 * 3.9), and for NULL.
 */
int64_t coord_event_zxid(const struct coord_event *event);

/** Releases an event. NULL is allowed. */
void coord_event_free(struct coord_event *event);

/**
 * Creates an empty list of operations.
 *
 * out      receives it; release with coord_ops_free.
 * Returns  COORD_OK, COORD_INVALID.
 */
coord_status coord_ops_new(struct coord_ops **out,
                           struct coord_error **error);

/** Adds the creation of a znode. Arguments as for coord_zk_create, copied. */
coord_status coord_ops_create(struct coord_ops *ops,
                              const char *path,
                              const uint8_t *data,
                              size_t data_len,
                              int32_t mode,
                              int64_t ttl_ms,
                              struct coord_error **error);

/** Adds setting the data of a znode. Arguments as for coord_zk_set, copied. */
coord_status coord_ops_set(struct coord_ops *ops,
                           const char *path,
                           const uint8_t *data,
                           size_t data_len,
                           int32_t version,
                           struct coord_error **error);

/** Adds the deletion of a znode. Arguments as for coord_zk_delete, copied. */
coord_status coord_ops_delete(struct coord_ops *ops,
                              const char *path,
                              int32_t version,
                              struct coord_error **error);

/** Adds the condition that a znode exists and has this version, -1 for any. */
coord_status coord_ops_check(struct coord_ops *ops,
                             const char *path,
                             int32_t version,
                             struct coord_error **error);

/** Releases a list of operations. NULL is allowed. */
void coord_ops_free(struct coord_ops *ops);

/**
 * Applies all operations of a list atomically. If one fails, none is applied,
 * its status is returned, and the message names it.
 *
 * out_paths  NULL, or receives for each change the path as created, empty for
 *            what is not a creation; release with coord_strings_free.
 * Returns    COORD_OK; what the refused change returns by itself; see also coord_zk_get.
 */
coord_status coord_zk_multi(const struct coord_zk *zk,
                            const struct coord_ops *ops,
                            struct coord_strings **out_paths,
                            struct coord_error **error);

/**
 * Reads the content hash of a znode: of its path, data, ACL and lifetime
 * (owner or TTL). It does not cover versions and times: the same content
 * always has the same hash.
 *
 * subtree   whether to include all descendants; requires permission to read all of them.
 * out       receives the hash.
 * out_zxid  NULL, or receives the zxid at which it was computed.
 * Returns   COORD_OK; COORD_ZK_NO_NODE; COORD_ZK_NO_AUTH; COORD_ZK_UNIMPLEMENTED (the original
 *           ZooKeeper, which has no content hashes); see also coord_zk_get.
 */
coord_status coord_zk_hash(const struct coord_zk *zk,
                           const char *path,
                           bool subtree,
                           struct coord_hash *out,
                           int64_t *out_zxid,
                           struct coord_error **error);

/**
 * Sets the data of a znode if its content has this hash.
 *
 * data      as for coord_zk_create.
 * hash      from coord_zk_hash, without the subtree.
 * out_stat  NULL, or receives the new stat.
 * Returns   COORD_OK; COORD_ZK_BAD_VERSION (another content); COORD_ZK_NO_NODE;
 *           COORD_ZK_UNIMPLEMENTED as for coord_zk_hash; see also coord_zk_get.
 */
coord_status coord_zk_set_if_hash(const struct coord_zk *zk,
                                  const char *path,
                                  const uint8_t *data,
                                  size_t data_len,
                                  const struct coord_hash *hash,
                                  struct coord_stat *out_stat,
                                  struct coord_error **error);

/**
 * Deletes a znode without children if its content has this hash.
 *
 * hash     from coord_zk_hash, without the subtree.
 * Returns  COORD_OK; COORD_ZK_BAD_VERSION (another content); COORD_ZK_NO_NODE;
 *          COORD_ZK_NOT_EMPTY; COORD_ZK_UNIMPLEMENTED as for coord_zk_hash;
 *          see also coord_zk_get.
 */
coord_status coord_zk_delete_if_hash(const struct coord_zk *zk,
                                     const char *path,
                                     const struct coord_hash *hash,
                                     struct coord_error **error);

/**
 * Adds the condition that the content has this hash; otherwise the transaction
 * fails with COORD_ZK_BAD_VERSION.
 *
 * subtree  as for the coord_zk_hash call that returned the hash.
 */
coord_status coord_ops_check_hash(struct coord_ops *ops,
                                  const char *path,
                                  bool subtree,
                                  const struct coord_hash *hash,
                                  struct coord_error **error);

/**
 * Creates a client. Sends nothing yet, so it succeeds without an agent.
 *
 * TLS is used with `https://`, or if CONSUL_HTTP_SSL is `true` and the address has no scheme;
 * CONSUL_CACERT, CONSUL_CAPATH, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY, CONSUL_TLS_SERVER_NAME and
 * CONSUL_HTTP_SSL_VERIFY have the same meaning as for Consul's own client.
 *
 * address  `host:port`, `http://host:port`, `https://host:port` or `unix:///path`; NULL for
 *          CONSUL_HTTP_ADDR of the environment, or else 127.0.0.1:8500.
 * token    sent with every call; NULL for CONSUL_HTTP_TOKEN, or else none.
 * out      receives the client; release with coord_consul_free.
 * Returns  COORD_OK; COORD_INVALID (not an address, or an unusable TLS file);
 *          COORD_UNAVAILABLE (cannot start a thread).
 */
coord_status coord_consul_connect(const char *address,
                                  const char *token,
                                  struct coord_consul **out,
                                  struct coord_error **error);

/**
 * Creates a client like coord_consul_connect, with TLS options.
 *
 * options  lines of `name=value`, which override the environment:
 *          `tls=on` trusts the system's CAs; `tls.ca_file=PATH` those in a PEM file,
 *          `tls.ca_path=PATH` those in the files of a directory;
 *          `tls.cert_file=PATH` and `tls.key_file=PATH` are the client certificate;
 *          `tls.verify=any_name` accepts a valid certificate of any host, `nothing` any at all;
 *          `tls.server_name=NAME` is the host name expected in the server's certificate.
 * Returns  as coord_consul_connect; COORD_INVALID also for an invalid option.
 */
coord_status coord_consul_connect_secured(const char *address,
                                          const char *token,
                                          const char *options,
                                          struct coord_consul **out,
                                          struct coord_error **error);

/**
 * Closes a client. Other calls on it, also those waiting in another thread,
 * return COORD_CLOSED; a change in progress returns COORD_INDETERMINATE.
 * Sessions and registrations stay. Closing twice is allowed.
 *
 * Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
 */
coord_status coord_consul_close(struct coord_consul *consul,
                                struct coord_error **error);

/** Closes a client unless it was closed, and releases it. NULL is allowed. */
void coord_consul_free(struct coord_consul *consul);

/**
 * Registers a service with the agent, replacing one of the same id.
 *
 * name      the name it is looked up by.
 * id        unique at the agent; NULL for the name.
 * address   its address; NULL for the address of the agent's node.
 * port      0 for none.
 * tags      `tag_count` labels; NULL with 0 for none.
 * ttl_ms    0 for no check. Otherwise the check `service:<id>` is critical unless
 *           coord_consul_check_update is called at least this often.
 * Returns   COORD_OK; COORD_HTTP (refused); COORD_UNAVAILABLE (no agent; nothing was done);
 *           COORD_INDETERMINATE (no response: it may have been done). As every call also
 *           COORD_INVALID, COORD_CLOSED, COORD_FORKED.
 */
coord_status coord_consul_register(const struct coord_consul *consul,
                                   const char *name,
                                   const char *id,
                                   const char *address,
                                   uint16_t port,
                                   const char *const *tags,
                                   size_t tag_count,
                                   uint64_t ttl_ms,
                                   struct coord_error **error);

/**
 * Registers a service as coord_consul_register does, with its dependencies. Requires a libcoord
 * member: the original Consul rejects it.
 *
 * depends_on        `depends_on_count` services, registered or not; NULL with 0 for none.
 * Returns           as coord_consul_register; COORD_HTTP also if that would close a cycle, which
 *                   the error names.
 */
coord_status coord_consul_register_with_dependencies(const struct coord_consul *consul,
                                                     const char *name,
                                                     const char *id,
                                                     const char *address,
                                                     uint16_t port,
                                                     const char *const *tags,
                                                     size_t tag_count,
                                                     const struct coord_dependency *depends_on,
                                                     size_t depends_on_count,
                                                     uint64_t ttl_ms,
                                                     struct coord_error **error);

/**
 * Removes a service and its checks from the agent.
 *
 * id       as registered: the name if none was given.
 * Returns  COORD_OK; COORD_NOT_FOUND; see also coord_consul_register.
 */
coord_status coord_consul_deregister(const struct coord_consul *consul,
                                     const char *id,
                                     struct coord_error **error);

/**
 * Finds the instances of a service, with their health. It is not an error if
 * there are none.
 *
 * passing_only  only instances whose checks all pass.
 * index         NULL returns immediately. Otherwise waits for a change after this index; 0 returns
 *               immediately. Receives the index for the next call.
 * wait_ms       maximum wait; negative means 5 minutes, more than 10 are reduced to 10.
 * out           receives the instances; release with coord_services_free.
 * Returns       COORD_OK; see also coord_consul_register.
 */
coord_status coord_consul_health_service(const struct coord_consul *consul,
                                         const char *name,
                                         bool passing_only,
                                         uint64_t *index,
                                         int64_t wait_ms,
                                         struct coord_services **out,
                                         struct coord_error **error);

/** The number of instances; 0 for NULL. */
size_t coord_services_count(const struct coord_services *services);

/**
 * The name of the node that an instance runs on; NULL past the end. Valid as
 * long as the list.
 */
const char *coord_services_node(const struct coord_services *services,
                                size_t position);

/** The id of an instance; NULL past the end. Valid as long as the list. */
const char *coord_services_id(const struct coord_services *services,
                              size_t position);

/**
 * The address of an instance, or else of its node; NULL past the end. Valid as
 * long as the list.
 */
const char *coord_services_address(const struct coord_services *services,
                                   size_t position);

/** The port of an instance; 0 if it has none, and past the end. */
uint16_t coord_services_port(const struct coord_services *services,
                             size_t position);

/**
 * The worst state among the checks of an instance and its node: passing if
 * there are none, critical past the end.
 */
coord_check_state coord_services_state(const struct coord_services *services,
                                       size_t position);

/** Releases a list of instances. NULL is allowed. */
void coord_services_free(struct coord_services *services);

/**
 * Registers a TTL check with the agent: critical until
 * coord_consul_check_update reports another state, and again whenever that was
 * not called for `ttl_ms`.
 *
 * name        a human-readable name.
 * id          unique at the agent; NULL for the name.
 * service_id  the service it belongs to; NULL for the whole node.
 * Returns     COORD_OK; COORD_HTTP (such as no such service); see also coord_consul_register.
 */
coord_status coord_consul_check_register(const struct coord_consul *consul,
                                         const char *name,
                                         const char *id,
                                         const char *service_id,
                                         uint64_t ttl_ms,
                                         struct coord_error **error);

/**
 * Reports the state of a TTL check.
 *
 * check_id  as registered; `service:<id>` for a check of coord_consul_register.
 * state     one of coord_check_state.
 * note      a human-readable note; NULL for none.
 * Returns   COORD_OK; COORD_NOT_FOUND; see also coord_consul_register.
 */
coord_status coord_consul_check_update(const struct coord_consul *consul,
                                       const char *check_id,
                                       int32_t state,
                                       const char *note,
                                       struct coord_error **error);

/**
 * Removes a check from the agent.
 *
 * Returns  COORD_OK; COORD_NOT_FOUND; see also coord_consul_register.
 */
coord_status coord_consul_check_deregister(const struct coord_consul *consul,
                                           const char *check_id,
                                           struct coord_error **error);

/**
 * Reads the service graph: the dependencies and state of each service, and the causes of that
 * state. Requires a libcoord member: the original Consul has no graph.
 *
 * name     NULL for all services; otherwise only that one with what it needs and what needs it,
 *          however far.
 * index    NULL returns immediately. Otherwise waits for a change after this index; 0 returns
 *          immediately. Receives the index for the next call.
 * wait_ms  maximum wait; negative means 5 minutes, more than 10 are reduced to 10.
 * out      receives the services in an order in which they can be started; release with
 *          coord_graph_free.
 * Returns  COORD_OK; COORD_NOT_FOUND (nobody has heard of it; index is received as well);
 *          COORD_INVALID (also if the server keeps no graph); see also coord_consul_register.
 */
coord_status coord_consul_graph(const struct coord_consul *consul,
                                const char *name,
                                uint64_t *index,
                                int64_t wait_ms,
                                struct coord_graph **out,
                                struct coord_error **error);

/**
 * Waits until all direct and indirect requirements of a service are registered and passing. The
 * service itself must be registered; its own checks are ignored.
 *
 * timeout_ms  maximum wait; negative waits forever.
 * Returns     COORD_OK; COORD_TIMEOUT (the error tells what is not passing); COORD_INVALID (also if
 *             the server keeps no graph); see also coord_consul_register.
 */
coord_status coord_consul_wait_ready(const struct coord_consul *consul,
                                     const char *name,
                                     int64_t timeout_ms,
                                     struct coord_error **error);

/**
 * The number of services, including required ones that are not registered, which come first; 0 for
 * NULL.
 */
size_t coord_graph_count(const struct coord_graph *graph);

/** The name of a service; NULL past the end. Valid as long as the graph. */
const char *coord_graph_name(const struct coord_graph *graph,
                             size_t position);

/**
 * The worst state among the checks of a service: passing if it has none, critical if it is not
 * registered, and past the end.
 */
coord_check_state coord_graph_state(const struct coord_graph *graph,
                                    size_t position);

/**
 * The state of a service including its dependencies: critical if a requirement is critical or not
 * registered; warning if an optional dependency is.
 */
coord_check_state coord_graph_effective_state(const struct coord_graph *graph,
                                              size_t position);

/**
 * The wave in which a service can be started, from 0, after all earlier waves. -1 if it is not
 * registered, and past the end.
 */
int32_t coord_graph_wave(const struct coord_graph *graph,
                         size_t position);

/**
 * The nearest services that make the effective state worse than its own state; NULL past the end.
 * Valid as long as the graph; do not release it.
 */
const struct coord_strings *coord_graph_because(const struct coord_graph *graph,
                                                size_t position);

/**
 * The services that a service requires; NULL past the end. Valid as long as the graph; do not
 * release it.
 */
const struct coord_strings *coord_graph_required(const struct coord_graph *graph,
                                                 size_t position);

/**
 * The optional dependencies of a service; NULL past the end. Valid as long as the graph; do not
 * release it.
 */
const struct coord_strings *coord_graph_optional(const struct coord_graph *graph,
                                                 size_t position);

/** The whole graph as received from the server, in JSON; NULL for NULL. Valid as long as the graph. */
const char *coord_graph_json(const struct coord_graph *graph);

/** Releases a graph. NULL is allowed. */
void coord_graph_free(struct coord_graph *graph);

/** The value; NULL only for NULL. Valid as long as the pair. */
const uint8_t *coord_pair_data(const struct coord_pair *pair);

/** The length of the value; 0 for NULL. */
size_t coord_pair_len(const struct coord_pair *pair);

/** The flags stored with the value; 0 for NULL. */
uint64_t coord_pair_flags(const struct coord_pair *pair);

/**
 * The index of the last change of the key; pass it to coord_consul_kv_cas. 0
 * for NULL.
 */
uint64_t coord_pair_modify_index(const struct coord_pair *pair);

/** The number of times the key was locked; 0 for NULL. */
uint64_t coord_pair_lock_index(const struct coord_pair *pair);

/**
 * The session that holds the lock; NULL if none does. Valid as long as the
 * pair.
 */
const char *coord_pair_session(const struct coord_pair *pair);

/** Releases a pair. NULL is allowed. */
void coord_pair_free(struct coord_pair *pair);

/**
 * Reads a key.
 *
 * index    NULL returns immediately. Otherwise waits for a change of the key after this index; 0
 *          returns immediately. Receives the index for the next call, also with COORD_NOT_FOUND.
 * wait_ms  maximum wait; negative means 5 minutes, more than 10 are reduced to 10.
 * out      receives the value; release with coord_pair_free.
 * Returns  COORD_OK; COORD_NOT_FOUND; see also coord_consul_register.
 */
coord_status coord_consul_kv_get(const struct coord_consul *consul,
                                 const char *key,
                                 uint64_t *index,
                                 int64_t wait_ms,
                                 struct coord_pair **out,
                                 struct coord_error **error);

/**
 * Lists the names of all keys that begin with `prefix`, in bytewise order.
 *
 * separator  NULL lists all. Otherwise names are cut behind the first separator after the prefix.
 * out        receives the names, perhaps none; release with coord_strings_free.
 * Returns    COORD_OK; see also coord_consul_register.
 */
coord_status coord_consul_kv_keys(const struct coord_consul *consul,
                                  const char *prefix,
                                  const char *separator,
                                  struct coord_strings **out,
                                  struct coord_error **error);

/**
 * Sets a key.
 *
 * data     `data_len` bytes, at most 512 KiB by default.
 * flags    a number to store with it.
 * Returns  COORD_OK; see also coord_consul_register.
 */
coord_status coord_consul_kv_put(const struct coord_consul *consul,
                                 const char *key,
                                 const uint8_t *data,
                                 size_t data_len,
                                 uint64_t flags,
                                 struct coord_error **error);

/**
 * Sets a key if it was not changed in the meantime (check-and-set).
 *
 * modify_index  as read by coord_pair_modify_index; 0 sets the key only if there is none.
 * out           receives whether it was set.
 * Returns       COORD_OK, also when it was not set; see also coord_consul_register.
 */
coord_status coord_consul_kv_cas(const struct coord_consul *consul,
                                 const char *key,
                                 const uint8_t *data,
                                 size_t data_len,
                                 uint64_t modify_index,
                                 bool *out,
                                 struct coord_error **error);

/**
 * Sets a key and locks it for a session, unless another holds it.
 *
 * session  from coord_consul_session_create.
 * out      receives whether the session now holds the lock.
 * Returns  COORD_OK, also when it does not; COORD_HTTP (no such session); see also
 *          coord_consul_register.
 */
coord_status coord_consul_kv_acquire(const struct coord_consul *consul,
                                     const char *key,
                                     const uint8_t *data,
                                     size_t data_len,
                                     const char *session,
                                     bool *out,
                                     struct coord_error **error);

/**
 * Sets a key and releases a session's lock on it.
 *
 * out      receives whether the session held it.
 * Returns  COORD_OK, also when it did not; see also coord_consul_register.
 */
coord_status coord_consul_kv_release(const struct coord_consul *consul,
                                     const char *key,
                                     const uint8_t *data,
                                     size_t data_len,
                                     const char *session,
                                     bool *out,
                                     struct coord_error **error);

/**
 * Deletes a key. Succeeds if it does not exist.
 *
 * recurse  also deletes every key with this prefix.
 * Returns  COORD_OK; see also coord_consul_register.
 */
coord_status coord_consul_kv_delete(const struct coord_consul *consul,
                                    const char *key,
                                    bool recurse,
                                    struct coord_error **error);

/**
 * Deletes a key if it was not changed in the meantime (check-and-set).
 *
 * modify_index  as read by coord_pair_modify_index.
 * out           receives whether it was deleted.
 * Returns       COORD_OK, also when it was not deleted; see also coord_consul_register.
 */
coord_status coord_consul_kv_delete_cas(const struct coord_consul *consul,
                                        const char *key,
                                        uint64_t modify_index,
                                        bool *out,
                                        struct coord_error **error);

/**
 * Creates a session, which can hold locks.
 *
 * name           a human-readable name; NULL for none.
 * ttl_ms         the session ends unless renewed at least this often, 10 seconds to a day; 0
 *                for no TTL.
 * lock_delay_ms  how long its locks cannot be acquired after it expires; negative for 15 seconds.
 * delete_keys    whether the keys it locks are deleted with it instead of unlocked.
 * out            receives its id; release with coord_string_free.
 * Returns        COORD_OK; COORD_INVALID or COORD_HTTP (refused); see also coord_consul_register.
 */
coord_status coord_consul_session_create(const struct coord_consul *consul,
                                         const char *name,
                                         uint64_t ttl_ms,
                                         int64_t lock_delay_ms,
                                         bool delete_keys,
                                         char **out,
                                         struct coord_error **error);

/**
 * Restarts the TTL of a session.
 *
 * Returns  COORD_OK; COORD_NOT_FOUND (it has ended and lost its locks); see also
 *          coord_consul_register.
 */
coord_status coord_consul_session_renew(const struct coord_consul *consul,
                                        const char *session,
                                        struct coord_error **error);

/**
 * Ends a session and releases its locks. Succeeds if it does not exist.
 *
 * Returns  COORD_OK; see also coord_consul_register.
 */
coord_status coord_consul_session_destroy(const struct coord_consul *consul,
                                          const char *session,
                                          struct coord_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus
#endif /* COORD_H */
