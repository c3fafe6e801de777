//! The remaining stack of the calling thread. Host programs create threads with
//! small stacks, and may call from a stack that does not belong to a thread.

use std::cell::Cell;

/// What a call may need; several times of what was measured, so that a build
/// without optimisation has enough, too.
const NEEDED_BYTES: usize = 384 << 10;

/// Where a thread's stack is: its lowest address and its size.
type Place = (usize, usize);

thread_local! {
    /// Asked for once in a thread: for the first one the answer is costly.
    static PLACE: Cell<Option<Option<Place>>> = const { Cell::new(None) };
}

/// Whether less is left than a call may need, or nobody knows how much.
pub(crate) fn is_small() -> bool {
    let marker = 0_u8;
    let here = (&raw const marker).addr();
    let place = PLACE.get().unwrap_or_else(|| {
        let place = place();
        PLACE.set(Some(place));
        place
    });
    // Where the system does not tell, it is as with any other library.
    place.is_some_and(|place| is_small_at(here, place))
}

/// On a stack of the host's own making, outside of the thread's, nothing is known.
fn is_small_at(here: usize, (lowest, size): Place) -> bool {
    match here.checked_sub(lowest) {
        Some(left) if left <= size => left < NEEDED_BYTES,
        _ => true,
    }
}

#[cfg(target_os = "linux")]
fn place() -> Option<Place> {
    // SAFETY: attributes are plain data, and are written before they are read.
    let mut attributes: libc::pthread_attr_t = unsafe { std::mem::zeroed() };
    // SAFETY: the attributes are ours and live through the call.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), &raw mut attributes) } != 0 {
        return None;
    }
    let (mut lowest, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: as above, and so are both results.
    let told = unsafe {
        libc::pthread_attr_getstack(&raw const attributes, &raw mut lowest, &raw mut size)
    };
    // SAFETY: they were filled by the call above, and are not used again.
    unsafe { libc::pthread_attr_destroy(&raw mut attributes) };
    (told == 0).then_some((lowest.addr(), size))
}

#[cfg(target_os = "macos")]
fn place() -> Option<Place> {
    // SAFETY: both only look at the calling thread.
    let (highest, size) = unsafe {
        let thread = libc::pthread_self();
        (libc::pthread_get_stackaddr_np(thread).addr(), libc::pthread_get_stacksize_np(thread))
    };
    Some((highest.checked_sub(size)?, size))
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn place() -> Option<Place> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_knows_whether_its_stack_is_small() {
        for (bytes, small) in [(128 << 10, true), (4 << 20, false)] {
            let thread = std::thread::Builder::new().stack_size(bytes).spawn(is_small);
            assert_eq!(thread.unwrap().join().unwrap(), small, "{bytes}");
        }
    }

    #[test]
    fn little_left_and_a_strange_stack_both_count_as_small() {
        let place = (1 << 30, 8 << 20);
        assert!(!is_small_at(place.0 + (4 << 20), place));
        assert!(is_small_at(place.0 + NEEDED_BYTES - 1, place));
        assert!(is_small_at(place.0 - 1, place) && is_small_at(place.0 + place.1 + 1, place));
    }
}
