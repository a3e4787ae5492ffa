//! Locks that a panic elsewhere does not take from everybody: what they guard is changed in single
//! steps, so it is whole whenever a lock is let go.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Holds a lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
