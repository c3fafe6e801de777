/*
 * libcoord: a replicated coordination service as a library, and clients of
 * ZooKeeper and Consul, libcoord's own or genuine ones.
 *
 * Results    Functions that can fail return a coord_status, COORD_OK (0) if all
 *            went well. What they give comes through out-parameters, which are
 *            untouched on failure, unless their description says otherwise.
 * Errors     The last parameter `error` is NULL, or the address of a pointer
 *            that receives a coord_error on failure and is untouched otherwise.
 *            It tells more than the status: a text for people, whether to try
 *            again, what a server said. Release it with coord_error_free.
 * Ownership  What a function gives is the caller's, to be released once with
 *            the function named there; all of those accept NULL. A `const char *`
 *            or `const uint8_t *` that is returned belongs to the object asked.
 *            What is passed in is copied.
 * NULL       Where it is not said to be allowed, NULL gives COORD_INVALID.
 *            Functions that only look at an object take NULL for an empty one.
 * Text       NUL-terminated UTF-8. Data is a pointer and a length of at most
 *            64 MiB, and may hold anything. Lists have at most 65536 texts. A
 *            greater length is COORD_INVALID, and nothing is read.
 * Threads    Any object may be used by several threads at once, and calls that
 *            wait may be ended from another thread by closing the object. Only
 *            releasing it has to come last. No thread of the library calls
 *            anything of the host's. They block all signals. A thread with a
 *            stack of 64 KiB may make any call.
 * Fork       A member, session or client works in the process that made it. In
 *            a forked child calls on it return COORD_FORKED; releasing it there
 *            frees memory and leaves the parent's alone.
 * Faults     A fault of the library does not end the process: it is returned as
 *            COORD_PANIC, and the object should not be used further.
 *
 * Link with -lcoord; with the static library also -lpthread -ldl -lm.
 * The status numbers and these functions stay as they are within one soname.
 */

#ifndef COORD_H
#define COORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What a call returns: `COORD_OK`, or why not. */
enum coord_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Done. */
    COORD_OK = 0,
    /** This member is not the leader: ask again there. */
    COORD_NOT_LEADER = 1,
    /** Nothing was applied; try again later. */
    COORD_UNAVAILABLE = 2,
    /** It may or may not have been applied: read again before retrying. */
    COORD_INDETERMINATE = 3,
    /** The handle was closed. */
    COORD_CLOSED = 4,
    /** The call itself is wrong: an argument is NULL, not UTF-8 or not acceptable. */
    COORD_INVALID = 5,
    /** Stored or received data is damaged: stop and repair. */
    COORD_CORRUPT = 6,
    /** A fault of libcoord: please report it. */
    COORD_INTERNAL = 7,
    /** Nothing happened within the time given. */
    COORD_TIMEOUT = 8,
    /** A fault of libcoord was caught at the boundary; the handle is not to be used further. */
    COORD_PANIC = 9,
    /** The process was forked since the handle was made: open a new one here. */
    COORD_FORKED = 10,
    /** A Consul server refused; `coord_error_http_status` tells the HTTP status. */
    COORD_HTTP = 11,
    /** The key, service or other thing asked for is not there. */
    COORD_NOT_FOUND = 12,
    /** ZooKeeper: a request or reply could not be read. */
    COORD_ZK_MARSHALLING_ERROR = -5,
    /** ZooKeeper: the server does not know the operation. */
    COORD_ZK_UNIMPLEMENTED = -6,
    /** ZooKeeper: bad path, flags or other argument. */
    COORD_ZK_BAD_ARGUMENTS = -8,
    /** ZooKeeper: no such znode, or no such parent. */
    COORD_ZK_NO_NODE = -101,
    /** ZooKeeper: the access list forbids it. */
    COORD_ZK_NO_AUTH = -102,
    /** ZooKeeper: the version is not the expected one. */
    COORD_ZK_BAD_VERSION = -103,
    /** ZooKeeper: ephemerals have no children. */
    COORD_ZK_NO_CHILDREN_FOR_EPHEMERALS = -108,
    /** ZooKeeper: the znode is there already. */
    COORD_ZK_NODE_EXISTS = -110,
    /** ZooKeeper: the znode has children. */
    COORD_ZK_NOT_EMPTY = -111,
    /** ZooKeeper: the session has expired. */
    COORD_ZK_SESSION_EXPIRED = -112,
    /** ZooKeeper: the access list is invalid. */
    COORD_ZK_INVALID_ACL = -114,
    /** ZooKeeper: authentication failed. */
    COORD_ZK_AUTH_FAILED = -115,
    /** ZooKeeper: the session moved to another connection. */
    COORD_ZK_SESSION_MOVED = -118,
    /** ZooKeeper: the server is read-only. */
    COORD_ZK_NOT_READ_ONLY = -119,
    /** ZooKeeper: a quota would be exceeded. */
    COORD_ZK_QUOTA_EXCEEDED = -125,
    /** ZooKeeper: another of its codes; `coord_error_zk_code` tells which. */
    COORD_ZK_OTHER = -100,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_status coord_status;
#else
typedef int32_t coord_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** How bad something is, or how detailed. Each includes those before it. */
enum coord_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Nothing; no record has it. */
    COORD_LOG_NONE = 0,
    /** Something does not work. */
    COORD_LOG_ERROR = 1,
    /** Something may stop working, or did not for a while. */
    COORD_LOG_WARN = 2,
    /** What an operator may want to know afterwards. */
    COORD_LOG_INFO = 3,
    /** What helps to find a fault. */
    COORD_LOG_DEBUG = 4,
    /** Everything. */
    COORD_LOG_TRACE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_log_level coord_log_level;
#else
typedef int32_t coord_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** Whether a session can be used. */
enum coord_session_state
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Not connected yet. */
    COORD_SESSION_CONNECTING = 0,
    /** Connected, alive. */
    COORD_SESSION_CONNECTED = 1,
    /**
     * Not connected; the session may or may not be alive. Take its ephemerals
     * and locks for lost until it is known.
     */
    COORD_SESSION_SUSPENDED = 2,
    /** Over, and its ephemerals with it: open another. */
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
    /** Its data was set. */
    COORD_EVENT_DATA_CHANGED = 3,
    /** A child of it was created or deleted. */
    COORD_EVENT_CHILDREN_CHANGED = 4,
    /** The watch was removed: nothing follows for it. */
    COORD_EVENT_WATCH_REMOVED = 7,
    /**
     * Changes may have gone by unseen, because the connection was lost or
     * nobody fetched events: read again. A watch for one event may have had it.
     */
    COORD_EVENT_MISSED = 101,
    /** The session is over, and the watch with it. */
    COORD_EVENT_SESSION_LOST = 102,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_event_kind coord_event_kind;
#else
typedef int32_t coord_event_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** How a service or a check is. */
enum coord_check_state
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Well. */
    COORD_CHECK_PASSING = 0,
    /** Still working. */
    COORD_CHECK_WARNING = 1,
    /** Not to be used. */
    COORD_CHECK_CRITICAL = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_check_state coord_check_state;
#else
typedef int32_t coord_check_state;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** How long a znode stays, and whether it gets a number. ZooKeeper's numbers. */
enum coord_create_mode
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** Stays until deleted. */
    COORD_CREATE_PERSISTENT = 0,
    /** Goes with its session. */
    COORD_CREATE_EPHEMERAL = 1,
    /** Stays until deleted; a number is put behind its name. */
    COORD_CREATE_PERSISTENT_SEQUENTIAL = 2,
    /** Goes with its session; a number is put behind its name. */
    COORD_CREATE_EPHEMERAL_SEQUENTIAL = 3,
    /** Goes some time after its last child. */
    COORD_CREATE_CONTAINER = 4,
    /** Goes when it has no children and was not set for `ttl_ms`. */
    COORD_CREATE_TTL = 5,
    /** As COORD_CREATE_TTL; a number is put behind its name. */
    COORD_CREATE_TTL_SEQUENTIAL = 6,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_create_mode coord_create_mode;
#else
typedef int32_t coord_create_mode;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** Which of a member's listeners. */
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
    /** ZooKeeper clients that speak TLS, on a port for that alone. */
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

/** What a member does for its clients now. */
enum coord_server_state
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** All of it. */
    COORD_SERVER_SERVING = 0,
    /** Little until it knows a leader, belongs to the cluster and has its state. */
    COORD_SERVER_WAITING = 1,
    /** Reads alone: its disk has too little room for writes. It goes on by itself. */
    COORD_SERVER_REFUSING_WRITES = 2,
    /** Next to nothing: its log cannot be written. It goes on by itself once it can. */
    COORD_SERVER_STALLED = 3,
    /** Nothing, ever again: stop it, and start it anew. */
    COORD_SERVER_FAILED = 4,
    /** It was stopped. */
    COORD_SERVER_STOPPED = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_server_state coord_server_state;
#else
typedef int32_t coord_server_state;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** What to watch, and how long. */
enum coord_watch_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /** One event, when the znode is created, deleted or set. It need not be there yet. */
    COORD_WATCH_DATA = 0,
    /** One event, when a child is created or deleted, or the znode itself deleted. */
    COORD_WATCH_CHILDREN = 1,
    /** Every event of the znode and its list of children, until unwatched. */
    COORD_WATCH_PERSISTENT = 2,
    /** Every event of the znode and all its descendants, until unwatched. */
    COORD_WATCH_RECURSIVE = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum coord_watch_kind coord_watch_kind;
#else
typedef int32_t coord_watch_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/** Bytes the library hands out. Release with `coord_bytes_free`. */
typedef struct coord_bytes coord_bytes;

/**
 * A cluster of members inside this process, each with its own threads, ports
 * and temporary directory. Release with `coord_cluster_free`.
 */
typedef struct coord_cluster coord_cluster;

/**
 * A client of a Consul agent, libcoord's own or a genuine one. Release with
 * `coord_consul_free`.
 */
typedef struct coord_consul coord_consul;

/** Why a call failed. Owned by the caller; release with `coord_error_free`. */
typedef struct coord_error coord_error;

/** An event of a watch. Release with `coord_event_free`. */
typedef struct coord_event coord_event;

/**
 * Services with what they need, in an order in which they can be started.
 * Release with `coord_graph_free`.
 */
typedef struct coord_graph coord_graph;

/**
 * The log of the members that are started with it: see coord_settings_set_log. Up
 * to 1024 records wait to be fetched; what comes while there are so many is
 * dropped, and a record behind them says how much. Release with `coord_log_free`.
 */
typedef struct coord_log coord_log;

/** One thing that was logged. Release with `coord_log_record_free`. */
typedef struct coord_log_record coord_log_record;

/** Changes to be made as one by coord_zk_multi. Release with `coord_ops_free`. */
typedef struct coord_ops coord_ops;

/** A key's value with what is known about it. Release with `coord_pair_free`. */
typedef struct coord_pair coord_pair;

/**
 * A member running inside this process, with its own threads, ports and
 * directory. Any number of them can run. Release with `coord_server_free`.
 */
typedef struct coord_server coord_server;

/** The instances of a service. Release with `coord_services_free`. */
typedef struct coord_services coord_services;

/** What a member is to be started with. Release with `coord_settings_free`. */
typedef struct coord_settings coord_settings;

/** A list of texts. Release with `coord_strings_free`. */
typedef struct coord_strings coord_strings;

/**
 * A session with a ZooKeeper server, libcoord's own or a genuine one.
 * Release with `coord_zk_free`.
 */
typedef struct coord_zk coord_zk;

/** Takes a record of coord_log_drain. It lives as long as the call. */
typedef void (*coord_log_callback)(void *context,
                                   const struct coord_log_record *record);

/** What is known about a znode besides its data. The fields are ZooKeeper's. */
typedef struct coord_stat {
    /** The change that created it. */
    int64_t czxid;
    /** The last change of its data. */
    int64_t mzxid;
    /** The last creation or deletion of a child. */
    int64_t pzxid;
    /** When it was created, ms since 1970. */
    int64_t ctime;
    /** When its data was last changed, ms since 1970. */
    int64_t mtime;
    /** The session it goes with, 0 if it is not ephemeral. */
    int64_t ephemeral_owner;
    /** How often its data was changed; give it to coord_zk_set and coord_zk_delete. */
    int32_t version;
    /** How often its set of children was changed, as ZooKeeper counts. */
    int32_t cversion;
    /** How often its access list was changed. */
    int32_t aversion;
    /** Bytes of data. */
    int32_t data_length;
    /** Direct children. */
    int32_t num_children;
} coord_stat;

/**
 * The hash of a content: equal for equal contents, within one cluster. Compare
 * with memcmp.
 */
typedef struct coord_hash {
    /** The hash. */
    uint8_t bytes[16];
} coord_hash;

/** Something that a service depends on. */
typedef struct coord_dependency {
    /** The name of a service, registered or not. */
    const char *name;
    /** Which of its instances are meant; NULL for all. */
    const char *tag;
    /** Whether the service can do without it. */
    bool optional;
} coord_dependency;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/** The status of the failed call. `COORD_OK` for NULL. */
coord_status coord_error_status(const struct coord_error *error);

/**
 * What went wrong and what to do, for people. NUL-terminated; lives as long as
 * the error. An empty text for NULL.
 */
const char *coord_error_message(const struct coord_error *error);

/** Whether the same call may succeed later without change. False for NULL. */
bool coord_error_is_retryable(const struct coord_error *error);

/** Whether the operation may have taken effect in spite of the error. False for NULL. */
bool coord_error_may_have_applied(const struct coord_error *error);

/** ZooKeeper's own code, or 0 if the call was not one to a ZooKeeper server. */
int32_t coord_error_zk_code(const struct coord_error *error);

/** The HTTP status, or 0 if no Consul server answered. */
int32_t coord_error_http_status(const struct coord_error *error);

/** Releases an error. NULL is fine. */
void coord_error_free(struct coord_error *error);

/** Releases a text that a function of this library said to release so. NULL is fine. */
void coord_string_free(char *text);

/** How many texts there are; 0 for NULL. */
size_t coord_strings_count(const struct coord_strings *strings);

/** The text at `position`, from 0; NULL behind the last. Lives as long as the list. */
const char *coord_strings_at(const struct coord_strings *strings,
                             size_t position);

/** Releases a list. NULL is fine. */
void coord_strings_free(struct coord_strings *strings);

/** Where the bytes are; never NULL except for NULL. */
const uint8_t *coord_bytes_data(const struct coord_bytes *bytes);

/** How many there are; 0 for NULL. */
size_t coord_bytes_len(const struct coord_bytes *bytes);

/** Releases bytes. NULL is fine. */
void coord_bytes_free(struct coord_bytes *bytes);

/**
 * Makes an empty log.
 *
 * level    one of coord_log_level but none: what is more detailed is left out.
 * out      receives the log; release with coord_log_free.
 * Returns  COORD_OK, COORD_INVALID.
 */
coord_status coord_log_new(int32_t level,
                           struct coord_log **out,
                           struct coord_error **error);

/**
 * Changes how detailed a log is, from now on.
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
 * timeout_ms  0 returns at once, negative waits without end.
 * out         receives the record; release with coord_log_record_free.
 * Returns     COORD_OK; COORD_TIMEOUT (no record, no error object); COORD_CLOSED (closed, and
 *             everything was fetched); COORD_INVALID; COORD_FORKED.
 */
coord_status coord_log_wait(const struct coord_log *log,
                            int64_t timeout_ms,
                            struct coord_log_record **out,
                            struct coord_error **error);

/**
 * Waits for a record of a log and hands it, and all that wait behind it, to a
 * function, in order. The function is called on this thread, before this returns,
 * and by no thread of the library.
 *
 * timeout_ms  how long to wait for the first; as for coord_log_wait.
 * callback    called once for each record.
 * context     handed on to it as it is.
 * Returns     as coord_log_wait.
 */
coord_status coord_log_drain(const struct coord_log *log,
                             int64_t timeout_ms,
                             coord_log_callback callback,
                             void *context,
                             struct coord_error **error);

/**
 * Closes a log: what waits for it returns once everything was fetched, and nothing
 * is added any more. Twice is fine.
 *
 * Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
 */
coord_status coord_log_close(const struct coord_log *log,
                             struct coord_error **error);

/** Releases a log. Members that write into it go on, for nobody. NULL is fine. */
void coord_log_free(struct coord_log *log);

/** How bad it is: one of coord_log_level; none for NULL. */
coord_log_level coord_log_record_level(const struct coord_log_record *record);

/** Who says so, as in `coord_core::storage`; empty for NULL. Lives as long as the record. */
const char *coord_log_record_target(const struct coord_log_record *record);

/**
 * What happened, with names and values behind it; empty for NULL. Lives as long as
 * the record.
 */
const char *coord_log_record_message(const struct coord_log_record *record);

/** When it happened, in milliseconds since 1970; 0 for NULL. */
uint64_t coord_log_record_unix_ms(const struct coord_log_record *record);

/** Releases a record. NULL is fine. */
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
 * Returns  COORD_OK; COORD_INVALID for an unknown name or a value that does not fit.
 */
coord_status coord_settings_set(struct coord_settings *settings,
                                const char *key,
                                const char *value,
                                struct coord_error **error);

/**
 * Has what the members log that are started with these settings go into a log,
 * and nowhere else.
 *
 * log      NULL for none. It may be released before the settings and the members.
 * Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
 */
coord_status coord_settings_set_log(struct coord_settings *settings,
                                    const struct coord_log *log,
                                    struct coord_error **error);

/** Releases settings. NULL is fine. */
void coord_settings_free(struct coord_settings *settings);

/**
 * Starts a member and waits until it serves. Blocks.
 *
 * settings    NULL for the defaults of coord_settings_new; copied.
 * timeout_ms  how long to wait for a majority; negative waits for a minute.
 * out         receives the member; release with coord_server_free.
 * Returns     COORD_OK; COORD_INVALID (a setting, a taken port, a directory in use);
 *             COORD_CORRUPT (a damaged directory); COORD_UNAVAILABLE (no majority in time).
 */
coord_status coord_server_start(const struct coord_settings *settings,
                                int64_t timeout_ms,
                                struct coord_server **out,
                                struct coord_error **error);

/**
 * Where a member listens, as `host:port` with the real port, or `off`.
 *
 * listener  one of coord_listener.
 * out       receives a text; release with coord_string_free.
 * Returns   COORD_OK, COORD_INVALID, COORD_FORKED.
 */
coord_status coord_server_address(const struct coord_server *server,
                                  int32_t listener,
                                  char **out,
                                  struct coord_error **error);

/**
 * How a member stands.
 *
 * state    receives one of coord_server_state.
 * reason   NULL, or receives what is wrong, empty if nothing is; release with
 *          coord_string_free.
 * Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
 */
coord_status coord_server_status(const struct coord_server *server,
                                 int32_t *state,
                                 char **reason,
                                 struct coord_error **error);

/**
 * Waits until a member failed and can take part no more. Blocks; other threads
 * may use the member meanwhile, and stop it.
 *
 * timeout_ms  0 looks once; negative waits without end.
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
 * Blocks; stopping twice is fine.
 *
 * Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
 */
coord_status coord_server_stop(struct coord_server *server,
                               struct coord_error **error);

/**
 * Stops a member if it still runs, and releases it. NULL is fine. In a forked
 * child nothing is stopped: the member lives in the parent.
 */
void coord_server_free(struct coord_server *server);

/**
 * Starts a cluster on free ports of the loopback and waits until all members
 * serve. Blocks.
 *
 * size        1 to 7 members; 3 go on without one of them, 5 without two.
 * settings    for each member, without what is its own; NULL for the defaults; copied.
 * timeout_ms  how long to wait for each; negative waits for a minute.
 * out         receives the cluster; release with coord_cluster_free.
 * Returns     as coord_server_start.
 */
coord_status coord_cluster_start(uint64_t size,
                                 const struct coord_settings *settings,
                                 int64_t timeout_ms,
                                 struct coord_cluster **out,
                                 struct coord_error **error);

/** How many members a cluster was started with; 0 for NULL. */
size_t coord_cluster_size(const struct coord_cluster *cluster);

/**
 * Where a member of a cluster listens, as coord_server_address.
 *
 * position  which member, from 0.
 */
coord_status coord_cluster_address(const struct coord_cluster *cluster,
                                   size_t position,
                                   int32_t listener,
                                   char **out,
                                   struct coord_error **error);

/**
 * Stops one member for good. The others go on while they are a majority.
 *
 * position  which member, from 0.
 * Returns   COORD_OK, also if it was stopped before; COORD_INVALID; COORD_FORKED.
 */
coord_status coord_cluster_stop_member(struct coord_cluster *cluster,
                                       size_t position,
                                       struct coord_error **error);

/**
 * Stops all members that still run, and releases the cluster. NULL is fine. In
 * a forked child nothing is stopped: the members live in the parent.
 */
void coord_cluster_free(struct coord_cluster *cluster);

/**
 * Connects and opens a session. Blocks. Later the connection is restored by
 * itself, to any of the hosts; calls wait for it up to 30 seconds.
 *
 * hosts               `host:port,host:port`, then optionally a path that all paths are under.
 * session_timeout_ms  the session, and with it its ephemerals, ends when the servers hear
 *                     nothing for so long; negative asks for 10 seconds. Servers have bounds.
 * timeout_ms          how long to try; negative tries for 30 seconds, or about 5 if nobody
 *                     listens at any of the hosts. The error tells what each of them said.
 * out                 receives the session; release with coord_zk_free.
 * Returns             COORD_OK; COORD_INVALID (hosts); COORD_UNAVAILABLE (no server in time).
 */
coord_status coord_zk_connect(const char *hosts,
                              int64_t session_timeout_ms,
                              int64_t timeout_ms,
                              struct coord_zk **out,
                              struct coord_error **error);

/**
 * Connects as coord_zk_connect does, secured.
 *
 * options  lines of `name=value`:
 *          `tls=on` trusts whom the system trusts; `tls.ca_file=PATH` those in a PEM file,
 *          `tls.ca_path=PATH` those in the files of a folder;
 *          `tls.cert_file=PATH` and `tls.key_file=PATH` are this client's own certificate;
 *          `tls.verify=any_name` takes a good certificate of any host, `nothing` any at all;
 *          `sasl=USER:PASSWORD` proves a user with DIGEST-MD5.
 * Returns  as coord_zk_connect; COORD_INVALID also for an option or a file that cannot be
 *          used; COORD_ZK_AUTH_FAILED if the server does not believe the user.
 */
coord_status coord_zk_connect_secured(const char *hosts,
                                      const char *options,
                                      int64_t session_timeout_ms,
                                      int64_t timeout_ms,
                                      struct coord_zk **out,
                                      struct coord_error **error);

/**
 * Ends the session, and with it its ephemerals and watches. Other calls on it,
 * also those that wait in another thread, return COORD_CLOSED; a change that was
 * sent and gets no answer any more returns COORD_INDETERMINATE. Twice is fine, and
 * returns the same.
 *
 * Returns  COORD_OK once the server has confirmed it; COORD_INDETERMINATE if no server did: the
 *          client is closed, but the session, its ephemerals and the locks they stand for may
 *          live on until its timeout; COORD_INVALID, COORD_FORKED.
 */
coord_status coord_zk_close(struct coord_zk *zk,
                            struct coord_error **error);

/**
 * Ends the session unless it was closed, and releases it. NULL is fine. In a
 * forked child the session is left alone: it is the parent's.
 */
void coord_zk_free(struct coord_zk *zk);

/** The state of a session now. Closed for NULL and in a forked child. */
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
 * The newest change of the servers that this session has seen. 0 for NULL and
 * in a forked child.
 */
int64_t coord_zk_last_zxid(const struct coord_zk *zk);

/**
 * Proves an identity, now and on every later connection of the session.
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
 * Creates a znode, which anybody may read and change.
 *
 * data      `data_len` bytes; NULL with 0 is no data, which ZooKeeper tells from empty.
 * mode      one of coord_create_mode.
 * ttl_ms    time to live for the two modes that have one, otherwise 0.
 * out_path  NULL, or receives the path as created; release with coord_string_free.
 * Returns   COORD_OK; COORD_ZK_NODE_EXISTS; COORD_ZK_NO_NODE (no parent);
 *           COORD_ZK_NO_CHILDREN_FOR_EPHEMERALS; COORD_ZK_UNIMPLEMENTED (a mode switched off);
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
 * Creates a persistent znode without data, and its parents where they are
 * missing. One that is there already is fine.
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
 *           COORD_UNAVAILABLE (no server; nothing was done), COORD_INDETERMINATE (a change that
 *           got no answer: it may have been made), COORD_ZK_SESSION_EXPIRED,
 *           COORD_ZK_BAD_ARGUMENTS (such as a path without a slash), COORD_INVALID,
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
 * Asks whether a znode is there. That it is not is no error.
 *
 * out       receives whether it is there.
 * out_stat  NULL, or receives its stat if it is there.
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
 * Makes the server catch up: reads after it see every change that was
 * acknowledged before it, whoever made it.
 *
 * Returns  COORD_OK; see also coord_zk_get.
 */
coord_status coord_zk_sync(const struct coord_zk *zk,
                           const char *path,
                           struct coord_error **error);

/**
 * Watches a znode; the events are fetched with coord_zk_wait_event. Watch
 * first and read afterwards, and nothing is missed.
 *
 * kind     one of coord_watch_kind.
 * Returns  COORD_OK; COORD_ZK_NO_NODE (children of what is not there); see also coord_zk_get.
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
 * Returns  COORD_OK; COORD_ZK_OTHER (there is none); see also coord_zk_get.
 */
coord_status coord_zk_unwatch(const struct coord_zk *zk,
                              const char *path,
                              int32_t kind,
                              struct coord_error **error);

/**
 * Waits for the next event of any watch of the session. Up to 4096 events
 * wait to be fetched; more give way to one COORD_EVENT_MISSED.
 *
 * timeout_ms  0 returns at once, negative waits without end.
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

/** To which znode; empty if it concerns all, and for NULL. Lives as long as the event. */
const char *coord_event_path(const struct coord_event *event);

/**
 * The change that caused it; -1 if the server does not tell (before ZooKeeper
 * 3.9), and for NULL.
 */
int64_t coord_event_zxid(const struct coord_event *event);

/** Releases an event. NULL is fine. */
void coord_event_free(struct coord_event *event);

/**
 * An empty list of changes.
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

/** Adds the condition that a znode is there and has this version, -1 for any. */
coord_status coord_ops_check(struct coord_ops *ops,
                             const char *path,
                             int32_t version,
                             struct coord_error **error);

/** Releases a list of changes. NULL is fine. */
void coord_ops_free(struct coord_ops *ops);

/**
 * Makes all changes of a list as one. If one is refused none is made, the
 * status is that of the refused one, and the message tells which.
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
 * Reads the hash of what a znode contains: its path, data, access list, and
 * what it lives as long as. No version and no time is in it: if a content is
 * there again, its hash is, too.
 *
 * subtree   whether everything below the znode counts; needs permission to read all of it.
 * out       receives the hash.
 * out_zxid  NULL, or receives the change it was taken after.
 * Returns   COORD_OK; COORD_ZK_NO_NODE; COORD_ZK_NO_AUTH; COORD_ZK_UNIMPLEMENTED (a genuine
 *           ZooKeeper, which knows no hashes); see also coord_zk_get.
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
 * Adds the condition that a content has this hash; otherwise the changes are
 * refused with COORD_ZK_BAD_VERSION.
 *
 * subtree  as for coord_zk_hash, from which the hash is.
 */
coord_status coord_ops_check_hash(struct coord_ops *ops,
                                  const char *path,
                                  bool subtree,
                                  const struct coord_hash *hash,
                                  struct coord_error **error);

/**
 * Makes a client. Nothing is sent yet, so that it succeeds without an agent.
 *
 * TLS is spoken with `https://`, or where CONSUL_HTTP_SSL is `true` and the address names no
 * scheme; CONSUL_CACERT, CONSUL_CAPATH, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY,
 * CONSUL_TLS_SERVER_NAME and CONSUL_HTTP_SSL_VERIFY count as they do for Consul's own client.
 *
 * address  `host:port`, `http://host:port`, `https://host:port` or `unix:///path`; NULL for
 *          CONSUL_HTTP_ADDR of the environment, or else 127.0.0.1:8500.
 * token    sent with every call; NULL for CONSUL_HTTP_TOKEN, or else none.
 * out      receives the client; release with coord_consul_free.
 * Returns  COORD_OK; COORD_INVALID (not an address, or a file for TLS cannot be used);
 *          COORD_UNAVAILABLE (no thread can be made).
 */
coord_status coord_consul_connect(const char *address,
                                  const char *token,
                                  struct coord_consul **out,
                                  struct coord_error **error);

/**
 * Makes a client as coord_consul_connect does, secured.
 *
 * options  lines of `name=value`, which win over the environment:
 *          `tls=on` trusts whom the system trusts; `tls.ca_file=PATH` those in a PEM file,
 *          `tls.ca_path=PATH` those in the files of a folder;
 *          `tls.cert_file=PATH` and `tls.key_file=PATH` are this client's own certificate;
 *          `tls.verify=any_name` takes a good certificate of any host, `nothing` any at all;
 *          `tls.server_name=NAME` is whom the server's certificate must name.
 * Returns  as coord_consul_connect; COORD_INVALID also for an option that cannot be used.
 */
coord_status coord_consul_connect_secured(const char *address,
                                          const char *token,
                                          const char *options,
                                          struct coord_consul **out,
                                          struct coord_error **error);

/**
 * Closes a client. Other calls on it, also those that wait in another thread,
 * return COORD_CLOSED; a change that is under way returns COORD_INDETERMINATE.
 * Sessions and registrations stay. Twice is fine.
 *
 * Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
 */
coord_status coord_consul_close(struct coord_consul *consul,
                                struct coord_error **error);

/** Closes a client unless it was closed, and releases it. NULL is fine. */
void coord_consul_free(struct coord_consul *consul);

/**
 * Registers a service with the agent, replacing one of the same id.
 *
 * name      what it is found by.
 * id        unique at the agent; NULL for the name.
 * address   where it is; NULL for the agent's own address.
 * port      0 for none.
 * tags      `tag_count` labels; NULL with 0 for none.
 * ttl_ms    0 for no check. Otherwise the check `service:<id>` is critical unless
 *           coord_consul_check_update is called at least this often.
 * Returns   COORD_OK; COORD_HTTP (refused); COORD_UNAVAILABLE (no agent; nothing was done);
 *           COORD_INDETERMINATE (no answer: it may have been done). As every call also
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
 * Registers a service as coord_consul_register does, with what it depends on. Needs a member of
 * libcoord: a genuine Consul refuses it.
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
 * Finds the instances of a service, with their health. A name that nobody
 * registered has none, which is no error.
 *
 * passing_only  only those whose checks all pass.
 * index         NULL answers at once. Otherwise: waits until something changed since this index;
 *               0 answers at once. Receives the index to give the next time.
 * wait_ms       how long to wait at most; negative waits for 5 minutes, more than 10 is not had.
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

/** How many instances there are; 0 for NULL. */
size_t coord_services_count(const struct coord_services *services);

/**
 * The name of the node that an instance runs on; NULL behind the last. Lives
 * as long as the list.
 */
const char *coord_services_node(const struct coord_services *services,
                                size_t position);

/** The id of an instance; NULL behind the last. Lives as long as the list. */
const char *coord_services_id(const struct coord_services *services,
                              size_t position);

/**
 * The address of an instance, or else of its node; NULL behind the last.
 * Lives as long as the list.
 */
const char *coord_services_address(const struct coord_services *services,
                                   size_t position);

/** The port of an instance; 0 if it has none, and behind the last. */
uint16_t coord_services_port(const struct coord_services *services,
                             size_t position);

/**
 * The worst state among the checks of an instance and its node: passing if
 * there are none, critical behind the last.
 */
coord_check_state coord_services_state(const struct coord_services *services,
                                       size_t position);

/** Releases a list of instances. NULL is fine. */
void coord_services_free(struct coord_services *services);

/**
 * Registers a check with the agent, critical until coord_consul_check_update
 * says otherwise, and again whenever that was not called for `ttl_ms`.
 *
 * name        for people.
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
 * Reports the state of a check with a time to live.
 *
 * check_id  as registered; `service:<id>` for that of coord_consul_register.
 * state     one of coord_check_state.
 * note      for people; NULL for none.
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
 * Reads the graph of services: what each needs, how it is, and because of whom. Needs a member of
 * libcoord: a genuine Consul keeps none.
 *
 * name     NULL for all services; otherwise only that one with what it needs and what needs it,
 *          however far.
 * index    NULL answers at once. Otherwise: waits until something changed since this index;
 *          0 answers at once. Receives the index to give the next time.
 * wait_ms  how long to wait at most; negative waits for 5 minutes, more than 10 is not had.
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
 * Waits until all that a service requires, directly or not, is registered and passing. The
 * service itself has to be registered; its own checks do not count.
 *
 * timeout_ms  how long to wait at most; negative waits without end.
 * Returns     COORD_OK; COORD_TIMEOUT (the error tells what is not passing); COORD_INVALID (also if
 *             the server keeps no graph); see also coord_consul_register.
 */
coord_status coord_consul_wait_ready(const struct coord_consul *consul,
                                     const char *name,
                                     int64_t timeout_ms,
                                     struct coord_error **error);

/**
 * How many services there are, with those that are needed and not registered, which come first;
 * 0 for NULL.
 */
size_t coord_graph_count(const struct coord_graph *graph);

/** The name of a service; NULL behind the last. Lives as long as the graph. */
const char *coord_graph_name(const struct coord_graph *graph,
                             size_t position);

/**
 * The worst state among the checks of a service: passing if it has none, critical if it is not
 * registered, and behind the last.
 */
coord_check_state coord_graph_state(const struct coord_graph *graph,
                                    size_t position);

/**
 * The state of a service lowered by what it needs: critical if something that it requires is, or
 * is not registered; warning if that is so of something that it can do without.
 */
coord_check_state coord_graph_effective_state(const struct coord_graph *graph,
                                              size_t position);

/**
 * The wave a service can be started in, from 0: as soon as the waves before are up. -1 if it is
 * not registered, and behind the last.
 */
int32_t coord_graph_wave(const struct coord_graph *graph,
                         size_t position);

/**
 * The nearest services that are why the effective state is worse than the own one; NULL behind the
 * last. Lives as long as the graph, and is not to be released.
 */
const struct coord_strings *coord_graph_because(const struct coord_graph *graph,
                                                size_t position);

/**
 * What a service requires; NULL behind the last. Lives as long as the graph, and is not to be
 * released.
 */
const struct coord_strings *coord_graph_required(const struct coord_graph *graph,
                                                 size_t position);

/**
 * What a service uses and can do without; NULL behind the last. Lives as long as the graph, and is
 * not to be released.
 */
const struct coord_strings *coord_graph_optional(const struct coord_graph *graph,
                                                 size_t position);

/** All of it as the server told it, in JSON; NULL for NULL. Lives as long as the graph. */
const char *coord_graph_json(const struct coord_graph *graph);

/** Releases a graph. NULL is fine. */
void coord_graph_free(struct coord_graph *graph);

/** Where the value is; never NULL except for NULL. Lives as long as the pair. */
const uint8_t *coord_pair_data(const struct coord_pair *pair);

/** The length of the value; 0 for NULL. */
size_t coord_pair_len(const struct coord_pair *pair);

/** The number stored with the value; 0 for NULL. */
uint64_t coord_pair_flags(const struct coord_pair *pair);

/** When the key was last changed; give it to coord_consul_kv_cas. 0 for NULL. */
uint64_t coord_pair_modify_index(const struct coord_pair *pair);

/** How often the key was locked; 0 for NULL. */
uint64_t coord_pair_lock_index(const struct coord_pair *pair);

/** The session that holds the lock; NULL if none does. Lives as long as the pair. */
const char *coord_pair_session(const struct coord_pair *pair);

/** Releases a pair. NULL is fine. */
void coord_pair_free(struct coord_pair *pair);

/**
 * Reads a key.
 *
 * index    NULL answers at once. Otherwise: waits until the key changed since this index; 0
 *          answers at once. Receives the index to give the next time, also with COORD_NOT_FOUND.
 * wait_ms  how long to wait at most; negative waits for 5 minutes, more than 10 is not had.
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
 * data     `data_len` bytes, at most 512 KiB unless the agent is set otherwise.
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
 * Sets a key if it was not changed meanwhile.
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
 * out      receives whether the session holds the lock now.
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
 * Sets a key and gives a session's lock on it back.
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
 * Deletes a key. One that is not there counts as deleted.
 *
 * recurse  deletes every key that begins with this one, too.
 * Returns  COORD_OK; see also coord_consul_register.
 */
coord_status coord_consul_kv_delete(const struct coord_consul *consul,
                                    const char *key,
                                    bool recurse,
                                    struct coord_error **error);

/**
 * Deletes a key if it was not changed meanwhile.
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
 * Creates a session, which locks can be held by.
 *
 * name           for people; NULL for none.
 * ttl_ms         the session ends unless renewed at least this often, 10 seconds to a day; 0
 *                for one that does not end by time.
 * lock_delay_ms  how long its locks cannot be taken after it has failed; negative for 15 seconds.
 * delete_keys    whether the keys it holds are deleted with it, instead of only unlocked.
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
 * Starts a session's time to live anew.
 *
 * Returns  COORD_OK; COORD_NOT_FOUND (it has ended, and its locks with it); see also
 *          coord_consul_register.
 */
coord_status coord_consul_session_renew(const struct coord_consul *consul,
                                        const char *session,
                                        struct coord_error **error);

/**
 * Ends a session, and gives its locks back. One that is not there counts as ended.
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
