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
