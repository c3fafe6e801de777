//! The locks of this crate: those of the standard library, and in its unit tests ones that
//! check the order in which they are taken (C14).
//!
//! Two threads that take the same two locks in different orders can wait for each other for
//! good, once in a thousand runs. The checked ones panic the first time that any thread takes
//! two locks in an order that contradicts what any thread did before, whether or not that
//! run would have stood still. A lock that is held across `.await` is tokio's and not checked.

#[cfg(not(test))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

#[cfg(test)]
pub(crate) use tracing_mutex::stdsync::tracing::{
    Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::{Mutex, RwLock};

    #[test]
    fn locks_that_are_taken_in_two_orders_are_found_without_a_second_thread() {
        let (state, queue) = (RwLock::new(0), Mutex::new(0));
        {
            let _state = state.write();
            drop(queue.lock());
        }
        let _queue = queue.lock();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(state.read()))).is_err());
    }
}
