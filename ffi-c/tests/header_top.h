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
